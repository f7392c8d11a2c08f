"""The beginning of every page: title, who asks, and errors shown as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from ccexport.errors import CcexportError, RetryableError, SetupError
from ccexport.installation import Installation
from ccexport.redaction import with_their_words
from ccexport.services.operations.pauses import Pauses
from ccexport.services.people.access import RANK, Person, Role
from ccexport.settings import load_settings
from ccexport.ui import identity
from ccexport.ui.text import go_to, plain

__all__ = [
    "begin",
    "begin_again",
    "errors_shown",
    "go_to",
    "id_from_url",
    "installation",
    "plain",
]


def begin(title: str, *, role: Role) -> Person:
    """Title, person and role, or the page ends here: the first line of every page."""
    person = identity.or_stop(identity.look(installation))
    st.title(title)
    try:
        if RANK[person.role] < RANK[role]:
            identity.note_refusal(installation(), person, title)
            st.error(f"This page is for people with the role {role.value}. Ask an administrator.")
            st.stop()
        installation().runs.live_of(None)  # the store is there and of this code's tables
        if (paused := Pauses(installation()).in_words()) is not None:
            st.warning(plain(paused), icon=":material/pause_circle:")
    except CcexportError as error:
        st.error(plain(str(error)))
        st.stop()
    return person


def begin_again(person: Person) -> None:
    """First line of a self-refreshing fragment: redraws the whole page if the person's role has changed."""
    if not identity.is_still(installation(), person):
        st.rerun()


@st.cache_resource(show_spinner=False)
def installation() -> Installation:
    """The rooms of this process, built once. Holds nothing of a person."""
    return Installation(load_settings())


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
