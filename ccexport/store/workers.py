"""Worker processes and their heartbeats."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import col, select

from ccexport.clock import Now, utc_now
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Worker

ALIVE_FOR = timedelta(seconds=60)  # a heartbeat comes every 15 s


class WorkerStore:
    """Who works, and since when."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def started(self, worker_id: str, *, host: str, pid: int, version: str) -> None:
        now = self._now()
        with writing(self._engine) as session:
            session.add(
                Worker(
                    id=worker_id,
                    host=host,
                    pid=pid,
                    version=version,
                    started_at=now,
                    heartbeat_at=now,
                )
            )

    def beat(self, worker_id: str) -> None:
        self._touch(worker_id, stopped=False)

    def stopped(self, worker_id: str) -> None:
        self._touch(worker_id, stopped=True)

    def alive(self) -> list[Worker]:
        """Workers whose heartbeat is fresh, the newest first."""
        with reading(self._engine) as session:
            return list(
                session.exec(
                    select(Worker)
                    .where(
                        col(Worker.stopped_at).is_(None),
                        col(Worker.heartbeat_at) > self._now() - ALIVE_FOR,
                    )
                    .order_by(col(Worker.started_at).desc())
                )
            )

    def last_seen_at(self) -> datetime | None:
        """The newest sign of life of any worker, also of those that have stopped."""
        with reading(self._engine) as session:
            newest = select(Worker).order_by(col(Worker.heartbeat_at).desc()).limit(1)
            row = session.exec(newest).first()
            return row.heartbeat_at if row else None

    def _touch(self, worker_id: str, *, stopped: bool) -> None:
        with writing(self._engine) as session:
            row = session.get(Worker, worker_id)
            if row is not None:
                row.heartbeat_at = self._now()
                row.stopped_at = self._now() if stopped else None
                session.add(row)
