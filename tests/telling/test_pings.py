"""Pings: begin and end of each run, once, whatever becomes of the call."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import select, update

from ccexport.clock import utc_now
from ccexport.errors import UsageError
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.export_files import ExportFiles
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.states import RunState, WaitingFor
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.people_tables import AuditEvent
from ccexport.store.database.tables import Export
from ccexport.store.moves import Held
from ccexport.store.pings import PingStore
from ccexport.store.runs import RunStore, Wait
from ccexport.store.vault.keys import Keys
from ccexport.telling import pings
from ccexport.telling.pings import Pinger
from tests.kit.clocks import Clock
from tests.kit.offline import ANA, OfflineParts, offline_parts
from tests.kit.receiver import Receiver, receiver
from tests.kit.rows import LIST_ID
from tests.telling.conftest import begun

__all__ = ["receiver"]  # a fixture


@pytest.fixture
def pinger(engine: Engine, keys: Keys) -> Pinger:
    return Pinger(PingStore(engine, keys), "127.0.0.1")


def set_ping(engine: Engine, keys: Keys, export_id: int, url: str) -> None:
    values = {"ping": keys.encrypt(url.encode()), "ping_shown": "shown"}
    with writing(engine) as session:
        session.exec(update(Export).where(Export.id == export_id).values(**values))  # type: ignore[arg-type]


def deliver(pinger: Pinger) -> None:
    pinger.deliver_due(time.monotonic() + 60, time.monotonic)


@pytest.mark.parametrize(
    ("end", "suffix"),
    [
        (RunState.SUCCEEDED, ""),
        (RunState.COMPLETED_WITH_ERRORS, "/fail"),
        (RunState.FAILED, "/fail"),
        (RunState.SKIPPED, "/fail"),
        (RunState.CANCELED, "/fail"),
    ],
)
def test_an_address_hears_of_begin_and_end_of_a_run_once(
    engine: Engine,
    keys: Keys,
    runs: RunStore,
    pinger: Pinger,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
    end: RunState,
    suffix: str,
) -> None:
    runs.finish(begun(runs, export_id, clock), end)
    deliver(pinger)
    assert receiver.paths == [], "no address, no ping"
    set_ping(engine, keys, export_id, f"{receiver.url}?create=1")
    held = begun(runs, export_id, clock)
    runs.wait(held, Wait(WaitingFor.SIGN_IN, clock(), "."))
    assert runs.claim("w1", run_id=held.run_id) is not None
    runs.resume(held)
    runs.finish(held, end)
    receiver.status = 500  # one try
    deliver(pinger)
    deliver(pinger)
    assert receiver.paths == ["/hook/start?create=1", f"/hook{suffix}?create=1"]


def test_a_ping_that_is_not_answered_or_not_allowed_troubles_nobody(
    engine: Engine,
    keys: Keys,
    runs: RunStore,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pings, "TIMEOUT_SECONDS", 0.2)
    set_ping(engine, keys, export_id, receiver.url)
    begun(runs, export_id, clock)
    receiver.let_go.clear()
    store = PingStore(engine, keys)
    deliver(Pinger(store, "127.0.0.1"))
    assert len(receiver.paths) == 1
    assert store.take() == []
    [live] = runs.unfinished()
    runs.finish(Held(live.id, "w1"), RunState.SUCCEEDED)
    deliver(Pinger(store, ""))  # private
    assert len(receiver.paths) == 1


@pytest.fixture
def parts(tmp_path: Path) -> OfflineParts:
    return offline_parts(tmp_path, utc_now)


URL = "https://hc-ping.com/5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e11"
SHOWN = "https://hc-ping.com/***"


def draft(ping: str | None, name: str = "News") -> ExportDraft:
    mapping = parse_mapping(["email=EMail"])
    return ExportDraft(name, "Marketing", LIST_ID, ("A",), mapping, ping=ping)


def stored(parts: OfflineParts) -> tuple[str | None, str | None]:
    export = parts.exports.by_name("News").export
    return export.ping_shown, parts.keys.decrypt(export.ping).decode() if export.ping else None


def test_an_address_is_kept_encrypted_shown_masked_and_changed_only_when_another_is_given(
    parts: OfflineParts,
) -> None:
    exports = Exports(parts)
    exports.add(draft(URL), by=ANA)
    assert stored(parts) == (SHOWN, URL)
    for same in (None, SHOWN, f" {SHOWN} "):
        exports.update("News", draft(same), by=ANA)
        assert stored(parts) == (SHOWN, URL)
    exports.update("News", draft(f"{URL}/2"), by=ANA)
    assert stored(parts) == (SHOWN, f"{URL}/2")
    exports.update("News", draft(""), by=ANA)
    assert stored(parts) == (None, None)
    with reading(parts.engine) as session:
        audit = str([(row.before, row.after) for row in session.exec(select(AuditEvent))])
    assert SHOWN in audit
    assert "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e11" not in audit.replace(LIST_ID, "")


@pytest.mark.parametrize(
    "url", ["hc-ping.com/x", "ftp://x/y", "https://u:p@x/y", SHOWN, "https://"]
)
def test_what_cannot_be_called_is_refused(parts: OfflineParts, url: str) -> None:
    with pytest.raises(UsageError, match="ping"):
        Exports(parts).add(draft(url), by=ANA)


def test_a_file_shows_it_masked_and_changes_it_when_it_is_written_whole(
    parts: OfflineParts,
) -> None:
    files = ExportFiles(parts)
    Exports(parts).add(draft(URL), by=ANA)
    text = files.dump()
    assert f"ping: {SHOWN}" in text
    assert [each.change for each in files.apply(text, "x.yaml", by=ANA)] == ["unchanged"]
    whole = text.replace(SHOWN, f"{URL}/2")
    [difference] = files.apply(whole, "x.yaml", by=ANA)
    assert [(each.before, each.after) for each in difference.fields] == [
        (SHOWN, f"{SHOWN} (written whole)")
    ]
    assert stored(parts) == (SHOWN, f"{URL}/2")
    files.apply(text.replace(f"ping: {SHOWN}", ""), "x.yaml", by=ANA)
    assert stored(parts) == (SHOWN, f"{URL}/2"), "what a file does not name stays"
    files.apply(text.replace(SHOWN, "off"), "x.yaml", by=ANA)
    assert stored(parts) == (None, None)
