"""Columns of every type as the text a person would write: dates by ISO, whole numbers without a fraction."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir


def as_text(table: ir.Table) -> ir.Table:
    """The table with every column as text; null stays null."""
    return table.select(**{name: _text(table[name]) for name in table.columns})


def _text(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():
        return column
    if kind.is_null():
        return ibis.null("string")
    if kind.is_floating():
        return _number(column)
    if kind.is_boolean():
        return ibis.cases((column, "true"), (~column, "false"))
    if kind.is_timestamp():
        return _moment(column, suffix="Z" if kind.timezone else "")
    if kind.is_date():
        return column.strftime("%Y-%m-%d")
    return column.cast("string")


def _number(column: ir.Column) -> ir.Column:
    """A column of whole numbers with gaps often comes as floating point: 12.0 is 12, and no number is a gap."""
    return column.isnan().ifelse(ibis.null("string"), column.cast("string").re_replace(r"\.0$", ""))


def _moment(column: ir.Column, suffix: str) -> ir.Column:
    """A date often comes as the midnight that begins it: without a time of day it is a date."""
    # In two: Spark takes the letter between them for a part of its pattern, and does not know it.
    text = column.strftime("%Y-%m-%d") + "T" + column.strftime("%H:%M:%S") + suffix
    return text.endswith("T00:00:00" + suffix).ifelse(column.strftime("%Y-%m-%d"), text)
