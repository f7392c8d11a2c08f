"""Who looks at this page: whom Streamlit's sign-in found, or the local administrator where nobody signs in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit import runtime
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.server_util import AUTH_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

from ccexport.errors import CcexportError, NotAllowed
from ccexport.installation import Installation
from ccexport.services.people.access import Person, local_administrator
from ccexport.services.people.permission import require
from ccexport.services.people.roles import Action
from ccexport.services.people.users import Claims, SessionEnded, Users
from ccexport.ui.text import go_to, plain

SIGNED_OUT = "Sign in to see this page."


def auth_secrets(installation: Installation) -> Mapping[str, Any] | None:
    """What `st.App(secrets=…)` takes for `st.login`; None where nobody signs in."""
    settings = installation.settings
    if not settings.people_sign_in or settings.oidc_client_secret is None:
        return None
    return {
        "auth": {
            "redirect_uri": f"{settings.public_url}/oauth2callback",
            "cookie_secret": installation.keys.newest.cookies,
            "client_id": settings.oidc_client_id,
            "client_secret": settings.oidc_client_secret.get_secret_value(),
            "server_metadata_url": f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        }
    }


def claims_of_session() -> Claims:
    """What the provider said of the person in this browser session; empty where nobody is signed in."""
    if not st.user.get("is_logged_in"):
        return {}
    return st.user.to_dict()


def claims_of_cookies(cookies: dict[str, str]) -> Claims:
    """The same of a plain HTTP request's cookies, which Streamlit signed."""
    content = _get_signed_cookie_with_chunks(cookies, AUTH_COOKIE_NAME)
    found = json.loads(content) if content else {}
    return found if isinstance(found, dict) and found.get("is_logged_in") else {}


def person_of(
    installation: Installation, claims: Claims, came_from: str, *, is_active: bool
) -> Person:
    """Raises `SessionEnded` for one who has to sign in, `NotAllowed` for one who may not."""
    if not installation.settings.people_sign_in:
        return local_administrator()
    if not claims:
        raise SessionEnded(SIGNED_OUT)
    return Users(installation).enter(claims, came_from, is_active=is_active)


def look(get_parts: Callable[[], Installation]) -> Person | CcexportError:
    """The person of this page, or why there is none."""
    try:
        return person_of(get_parts(), claims_of_session(), came_from(), is_active=True)
    except CcexportError as error:
        return error


def or_stop(found: Person | CcexportError, wanted: str = "") -> Person:
    """The person; for everybody else the page is the one to sign in at, and ends here.

    `wanted` is the page's name in its address: where to go after the sign-in.
    """
    if isinstance(found, Person):
        return found
    if isinstance(found, SessionEnded):
        _ask_to_sign_in(str(found), wanted)
    elif isinstance(found, NotAllowed):
        _refuse(str(found))
    else:
        st.error(plain(str(found)))
    st.stop()


def note_refusal(installation: Installation, person: Person, title: str) -> None:
    """In the audit, once a browser session: a page that draws itself again is not asked for again."""
    key = f"refused_{title}"
    if key not in st.session_state:
        st.session_state[key] = True
        with suppress(NotAllowed):
            require(installation, person, Action.SEE_ADMINISTRATION, "page", title)


def is_still(installation: Installation, person: Person) -> bool:
    """Whether the same person is signed in with the same role: for fragments that refresh themselves."""
    if person.email is None:
        return True
    try:
        now = person_of(installation, claims_of_session(), person.came_from, is_active=False)
    except CcexportError:
        return False
    return now.role is person.role


def came_from() -> str:
    """The network address; proxies are believed where `CCEXPORT_TRUSTED_PROXIES` names them."""
    if not runtime.exists():
        return ""
    return st.context.ip_address or "127.0.0.1"


def foot_of_menu(installation: Installation, person: Person) -> None:
    """Name, role and the way out; or that nobody signs in."""
    with st.sidebar:
        if not installation.settings.people_sign_in:
            st.caption(
                "Nobody signs in: this dashboard answers this machine alone, and you are its administrator."
            )
            return
        st.caption(f"{plain(person.name)}  \n{person.role.value.capitalize()}")
        st.button(
            "Sign out",
            key="sign_out",
            icon=":material/logout:",
            type="tertiary",
            on_click=_leave,
            args=(installation, person),
        )


def _leave(installation: Installation, person: Person) -> None:
    Users(installation).leave(claims_of_session(), by=person)
    st.logout()


def _ask_to_sign_in(why: str, wanted: str) -> None:
    st.title("Sign in")
    st.markdown(plain(why))
    if st.button("Sign in", key="sign_in", type="primary", icon=":material/login:"):
        query = urlencode(list(st.query_params.items()))
        back = urlencode({"next": f"/{wanted}?{query}" if query else f"/{wanted}"})
        go_to(f"{generate_login_redirect_url('default')}&{back}")


def _refuse(why: str) -> None:
    st.title("No access")
    st.error(plain(why))
    if st.button("Sign in as somebody else", key="sign_out", icon=":material/logout:"):
        st.logout()
