"""What an engine complains of, as one line for a person.

The engine's own text can quote a profile, so nothing of it is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import ibis.common.exceptions
import pyarrow as pa

from ccexport.errors import CcexportError, SourceError

BLANK_KEY = "ccexport: blank CustomerId"  # what the customers table raises by itself, see files.py
INNER_MARK = (
    "ccexport: byte-order mark inside "  # what a CSV file's keys raise, with its path behind it
)
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_PARQUET_FILE = re.compile(r"(Customer|SegmentMembership)\.parquet")
_CSV_FILE = re.compile(r"(Customer|SegmentMembership)\.csv")


@contextmanager
def translated(names: Mapping[str, str]) -> Iterator[None]:
    """Raise `SourceError` for whatever the engine raises inside. `names`: what people call the two tables."""
    try:
        yield
    except duckdb.Error as error:
        raise SourceError(_explain(str(error), names)) from error
    except (ibis.common.exceptions.IbisError, pa.ArrowException, OSError) as error:
        raise SourceError(_explain(str(error), names)) from error
    except CcexportError:
        raise
    except Exception as error:
        if type(error).__module__ == "builtins":  # ours: a bug stays a bug
            raise
        # An engine's own, and engines have no error in common.
        raise SourceError(
            f"The source could not be read ({type(error).__name__}). Check that its database is there, and that "
            f"{' and '.join(dict.fromkeys(names.values()))} can be read; then try again."
        ) from error


def explain_blank_key(file: str) -> str:
    """What is said of a profile whose key is blank."""
    return f"{file} has a profile without a CustomerId. Give every profile its key."


def _explain(text: str, names: Mapping[str, str]) -> str:
    if BLANK_KEY in text:
        return explain_blank_key(names["customers"])
    if mark := re.search(f"{INNER_MARK}<(.*)>", text):
        return _explain_mark(Path(mark[1]))
    if "Out of Memory" in text:
        return "The source is too large for this machine's memory. Choose smaller segments, or give it more memory."
    line = _LINE.search(text)
    if line:
        return _explain_csv(text, _file_in(text, _CSV_FILE, names), int(line.group(1)))
    if "No files found" in text or "No such file" in text or "Cannot open file" in text:
        return (
            f"{_file_in(text, _CSV_FILE, names)} is not there any more. Put it back, and try again."
        )
    return f"{_file_in(text, _PARQUET_FILE, names)} is damaged or not what its name says. Write it anew."


def _explain_mark(path: Path) -> str:
    with path.open("rb") as file:
        marked = (n for n, line in enumerate(file, start=1) if n > 1 and b"\xef\xbb\xbf" in line)
        line = next(marked, 1)
    return (
        f"{path.name}, line {line}: a byte-order mark within the file. Two files were joined: join them without the "
        "second's mark and header."
    )


def _explain_csv(text: str, file: str, line: int) -> str:
    lowered = text.lower()
    where = f"{file}, line {line}"
    if "not utf-8 encoded" in lowered:
        return f"{where}: not UTF-8 text. Save the file as UTF-8."
    if "unterminated quote" in lowered:
        return f'{where}: broken quoting. Close every quotation mark, and double those inside a value ("").'
    if "expected number of columns" in lowered:
        return f"{where}: not as many values as the header has columns. Correct the line."
    if "maximum line size" in lowered:
        return f"{where}: longer than a line can be; most likely a quotation mark is not closed."
    return f"{where}: cannot be read as CSV. Correct the line."


def _file_in(text: str, pattern: re.Pattern[str], names: Mapping[str, str]) -> str:
    found = pattern.search(text)
    if found:
        return found.group()
    return " or ".join(dict.fromkeys(names.values()))
