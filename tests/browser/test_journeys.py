"""What people do on ordinary and on bad days, in the browser, against one dashboard with its worker."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from playwright.sync_api import Position, expect
from pyarrow.parquet import read_table, write_table

from ccexport.clock import utc_now
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.states import RunState, Trigger, WaitingFor
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import (
    ANA,
    LIST_ID,
    MAPPING,
    OTHER_LIST_ID,
    House,
    behaviour,
    check_sums,
    grow_old,
)
from tests.kit.mail import MailServer, mail
from tests.kit.waiting import wait_for_state

__all__ = ["mail"]  # a fixture
LISTS = 1_000
LAST_LIST = "Zürich, winter sale"
SEGMENT = "Spring buyers"
FIRST_ROW: Position = {"x": 16, "y": 52}  # of a table: the box that selects it
PATIENCE_SECONDS, LOOK_SECONDS = 60, 0.2


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Dashboard]:
    """An account with a thousand lists, connected as "Marketing"."""
    first = [
        {"list_id": LIST_ID, "name": "Spring buyers"},
        {"list_id": OTHER_LIST_ID, "name": "Customers"},
    ]
    lists = [*first, *(f"List {number:04}" for number in range(3, LISTS)), LAST_LIST]
    folder = tmp_path_factory.mktemp("journeys") / "house"
    with house_beside_sandbox(folder, source, behaviour(lists=lists)) as house:
        connect(house, "Marketing")
        with served(house) as dashboard:
            yield dashboard


@pytest.fixture
def house(dashboard: Dashboard) -> Iterator[House]:
    """The installation; what a test changed at the stand-in is put back."""
    house = dashboard.house
    yield house
    house.tell("/_sandbox/behaviour", faults=[], processing_seconds=0.05)
    if any(view.connection.needs_sign_in for view in house.installation.connections.views()):
        connect(house, "Marketing")  # a journey broke off before somebody signed in again


@pytest.fixture
def visitor(dashboard: Dashboard, open_browser: OpenBrowser) -> Visitor:
    return open_browser(dashboard)


def test_list_picker_finds_the_last_of_a_thousand_lists(house: House, visitor: Visitor) -> None:
    visitor.open("export", "Export")
    visitor.sees(re.compile(rf"{LISTS:,} lists as of "))
    visitor.pick("List", "zürich", re.compile(LAST_LIST))
    visitor.pick("Segments", "Spring", re.compile(SEGMENT))
    visitor.fill("Name of the export", "Winter sale")
    visitor.press("Save")
    visitor.sees("Nothing was sent")
    assert house.installation.exports.by_name("Winter sale").export.list_name == LAST_LIST


def test_mapping_preview_follows_each_change(house: House, visitor: Visitor) -> None:
    add_export(house, "Matched")
    open_export(visitor, house, "Matched")
    card = visitor.page.get_by_role("table").first
    expect(card.get_by_role("row", name="First name")).to_be_visible()
    visitor.press("Take First name out")
    expect(card.get_by_role("row", name="First name")).to_have_count(0)

    visitor.pick("Filled from", "a constant", "a constant …", number=1)
    visitor.fill("Constant for Last name", "Dear friend")
    expect(card.get_by_role("row", name="Last name").get_by_text("Dear friend")).to_be_visible()

    read, sent, _ = counts(visitor)
    assert 0 < sent < read
    visitor.pick("Filled from", "Phone", "Phone")  # where the email address should come from
    expect(visitor.page.get_by_test_id("stMetric").nth(1)).to_have_text(re.compile(r"\D0$"))
    assert counts(visitor) == (read, 0, read)


def test_live_run_is_canceled_after_a_question(house: House, visitor: Visitor) -> None:
    add_export(house, "Endless")
    # what was sent is waited for: long enough to be asked about, short enough to be seen to end
    house.tell("/_sandbox/behaviour", processing_seconds=25)
    run_id = house.queue("Endless")
    visitor.open(f"run?run={run_id}", f"Run {run_id}")
    visitor.press("Cancel run")
    question = visitor.dialog("Cancel this run?")
    expect(question).to_contain_text("Endless")
    visitor.press("Let it run", within=question)
    expect(question).to_have_count(0)
    visitor.press("Cancel run")
    visitor.press("Cancel the run", within=visitor.dialog("Cancel this run?"))
    expect(visitor.button("Run again")).to_be_visible()
    expect(visitor.page.get_by_text("Canceled", exact=True).first).to_be_visible()
    assert house.document(run_id)["state"] == RunState.CANCELED


def test_refused_rows_are_shown_with_their_profiles_and_sent_again(
    house: House, visitor: Visitor
) -> None:
    add_export(house, "Refused", list_id=OTHER_LIST_ID)
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "reject_rows", "lines": [2, 4]}],
    )
    run_id = house.queue("Refused")
    visitor.open(f"run?run={run_id}", f"Run {run_id}")
    expect(visitor.button("Run again")).to_be_visible()
    expect(visitor.page.get_by_text("Completed with errors", exact=True).first).to_be_visible()
    visitor.page.get_by_text("File 1: 2 errors").click()
    expect(visitor.cells("contact was refused")).to_have_count(2)
    assert len(emails := refused_emails(visitor, house)) == 2
    assert not emails & set(house.members(OTHER_LIST_ID))
    document = house.document(run_id)
    check_sums(document)
    assert document["counts"]["failed"] == 2

    visitor.press("Run again")
    visitor.sees_page(f"Run {run_id + 1}")
    expect(visitor.page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    assert house.document(run_id + 1)["counts"]["failed"] == 0
    assert emails <= set(house.members(OTHER_LIST_ID))


def test_refresh_now_queues_what_runs_with_it(house: House, visitor: Visitor) -> None:
    add_export(house, "With the refresh")
    visitor.open("refresh", "Refresh")
    expect(visitor.cells("With the refresh")).to_have_count(1)
    visitor.press("Refresh now")
    expect(visitor.cells("done").first).to_be_attached()
    visitor.sees("Sizes of the segments")
    assert ends_by(house, "With the refresh", Trigger.REFRESH)["state"] == RunState.SUCCEEDED


def test_refresh_comes_by_the_clock(house: House, visitor: Visitor) -> None:
    add_export(house, "By the clock")
    visitor.open("refresh", "Refresh")
    visitor.press("Save")
    visitor.sees("The schedule is saved.")
    schedule = house.installation.refreshes.schedule()
    assert schedule is not None
    assert schedule.next_at is not None
    assert schedule.next_at > utc_now()
    house.installation.refreshes.set_schedule(  # the clock, moved: its time has come
        schedule.weekdays, schedule.times, schedule.zone, utc_now(), by="ana"
    )
    document = ends_by(house, "By the clock", Trigger.REFRESH)
    assert document["state"] == RunState.SUCCEEDED
    assert document["requested_by"] == "schedule"
    visitor.open(f"run?run={document['id']}", f"Run {document['id']}")
    visitor.sees(re.compile("refresh, schedule"))
    visitor.choose_page("Refresh")
    visitor.press("Turn off")
    visitor.sees("No refresh happens by itself any more.")


def test_waiting_run_goes_on_after_signing_in_again(
    dashboard: Dashboard, house: House, open_browser: OpenBrowser
) -> None:
    visitor, colleague = open_browser(dashboard), open_browser(dashboard)
    add_export(house, "Revoked")
    house.tell("/_sandbox/revoke")
    run_id = house.queue("Revoked")
    for each in (visitor, colleague):
        each.open(f"run?run={run_id}", f"Run {run_id}")
        each.sees(re.compile("^Waiting. "))
    assert house.document(run_id)["waiting_for"] == WaitingFor.SIGN_IN
    visitor.page.get_by_role("link", name="Sign in again").click()
    visitor.sees_page("Connections")
    visitor.press("Authenticate")
    again = visitor.dialog("Sign in again")
    again.get_by_text("I agree", exact=True).click()
    visitor.press("Connect", within=again)
    visitor.press("Allow")
    visitor.sees("“Marketing” is connected to Sandbox Traders.")
    expect(colleague.button("Run again")).to_be_visible()  # who looked on did nothing
    expect(colleague.page.get_by_text("Succeeded", exact=True).first).to_be_visible()


def test_second_of_two_who_edit_one_export_is_told(
    dashboard: Dashboard, house: House, open_browser: OpenBrowser
) -> None:
    add_export(house, "Shared")
    first, second = open_browser(dashboard), open_browser(dashboard)
    for each in (first, second):
        open_export(each, house, "Shared")
    first.page.get_by_text("Only when asked to", exact=True).click()
    first.press("Save")
    first.sees("“Shared” is saved.")
    second.press("Take First name out")
    expect(second.button("Take First name out")).to_have_count(0)
    second.press("Save")
    second.sees(re.compile("As it is stored now"))
    stored = house.installation.exports.by_name("Shared")
    assert stored.export.schedule == "off"
    assert "first_name" in dict(stored.mapping)

    second.press("Take theirs, forget mine")
    expect(second.button("Take First name out")).to_be_visible()
    second.waits()
    second.press("Take Last name out")
    expect(second.button("Take Last name out")).to_have_count(0)
    second.press("Save")
    second.sees("“Shared” is saved.")
    assert set(dict(house.installation.exports.by_name("Shared").mapping)) == {
        "email",
        "first_name",
    }


def test_removed_connection_leaves_its_exports_detached(house: House, visitor: Visitor) -> None:
    connect(house, "Old account")
    add_export(house, "Orphan", connection="Old account")
    visitor.open("connections", "Connections")
    visitor.button("Remove").nth(names_of_connections(visitor).index("Old account")).click()
    question = visitor.dialog("Remove connection")
    expect(question).to_contain_text("Old account")
    expect(question).to_contain_text("Orphan")
    expect(question.get_by_role("radio", name="Detach them")).to_be_checked()
    visitor.press("Remove connection", within=question)
    visitor.sees("“Old account” is removed. 1 export is detached now.")
    visitor.choose_page("Exports")
    expect(visitor.cells("Detached")).to_have_count(1)
    assert house.installation.exports.by_name("Orphan").state == "detached"
    assert Connections(house.installation).views()


def test_people_and_programs_are_let_in_from_empty_pages_and_a_run_is_seen_to_end(
    house: House, visitor: Visitor, mail: MailServer
) -> None:
    page = visitor.page
    visitor.open("notifications", "Notifications")
    visitor.sees("Nobody is told yet")
    page.get_by_label("Name", exact=True).fill("Team")
    page.get_by_label("Address", exact=True).fill(mail.url)
    visitor.press("Add")
    visitor.sees("Team is added.")
    visitor.press("Test")
    visitor.sees("Team took the message.")
    visitor.sees(re.compile("^Last message: delivered "))
    assert [message["To"] for message in mail.got] == ["team@example.com"]

    visitor.choose_page("API tokens")
    page.get_by_label("Name", exact=True).fill("airflow")
    visitor.press("Add")
    visitor.sees("it is not shown again")
    token = page.get_by_test_id("stCode").inner_text().strip()
    visitor.sees(re.compile("^Never used"))
    add_export(house, "By hand")
    asked = f"{visitor.url}/api/v1/exports"
    answer = requests.get(asked, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert "By hand" in [export["name"] for export in answer.json()]
    visitor.choose_page("Exports")
    visitor.choose_page("API tokens")
    visitor.sees(re.compile("^Last used"))
    expect(page.get_by_text(token)).to_have_count(0)

    visitor.open("exports?exports_search=By+hand", "Exports")
    page.get_by_test_id("stDataFrame").click(position=FIRST_ROW)
    visitor.sees("1 export selected")
    visitor.press("Run")
    visitor.sees("Queued")
    visitor.choose_page("Runs")
    visitor.pick("Export", "By hand", "By hand")
    expect(visitor.cells("Succeeded")).to_have_count(1)  # nobody touches the page
    house.installation.notifications.remove(1)


def test_run_of_a_table_that_lost_half_its_rows_waits_and_sends_only_what_is_approved(
    dashboard: Dashboard, house: House, open_browser: OpenBrowser
) -> None:
    """Somebody answers; a colleague, who touches nothing, sees what comes of it on Exports and on Runs."""
    visitor, colleague = open_browser(dashboard), open_browser(dashboard)
    lose_half = join_everybody(house)
    house.add_export("Joined", segments=("Joined",), list_id=OTHER_LIST_ID, mode="mirror")
    wait_for_state(house, house.queue("Joined"), "succeeded")
    before = set(house.members(OTHER_LIST_ID))
    lose_half()
    for answer, end, watched, page in (
        ("Decline", "Canceled", "exports?exports_search=Joined", "Exports"),
        ("Approve", "Succeeded", "runs?export=Joined", "Runs"),
    ):
        run_id = house.queue("Joined")
        wait_for_state(house, run_id, "waiting")
        colleague.open(watched, page)
        expect(colleague.cells(re.compile("^Waiting"))).to_have_count(1)
        ended = colleague.cells(re.compile(f"^{end}")).count()
        asked = house.installation.runs.get(run_id).question
        assert asked is not None
        assert asked["removed"] > len(before) / 3
        visitor.open(f"run?run={run_id}", f"Run {run_id}")
        visitor.sees(re.compile(f"take {asked['removed']:,} people off the list"))
        assert set(house.members(OTHER_LIST_ID)) == before
        visitor.press(answer)
        expect(visitor.button("Run again")).to_be_visible()
        expect(visitor.page.get_by_text(end, exact=True).first).to_be_visible()
        expect(colleague.cells(re.compile("^Waiting"))).to_have_count(0)
        expect(colleague.cells(re.compile(f"^{end}"))).to_have_count(ended + 1)
    assert len(house.members(OTHER_LIST_ID)) == len(before) - asked["removed"]


def join_everybody(house: House) -> Callable[[], None]:
    """A segment of everybody, and what makes it lose every second row."""
    path = house.source / "SegmentMembership.parquet"
    others, everybody = read_table(path), read_table(house.source / "Customer.parquet")
    keys = everybody["CustomerId"].to_pylist()

    def write(keys: Sequence[str]) -> None:
        joined = pa.table({"CustomerId": keys, "Segment": ["Joined"] * len(keys)})
        write_table(pa.concat_tables([others, joined]), path)
        grow_old(path)

    write(keys)
    return lambda: write(keys[::2])


def connect(house: House, name: str) -> None:
    """Without a browser; afterwards the stand-in asks people again."""
    house.tell("/_sandbox/behaviour", auto_approve=True)
    house.connect(name)
    house.tell("/_sandbox/behaviour", auto_approve=False)


def add_export(
    house: House, name: str, *, connection: str = "Marketing", list_id: str = LIST_ID
) -> None:
    """An export to try something with; it runs with each refresh."""
    draft = ExportDraft(name, connection, list_id, (SEGMENT,), parse_mapping(MAPPING))
    Exports(house.installation).add(draft, by=ANA)


def open_export(visitor: Visitor, house: House, name: str) -> None:
    export_id = house.installation.exports.by_name(name).export.id
    visitor.open(f"export?export={export_id}", "Export")
    expect(visitor.page.get_by_test_id("stMetric")).to_have_count(3)


def counts(visitor: Visitor) -> tuple[int, ...]:
    """The preview's numbers: read, will be sent, left out."""
    shown = visitor.page.get_by_test_id("stMetric").all_inner_texts()
    return tuple(int(text.split()[-1].replace(",", "")) for text in shown)


def refused_emails(visitor: Visitor, house: House) -> set[str]:
    """The addresses of the profiles that the table of errors names."""
    table = visitor.page.get_by_role("region", name="Errors of file 1")
    cells = table.get_by_role("gridcell", include_hidden=True).all_text_contents()
    profiles = read_table(house.source / "Customer.parquet").to_pylist()
    found = [each["EMail"] for each in profiles if each["CustomerId"] in cells]
    return {each.strip().lower() for each in found}


def names_of_connections(visitor: Visitor) -> list[str]:
    return visitor.page.get_by_role("heading", level=3).all_inner_texts()


def ends_by(house: House, name: str, trigger: Trigger) -> dict[str, Any]:
    """The run of an export that something else than a person began, once it has ended."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        for run in house.installation.runs.latest(export_name=name):
            if run.trigger is trigger and run.state.is_final:
                return house.document(run.id)
        threading.Event().wait(LOOK_SECONDS)
    raise AssertionError(f"no run of {name} by {trigger} has ended")
