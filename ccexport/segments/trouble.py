"""What an engine complains of, as one line for a person.

The engine's own text can quote a profile, so nothing of it is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ccexport.errors import CcexportError, SourceError
from ccexport.segments.csv_fault import CsvFile, find_fault, find_more_values

# What the tables of files raise by themselves, see files.py: the first is followed by a column.
BLANK_KEY = "ccexport: blank key"
MARK_INSIDE = "ccexport: byte order mark inside "
MORE_VALUES = "ccexport: more than a value in "
_LINE = re.compile(r"CSV Error on Line: (\d+)")


@contextmanager
def translated(names: Mapping[str, str], files: Sequence[CsvFile] = ()) -> Iterator[None]:
    """Raise `SourceError` for whatever an engine raises inside.

    `names`: what people call the two tables; `files`: those of CSV, which are read again to find a fault.
    """
    try:
        yield
    except CcexportError:
        raise
    except Exception as error:  # each engine has errors of its own, and no base in common
        if not _is_of_an_engine(error):
            raise
        raise SourceError(_explain(error, names, files)) from error


def explain_blank_key(file: str, key: str = "CustomerId") -> str:
    """What is said of a profile whose key is blank."""
    return f"{file} has a profile without a {key}. Give every profile its key."


def _is_of_an_engine(error: Exception) -> bool:
    return isinstance(error, OSError | UnicodeError) or type(error).__module__.partition(".")[
        0
    ] not in (
        "builtins",
        "ccexport",
    )


def _explain(error: Exception, names: Mapping[str, str], files: Sequence[CsvFile]) -> str:
    text = str(error)
    if BLANK_KEY in text:
        return explain_blank_key(names["customers"], names.get("key", "CustomerId"))
    if MARK_INSIDE in text:
        return (
            _explain_mark(files)
            or f"{_file_in(text, names)} has a byte-order mark within the file."
        )
    if MORE_VALUES in text and (fault := next(filter(None, map(find_more_values, files)), None)):
        return fault
    if "Out of Memory" in text:
        return "The source is too large for this machine's memory. Choose smaller segments, or give it more memory."
    if not names.get("engine"):
        return _explain_files(text, names, files)
    return (
        f"{names['engine']} could not answer ({type(error).__name__}). Look at its log, and at "
        f"{' and '.join(dict.fromkeys((names['customers'], names['memberships'])))}."
    )


def _explain_mark(files: Sequence[CsvFile]) -> str | None:
    for file in files:
        with file.open() as lines:
            for number, line in enumerate(lines, start=1):
                if number > 1 and line.startswith(b"\xef\xbb\xbf"):
                    return (
                        f"{file.name}, line {number}: a byte-order mark within the file. Two files were joined: join "
                        "them without the second's mark and header."
                    )
    return None


def _explain_files(text: str, names: Mapping[str, str], files: Sequence[CsvFile]) -> str:
    if "No files found" in text or "No such file" in text or "Cannot open file" in text:
        return f"{_file_in(text, names)} is not there any more. Put it back, and try again."
    named = [file for file in files if file.name in text]
    for file in named or files:
        if fault := find_fault(file):
            return fault
    line = _LINE.search(text)
    if line:
        return _explain_csv(text, _file_in(text, names), int(line.group(1)))
    return f"{_file_in(text, names)} is damaged or not what its name says. Write it anew."


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


def _file_in(text: str, names: Mapping[str, str]) -> str:
    found = [name for name in (names["customers"], names["memberships"]) if name in text]
    return (
        found[0]
        if found
        else " or ".join(dict.fromkeys((names["customers"], names["memberships"])))
    )
