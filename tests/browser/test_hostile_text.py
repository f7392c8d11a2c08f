"""Names, values and words of the service that hold HTML, Markdown and script, wherever a screen shows them.

Each is shown letter by letter: nothing of it runs, is drawn, or leads anywhere. The console stays silent, no dialog
opens, and no other host is asked (`open_browser` looks at the last).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Position, expect
from sqlalchemy import Connection as Database
from sqlalchemy import update
from sqlmodel import SQLModel

from ccexport.clock import utc_now
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.states import RunState, Trigger, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.database.people_tables import AuditEvent, User
from ccexport.store.database.tables import Batch, Connection, Consent, Run, RunEvent, Worker
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import ANA, LIST_ID, House, behaviour, write_source

HTML = "<img src=x onerror=alert(1)><script>alert(2)</script><b>drawn1</b><svg onload=alert(3)>"
MARKDOWN = (
    "**drawn2** `drawn3` $drawn4$ :red[drawn5] [drawn6](javascript:alert(4)) "
    "![drawn7](https://evil.example/p.png) :material/home: <https://evil.example/>"
)
EVIL = f"{HTML} {MARKDOWN}"
SHORT = HTML[:28]  # what fits where the service's limits are narrow


def evil(place: str) -> str:
    """A name for something; each place has its own, so that one can be told from the other."""
    return f"{place} {EVIL}"[:250]


FIRST_ROW: Position = {"x": 16, "y": 52}  # of a table: the box that selects it
ATTRIBUTE = f"Name {HTML}"
SEGMENT, OTHER_SEGMENT = evil("Segment"), evil("Other")
CONNECTION, EXPORT = f"Connection {EVIL}"[:120], f"Export {EVIL}"[:120]
OTHER_EXPORT = f"Second {EXPORT}"[:120]


@dataclass(frozen=True)
class Place:
    """An installation full of it, served; `runs` by what they show."""

    dashboard: Dashboard
    runs: dict[str, int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hostile")
    profiles = [
        {
            "CustomerId": f"{number} {HTML}",
            ATTRIBUTE: evil(f"Value {number}"),
            "EMail": f"person{number}@example.com" if number % 4 else f"{HTML}{number}@evil",
        }
        for number in range(40)
    ]
    profiles[5]["EMail"] = profiles[6]["EMail"]  # one address twice
    rows = [(each["CustomerId"], name) for each in profiles for name in (SEGMENT, OTHER_SEGMENT)]
    source = write_source(folder / "profiles", profiles, rows)
    account = behaviour(
        lists=[{"list_id": LIST_ID, "name": evil("List")}, {"name": evil("Another list")}],
        custom_fields=[{"label": f"Field {HTML}"[:50], "name": "Field_1"}],
    )
    with house_beside_sandbox(folder / "house", source, account) as house:
        runs = furnish(house)
        with served(house, with_worker=False) as dashboard:
            yield Place(dashboard, runs)


def furnish(house: House) -> dict[str, int]:
    """Runs of all kinds, real ones where it is the service's words that matter."""
    house.connect(CONNECTION)
    add_exports(house)
    words = [f"Line 2: {EVIL}", f"Line 3: {EVIL}", EVIL]
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "activity_failed", "messages": words}],
    )
    refused = house.run(EXPORT)["id"]
    house.tell("/_sandbox/behaviour", faults=[])
    succeeded = house.run(EXPORT)["id"]
    failed, live = house.run(EXPORT)["id"], house.queue(OTHER_EXPORT)
    runs = {"refused": refused, "succeeded": succeeded, "failed": failed, "live": live}
    with writing(house.installation.engine) as session:
        rows = session.connection()
        rows.execute(update(Connection).values(organization=evil("Account"), export_user=EVIL))
        rows.execute(update(Consent).values(agreed_by=evil("Person")))
        rows.execute(
            update(Batch).values(errors=words, activity_id=EVIL)  # what real ones would not hold
        )
        spoil_runs(rows, failed, live)
        session.add_all(evil_events(runs.values()))
        session.add_all(evil_rows())
    add_refreshes(house)
    return runs


