"""The beginning of every page: title, who asks, and errors shown as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import streamlit as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ccexport.assembly import Parts
from ccexport.errors import CcexportError, RetryableError, SetupError
from ccexport.redaction import with_their_words
from ccexport.services.access import Person, Role, local_administrator
from ccexport.settings import load_settings

_RANK = {Role.VIEWER: 0, Role.CONTRIBUTOR: 1, Role.ADMINISTRATOR: 2}


def begin(title: str, *, role: Role) -> Person:
    """Title, person and role, or the page ends here: the first line of every page."""
    person = local_administrator()
    st.title(title)
    if _RANK[person.role] < _RANK[role]:
        st.error(f"This page is for people with the role {role.value}. Ask an administrator.")
        st.stop()
    try:
        parts().runs.live_of(None)  # the store is there and of this code's tables
    except CcexportError as error:
        st.error(plain(str(error)))
        st.stop()
    return person


@st.cache_resource(show_spinner=False)
def parts() -> Parts:
    """The rooms of this process, built once. Holds nothing of a person."""
    return Parts(load_settings())


def id_from_url(name: str) -> int | None:
    """A whole number from the page's address, as in `/run?run=42`; None where there is none."""
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@contextmanager
def errors_shown() -> Iterator[None]:
    """An error that a person can mend becomes a sentence on the page; a bug stays a bug."""
    try:
        yield
    except (SetupError, RetryableError) as error:
        st.error(plain(with_their_words(str(error), error.detail)))


def go_to(address: str) -> None:
    """Send this browser tab to an address of ours beside the pages, as `st.login` does to its own."""
    context = get_script_run_ctx()
    if context is not None:
        message = ForwardMsg()
        message.auth_redirect.url = address
        context.enqueue(message)


def when(moment: datetime | None) -> str:
    """`5 Jan 2026, 10:00 UTC`; a dash where there is none."""
    if moment is None:
        return "–"  # noqa: RUF001  # a dash is meant
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def plain(text: str) -> str:
    """Text from people, source and service, so that Streamlit shows it as it is: no Markdown, HTML, maths or icons."""
    return "".join(f"\\{sign}" if sign in _MARKDOWN else sign for sign in text)


_MARKDOWN = frozenset("\\`*_{}[]()<>#+-.!|~$:^=&\"'")
