"""The fast way: the engine makes the CSV line of each contact, and a grammar tells the lines that are sent as they are.

A row whose line matches the grammar of a clean line (a valid lower-case address, then fields without control characters
and without white space at their edges, quoted where they must be), and whose values fit their fields, is done: that is
95 rows of 100. The others leave the engine as they are, and take the careful way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, reduce
from inspect import Parameter, Signature

import ibis
import ibis.expr.types as ir

from ccexport.errors import MappingError
from ccexport.preparation.emails import LOWER_CASE_ADDRESS, SHORTEST_WITH_LONG_LABEL
from ccexport.preparation.fields import (
    birthday_is_sent_as_it_is,
    is_sent_as_it_is,
    octets,
)
from ccexport.preparation.mapping import CUSTOM_PREFIX, FieldMapping, template_parts
from ccexport.preparation.text import BLANKS, CONTROLS, clean_constant, looks_dirty

KEY = "CustomerId"
RAW = "raw:"  # before the names of attributes as they are in the source
END = "\r\n"
LINE_COLUMNS = ("customer_id", "line", "address_bytes", "cell", "odd")
MEASURE_COLUMNS = ("customer_id", "address", "line_bytes", "filled", "line", "odd")
WORDS_FOR_NOTHING = (
    "NULL",
    "N/A",
    "NA",
    "nan",
    "None",
    "\\N",
)  # sent as they are, and told in the preview
SAYS_NOTHING = f",({'|'.join(re.escape(word) for word in WORDS_FOR_NOTHING)})[,\r]"
_VALUE = "value:"

_INNER, _EDGE = f'[^{CONTROLS},"]', f'[^{CONTROLS},"{BLANKS}]'
_BARE = f"{_EDGE}({_INNER}*{_EDGE})?"
_QUOTED_INNER, _QUOTED_EDGE = f'([^{CONTROLS}"]|"")', f'([^{CONTROLS}"{BLANKS}]|"")'
_QUOTED = f'"{_QUOTED_EDGE}({_QUOTED_INNER}*{_QUOTED_EDGE})?"'


def bare_line(fields: int) -> str:
    """The grammar of a clean line of an address and so many fields without a comma or a mark in any of them."""
    return f"^{LOWER_CASE_ADDRESS}(,({_BARE})?){{{fields}}}{END}$"


def quoted_line(fields: int) -> str:
    """The grammar of a clean line in which values that need quotation marks have them."""
    return f"^{LOWER_CASE_ADDRESS}(,({_BARE}|{_QUOTED})?){{{fields}}}{END}$"


def members(
    customers: ir.Table, memberships: ir.Table, segments: Sequence[str], mapping: FieldMapping
) -> ir.Table:
    """The profiles of the segments' members, each once: `customer_id`, and the attributes in use, as they are."""
    profiles = customers.semi_join(places(memberships, segments), KEY)
    return attributes(profiles, mapping)


def places(memberships: ir.Table, segments: Sequence[str]) -> ir.Table:
    """The keys of the members of any of the segments, once for each segment."""
    chosen = memberships.filter(memberships.Segment.isin(list(segments)))
    return chosen.filter(chosen.CustomerId.notnull()).select(KEY)


def attributes(profiles: ir.Table, mapping: FieldMapping) -> ir.Table:
    """`customer_id`, and the attributes in use under names of their own."""
    return profiles.select(
        customer_id=profiles[KEY],
        **{RAW + name: profiles[name] for name in mapping.attributes_used},
    )


