"""Where tables are: what a kind of source has to give, whatever it reads. One file for each kind beside this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import ibis.expr.types as ir
from ibis.backends import BaseBackend

from ccexport.clock import Now
from ccexport.segments.steadiness import Pause


@dataclass(frozen=True)
class Means:
    """What a source is opened with. `copies_in`, `fresh`: of a kind that is copied first, see `copies.py`."""

    threads: int | None
    memory_limit_mb: int
    now: Now
    pause: Pause
    copies_in: Path | None = None
    fresh: bool = False


class Place(Protocol):
    """An open source of tables. All are read with one engine, and closed with it."""

    backend: BaseBackend
    kind: str  # as `sources check` calls it
    default_tables: tuple[str, str]  # of profiles, of memberships
    default_key: str

    def profiles(self, table: str, key: str) -> ir.Table:
        """The table of profiles; where its rows are read, a blank key raises. Raises `SourceError`."""

    def table(self, table: str, needed: Sequence[str]) -> ir.Table:
        """A table by its name. `needed`: columns by which a delimiter is known. Raises `SourceError`."""

    def has(self, table: str) -> bool:
        """Whether there is a table of this name."""

    def called(self, table: str) -> str:
        """What people call a table: a file's name."""

    def json_names(self, text: ir.StringValue) -> ir.ArrayValue:
        """The names in `{"Segments": ["A"]}` or `["A"]`; null where the text is neither."""

    def freshness(self) -> Mapping[str, str]:
        """When each table was written, where that is known: what people call it, the time."""

    def refuse_changes(self) -> None:
        """Raise `SourceError` where somebody has written to what was opened."""

    def wait_until_still(self) -> None:
        """Return once nobody writes to what was opened. Raises `SourceError` where somebody goes on."""

    def translated(self) -> AbstractContextManager[None]:
        """What an engine raises inside becomes a `SourceError` of one line."""
