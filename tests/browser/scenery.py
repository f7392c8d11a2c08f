"""An installation that has been in use for a month: exports of all kinds, runs in all states. Nothing of it moves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, select

from ccexport.clock import utc_now
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.api.tokens import ApiTokens
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.runs.runs import Runs
from ccexport.services.telling.events import EVENTS
from ccexport.states import BatchState, RunState, Trigger, WaitingFor
from ccexport.store.database.api_tables import ApiToken
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Batch, Connection, Run, RunEvent, Worker
from ccexport.store.database.telling_tables import Delivery
from ccexport.telling.channels import check_address
from ccexport.telling.webhooks import new_secret
from tests.kit.house import ANA, LIST_ID, MAPPING, OTHER_LIST_ID, House

DAYS = 30
LOYALTY_LIST_ID = OTHER_LIST_ID
MAIL = "mailtos://ana:secret@smtp.example.com?to=team@example.com"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts"
WEBHOOK = "https://hooks.example.com/services/marketing/ccexport"
FIELDS = ["Loyalty tier", {"label": "Birth date", "type": "date"}]
LISTS: list[Any] = [
    {"list_id": LIST_ID, "name": "Spring newsletter", "members": ["ana@example.com"]},
    {"list_id": OTHER_LIST_ID, "name": "Loyalty programme"},
    *("Customers", "Northern stores", "Winter sale", "Birthday greetings"),
]
LONG_NAME = "Everybody who bought garden furniture in one of the northern stores and has not been written to since"
EXPORTS: Sequence[tuple[str, str, str, tuple[str, ...]]] = (
    ("Newsletter", "Marketing", "refresh", ("Newsletter subscribers", "Spring buyers")),
    ("Spring campaign", "Marketing", "daily 06:30 Europe/Berlin", ("Spring buyers",)),
    ("Loyalty gold", "Marketing", "refresh", ("Loyalty gold",)),
    ("Win back", "Marketing", "daily 18:00 America/New_York", ("Lapsed 12 months",)),
    ("Northern stores", "Stores, north", "refresh", ("Northern stores",)),
    ("Birthday greetings", "Marketing", "daily 07:00 UTC", ("Birthday this month",)),
    ("<b>Sale</b> 🌻 מבצע", "Marketing", "off", ("Spring buyers",)),
    (LONG_NAME, "Marketing", "off", ("Northern stores",)),
    ("Trade fair 2025", "Old account", "refresh", ("Newsletter subscribers",)),
)
_SIZES = (1.0, 0.99, 0.985, 0.96, 0.965, 0.94, 0.93, 0.925)  # of the segments, the newest first


def furnish(house: House) -> dict[str, int]:
    """Fill the store; gives the ids of runs worth looking at, by what they show."""
    for name in ("Marketing", "Stores, north", "Old account"):
        house.connect(name)
    for name, connection, schedule, segments in EXPORTS:
        draft = ExportDraft(
            name, connection, LIST_ID, segments, parse_mapping(MAPPING), schedule=schedule
        )
        Exports(house.installation).add(draft, by=ANA)
    loyal = ExportDraft(
        *("Loyalty news", "Marketing", LOYALTY_LIST_ID, ("Loyalty gold",), parse_mapping(MAPPING)),
        mode="changes",
        schedule="off",
    )
    Exports(house.installation).add(loyal, by=ANA)
    _history(house)
    house.installation.webhooks.add(WEBHOOK, new_secret().encode(), list(EVENTS), "ana")
    _api_tokens(house)
    found = _real_runs(house)
    _deliveries(house)
    _notifications(house)  # after the runs: nothing is sent
    Connections(house.installation).remove("Old account", by=ANA, exports_too=False)
    _needs_sign_in(house, "Stores, north")
    found |= _live_runs(house)
    _refreshes(house)
    with writing(house.installation.engine) as session:
        now = utc_now()
        session.add(
            Worker(
                id="scenery",
                host="worker-1",
                pid=4711,
                version="1.0.0",
                started_at=now - timedelta(days=3),
                heartbeat_at=now + timedelta(hours=1),
            )
        )
    return found


def _api_tokens(house: House) -> None:
    """One that may all, one of two exports that has expired, one with a long name."""
    tokens = ApiTokens(house.installation)
    used = tokens.add("airflow", by=ANA)
    tokens.caller(used)
    tokens.add("dbt Cloud", exports=["Newsletter", LONG_NAME], read_only=True, days=30, by=ANA)
    tokens.add(LONG_NAME, exports=["<b>Sale</b> 🌻 מבצע"], by=ANA)
    with writing(house.installation.engine) as session:
        row = session.exec(select(ApiToken).where(ApiToken.name == "dbt Cloud")).one()
        row.expires_at = utc_now() - timedelta(days=1)
        session.add(row)


def _notifications(house: House) -> None:
    store, events = house.installation.notifications, list(EVENTS)
    store.add("Marketing team", MAIL, check_address(MAIL), events, "ana")
    store.add("On call", SLACK, check_address(SLACK), ["run.failed", "worker.missing"], "ana")
    for channel, error in zip(store.all(), ("", "The service answers 403."), strict=True):
        store.tested(channel.id, error)


def _real_runs(house: House) -> dict[str, int]:
    """Performed for real: their files can be looked into."""
    succeeded = house.run("Newsletter")["id"]
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "reject_rows", "lines": [2, 3, 9]}],
    )
    errors = house.run("Loyalty gold")["id"]
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "validation_error", "times": -1}],
    )
    failed = house.run("Birthday greetings")["id"]
    house.tell("/_sandbox/behaviour", faults=[])
    house.run("Loyalty news")
    house.take_off(sorted(house.members(LOYALTY_LIST_ID))[0], list_id=LOYALTY_LIST_ID)
    kept_away = house.run("Loyalty news")["id"]
    canceled = house.queue("Win back")
    Runs(house.installation).request_cancel(canceled, by=ANA)
    house.work()
    return {
        "succeeded": succeeded,
        "errors": errors,
        "failed": failed,
        "kept_away": kept_away,
        "canceled": canceled,
    }


def _deliveries(house: House) -> None:
    """All were taken but the last, which is tried again."""
    with writing(house.installation.engine) as session:
        rows = session.exec(select(Delivery).order_by(col(Delivery.telling_id))).all()
        for row in rows:
            row.answer, row.next_at, row.delivered_at = "200", None, utc_now()
        rows[-1].answer, rows[-1].delivered_at = "503", None
        rows[-1].next_at = utc_now() + timedelta(minutes=5)


def _needs_sign_in(house: House, name: str) -> None:
    with writing(house.installation.engine) as session:
        for view in house.installation.connections.views():
            if view.connection.name == name:
                row = session.get(Connection, view.connection.id)
                assert row is not None
                row.needs_sign_in = True


def _history(house: House) -> None:
    """Two runs a day, nearly all well."""
    now, rows = utc_now(), []
    for number in range(2 * DAYS):
        queued_at = now - timedelta(days=DAYS - number / 2, minutes=number * 7 % 60)
        if queued_at > now - timedelta(hours=6):
            continue
        state = (
            RunState.COMPLETED_WITH_ERRORS
            if number % 17 == 5
            else RunState.FAILED
            if number % 29 == 7
            else RunState.SKIPPED
            if number % 31 == 11
            else RunState.SUCCEEDED
        )
        rows.append(_ended(number, state, queued_at))
    with writing(house.installation.engine) as session:
        session.connection().execute(insert(Run.__table__), rows)  # type: ignore[attr-defined]


def _ended(number: int, state: RunState, queued_at: datetime) -> dict[str, Any]:
    read = 0 if state is RunState.SKIPPED else 3_000 + number * 83 % 1_700
    left_out = read // 17
    sent = 0 if state is RunState.FAILED else read - left_out
    return _base(number, state, queued_at) | {
        "error": "The list is gone. Choose another." if state is RunState.FAILED else None,
        "started_at": queued_at + timedelta(seconds=2),
        "finished_at": queued_at + timedelta(seconds=30 + number * 13 % 90),
        "seconds": {"preparing": 1.2, "uploading": 6.5, "confirming": 20.0 + number % 7},
        "read_count": read,
        "rejected_count": left_out,
        "prepared_count": read - left_out,
        "submitted_count": sent,
        "unsubscribed_count": min(sent, 11),
        "failed_count": min(sent, 24) if state is RunState.COMPLETED_WITH_ERRORS else 0,
        "rejections": {"missing_email": left_out - left_out // 3, "duplicate": left_out // 3},
    }


def _base(number: int, state: RunState, queued_at: datetime) -> dict[str, Any]:
    index = number % 3
    name, connection, _, segments = EXPORTS[index]
    counts = ("unchanged", "suppressed", "removed", "truncated", "read", "rejected", "prepared")
    zeros = {f"{each}_count": 0 for each in (*counts, "submitted", "unsubscribed", "failed")}
    return zeros | {
        "export_id": index + 1,
        "connection_id": 1,
        "export_name": name,
        "connection_name": connection,
        "account_id": "p07e1sandbox",
        "list_id": LIST_ID,
        "list_name": "Spring newsletter",
        "segments": list(segments),
        "mapping": [list(pair.split("=", 1)) for pair in MAPPING],
        "mode": "full",
        "trigger": list(Trigger)[number % 3],
        "requested_by": ("ana", "schedule")[number % 3 > 0],
        "state": state,
        "resume_state": None,
        "waiting_for": None,
        "waiting_until": None,
        "error": None,
        "queued_at": queued_at,
        "started_at": None,
        "finished_at": None,
        "seconds": {},
        "rejections": {},
        "waits": 0,
    }


def _live_runs(house: House) -> dict[str, int]:
    """One that sends, one that waits for tomorrow, two for a person, one that is queued."""
    now = utc_now()
    sends = {"state": RunState.UPLOADING, "started_at": now - timedelta(minutes=2)}
    sends |= {"seconds": {"preparing": 3.1, "uploading": 95.0}, "read_count": 98_412}
    sends |= {"rejected_count": 4_210, "prepared_count": 94_202, "submitted_count": 40_000}
    sends |= {"rejections": {"missing_email": 3_100, "duplicate": 1_110}}
    waits = {"state": RunState.WAITING, "resume_state": RunState.UPLOADING, "read_count": 5_000}
    waits |= {"prepared_count": 5_000, "started_at": now - timedelta(minutes=9)}
    for_quota = {"waiting_for": WaitingFor.QUOTA, "waiting_until": now + timedelta(hours=9)}
    for_person = {"waiting_for": WaitingFor.SIGN_IN}
    asks = {
        "waiting_for": WaitingFor.APPROVAL,
        "resume_state": RunState.PREPARING,
        "new_count": 4_800,
    }
    asks |= {"question": {"sent": 4_800, "removed": 0, "placed": 9_350, "guard": 20, "source": ""}}
    kinds: Sequence[tuple[str, int, dict[str, Any]]] = (
        ("live", 1, sends),
        ("waiting_quota", 3, waits | for_quota),
        ("waiting_sign_in", 4, waits | for_person),
        ("held", 6, waits | asks),
        ("queued", 7, {"state": RunState.QUEUED}),
    )
    found = {}
    for name, index, values in kinds:
        export, connection, _, segments = EXPORTS[index]
        row = _base(0, RunState.QUEUED, now - timedelta(minutes=10)) | values
        row |= {"export_id": index + 1, "export_name": export, "connection_name": connection}
        row |= {"segments": list(segments), "connection_id": 2 if index == 4 else 1}
        found[name] = _add_run(house, row, with_files=name == "live")
    return found


def _add_run(house: House, row: dict[str, Any], *, with_files: bool) -> int:
    with writing(house.installation.engine) as session:
        run = Run(**row)
        session.add(run)
        session.flush()
        for what in ("queued", "preparing", "uploading")[: 3 if with_files else 1]:
            session.add(RunEvent(run_id=run.id, at=run.queued_at, who="ana", what=what))
        for number in range(1, 11) if with_files else ():
            session.add(_file(run.id, number))
        return run.id


def _file(run_id: int, number: int) -> Batch:
    state = (
        BatchState.COMPLETED
        if number < 4
        else BatchState.SUBMITTED
        if number < 5
        else BatchState.PENDING
    )
    return Batch(
        run_id=run_id,
        number=number,
        first_row=(number - 1) * 10_000,
        rows=10_000 if number < 10 else 4_202,
        bytes=412_000,
        digest=f"{number:064x}",
        file_name=f"ccexport-run{run_id}-{number:04}.csv",
        state=state,
        attempts=int(state is not BatchState.PENDING),
        activity_id=f"activity-{number}" if state is not BatchState.PENDING else None,
        person_count=10_000 if state is BatchState.COMPLETED else None,
        error_count=0 if state is BatchState.COMPLETED else None,
    )


def _refreshes(house: House) -> None:
    store = house.installation.refreshes
    with house.installation.open_source() as source:
        sizes = {each.name: each.members for each in source.segments()}
    for share in reversed(_SIZES):
        refresh = store.begin(Trigger.SCHEDULE, by="schedule", due_at=utc_now())
        then = {name: round(members * share) for name, members in sizes.items()}
        store.finish(refresh.id, sizes=then, runs_queued=3, error=None)
    now = utc_now()
    store.set_schedule(
        list(range(7)), ["06:00", "18:00"], "Europe/Berlin", now + timedelta(hours=5), by="ana"
    )
