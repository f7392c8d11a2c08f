"""When backups were made, and whether they failed; a restored store's runs, made safe to go on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import Engine, text
from sqlmodel import Session, col, delete, select, update

from ccexport.clock import Now, iso, utc_now
from ccexport.errors import StoreError
from ccexport.states import BatchState, EventKind
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.migrate import known_revisions, lock_migrations, upgrade
from ccexport.store.database.tables import Backup, Batch, Connection, Export, Run
from ccexport.store.moves import add_event
from ccexport.store.vault.dump import load_lines, tables_of
from ccexport.store.vault.keys import Keys
from ccexport.store.vault.secrets import renew_secrets

KEPT = 100  # attempts, the newest
ACTIVITIES_KEPT = timedelta(
    days=9
)  # Constant Contact forgets them after ten: no absence is proven then
_WHO = "restore"
_TRIGGER_FUNCTIONS = """
SELECT DISTINCT tgfoid::regprocedure::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
"""


class BackupStore:
    """Attempts at backups."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def started(self, file: str) -> int:
        with writing(self._engine) as session:
            row = Backup(started_at=self._now(), file=file)
            session.add(row)
            session.flush()
            session.exec(delete(Backup).where(col(Backup.id) <= row.id - KEPT))
            return row.id

    def ended(self, backup_id: int, *, rows: int = 0, size: int = 0, error: str = "") -> None:
        with writing(self._engine) as session:
            session.exec(
                update(Backup)
                .where(col(Backup.id) == backup_id)
                .values(finished_at=self._now(), rows=rows, bytes=size, error=error or None)
            )

    def latest(self) -> list[Backup]:
        """Attempts, the newest first."""
        with reading(self._engine) as session:
            return list(session.exec(select(Backup).order_by(col(Backup.id).desc())))


def holds_something(engine: Engine) -> bool:
    """Whether anybody would miss what the store holds."""
    with reading(engine) as session:
        return any(session.exec(select(row).limit(1)).first() for row in (Connection, Export, Run))


def restore(
    engine: Engine,
    lines: Iterable[bytes],
    revision: str,
    keys: Keys,
    made_at: datetime,
    now: Now,
) -> tuple[int, list[int]]:
    """Put a dump in place of what the store holds, all or nothing. How many rows; the runs that are canceled.

    `keys` are those of now and of the dump: secrets are encrypted with the newest of them.
    """
    if revision not in known_revisions():
        raise StoreError(
            f'The backup was made by a newer ccexport (its revision "{revision}" is unknown here). Install that '
            "version or a newer one; nothing was changed."
        )
    with writing(engine) as session:
        connection = session.connection()
        lock_migrations(connection)
        _drop_all(connection)
        upgrade(connection, revision)
        rows = load_lines(connection, lines)
        upgrade(connection)
        renew_secrets(session, keys)
        ended = _make_runs_safe(session, made_at, now())
    return rows, ended


def _drop_all(connection: DatabaseConnection) -> None:
    functions = []
    if (
        connection.dialect.name == "postgresql"
    ):  # on SQLite triggers go with their table, and there are no functions
        functions = list(connection.execute(text(_TRIGGER_FUNCTIONS)).scalars())
    for table in reversed(tables_of(connection).sorted_tables):
        table.drop(connection)
    for function in functions:
        connection.execute(text(f"DROP FUNCTION {function}"))


def _make_runs_safe(session: Session, made_at: datetime, now: datetime) -> list[int]:
    """Nothing is sent twice, though a run may have gone on after the backup.

    A file that had not been sent then is looked up by its name before it is sent. A run that had no files yet, or
    whose files Constant Contact may have forgotten since, is canceled: what became of it cannot be known.
    """
    session.exec(
        update(Run)
        .where(col(Run.finished_at).is_not(None), col(Run.files_deleted_at).is_(None))
        .values(files_deleted_at=now)
    )
    ended = []
    for run in session.exec(select(Run).where(col(Run.finished_at).is_(None))):
        run.lease_owner = run.lease_until = None
        prepared = session.exec(select(Batch).where(Batch.run_id == run.id).limit(1)).first()
        if prepared and now - made_at < ACTIVITIES_KEPT:
            _look_up_first(session, run, made_at)
            detail = "files that were not sent are looked up before they are"
        else:
            run.cancel_requested_by = _WHO  # the next worker follows what was sent and ends it
            detail = (
                f"from a backup of {iso(made_at)}: what this run did afterwards cannot be known, so it is "
                "canceled; look at the list in Constant Contact, then run the export again"
            )
            ended.append(run.id)
        session.add(run)
        add_event(session, run.id, now, _WHO, EventKind.RESTORED, detail)
    return ended


def _look_up_first(session: Session, run: Run, made_at: datetime) -> None:
    session.exec(
        update(Batch)
        .where(col(Batch.run_id) == run.id, col(Batch.state) == BatchState.PENDING)
        .values(state=BatchState.SENDING, sending_at=made_at)
    )
