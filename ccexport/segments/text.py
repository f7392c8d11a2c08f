"""Columns of every type as the text a person would write: dates by ISO, whole numbers without a fraction."""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

# From here on a number in a floating column stands for its neighbours too.
TOO_LARGE = 2**53


def as_text(table: ir.Table) -> ir.Table:
    """The table with every column as text; null stays null."""
    return table.select(**{name: text_of(table[name]) for name in table.columns})


def text_of(column: ir.Column) -> ir.Column:
    """A column as text, the same on every engine."""
    kind = column.type()
    if kind.is_string():
        return column
    if kind.is_null():
        return ibis.null("string")
    if kind.is_floating():
        # A column of whole numbers with gaps often comes as floating point: 12.0 is 12, and no number is a gap.
        return column.isnan().ifelse(ibis.null("string"), _number(column))
    if kind.is_boolean():
        return ibis.cases((column, "true"), (~column, "false"))
    if kind.is_timestamp():
        return _moment(column, suffix="Z" if kind.timezone else "")
    if kind.is_date():
        return column.strftime("%Y-%m-%d")
    return column.cast("string")


def key_of(column: ir.Column) -> ir.Column:
    """A key as text: of a column of decimal numbers too, whole numbers are written as such."""
    return _number(column) if column.type().is_decimal() else text_of(column)


def is_text(kind: dt.DataType) -> bool:
    """Whether a column of the type can be read as text. A list or a structure holds more than one value."""
    return not (kind.is_nested() or kind.is_binary() or kind.is_json() or kind.is_unknown())


def described(kind: dt.DataType) -> str:
    """A type in words."""
    words = (
        (kind.is_array(), "a list"),
        (kind.is_struct(), "a structure"),
        (kind.is_map(), "a map"),
        (kind.is_binary(), "bytes"),
        (True, "of a type of its own"),
    )
    return f"{next(word for is_so, word in words if is_so)} ({kind})"


def _number(column: ir.Column) -> ir.Column:
    """Whole numbers as such, as far as they are exact; others as the engine writes them."""
    is_whole = (column.abs() < TOO_LARGE) & (column == column.floor())
    return is_whole.ifelse(
        column.cast("int64").cast("string"), column.cast("string").re_replace(r"\.0$", "")
    )


def _moment(column: ir.Column, suffix: str) -> ir.Column:
    """A date often comes as the midnight that begins it: without a time of day it is a date."""
    day, time = column.strftime("%Y-%m-%d"), column.strftime("%H:%M:%S")
    return (time == "00:00:00").ifelse(day, day + "T" + time + suffix)
