"""What the page Connections is made of: a card for each connection, the form that adds one, the dialogs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ccexport.consent import CONSENT_TEXT
from ccexport.services.connections.connections import (
    GRANT_REMAINS,
    Connections,
    shares_account,
    waits_for,
    what_waits,
)
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.names import MAX_NAME_CHARACTERS
from ccexport.services.people.access import Person
from ccexport.settings import Settings
from ccexport.store.connections import ConnectionView
from ccexport.store.database.tables import Connection
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.words import moment

SHOWN_EXPORTS = 5
_OPEN = "connections_open_dialog"  # which dialog is open: survives a full run of the page
_DEVELOPER_PORTAL = "https://developer.constantcontact.com"


def welcome_back(views: Sequence[ConnectionView]) -> None:
    """The outcome of what was done just before: a sign-in (its name is in the address), a removal."""
    name = st.query_params.get("connected", "")
    for view in views:
        if name and view.connection.name == name:
            organization = plain(view.connection.organization)
            st.success(f"“{plain(name)}” is connected to {organization}.", icon=":material/check:")
    if name:
        del st.query_params["connected"]
    flash.show("connections")


def application_is_set(settings: Settings) -> bool:
    """Whether anybody can sign in at all; if not, says what to set up."""
    if settings.cc_client_id:
        return True
    st.warning(
        "No Constant Contact application is set up yet, so nobody can sign in.",
        icon=":material/key_off:",
    )
    with st.container(border=True):
        st.markdown(
            f"1. Make an application at [{_DEVELOPER_PORTAL.removeprefix('https://')}]({_DEVELOPER_PORTAL}) "
            "(authorization code flow with rotating refresh tokens).\n"
            "2. Register this redirect address there:"
        )
        st.code(settings.redirect_uri, language=None)
        st.markdown(
            "3. Set these variables, or write them into the file `.env`, and start ccexport again:"
        )
        st.code("CCEXPORT_CC_CLIENT_ID=…\nCCEXPORT_CC_CLIENT_SECRET=…", language=None)
    return False


def ask_to_sign_in(views: Sequence[ConnectionView]) -> None:
    """What a person has to do first, where Constant Contact no longer accepts a sign-in."""
    for view in views:
        name = plain(view.connection.name)
        st.error(
            f"Constant Contact no longer accepts the sign-in of “{name}”. Select Authenticate below; runs that wait "
            "for it then continue by themselves.",
            icon=":material/lock_reset:",
        )


def card(
    view: ConnectionView,
    views: Sequence[ConnectionView],
    exports: Sequence[str],
    *,
    by: Person,
    ready: bool,
) -> None:
    """One connection of all `views`: what it is, and what can be done with it."""
    connection = view.connection
    key = f"connections_{{}}_{connection.id}".format
    with st.container(border=True, key=key("card")):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(plain(connection.name), anchor=False, width="content")
            _badge(view)
        _facts(view, exports)
        _what_waits(view, by)
        if words := shares_account(view, views):
            st.warning(plain(words), icon=":material/group_work:")
        with st.container(horizontal=True, vertical_alignment="center"):
            _opener(
                "Authenticate",
                key("authenticate"),
                ":material/login:",
                type="primary" if connection.needs_sign_in else "secondary",
                disabled=not ready,
                help="Sign in at Constant Contact again, with the same account.",
            )
            tested = st.button("Test", key=key("test"), icon=":material/network_check:")
            if connection.export_user != by.name:
                _export_user(view, by)
            _opener("Rename", key("rename"), ":material/edit:")
            _opener("Remove", key("remove"), ":material/delete:")
            st.toggle(
                "Contributors may use it",
                value=connection.contributors,
                key=key("share"),
                on_change=_share,
                args=(connection.id, key("share"), by),
                width="content",
            )
        if tested:
            _test(connection.id, by)
    opened = st.session_state.get(_OPEN)
    if opened == key("rename"):
        _rename(connection, by)
    elif opened == key("remove"):
        _remove(view, exports, by)
    elif opened == key("authenticate"):
        _authenticate(view, by)


def add_form(*, by: Person, first: bool) -> None:
    """Name, who may use it, consent, then to Constant Contact's own page."""
    with st.expander("Add a connection", expanded=first, icon=":material/add_link:"):
        name = st.text_input(
            "Display name",
            key="connections_name",
            max_chars=MAX_NAME_CHARACTERS,
            placeholder="Marketing",
            help="How people here call it, for example after the account or the team.",
        )
        contributors = st.toggle(
            "Contributors may use it",
            key="connections_contributors",
            help="Otherwise administrators alone set up exports over it.",
        )
        _connect(name, contributors, by=by, key="connections_add")
        st.caption(
            "Its redirect address has to be registered for the application at Constant Contact:"
        )
        st.code(page.installation().settings.redirect_uri, language=None)


