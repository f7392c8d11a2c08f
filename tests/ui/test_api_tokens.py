"""The screen API tokens: a token is added, shown once, and revoked after a question."""

from __future__ import annotations

import pytest

from ccexport.installation import Installation
from ccexport.services.api.tokens import ApiTokens, is_well_formed
from ccexport.services.people.access import local_administrator
from ccexport.store.exports import ExportView
from tests.ui.conftest import OpenPage, texts

BY = local_administrator()


@pytest.fixture
def tokens(installation: Installation) -> ApiTokens:
    return ApiTokens(installation)


def test_api_tokens_say_what_to_do_first(open_page: OpenPage) -> None:
    test = open_page("api_tokens")
    assert "No program may call the API yet" in test.info[0].value
    assert not test.exception


def test_api_tokens_are_added_and_shown_once(
    open_page: OpenPage, tokens: ApiTokens, export: ExportView
) -> None:
    test = open_page("api_tokens")
    test.text_input(key="api_tokens_name").input(" airflow ")
    test.multiselect(key="api_tokens_exports").select("Newsletter")
    test.checkbox(key="api_tokens_read_only").check()
    test.selectbox(key="api_tokens_expires").select("In 90 days")
    test.button(key="api_tokens_add").click().run()
    assert is_well_formed(test.code[0].value)
    assert "May ask, and start nothing. Exports: Newsletter." in texts(test)
    [view] = tokens.all(by=BY)
    assert (view.token.name, view.export_names) == ("airflow", ("Newsletter",))
    assert not test.run().code


def test_api_tokens_refuse_a_name_that_is_taken(open_page: OpenPage, tokens: ApiTokens) -> None:
    tokens.add("airflow", by=BY)
    test = open_page("api_tokens")
    test.text_input(key="api_tokens_name").input("Airflow")
    test.button(key="api_tokens_add").click().run()
    assert "already" in test.error[0].value
    assert "Exports: all, and refreshes." in texts(test)


def test_api_tokens_are_revoked_after_a_question(open_page: OpenPage, tokens: ApiTokens) -> None:
    token = tokens.add("airflow", by=BY)
    [view] = tokens.all(by=BY)
    assert tokens.caller(token)
    test = open_page("api_tokens")
    assert "Last used" in texts(test)
    test.button(key=f"api_tokens_revoke_{view.token.id}").click().run()
    test.button(key="api_tokens_revoke_confirm").click().run()
    assert tokens.all(by=BY) == []
    assert "is let in no more" in texts(test)