def add_exports(house: House) -> None:
    mapping = parse_mapping(["email=EMail", f"first_name={ATTRIBUTE}", f"cf:Field_1={ATTRIBUTE}"])
    for name in (EXPORT, OTHER_EXPORT):
        draft = ExportDraft(name, CONNECTION, LIST_ID, (SEGMENT, OTHER_SEGMENT), mapping)
        Exports(house.installation).add(draft, by=ANA)


def spoil_runs(rows: Database, failed: int, live: int) -> None:
    """One that failed and one that waits, of somebody with a name like that."""
    rows.execute(update(Run).values(requested_by=evil("Person")))
    told = update(Run).where(Run.id == failed)  # type: ignore[arg-type]  # a column
    rows.execute(told.values(state=RunState.FAILED, error=evil("Error")))
    waits = update(Run).where(Run.id == live)  # type: ignore[arg-type]
    rows.execute(
        waits.values(
            state=RunState.WAITING,
            resume_state=RunState.UPLOADING,
            waiting_for=WaitingFor.SERVICE,
            error=evil("Error"),
            cancel_requested_by=evil("Person"),
            read_count=40,
            prepared_count=30,
            rejected_count=10,
            rejections={"missing_email": 5, evil("reason"): 5},
        )
    )


def evil_events(run_ids: Iterable[int]) -> list[RunEvent]:
    return [
        RunEvent(
            run_id=run_id,
            at=utc_now(),
            who=evil("Who"),
            what=evil("What"),
            batch_number=number,
            detail=evil("Detail"),
        )
        for run_id in run_ids
        for number in (None, 1)
    ]


def evil_rows() -> list[SQLModel]:
    """A person, something in the audit, a worker; the latter two before all others of their tables."""
    now, later = utc_now(), utc_now() + timedelta(hours=1)
    name, known = evil("Person"), {"name": EVIL, EVIL: [EVIL], "more": {EVIL: 1}}
    return [
        User(email=name, name=name, added_by=name, given_role="viewer", created_at=now),
        AuditEvent(
            at=later,
            who=name,
            role="viewer",
            action="export.change",
            outcome="done",
            target_kind="export",
            target_name=EXPORT,
            came_from=EVIL,
            before=known,
            after=known | {"name": name},
        ),
        Worker(
            id=evil("Worker"),
            host=evil("Host"),
            pid=1,
            version=EVIL,
            started_at=now,
            heartbeat_at=later,
        ),
    ]


def add_refreshes(house: House) -> None:
    """One that went well and one that did not."""
    refreshes = house.installation.refreshes
    for error in (None, evil("Error")):
        refresh = refreshes.begin(Trigger.SCHEDULE, by=evil("Person"), due_at=utc_now())
        refreshes.finish(
            refresh.id, sizes={SEGMENT: 40, OTHER_SEGMENT: 30}, runs_queued=0, error=error
        )


@pytest.fixture
def visitor(place: Place, open_browser: OpenBrowser) -> Iterator[Visitor]:
    found: Visitor = open_browser(place.dashboard)
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    found.page.on("dialog", dismiss)
    yield found
    assert dialogs == []
    assert [line for line in place.dashboard.lines if "Traceback" in line] == []


@pytest.mark.parametrize(
    "name", ["home", "exports", "runs", "refresh", "system", "people", "audit"]
)
def test_every_list_shows_names_letter_by_letter(name: str, visitor: Visitor) -> None:
    visitor.open("" if name == "home" else name, name.capitalize())
    look(visitor, shows=True)
    for expander in visitor.page.get_by_test_id("stExpander").all():
        expander.locator("summary").click()
    look(visitor)


@pytest.mark.parametrize("name", ["people", "audit"])
def test_what_is_selected_in_a_table_is_shown_letter_by_letter(name: str, visitor: Visitor) -> None:
    visitor.open(name, name.capitalize())
    before = visitor.page.get_by_role("main").inner_text()
    visitor.page.get_by_test_id("stDataFrame").first.click(position=FIRST_ROW)
    expect(visitor.page.get_by_role("main")).not_to_have_text(before, use_inner_text=True)
    look(visitor, shows=True)