def _what_waits(view: ConnectionView, by: Person) -> None:
    """What an administrator has to do before its exports go on."""
    for words in what_waits(view):
        st.warning(plain(words), icon=":material/front_hand:")
    if "consent" in waits_for(view):
        with st.container(border=True):
            st.markdown(plain(CONSENT_TEXT))
            st.button(
                "I agree",
                key=f"connections_agree_{view.connection.id}",
                type="primary",
                on_click=_agree,
                args=(view.connection, by),
            )


def _agree(connection: Connection, by: Person) -> None:
    with page.errors_shown():
        Connections(page.installation()).agree(connection.id, by=by)
        flash.keep(
            "connections",
            f"You agreed for “{plain(connection.name)}”. Runs that waited for it go on.",
        )


def _export_user(view: ConnectionView, by: Person) -> None:
    st.button(
        "Add yourself as export user",
        key=f"connections_export_user_{view.connection.id}",
        icon=":material/badge:",
        type="primary" if "export_user" in waits_for(view) else "secondary",
        help="Its runs then read the source by your right.",
        on_click=_become_export_user,
        args=(view.connection, by),
    )


def _become_export_user(connection: Connection, by: Person) -> None:
    with page.errors_shown():
        Connections(page.installation()).become_export_user(connection.id, by=by)
        flash.keep(
            "connections",
            f"You are the export user of “{plain(connection.name)}” now. Runs that waited for one go on.",
        )


def _badge(view: ConnectionView) -> None:
    if view.connection.needs_sign_in:
        st.badge("Sign-in needed", color="orange", icon=":material/warning:")
    elif waits_for(view):
        st.badge("Waits for an administrator", color="orange", icon=":material/front_hand:")
    else:
        st.badge("Connected", color="green", icon=":material/check_circle:")


def _facts(view: ConnectionView, exports: Sequence[str]) -> None:
    connection = view.connection
    agreed = f"{plain(view.agreed_by)}, {moment(view.agreed_at)}" if view.agreed_by else "–"  # noqa: RUF001  # the dash of an empty cell
    shared = "Administrators and contributors" if connection.contributors else "Administrators"
    facts = (
        ("Account", plain(connection.organization)),
        ("Who may use it", shared),
        ("Export user", plain(connection.export_user)),
        ("Consent", agreed),
        ("Exports", _listed(exports)),
    )
    for column, (label, value) in zip(st.columns(len(facts)), facts, strict=True):
        column.markdown(f":small[:gray[{label}]]  \n{value}")


def _listed(exports: Sequence[str]) -> str:
    names = ", ".join(plain(name) for name in exports[:SHOWN_EXPORTS])
    more = len(exports) - SHOWN_EXPORTS
    return f"{names} and {more:,} more" if more > 0 else names or "None yet"


def _opener(label: str, key: str, icon: str, **options: Any) -> None:
    """A button that opens the dialog of its key."""
    st.button(label, key=key, icon=icon, on_click=_open, args=(key,), **options)


def _open(key: str) -> None:
    st.session_state[_OPEN] = key


def _close() -> None:
    st.session_state.pop(_OPEN, None)


@st.dialog("Sign in again", on_dismiss=_close)
def _authenticate(view: ConnectionView, by: Person) -> None:
    name = view.connection.name
    organization = plain(view.connection.organization)
    st.markdown(
        f"“{plain(name)}” belongs to the account {organization}. Sign in with that account; another is refused and "
        "nothing changes."
    )
    _connect(name, None, by=by, key=f"connections_again_{view.connection.id}")


