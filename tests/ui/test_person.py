"""The page Find a person: before a search, somebody who left the list and is put back, somebody nobody knows."""

from __future__ import annotations

from contextlib import closing

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import local_administrator
from ccexport.store.database.tables import Connection
from ccexport.worker import Worker
from tests.kit.waiting import wait_until
from tests.ui.conftest import LIST_ID, MAPPING, SEGMENTS, OpenPage, texts

BY = local_administrator()


@pytest.fixture
def who_left(installation: Installation, connection: Connection) -> str:
    """The address of one whom an export placed on its list, and who left it before the export's second run."""
    draft = ExportDraft(
        "Newsletter", "Marketing", LIST_ID, SEGMENTS, parse_mapping(MAPPING), "changes"
    )
    Exports(installation).add(draft, by=BY)
    _run(installation)
    with closing(installation.client_for(connection.id)) as client:
        one, *rest = client.members(LIST_ID)
        client.remove_from_list(LIST_ID, [one.contact_id])
        wait_until(lambda: len(list(client.members(LIST_ID))) == len(rest), "they are off the list")
    _run(installation)
    return one.email


def _run(installation: Installation) -> None:
    Exports(installation).queue("Newsletter", by=BY)
    Worker(installation).work(until_idle=True)


def find(test: AppTest, email: str) -> AppTest:
    test.text_input(key="person_email").set_value(email)
    [button] = [each for each in test.button if each.label == "Find"]
    return button.click().run()


def test_before_a_search_the_page_says_what_to_type(open_page: OpenPage) -> None:
    assert "Type the whole address" in open_page("person").info[0].value


def test_who_left_is_put_back_and_the_address_is_in_no_address(
    open_page: OpenPage, who_left: str
) -> None:
    test = find(open_page("person"), who_left.upper())
    assert not test.exception
    assert "Left the list, not put back, since" in texts(test)
    assert test.dataframe[0].value["What became of it"][0] == "Kept away"
    assert test.query_params == {}
    test.button(key="person_put_back_Newsletter").click().run()
    assert "The next run of “Newsletter” puts them back" in texts(test)
    assert "May be put back, since" in texts(test)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nobody@example.com", "No export knows them"),
        ("nobody", "That is not an email address"),
    ],
)
def test_somebody_nobody_knows_and_what_is_no_address(
    open_page: OpenPage, typed: str, said: str
) -> None:
    assert said in texts(find(open_page("person"), typed))
