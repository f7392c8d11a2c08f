"""The screen People: roles are given, changed and taken; the last administrator stays."""

from __future__ import annotations

from dataclasses import replace

from ccexport.installation import Installation
from ccexport.services.people.access import Role, local_administrator
from ccexport.services.people.users import Users
from tests.ui.conftest import OpenPage, texts

BY = local_administrator()


def test_people_says_what_is_missing_while_nobody_signs_in(open_page: OpenPage) -> None:
    test = open_page("people")
    assert "Set up OpenID Connect" in test.info[0].value
    assert not test.exception


def test_people_adds_somebody_by_address(open_page: OpenPage, installation: Installation) -> None:
    test = open_page("people")
    test.text_input(key="people_email").input("Ana@Example.com")
    test.selectbox(key="people_new_role").select(Role.ADMINISTRATOR)
    test.button(key="people_add").click().run()
    assert "may sign in as administrator" in test.success[0].value
    [view] = Users(installation).views(by=BY)
    assert (view.user.email, view.role, view.user.added_by) == (
        "ana@example.com",
        Role.ADMINISTRATOR,
        BY.name,
    )


def test_people_refuses_what_is_no_address(open_page: OpenPage, installation: Installation) -> None:
    test = open_page("people")
    test.text_input(key="people_email").input("<b>ana</b>")
    test.button(key="people_add").click().run()
    assert "That is not an email address" in texts(test).replace("\\", "")
    assert Users(installation).views(by=BY) == []


def test_people_changes_a_role_and_names_the_last_administrator(
    open_page: OpenPage, installation: Installation
) -> None:
    users = Users(installation)
    users.add("ana@example.com", Role.ADMINISTRATOR, by=BY)
    users.add("bob@example.com", Role.VIEWER, by=BY)
    test = open_page("people")
    test.session_state["people_table_ticked"] = ["bob@example.com"]
    test.run()
    test.segmented_control(key="people_role_bob@example.com").select(Role.CONTRIBUTOR).run()
    test.button(key="people_save").click().run()
    assert [view.role for view in users.views(by=BY)] == [Role.ADMINISTRATOR, Role.CONTRIBUTOR]


def test_people_shows_who_is_there_without_a_role(
    open_page: OpenPage, installation: Installation
) -> None:
    Users(installation).add("ana@example.com", Role.VIEWER, by=replace(BY, name="<i>root</i>"))
    test = open_page("people")
    [frame] = test.dataframe
    assert list(frame.value["Address"]) == ["ana@example.com"]
    assert list(frame.value["Role"]) == ["Viewer"]
