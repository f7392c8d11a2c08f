"""Five shapes of memberships, each reduced to a key and a segment by one small expression of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir

from ccexport.errors import SourceError
from ccexport.segments.places import Place
from ccexport.segments.spec import KEY, SEGMENT, Memberships
from ccexport.segments.text import key_of, text_of

_STATUS = "status"
_OUT = ("exited",)
_TYPE = "SegmentMembershipType"
_JSON = "Segments"
_MEMBER_OF_PEOPLE = "Customer"


@dataclass(frozen=True)
class Found:
    """Memberships as (key, segment), both text, and what was found where.

    `broken`: where a shape can be read only as far as its text has the right form, the keys of rows that have not.
    """

    table: ir.Table
    name: str
    shape: str
    broken: ir.Table | None = None


def find_memberships(
    place: Place, wanted: Memberships, profiles: ir.Table, key: str
) -> list[Found]:
    """The memberships that an entry of the source names. `profiles` as they lie there; `key`: theirs.

    Raises `SourceError` where no shape fits, with what was looked for.
    """
    if wanted.shape == "flags" or wanted.columns:
        return [_flags(place, wanted, profiles, key)]
    if wanted.shape == "tables" or wanted.tables:
        return _tables(place, wanted, key)
    name = wanted.table or place.default_tables[1]
    member_key = wanted.key or place.default_key
    table = place.table(name, (member_key, *([wanted.segment] if wanted.segment else [])))
    shape = wanted.shape or _shape_of(place, name, table, wanted, member_key)
    by_shape = {"long": _long, "json": _json, "status": _status}
    return [by_shape[shape](place, name, table, wanted, member_key)]


def _shape_of(place: Place, name: str, table: ir.Table, wanted: Memberships, key: str) -> str:
    """By its columns alone."""
    columns = set(table.columns)
    segment = wanted.segment or SEGMENT
    if key not in columns:
        raise SourceError(
            f"{place.called(name)} has no column {key}. It has: {', '.join(table.columns[:8])}. "
            "Name its key with membership_key=COLUMN in the source's address."
        )
    if segment in columns:
        return "status" if wanted.status or _STATUS in columns else "long"
    if _json_column(table, wanted) is not None:
        return "json"
    raise SourceError(
        f"{place.called(name)} has no column {segment}, which shape long needs, and no column {_JSON}, which shape "
        f"json needs. It has: {', '.join(table.columns[:8])}. Name one with segment=COLUMN in the source's address."
    )


def _long(place: Place, name: str, table: ir.Table, wanted: Memberships, key: str) -> Found:
    segment = wanted.segment or SEGMENT
    _need(place, name, table, (key, segment), "long")
    return Found(_pairs(table, key, table[segment]), place.called(name), "long")


def _status(place: Place, name: str, table: ir.Table, wanted: Memberships, key: str) -> Found:
    segment, status = wanted.segment or SEGMENT, wanted.status or _STATUS
    _need(place, name, table, (key, segment, status), "status")
    text = text_of(table[status]).strip().lower()
    present = table.filter(text.isnull() | text.notin(_OUT))
    return Found(_pairs(present, key, present[segment]), place.called(name), "status")


def _json(place: Place, name: str, table: ir.Table, wanted: Memberships, key: str) -> Found:
    column = _json_column(table, wanted)
    if column is None:
        raise SourceError(
            f"{place.called(name)} has no column {wanted.segment or _JSON}, which shape json needs. "
            f"It has: {', '.join(table.columns[:8])}."
        )
    _need(place, name, table, (key, column), "json")
    people = _of_people(table)
    if people[column].type().is_array():
        return Found(_unnested(people, key, people[column]), place.called(name), "json")
    text = text_of(people[column])
    rows = people.select(**{KEY: key_of(people[key]), _JSON: text})
    filled = rows.filter(rows[_JSON].strip() != "")
    names = place.json_names(filled[_JSON])
    broken = filled.filter(names.isnull()).select(KEY)
    whole = filled.filter(names.notnull())
    pairs = _unnested(whole, KEY, place.json_names(whole[_JSON]))
    return Found(pairs, place.called(name), "json", broken)


def _of_people(table: ir.Table) -> ir.Table:
    kind = _matching(table.columns, _TYPE)
    if kind is None:
        return table
    value = text_of(table[kind])
    return table.filter((value == _MEMBER_OF_PEOPLE) | (value.fill_null("") == ""))


def _json_column(table: ir.Table, wanted: Memberships) -> str | None:
    return wanted.segment if wanted.segment in table.columns else _matching(table.columns, _JSON)


def _matching(columns: Sequence[str], name: str) -> str | None:
    """A column by its name in Customer Insights, or in Dataverse, where it is lower case with a prefix."""
    known = (name, f"msdynci_{name.lower()}")
    return next((column for column in columns if column in known), None)


def _unnested(table: ir.Table, key: str, names: ir.ArrayValue) -> ir.Table:
    rows = table.select(**{KEY: key_of(table[key]), SEGMENT: names.unnest()})
    name = _unquoted(rows[SEGMENT]) if rows[SEGMENT].type().is_json() else text_of(rows[SEGMENT])
    return rows.select(KEY, **{SEGMENT: name}).filter(lambda each: each[SEGMENT].notnull())


def _unquoted(name: ir.JSONValue) -> ir.StringValue:
    """A text of JSON as the text that it means. Ibis' own way is not understood by PostgreSQL."""
    written = name.cast("string")
    inner = written.substr(1, written.length() - 2)
    return inner.replace('\\"', '"').replace("\\\\", "\\")


