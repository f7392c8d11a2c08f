"""The screen Webhooks: addresses are added, tested, given new secrets and removed; deliveries are seen."""

from __future__ import annotations

import pytest

from ccexport.installation import Installation
from ccexport.services.people.access import local_administrator
from ccexport.services.telling.webhooks import Webhooks
from ccexport.states import RunState
from ccexport.store.exports import ExportView
from ccexport.store.moves import Held
from tests.kit.rows import run_row
from tests.ui.conftest import OpenPage, texts

BY = local_administrator()
URL = "https://192.0.2.1/hook"


@pytest.fixture
def webhooks(installation: Installation) -> Webhooks:
    return Webhooks(installation)


def test_webhooks_says_what_to_do_first(open_page: OpenPage) -> None:
    test = open_page("webhooks")
    assert "Nobody is told yet" in test.info[0].value
    assert not test.exception


def test_webhooks_adds_an_address_and_shows_its_secret_once(
    open_page: OpenPage, webhooks: Webhooks
) -> None:
    test = open_page("webhooks")
    test.text_input(key="webhooks_url").input(f" {URL} ")
    test.button(key="webhooks_add").click().run()
    assert test.code[0].value.startswith("whsec_")
    [hook] = webhooks.all(by=BY)
    assert hook.url == URL
    assert "run.succeeded" not in hook.events
    assert not test.run().code


def test_webhooks_refuses_what_is_not_an_address(open_page: OpenPage, webhooks: Webhooks) -> None:
    test = open_page("webhooks")
    test.text_input(key="webhooks_url").input("ftp://example.com")
    test.button(key="webhooks_add").click().run()
    assert "and a host" in test.error[0].value
    assert webhooks.all(by=BY) == []


def test_webhooks_shows_what_waits_and_gives_a_new_secret(
    open_page: OpenPage, installation: Installation, webhooks: Webhooks, export: ExportView
) -> None:
    first = webhooks.add(URL, [], by=BY)
    [hook] = webhooks.all(by=BY)
    run = installation.runs.queue(run_row(at=installation.now(), export_id=export.export.id))
    installation.runs.claim("w1", run_id=run.id)
    installation.runs.finish(Held(run.id, "w1"), RunState.FAILED, error="no")
    test = open_page("webhooks")
    assert "A message is on its way" in texts(test)
    [table] = [frame.value for frame in test.dataframe]
    assert list(table["Event"]) == ["A run failed"]
    test.button(key=f"webhooks_rotate_{hook.id}").click().run()
    assert test.code[0].value != first


def test_webhooks_says_why_a_test_does_not_arrive(
    open_page: OpenPage, installation: Installation, webhooks: Webhooks
) -> None:
    webhooks.add("http://127.0.0.1:9/hook", [], by=BY)
    [hook] = webhooks.all(by=BY)
    test = open_page("webhooks")
    test.button(key=f"webhooks_test_{hook.id}").click().run()
    assert "The address is private" in test.error[0].value


def test_webhooks_removes_after_a_question(open_page: OpenPage, webhooks: Webhooks) -> None:
    webhooks.add(URL, [], by=BY)
    [hook] = webhooks.all(by=BY)
    test = open_page("webhooks")
    test.button(key=f"webhooks_remove_{hook.id}").click().run()
    test.button(key="webhooks_remove_confirm").click().run()
    assert webhooks.all(by=BY) == []