def lines(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """`LINE_COLUMNS` of `members`: of a clean row its line, of any other its attributes as they are, in `odd`.

    `address_bytes`: so many of the line are the address; `cell`: the address as it was, null where it was just so.
    Raises `MappingError` for a custom field of type multi_select.
    """
    found = _judged(rows, mapping, types)
    differs = found.is_clean & (found.address != found.as_it_was)
    return found.select(
        "customer_id",
        line=_if_clean(found, found.line),
        address_bytes=found.is_clean.ifelse(octets(found.address), 0).cast("uint8"),
        cell=differs.ifelse(found.as_it_was, ibis.null("string")),
        odd=_odd(found, mapping),
    )


def measures(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """`MEASURE_COLUMNS` of `members`: of a clean row what its line takes, instead of the line.

    `line_bytes` are in UTF-8; bit n of `filled` says whether the n-th field has a value; `line` is null but where a
    value is one of `WORDS_FOR_NOTHING`.
    """
    found = _judged(rows, mapping, types)
    says_nothing = found.is_clean & found.line.re_search(SAYS_NOTHING)
    return found.select(
        "customer_id",
        address=_if_clean(found, found.address),
        line_bytes=found.is_clean.ifelse(octets(found.line), 0).cast("int64"),
        filled=_filled_unless_all(found, mapping),
        line=says_nothing.ifelse(found.line, ibis.null("string")),
        odd=_odd(found, mapping),
    )


def _filled_unless_all(found: ir.Table, mapping: FieldMapping) -> ir.IntegerValue:
    """`filled`, looked at value by value only where the line has a blank one."""
    has_blank = found.line.contains(",,") | found.line.endswith("," + END)
    every = ibis.literal(2 ** len(mapping.fields) - 1, type="int64")
    each = filled([found[_VALUE + field] for field in mapping.fields])
    return has_blank.ifelse(each, every)


def filled(values: Sequence[ir.StringValue]) -> ir.IntegerValue:
    """Which of the values are not blank: bit n for the n-th."""
    bits = [(value.fill_null("") != "").cast("int64") * 2**bit for bit, value in enumerate(values)]
    return reduce(lambda a, b: a + b, bits)


def _judged(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """The rows with `address`, `line`, `as_it_was` (the address), the mapped values, and whether all is clean."""
    refuse_multi_select(mapping, types)
    raw = {name: rows[RAW + name] for name in mapping.attributes_used}
    mapped = rows.mutate(**{_VALUE + field: _value(raw, value) for field, value in mapping.pairs})
    values = {field: mapped[_VALUE + field] for field in mapping.fields}
    as_it_was = values.pop("email")
    with_line = mapped.mutate(
        as_it_was=as_it_was,
        address=as_it_was.lower(),
        bare=concat(as_it_was.lower(), *_with_commas(values.values()), END),
    )
    # A comma within a value would be one too many for the grammar, so that most rows need not be looked at for quotes.
    is_bare = with_line.bare.re_search(bare_line(len(values)))
    others = [with_line[_VALUE + field] for field in values]
    with_quotes = joined([with_line.address, *others])
    with_line = with_line.mutate(is_bare=is_bare)
    with_line = with_line.mutate(line=with_line.is_bare.ifelse(with_line.bare, with_quotes))
    is_clean = _is_clean(with_line, mapping, types)
    return with_line.mutate(is_clean=is_clean.fill_null(False))


def _if_clean(found: ir.Table, value: ir.StringValue) -> ir.StringValue:
    return found.is_clean.ifelse(value, ibis.null("string"))


def _odd(found: ir.Table, mapping: FieldMapping) -> ir.Value:
    as_they_are = ibis.array([found[RAW + name] for name in mapping.attributes_used])
    return found.is_clean.ifelse(ibis.null("array<string>"), as_they_are)


def _is_clean(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.BooleanValue:
    """Whether the careful way would make this very line.

    A letter beyond ASCII that lower-casing makes one of ASCII has more bytes than that, so it does not go unseen.
    """
    values = {
        field: rows[_VALUE + field].fill_null("") for field in mapping.fields if field != "email"
    }
    claims = [
        octets(rows.address) == octets(rows.as_it_was),
        octets(rows.address) < SHORTEST_WITH_LONG_LABEL,
        *(
            is_sent_as_it_is(field, value_type(types, field), value)
            for field, value in values.items()
            if not field.startswith("birthday_")
        ),
    ]
    if "birthday_month" in values:
        claims.append(birthday_is_sent_as_it_is(values["birthday_month"], values["birthday_day"]))
    if within := _within_templates(mapping):
        attributes = [rows[RAW + name].fill_null("") for name in within]
        claims.append(~looks_dirty(ibis.literal("|").join(attributes)))
    claims.append(rows.is_bare.ifelse(True, rows.line.re_search(quoted_line(len(values)))))
    return reduce(lambda a, b: a & b, claims)


def _within_templates(mapping: FieldMapping) -> list[str]:
    """The attributes that other text stands around: white space at their edges is not at those of the value."""
    templates = [
        parts
        for _, value in mapping.pairs
        if len(parts := template_parts(value)) > 1 or parts[0][0]
    ]
    return list(dict.fromkeys(name for parts in templates for _, name in parts if name is not None))


def _value(raw: Mapping[str, ir.StringValue], value: str) -> ir.StringValue:
    """What is mapped, of attributes that are clean; a template is blank where all its attributes are."""
    parts = template_parts(value)
    names = [name for _, name in parts if name is not None]
    if not names:
        return ibis.literal(clean_constant("".join(text for text, _ in parts), is_whole=True))
    if len(parts) == 1 and parts[0][0] == "":
        return raw[names[0]]
    pieces: list[ir.StringValue] = []
    for text, name in parts:
        pieces += [ibis.literal(clean_constant(text, is_whole=False))] if text else []
        pieces += [raw[name]] if name is not None else []
    some = concat(*(raw[name] for name in names)) != ""
    return some.ifelse(concat(*pieces), "")


def joined(values: Sequence[ir.StringValue]) -> ir.StringValue:
    """The line of an address and further values: quoted where they must be, nothing where they are null."""
    address, *others = values
    return concat(address, *_with_commas(map(quoted, others)), END)


def _with_commas(values: Iterable[ir.StringValue]) -> list[ir.StringValue | str]:
    return [part for value in values for part in (",", value)]


def quoted(value: ir.StringValue) -> ir.StringValue:
    """A value without control characters as it stands in a line (RFC 4180)."""
    needs_quotes = value.contains(",") | value.contains('"')
    return needs_quotes.ifelse(concat('"', value.replace('"', '""'), '"'), value)


def concat(*parts: ir.StringValue | str) -> ir.StringValue:
    """DuckDB's own `concat`, which takes a null as nothing."""
    return _concat(len(parts))(*parts)


@cache
def _concat(count: int) -> Callable[..., ir.StringValue]:
    """The function of so many texts. Its full name keeps Ibis from writing `||`, of which one null makes a null."""

    def concat(*parts: str) -> str:
        raise NotImplementedError

    names = [f"part_{number}" for number in range(count)]
    concat.__annotations__ = dict.fromkeys(names, str) | {"return": str}
    concat.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    made = ibis.udf.scalar.builtin(name="concat", catalog="system", database="main")(concat)
    return made  # type: ignore[no-any-return]


def value_type(types: Mapping[str, str], field: str) -> str:
    """The type in the account of a custom field; of any other field it says nothing."""
    return types.get(field.removeprefix(CUSTOM_PREFIX), "string")


def refuse_multi_select(mapping: FieldMapping, types: Mapping[str, str]) -> None:
    """Raise `MappingError` for a custom field that cannot be imported."""
    for name in mapping.custom_fields:
        if types.get(name) == "multi_select":
            raise MappingError(
                f'The custom field "{name}" is a multi select; its import format is not documented. '
                "Take it out of the mapping."
            )
