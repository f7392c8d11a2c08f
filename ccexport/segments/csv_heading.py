"""The heading of a CSV file: its columns, what separates them, and in which encoding they are.

Everything is decided by the first lines, by rules that are written here; nothing is guessed from the rows.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ccexport.errors import SourceError

DELIMITERS = {",": ",", ";": ";", "tab": "\t", "|": "|"}
HEAD_BYTES = 262_144  # of a file: more than any heading, and some rows
_DELIMITER_WORDS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BOM = "\ufeff"
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_OTHER_QUOTES = {"'": "'", "`": "`", "‘": "’", "“": "”", "´": "´"}  # noqa: RUF001  # what people's files hold
_SAMPLE_ROWS = 50


@dataclass(frozen=True)
class Heading:
    """How a CSV file is read. `columns`: without padding; `skip`: lines before the heading.

    `is_told`: somebody named the delimiter, in the source's address or in the line before the heading.
    """

    columns: tuple[str, ...]
    delimiter: str
    skip: int
    encoding: str
    is_told: bool = False

    @property
    def is_one_column(self) -> bool:
        """Nothing tells what separates values: another delimiter further down is not known from a part of a value."""
        return len(self.columns) == 1 and not self.is_told


def read_heading(
    name: str,
    head: bytes,
    needed: Sequence[str],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Heading:
    """Read a file's first bytes. `name`: what people call the file; `needed`: columns that tell a delimiter.

    Raises `SourceError` naming file and line, or the column.
    """
    found = encoding_of(head, encoding)
    text = _decoded(name, head, found).lstrip(_BOM)
    given = _SEP_LINE.match(text)
    skip = 1 if given else 0
    text = text[given.end() :] if given else text
    if given and delimiter is None:
        delimiter = given[1]
    is_told = delimiter is not None
    delimiter = delimiter or _delimiter_of(text, needed)
    columns = _first_row(name, text, delimiter, line=skip + 1)
    _refuse_nul(name, columns, found)
    _refuse_other_quotes(name, text, columns, delimiter)
    return Heading(tuple(map(column_name, columns)), delimiter, skip, found, is_told)


def column_name(heading: str) -> str:
    """A column by the name that people use: without blanks around it, and without line breaks."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", heading).strip().strip(_BOM).strip()


def encoding_of(head: bytes, declared: str | None) -> str:
    """The encoding of a file: by its byte order mark, else as declared, else UTF-8. Raises `SourceError`."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if declared is None:
        return "utf-8"
    try:
        found = codecs.lookup(declared).name
    except LookupError:
        raise SourceError(
            f'The source\'s option encoding names "{declared}", which is not known. '
            "Name another, such as utf-8, utf-16 or windows-1252."
        ) from None
    return "utf-8" if found == "utf-8-sig" else found


def _decoded(name: str, head: bytes, encoding: str) -> str:
    # Bytes that do not fit are let through: they may come long after the heading, which is read with a block.
    text = codecs.getincrementaldecoder(encoding)("surrogateescape").decode(head)
    end = min(place for place in (text.find("\n"), text.find("\r"), len(text)) if place >= 0)
    if re.search(r"[\udc80-\udcff]", text[:end]):
        raise SourceError(
            f"{name}, line 1: not UTF-8 text. Save the file as UTF-8."
            if encoding == "utf-8"
            else f"{name}, line 1: not {encoding} text. Name the right encoding in the source's address."
        )
    return text


def _delimiter_of(text: str, needed: Sequence[str]) -> str:
    """The one by which the needed columns are there; else the one that gives the most columns."""
    rows = {each: list(map(column_name, _row(text, each))) for each in _DELIMITER_WORDS}
    for delimiter, columns in rows.items():
        if set(needed) <= set(columns) and len(columns) > 1:
            return delimiter
    return max(rows, key=lambda each: len(rows[each]))  # the first of equals: a comma


def _row(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _first_row(name: str, text: str, delimiter: str, line: int) -> list[str]:
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return next(reader, [])
    except csv.Error as error:
        raise SourceError(f"{name}, line {line}: broken quoting. Correct the header.") from error


def _refuse_nul(name: str, columns: Sequence[str], encoding: str) -> None:
    if encoding == "utf-8" and any("\x00" in column for column in columns):
        raise SourceError(
            f"{name}, line 1: not UTF-8 text; it looks like UTF-16 without its mark. Save the file as UTF-8, or add "
            "?encoding=utf-16-le to the source's address."
        )


def _refuse_other_quotes(name: str, text: str, columns: Sequence[str], delimiter: str) -> None:
    """Values in single quotes would be read with them: no address among them would be one."""
    rows = _sample_rows(text, delimiter)
    for quote in _OTHER_QUOTES:
        in_rows = bool(rows) and all(_is_quoted(row, quote) for row in rows)
        if _is_quoted(columns, quote) or in_rows:
            what = "single quotes" if quote == "'" else f"{quote}{_OTHER_QUOTES[quote]}"
            raise SourceError(
                f"{name}: values are in {what}. Write the file with double quotes, or with none."
            )


def _sample_rows(text: str, delimiter: str) -> list[list[str]]:
    """Some rows after the heading that are whole."""
    end = max(text.rfind("\n"), text.rfind("\r"))
    lines = io.StringIO(text if len(text) < HEAD_BYTES // 4 else text[:end], newline="")
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:
        return []  # the reader of the whole file says where
    return [row for row in rows[1:] if any(row)]


def _is_quoted(row: Sequence[str], quote: str) -> bool:
    """Whether every value that is more than a number is in these quotes, and one at least is."""
    worded = [value for value in row if value and not re.fullmatch(r"[\d.,+-]+", value)]
    close = _OTHER_QUOTES[quote]
    return bool(worded) and all(
        len(each) > 1 and each.startswith(quote) and each.endswith(close) for each in worded
    )


def delimiter_words(delimiter: str) -> str:
    """What a delimiter is called."""
    return _DELIMITER_WORDS.get(delimiter, f'"{delimiter}"')
