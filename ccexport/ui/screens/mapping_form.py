"""Data matching: a row a contact field, filled from an attribute, a constant or a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from ccexport.errors import CcexportError, MappingError, SourceError
from ccexport.preparation.mapping import (
    CONTACT_FIELDS,
    CUSTOM_PREFIX,
    direct_attribute,
    mapped_attribute,
    suggest_mapping,
    template_parts,
)
from ccexport.services.connections.lists import Lists
from ccexport.services.people.access import Person
from ccexport.ui import page
from ccexport.ui.page import plain
from ccexport.ui.screens.list_picker import Account
from ccexport.ui.screens.mapping_preview import live

EMAIL_ROW = 0
_WIDTHS = (8, 9, 2)  # of a row: field, what fills it, the way out
CONSTANT, TEMPLATE, ATTRIBUTE = "constant", "template", "attribute:"
_OTHERS = {CONSTANT: "a constant …", TEMPLATE: "a template …"}


_STYLE = """<style>
[class*="st-key-export_remove_"] [data-testid="stMarkdownContainer"] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap}
</style>"""


@dataclass(frozen=True)
class Fields:
    """The contact fields one can fill: name → label, and the types of the custom ones by their name."""

    labels: Mapping[str, str]
    types: Mapping[str, str]
    trouble: str | None = None


def field_label(field: str, labels: Mapping[str, str] | None = None) -> str:
    """`First name`; a custom field by its label where the account gave it."""
    if labels and field in labels:
        return labels[field]
    if field.startswith(CUSTOM_PREFIX):
        return f"{field.removeprefix(CUSTOM_PREFIX)} (custom)"
    return field.replace("_", " ").capitalize()


def open_mapping(pairs: Sequence[tuple[str, str]] | None) -> None:
    """Begin with these pairs; None: with what the attributes' names suggest for a name and an address."""
    st.session_state["export_rows"] = []
    if pairs is None:
        suggested = suggest_mapping(_attribute_names())
        wanted = ("email", "first_name", "last_name")
        pairs = [(field, suggested[field]) for field in wanted if field in suggested]
    values = dict(pairs)
    _open_row(EMAIL_ROW, "email", values.pop("email", ""))
    for field, value in values.items():
        _add_row(field, value)


def mapping_form(account: Account | None, by: Person) -> tuple[dict[str, str], Mapping[str, str]]:
    """The pairs that are filled in (contact field → value), and the types of the account's custom fields."""
    attributes, fields = _attribute_names(), _fields(account, by)
    rows: list[int] = st.session_state["export_rows"]
    st.html(_STYLE)
    pairs = dict([_email_row(attributes)])
    taken = {st.session_state.get(f"export_field_{row}") for row in rows}
    for row in rows:
        field, value = _row(row, attributes, fields, taken)
        if field and value:
            pairs[field] = value
    _add_buttons(attributes, taken)
    if fields.trouble:
        st.warning(f"The custom fields could not be asked for: {plain(fields.trouble)}")
        if st.button("Ask again", key="export_fields_again", icon=":material/refresh:"):
            st.session_state.pop("export_fields", None)
            st.rerun()
    return {field: value for field, value in pairs.items() if value}, fields.types


# --- what there is -------------------------------------------------------------------------------


def _attribute_names() -> tuple[str, ...]:
    """None where the source cannot be read; the part about segments says so."""
    try:
        return live().attribute_names()
    except SourceError:
        return ()


def _fields(account: Account | None, by: Person) -> Fields:
    """Asked of the account once a session; without an answer the built-in ones stay."""
    labels = {field: field_label(field) for field in CONTACT_FIELDS if field != "email"}
    if account is None:
        return Fields(labels, {})
    kept = st.session_state.get("export_fields")
    if kept is None or kept[0] != account.connection_id:
        kept = (account.connection_id, *_ask_fields(account, by))
        st.session_state["export_fields"] = kept
    _, custom, trouble = kept
    labels |= {CUSTOM_PREFIX + name: f"{label} ({kind})" for name, label, kind in custom}
    return Fields(labels, {name: kind for name, _, kind in custom}, trouble)


def _ask_fields(account: Account, by: Person) -> tuple[list[tuple[str, str, str]], str | None]:
    try:
        with st.spinner("Asking Constant Contact for the custom fields …"):
            found = Lists(page.installation(), by).custom_fields(account.connection_id)
    except CcexportError as error:
        return [], str(error)
    return [(field.name, field.label, field.type) for field in found], None


# --- rows ----------------------------------------------------------------------------------------


def _open_row(row: int, field: str, value: str) -> None:
    state = st.session_state
    source, text = _source_of(value)
    state[f"export_field_{row}"] = field or None
    state[f"export_from_{row}"] = source
    state[f"export_text_{row}"] = text


