"""What the page People is made of: who may sign in, as what, and the buttons that change it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ccexport.services.connections.connections import Connections
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import MAX_ADDRESS, Users, UserView
from ccexport.settings import Settings
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.ui.ticked import Ticked
from ccexport.words import moment

ROLE_WORDS: dict[Role, str] = {
    Role.VIEWER: "Viewer",
    Role.CONTRIBUTOR: "Contributor",
    Role.ADMINISTRATOR: "Administrator",
}
_REMOVING = "people_removing"  # whose dialog is open: survives a full run of the page
_NO_ROLE = "No access"


def how_people_sign_in(settings: Settings) -> None:
    """What these roles are good for while nobody signs in, or where they come from."""
    if not settings.people_sign_in:
        st.info(
            "Nobody signs in yet: the dashboard answers this machine alone. Set up OpenID Connect "
            "(CCEXPORT_OIDC_ISSUER, CCEXPORT_OIDC_CLIENT_ID, CCEXPORT_OIDC_CLIENT_SECRET) and start ccexport again; "
            "then the people below may sign in.",
            icon=":material/no_accounts:",
        )
    elif settings.oidc_role_claim:
        st.caption(
            f"Roles come from the claim {plain(settings.oidc_role_claim)} of the provider; who has none there has the "
            "role given here."
        )


def table(views: list[UserView], by: Person) -> UserView | None:
    """Everybody; the one who is selected."""
    rows = [
        {
            "Address": view.user.email,
            "Name": view.user.name,
            "Role": ROLE_WORDS[view.role] if view.role else _NO_ROLE,
            "Given by": "The provider" if view.by_claim else view.user.added_by,
            "Last seen": moment(view.user.seen_at),
            "": "You" if view.user.email == by.email else "",
        }
        for view in views
    ]
    ticked = Ticked("people_table", [view.user.email for view in views])
    st.dataframe(
        pd.DataFrame(rows),
        key=ticked.key,
        hide_index=True,
        on_select=ticked.select,
        selection_mode="single-row",
        alt="People who may sign in, with their roles",
    )
    return next((view for view in views if view.user.email in ticked.ids), None)


def actions(users: Users, view: UserView | None, *, by: Person) -> None:
    """Another role for the selected person, or none."""
    if view is None:
        st.caption("Select a person to change the role, or to remove the access.")
        return
    email = view.user.email
    with st.container(border=True):
        st.markdown(f"**{plain(email)}**")
        if view.by_claim:
            st.caption("The role comes from the sign-in provider: change it there.")
        else:
            _change(users, view, by)
        if st.button("Remove", key="people_remove", icon=":material/person_remove:"):
            st.session_state[_REMOVING] = email
    if st.session_state.get(_REMOVING) == email:
        _remove(users, email, by)


def _change(users: Users, view: UserView, by: Person) -> None:
    roles = list(ROLE_WORDS)
    role = st.segmented_control(
        "Role",
        roles,
        default=view.role,
        format_func=ROLE_WORDS.__getitem__,
        key=f"people_role_{view.user.email}",
    )
    clicked = st.button(
        "Save role",
        key="people_save",
        type="primary",
        icon=":material/save:",
        disabled=role is None or role is view.role,
    )
    if clicked and role is not None:
        with page.errors_shown():
            users.change(view.user.email, role, by=by)
            is_now = f"is {ROLE_WORDS[role].lower()} from the next click on."
            flash.say("people", f"{plain(view.user.email)} {is_now}{_what_waits(view.user.email)}")


def add_form(users: Users, *, by: Person) -> None:
    """Somebody new, by address."""
    with st.form("people_add_form", border=True):
        email = st.text_input(
            "Address", key="people_email", max_chars=MAX_ADDRESS, placeholder="ana@example.com"
        )
        role = st.selectbox(
            "Role", list(ROLE_WORDS), format_func=ROLE_WORDS.__getitem__, key="people_new_role"
        )
        st.caption("It has to be the address that the sign-in provider calls verified.")
        clicked = st.form_submit_button("Add", key="people_add", type="primary")
    if clicked:
        with page.errors_shown():
            added = users.add(email, role, by=by)
            flash.say(
                "people", f"{plain(added.user.email)} may sign in as {ROLE_WORDS[role].lower()}."
            )


def _close() -> None:
    st.session_state.pop(_REMOVING, None)


@st.dialog("Remove access", on_dismiss=_close)
def _remove(users: Users, email: str, by: Person) -> None:
    st.markdown(
        f"{plain(email)} can no longer use ccexport from the next click on, in pages that are open too. What was done "
        "stays in the history and in the audit."
    )
    if st.button("Remove access", key="people_remove_confirm", type="primary"):
        with page.errors_shown():
            users.remove(email, by=by)
            _close()
            flash.say("people", f"{plain(email)} has no access any more.{_what_waits(email)}")


def _what_waits(email: str) -> str:
    """Exports that ran by the right of one who has just lost it."""
    names = Connections(page.installation()).without_export_user(email)
    if not names:
        return ""
    over = ", ".join(f"“{plain(name)}”" for name in names)
    return f" Exports over {over} wait until another administrator steps in under Connections."