def test_segments_show_names_and_profiles_letter_by_letter(visitor: Visitor) -> None:
    visitor.open("segments", "Segments")
    look(visitor, shows=True)
    visitor.page.get_by_role("combobox", name="Look into a segment").click()
    look(visitor)
    visitor.page.get_by_role("option", name=SEGMENT[:60]).click()
    visitor.sees("Exports that use it")
    expect(visitor.page.get_by_text("masked:")).to_be_visible()
    look(visitor, shows=True)


@pytest.mark.parametrize("which", ["refused", "succeeded", "failed", "live"])
def test_a_run_shows_errors_events_and_those_left_out_letter_by_letter(
    which: str, place: Place, visitor: Visitor
) -> None:
    run_id = place.runs[which]
    visitor.open(f"run?run={run_id}", f"Run {run_id}")
    look(visitor, shows=True)
    for expander in visitor.page.get_by_test_id("stExpander").all():
        expander.locator("summary").click()
        visitor.is_still()
    look(visitor, shows=True)
    if which == "live":
        return
    with visitor.page.expect_download() as started:
        visitor.press("Download as CSV")
    with Path(started.value.path()).open(encoding="utf-8-sig", newline="") as file:
        left_out = list(csv.reader(file))
    assert any(
        HTML in cell for row in left_out for cell in row
    )  # as it is, in a file that is saved
    assert started.value.suggested_filename == f"run-{run_id}-left-out.csv"


def test_the_export_shows_mapping_and_preview_letter_by_letter(visitor: Visitor) -> None:
    visitor.open("export?export=1", "Export")
    expect(visitor.page.get_by_test_id("stMetric")).to_have_count(3)
    look(visitor, shows=True)
    for expander in visitor.page.get_by_test_id("stExpander").all():
        expander.locator("summary").click()
        visitor.is_still()
    for way in ("First", "Random", "Only troubled"):
        button = visitor.page.get_by_text(way, exact=True)
        if button.count():
            button.first.click()
            visitor.is_still()
            look(visitor, shows=True)


def test_a_new_export_offers_names_letter_by_letter(visitor: Visitor) -> None:
    visitor.open("export", "Export")
    for label, typed in (("List", "Another"), ("Segments", "Other")):
        visitor.page.get_by_role("combobox", name=label).first.click()
        look(visitor)
        visitor.page.keyboard.press("Escape")
        visitor.pick(label, typed, f"{typed} list" if label == "List" else OTHER_SEGMENT[:40])
    visitor.is_still()
    look(visitor, shows=True)


@pytest.mark.parametrize("action", ["Test", "Rename", "Authenticate", "Remove"])
def test_a_connection_shows_names_letter_by_letter(action: str, visitor: Visitor) -> None:
    visitor.open("connections", "Connections")
    look(visitor, shows=True)
    visitor.press(action)
    visitor.is_still()
    look(visitor, shows=True)


def test_an_address_of_a_page_shows_what_it_holds_letter_by_letter(visitor: Visitor) -> None:
    for page, heading in (("connections?connected=", "Connections"), ("runs?export=", "Runs")):
        visitor.page.goto(
            f"{visitor.url}/{page}<img src=x onerror=alert(1)>**drawn2**[drawn6](javascript:1)"
        )
        visitor.sees_page(heading)
        look(visitor)


def look(visitor: Visitor, *, shows: bool = False) -> None:
    """Nothing was drawn or can be followed; `shows`: the page has some of it, so that there was something to draw."""
    visitor.is_still()
    assert visitor.page.evaluate(_DRAWN) == []
    if shows:
        visitor.page.wait_for_function(
            "(text) => document.body.textContent.includes(text)", arg=SHORT
        )
        assert visitor.page.evaluate(_DRAWN) == []


_DRAWN = """() => {
    const own = (each) => `${each.tagName}: ${each.outerHTML.slice(0, 300)}`;
    const active = [...document.querySelectorAll(
        '[onerror], [onload], img[src="x"], a[href^="javascript:" i], [src*="evil.example"], '
        + '[href*="evil.example"], .katex, iframe, object, embed')];
    const scripts = [...document.scripts].filter((each) => each.textContent.includes('alert('));
    const marks = /^drawn[0-9]$/;
    const drawn = [...document.querySelectorAll('body *')].filter(
        (each) => each.children.length === 0 && marks.test(each.textContent.trim()));
    return [...active, ...scripts, ...drawn].map(own);
}"""
