"""Exports: what is sent where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select, update

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict, NotFound
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import (
    Connection,
    Export,
    ExportSegment,
    FieldMapping,
    Run,
)
from ccexport.store.moves import queue_run, skip_run

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ExportView:
    """An export with its segments, its mapping (contact field, attribute) and its connection's name."""

    export: Export
    segments: tuple[str, ...]
    mapping: Pairs
    connection_name: str | None

    @property
    def state(self) -> str:
        """`active`, `off` (runs only when asked to) or `detached` (without a connection)."""
        if self.export.connection_id is None:
            return "detached"
        return "off" if self.export.schedule == "off" else "active"


@dataclass(frozen=True)
class NewExport:
    """An export to be stored, with its parts."""

    export: Export
    segments: Sequence[str]
    mapping: Pairs


@dataclass(frozen=True)
class ExportChange:
    """New values (columns of `Export`) and parts of an export, as seen at `revision`; None: whatever it is."""

    export_id: int
    name: str  # as people know it, for the message
    revision: int | None
    values: Mapping[str, Any]
    segments: Sequence[str] | None = None  # None: as they are
    mapping: Pairs | None = None


class ExportStore:
    """Questions and changes about exports."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def by_name(self, name: str) -> ExportView:
        """Raises `NotFound`."""
        found = self._views(col(Export.name_key) == name.strip().casefold())
        if not found:
            raise NotFound(
                f'There is no export "{name}". `exports list` shows all; `exports add` makes one.'
            )
        return found[0]

    def get(self, export_id: int) -> ExportView:
        """Raises `NotFound`."""
        found = self._views(col(Export.id) == export_id)
        if not found:
            raise NotFound("This export has been removed.")
        return found[0]

    def views(self) -> list[ExportView]:
        """All exports, by name."""
        return self._views()

    def is_taken(self, name: str) -> bool:
        return bool(self._views(col(Export.name_key) == name.strip().casefold()))

    def add(self, export: Export, segments: Sequence[str], mapping: Pairs) -> Export:
        """Store it whole or not at all. Raises `Conflict` when the name is taken."""
        self.save([NewExport(export, segments, mapping)], [])
        return export

    def update(self, change: ExportChange) -> None:
        """Change it whole or not at all; its revision grows by one.

        Raises `Conflict` when the name is taken or somebody changed it since `revision`, `NotFound` when it is gone.
        """
        self.save([], [change])

    def save(self, new: Sequence[NewExport], changes: Sequence[ExportChange]) -> None:
        """Several at once, all or none. Raises `Conflict`, `NotFound`."""
        name = ""
        try:
            with writing(self._engine) as session:
                for each in new:
                    name = each.export.name
                    session.add(each.export)
                    session.flush()
                    _write_parts(session, each.export.id, each.segments, each.mapping)
                for change in changes:
                    name = str(change.values.get("name", change.name))
                    self._change(session, change)
        except IntegrityError:
            raise Conflict(f'There is an export "{name}" already. Choose another name.') from None

    def remove(self, export_id: int) -> None:
        """Remove it; the history of its runs stays. Raises `Conflict` while a run of it is live."""
        with writing(self._engine) as session:
            live = session.exec(
                select(Run.id).where(Run.export_id == export_id, col(Run.finished_at).is_(None))
            ).first()
            if live is not None:
                raise Conflict(
                    f"Run {live} of this export is still live. Cancel it (`runs cancel {live}`) or wait for its end."
                )
            session.exec(delete(Export).where(col(Export.id) == export_id))

    # --- due by their own schedule ---------------------------------------------------------------

    def due(self) -> list[ExportView]:
        """Exports with a connection whose time has come, by name."""
        return self._views(
            col(Export.next_run_at) <= self._now(), col(Export.connection_id).is_not(None)
        )

    def next_due(self, limit: int = 5) -> list[ExportView]:
        """Exports with a connection and a time of their own, the nearest first."""
        found = self._views(
            col(Export.next_run_at).is_not(None), col(Export.connection_id).is_not(None)
        )
        return sorted(found, key=lambda view: view.export.next_run_at or self._now())[:limit]

    def take_due(
        self, export: Export, then: datetime | None, run: Run | None, *, skipped: str | None = None
    ) -> bool:
        """Move `next_run_at` on to `then` and queue `run`, in one; None queues nothing.

        `skipped`: the run does not take place, and this is why.

        False when another worker, or an edit, has moved it already. Raises `Conflict`, and changes nothing, while a
        run of the export is live.
        """
        try:
            with writing(self._engine) as session:
                moved = session.exec(
                    update(Export)
                    .where(
                        col(Export.id) == export.id, col(Export.next_run_at) == export.next_run_at
                    )
                    .values(next_run_at=then)
                )
                if moved.rowcount and run is not None:
                    if skipped is None:
                        queue_run(session, run)
                    else:
                        skip_run(session, run, skipped)
                return bool(moved.rowcount)
        except IntegrityError:
            raise Conflict(f'A run of "{export.name}" is still live.') from None

    def _change(self, session: Session, change: ExportChange) -> None:
        here = [col(Export.id) == change.export_id]
        if change.revision is not None:
            here.append(col(Export.revision) == change.revision)
        changed = session.exec(
            update(Export)
            .where(*here)
            .values(**change.values, revision=Export.revision + 1, updated_at=self._now())
        )
        if not changed.rowcount:
            if session.get(Export, change.export_id) is None:
                raise NotFound(f'"{change.name}" has been removed meanwhile; nothing was saved.')
            raise Conflict(
                f'Somebody changed "{change.name}" meanwhile, so nothing was saved. '
                "Open it again to see it as it is now, then make your change."
            )
        if change.segments is not None:
            session.exec(
                delete(ExportSegment).where(col(ExportSegment.export_id) == change.export_id)
            )
        if change.mapping is not None:
            session.exec(
                delete(FieldMapping).where(col(FieldMapping.export_id) == change.export_id)
            )
        _write_parts(session, change.export_id, change.segments or (), change.mapping or ())

    def _views(self, *where: object) -> list[ExportView]:
        with reading(self._engine) as session:
            rows = session.exec(
                select(Export, Connection.name)
                .join(Connection, isouter=True)
                .where(*where)  # type: ignore[arg-type]  # column expressions
                .order_by(col(Export.name_key))
            ).all()
            ids = [export.id for export, _ in rows]
            segments, mappings = defaultdict(list), defaultdict(list)
            for part in session.exec(
                select(ExportSegment)
                .where(col(ExportSegment.export_id).in_(ids))
                .order_by(col(ExportSegment.position))
            ):
                segments[part.export_id].append(part.segment)
            for pair in session.exec(
                select(FieldMapping)
                .where(col(FieldMapping.export_id).in_(ids))
                .order_by(col(FieldMapping.position))
            ):
                mappings[pair.export_id].append((pair.contact_field, pair.attribute))
        return [
            ExportView(export, tuple(segments[export.id]), tuple(mappings[export.id]), name)
            for export, name in rows
        ]


def _write_parts(session: Session, export_id: int, segments: Sequence[str], mapping: Pairs) -> None:
    for position, segment in enumerate(segments):
        session.add(ExportSegment(export_id=export_id, position=position, segment=segment))
    for position, (contact_field, attribute) in enumerate(mapping):
        session.add(
            FieldMapping(
                export_id=export_id,
                position=position,
                contact_field=contact_field,
                attribute=attribute,
            )
        )
