"""What is told although no run moves, each once; and what was told long ago goes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from ccexport.states import RunState, Told, Trigger
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Connection, Token
from ccexport.store.database.telling_tables import Delivery, Telling
from ccexport.store.moves import Held
from ccexport.store.notifications import NotificationStore
from ccexport.store.pauses import PauseStore
from ccexport.store.refreshes import NOT_QUEUED, RefreshStore
from ccexport.store.runs import RunStore
from ccexport.store.vault.keys import Keys
from ccexport.store.watch import SIGN_IN_IDLE, Watch
from ccexport.store.webhooks import WebhookStore
from ccexport.store.workers import WorkerStore
from ccexport.telling.messages import compose
from tests.kit.clocks import Clock
from tests.kit.rows import connection_row, export_row, run_row

ALL = [each.value for each in Told]


@pytest.fixture
def watch(engine: Engine, clock: Clock) -> Watch:
    return Watch(engine, clock)


@pytest.fixture
def workers(engine: Engine, clock: Clock) -> WorkerStore:
    return WorkerStore(engine, clock)


@pytest.fixture
def connection_id(engine: Engine, clock: Clock) -> int:
    row = connection_row(at=clock())
    with writing(engine) as session:
        session.add(row)
        session.flush()
        session.add(
            Token(
                connection_id=row.id,
                pair=b"",
                version=1,
                expires_at=clock(),
                issued_at=clock(),
            )
        )
        return row.id


def told(engine: Engine) -> list[str]:
    """What was told, in words, the oldest first."""
    with reading(engine) as session:
        return [
            compose(row.what, row.reason, [row.body], row.message_id, "https://x").title
            for row in session.exec(select(Telling).order_by(Telling.id))  # type: ignore[arg-type]
        ]


MISSING = "ccexport: No worker is there"
LATE = 'ccexport: "Daily" is overdue: its time has passed and no run began'


def test_an_export_that_is_overdue_and_a_worker_that_is_missing_are_told_once(
    engine: Engine, watch: Watch, workers: WorkerStore, connection_id: int, clock: Clock
) -> None:
    workers.started("w1", host="h", pid=1, version="1")
    due = export_row(
        "Daily", at=clock(), connection_id=connection_id, next_run_at=clock() + timedelta(minutes=1)
    )
    with writing(engine) as session:
        session.add(due)
    watch.look()
    clock.move(minutes=4)
    watch.look()
    assert told(engine) == [], "it is late, not overdue"
    clock.move(minutes=3)
    watch.look()
    watch.look()
    assert told(engine) == [LATE, MISSING]
    clock.move(seconds=1)
    workers.beat("w1")
    watch.look()
    clock.move(minutes=6)
    watch.look()
    assert told(engine) == [LATE, MISSING, MISSING], "it came back and is missing again"


def test_a_run_that_waits_for_minutes_tells_that_no_worker_is_there(
    engine: Engine, watch: Watch, runs: RunStore, export_id: int, clock: Clock
) -> None:
    runs.queue(run_row(at=clock(), export_id=export_id))
    watch.look()
    assert told(engine) == []
    clock.move(minutes=6)
    watch.look()
    watch.look()
    assert told(engine) == [MISSING]


def test_nothing_is_overdue_in_a_pause(
    engine: Engine, watch: Watch, connection_id: int, clock: Clock
) -> None:
    row = export_row("Daily", at=clock(), connection_id=connection_id, next_run_at=clock())
    with writing(engine) as session:
        session.add(row)
    PauseStore(engine, clock).begin("Moving house", "ana")
    clock.move(hours=1)
    watch.look()
    assert told(engine) == []


def test_a_sign_in_that_expires_soon_is_told_once_until_it_is_renewed(
    engine: Engine, watch: Watch, connection_id: int, clock: Clock
) -> None:
    words = 'ccexport: "Marketing" loses its sign-in soon: nobody has used it for months'
    clock.at += SIGN_IN_IDLE
    for _ in range(3):
        watch.look()
        clock.move(days=1)
    assert told(engine) == [words]
    with writing(engine) as session:
        token = session.get_one(Token, connection_id)
        token.issued_at = clock()
        session.add(token)
    watch.look()
    clock.at += SIGN_IN_IDLE
    watch.look()
    assert told(engine) == [words, words]
    with writing(engine) as session:
        session.get_one(Connection, connection_id).needs_sign_in = True
    clock.at += SIGN_IN_IDLE
    watch.look()
    assert len(told(engine)) == 2, "it has ended: runs tell that"


def test_a_refresh_that_fails_is_told_once_until_one_is_good(engine: Engine, clock: Clock) -> None:
    refreshes = RefreshStore(engine, clock)
    ends = [("no", True), ("no", True), (f"{NOT_QUEUED}x.", False), ("no", True), (None, False)]
    for error, failed in ends:
        refresh = refreshes.begin(Trigger.SCHEDULE, by="schedule")
        refreshes.finish(refresh.id, sizes={}, runs_queued=0, error=error, failed=failed)
    assert told(engine) == ["ccexport: The refresh of the segments failed"] * 2


def test_what_was_told_long_ago_goes_but_for_what_the_next_message_goes_by(
    engine: Engine,
    watch: Watch,
    runs: RunStore,
    channels: NotificationStore,
    keys: Keys,
    export_id: int,
    clock: Clock,
) -> None:
    hooks = WebhookStore(engine, keys, clock)
    hook = hooks.add("https://example.com/", b"whsec_", ALL, "ana")
    for end in (RunState.FAILED, RunState.SUCCEEDED, RunState.FAILED):
        run = runs.queue(run_row(at=clock(), export_id=export_id))
        runs.claim("w1")
        runs.move(Held(run.id, "w1"), RunState.PREPARING)
        runs.finish(Held(run.id, "w1"), end)
    clock.move(days=31)
    kept_for = timedelta(days=30)
    assert watch.delete_older_than(kept_for) == 0, "they are still to be told"
    while (due := hooks.claim(set())) is not None:
        hooks.record(due, "200", ok=True, next_at=None)
    assert watch.delete_older_than(kept_for) == 2
    assert [each.what for each in hooks.deliveries(hook.id)] == ["run.failed"]
    with reading(engine) as session:
        assert len(session.exec(select(Delivery)).all()) == 1