def _connect(name: str, contributors: bool | None, *, by: Person, key: str) -> None:
    """Consent and the button that leaves for Constant Contact; `contributors` is None for signing in again."""
    with st.container(border=True):
        st.markdown(plain(CONSENT_TEXT))
        agreed = st.checkbox("I agree", key=f"{key}_agree")
    missing = [
        text for text, there in (("a name", name.strip()), ("your consent", agreed)) if not there
    ]
    clicked = st.button(
        "Connect",
        key=f"{key}_connect",
        type="primary",
        icon=":material/open_in_browser:",
        disabled=bool(missing),
        help=f"Needs {' and '.join(missing)}." if missing else None,
    )
    if clicked:
        with page.errors_shown():
            ticket = SignIns(page.installation()).prepare(
                name,
                contributors=bool(contributors),
                agreed=agreed,
                by=by,
                again=contributors is None,
            )
            address = f"{page.installation().settings.base_path}/oauth/start/{ticket}"
            st.html(
                f'<p>Off to Constant Contact … <a href="{address}" target="_self">Open it yourself</a> if nothing '
                "happens.</p>"
            )
            page.go_to(address)


def _test(connection_id: int, by: Person) -> None:
    with st.spinner("Asking Constant Contact …"), page.errors_shown():
        found = Connections(page.installation()).check(connection_id, by=by)
        organization = plain(found.organization)
        if found.missing_privileges:
            missing = plain(", ".join(found.missing_privileges))
            st.warning(
                f"Signed in to {organization}, but the user who signed in lacks {missing}. Select Authenticate and "
                "sign in as the account's owner or a manager."
            )
        else:
            st.success(f"Signed in to {organization}; {found.lists:,} lists can be used.")


def _share(connection_id: int, key: str, by: Person) -> None:
    with page.errors_shown():
        contributors = bool(st.session_state[key])
        Connections(page.installation()).share(connection_id, contributors=contributors, by=by)


@st.dialog("Rename connection", on_dismiss=_close)
def _rename(connection: Connection, by: Person) -> None:
    name = connection.name
    new_name = st.text_input(
        "Display name", value=name, key="connections_new_name", max_chars=MAX_NAME_CHARACTERS
    )
    st.caption("Exports keep using it. Runs of before show the name of then.")
    if st.button("Save", key="connections_rename_save", type="primary"):
        with page.errors_shown():
            renamed = Connections(page.installation()).rename(connection.id, new_name, by=by)
            _close()
            flash.say("connections", f"“{plain(name)}” is called “{plain(renamed.name)}” now.")


@st.dialog("Remove connection", on_dismiss=_close)
def _remove(view: ConnectionView, exports: Sequence[str], by: Person) -> None:
    name = view.connection.name
    organization = plain(view.connection.organization)
    st.markdown(
        f"“{plain(name)}” ({organization}) is removed and its sign-in destroyed. This cannot be undone; the history "
        "of its runs stays."
    )
    if live := Connections(page.installation()).live_runs(view.connection.id):
        runs = (
            "1 run is live: it is" if len(live) == 1 else f"{len(live):,} runs are live: they are"
        )
        st.warning(f"{runs} stopped, and nothing more is sent.", icon=":material/stop_circle:")
    exports_too = False
    if exports:
        st.markdown(f"**Exports that use it:** {_listed(exports)}")
        choice = st.radio(
            "What becomes of them?",
            ("Detach them", "Remove them too"),
            key="connections_remove_choice",
            captions=(
                "They stay, inactive, until given another connection.",
                "They are gone for good.",
            ),
        )
        exports_too = choice == "Remove them too"
    st.caption(GRANT_REMAINS)
    label = "Remove connection and exports" if exports_too else "Remove connection"
    if st.button(label, key="connections_remove_confirm", type="primary"):
        with page.errors_shown():
            removed = Connections(page.installation()).remove(
                view.connection.id, by=by, exports_too=exports_too
            )
            _close()
            words = (f"“{plain(name)}” is removed.", removed.in_words(), GRANT_REMAINS)
            flash.say("connections", " ".join(filter(None, words)))
