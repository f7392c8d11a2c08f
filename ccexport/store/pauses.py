"""The pause of everything: while there is one, no run begins, and it says why."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlmodel import select

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.telling_tables import Pause
from ccexport.words import moment


class PauseStore:
    """One pause, or none."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def get(self) -> Pause | None:
        with reading(self._engine) as session:
            return session.exec(select(Pause)).first()

    def check(self) -> None:
        """Raises `Conflict`, which says why, while everything is paused."""
        if (pause := self.get()) is not None:
            raise Conflict(
                f"{in_words(pause)} Nothing was queued. An administrator ends the pause on Home."
            )

    def begin(self, reason: str, by: str) -> None:
        """Of two who begin one at once, the last one's reason stands."""
        with writing(self._engine) as session:
            if (old := session.get(Pause, 1, with_for_update=True)) is not None:
                old.reason, old.by, old.since = reason, by, self._now()
                session.add(old)
            else:
                session.add(Pause(id=1, reason=reason, by=by, since=self._now()))

    def end(self) -> None:
        with writing(self._engine) as session:
            if (pause := session.get(Pause, 1)) is not None:
                session.delete(pause)


def in_words(pause: Pause) -> str:
    """`Everything is paused since 2026-01-05 10:00 UTC by ana: moving the warehouse.`"""
    return f"Everything is paused since {moment(pause.since)} by {pause.by}: {pause.reason.rstrip('.')}."