def _tables(place: Place, wanted: Memberships, key: str) -> list[Found]:
    if not wanted.tables:
        raise SourceError(
            "The source's memberships have the shape tables, but no tables are named. Name them, each under its "
            "segment, in a YAML file (memberships: [{shape: tables, tables: {SEGMENT: TABLE}}])."
        )
    found = []
    for segment, name in wanted.tables.items():
        table = place.table(name, (wanted.key or key,))
        _need(place, name, table, (wanted.key or key,), "tables")
        pairs = _pairs(table, wanted.key or key, ibis.literal(segment, type="string"))
        found.append(Found(pairs, place.called(name), "tables"))
    return found


def _flags(place: Place, wanted: Memberships, profiles: ir.Table, key: str) -> Found:
    columns = wanted.columns or ({wanted.segment: wanted.segment} if wanted.segment else {})
    if not columns:
        raise SourceError(
            "The source's memberships have the shape flags, but no columns are named. Name them, each under its "
            "segment, in a YAML file (memberships: [{shape: flags, columns: {SEGMENT: COLUMN}}])."
        )
    name = wanted.table
    table = profiles if name is None else place.table(name, (wanted.key or key,))
    own_key = key if name is None else wanted.key or key
    shown = place.called(name) if name else "the profiles"
    _need(place, name or shown, table, (own_key, *columns.values()), "flags")
    parts = []
    for segment, column in columns.items():
        members = table.filter(_is_set(table[column]))
        parts.append(_pairs(members, own_key, ibis.literal(segment, type="string")))
    return Found(reduce(lambda a, b: a.union(b), parts), shown, "flags")


def _is_set(column: ir.Column) -> ir.BooleanValue:
    """Whether a flag stands: true, a number but 0, or a word for yes."""
    kind = column.type()
    if kind.is_boolean():
        return column.fill_null(False)
    if kind.is_numeric():
        return (column != 0).fill_null(False)
    return text_of(column).strip().lower().isin(("true", "t", "yes", "y", "1")).fill_null(False)


def _pairs(table: ir.Table, key: str, segment: ir.Value) -> ir.Table:
    return table.select(**{KEY: key_of(table[key]), SEGMENT: text_of(segment)})


def _need(place: Place, name: str, table: ir.Table, columns: Sequence[str], shape: str) -> None:
    for column in columns:
        if column not in table.columns:
            raise SourceError(
                f"{place.called(name)} has no column {column}, which the shape {shape} needs. "
                f"It has: {', '.join(table.columns[:8])}."
            )


def labels_of(place: Place, table: str, name: str, label: str) -> ir.Table:
    """The table of labels, as `name` and `label`."""
    found = place.table(table, (name, label))
    _need(place, table, found, (name, label), "segment_names")
    return found.select(name=text_of(found[name]), label=text_of(found[label]))