def _source_of(value: str) -> tuple[str | None, str]:
    """Which kind of value it is, and its text."""
    if not value:
        return None, ""
    if value.startswith("="):
        return CONSTANT, value[1:]
    name = direct_attribute(value)
    return (TEMPLATE, value) if name is None else (ATTRIBUTE + name, "")


def _add_row(field: str, value: str) -> None:
    state = st.session_state
    row = max([EMAIL_ROW, *state["export_rows"], state.get("export_last_row", 0)]) + 1
    state["export_last_row"] = row
    state["export_rows"] = [*state["export_rows"], row]
    _open_row(row, field, value)


def _remove_row(row: int) -> None:
    st.session_state["export_rows"] = [
        each for each in st.session_state["export_rows"] if each != row
    ]


def _email_row(attributes: Sequence[str]) -> tuple[str, str]:
    left, right, _ = st.columns(_WIDTHS, wrap=False)
    left.text_input("Contact field", "Email", disabled=True, key="export_email_label")
    with right:
        value = _value(EMAIL_ROW, "Email", attributes, with_constant=False)
    return "email", value


def _row(
    row: int, attributes: Sequence[str], fields: Fields, taken: set[str | None]
) -> tuple[str | None, str]:
    left, right, end = st.columns(_WIDTHS, wrap=False)
    mine = st.session_state.get(f"export_field_{row}")
    options = [name for name in fields.labels if name == mine or name not in taken]
    if mine and mine not in options:
        options.append(mine)
    with left:
        field = st.selectbox(
            "Contact field",
            options,
            index=None,
            format_func=lambda name: field_label(name, fields.labels),
            key=f"export_field_{row}",
            placeholder="Choose a field",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )
    shown = field_label(field, fields.labels) if field else "this field"
    with right:
        value = _value(row, shown, attributes)
    end.button(
        f"Take {plain(shown)} out",  # heard, not seen: see _STYLE
        icon=":material/close:",
        key=f"export_remove_{row}",
        type="tertiary",
        on_click=_remove_row,
        args=(row,),
        help=f"Take {plain(shown)} out",
    )
    if field and fields.types.get(field.removeprefix(CUSTOM_PREFIX)) == "multi_select":
        st.warning("A multi select cannot be filled by an import. Take it out.")
    return field, value


def _value(row: int, shown: str, attributes: Sequence[str], *, with_constant: bool = True) -> str:
    """What fills the field: an attribute's name, `=constant` or a template; empty while it is not filled in."""
    mine = st.session_state.get(f"export_from_{row}")
    options = [ATTRIBUTE + name for name in attributes]
    if mine and mine.startswith(ATTRIBUTE) and mine not in options:
        options.append(mine)  # a column that is gone: the preview says so
    options += [CONSTANT, TEMPLATE] if with_constant else [TEMPLATE]
    source = st.selectbox(
        "Filled from",
        options,
        index=None,
        format_func=lambda name: _OTHERS.get(name, name.removeprefix(ATTRIBUTE)),
        key=f"export_from_{row}",
        placeholder="Choose an attribute",
        required=True,
        label_visibility="visible" if row == EMAIL_ROW else "collapsed",
        persist_state="session",
    )
    if source is None:
        return ""
    if source.startswith(ATTRIBUTE):
        return mapped_attribute(source.removeprefix(ATTRIBUTE))
    text = st.text_input(
        f"Constant for {shown}" if source == CONSTANT else f"Template for {shown}",
        key=f"export_text_{row}",
        placeholder="Spring 2026" if source == CONSTANT else "{FirstName} of {City}",
        label_visibility="collapsed",
        live=True,
        persist_state="session",
    )
    return _as_value(source, (text or "").strip())


def _as_value(source: str, text: str) -> str:
    if not text:
        return ""
    if source == CONSTANT or not _has_attribute(text):
        return f"={text}"
    return text


def _has_attribute(text: str) -> bool:
    """Whether it is a template with an attribute, or a broken one, whose trouble is then shown."""
    try:
        return "{" in text and any(name is not None for _, name in template_parts(text))
    except MappingError:
        return True


def _add_buttons(attributes: Sequence[str], taken: set[str | None]) -> None:
    suggested = suggest_mapping(attributes)
    rest = {
        field: name for field, name in suggested.items() if field != "email" and field not in taken
    }
    with st.container(horizontal=True):
        st.button(
            "Add attribute",
            key="export_add_attribute",
            icon=":material/add:",
            on_click=_add_row,
            args=next(iter(rest.items()), ("", "")),
        )
        if len(rest) > 1:
            st.button(
                f"Add all {len(rest)} that names suggest",
                key="export_add_all",
                icon=":material/playlist_add:",
                on_click=_add_all,
                args=(rest,),
            )


def _add_all(pairs: Mapping[str, str]) -> None:
    for field, value in pairs.items():
        _add_row(field, value)
