"""Exports: what is sent where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict, NotFound
from ccexport.store.engine import reading, writing
from ccexport.store.tables import Connection, Export, ExportSegment, FieldMapping, Run

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
        try:
            with writing(self._engine) as session:
                session.add(export)
                session.flush()
                _write_parts(session, export, segments, mapping)
        except IntegrityError:
            raise Conflict(
                f'There is an export "{export.name}" already. Choose another name.'
            ) from None
        return export

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


def _write_parts(session: Session, export: Export, segments: Sequence[str], mapping: Pairs) -> None:
    for position, segment in enumerate(segments):
        session.add(ExportSegment(export_id=export.id, position=position, segment=segment))
    for position, (contact_field, attribute) in enumerate(mapping):
        session.add(
            FieldMapping(
                export_id=export.id,
                position=position,
                contact_field=contact_field,
                attribute=attribute,
            )
        )
