"""The source of profiles: two tables, and the questions people ask of them. Opened read-only, never loaded whole.

What an engine says in its own words is translated here into a `SourceError` of one line that quotes no profile.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import ibis.expr.types as ir

from ccexport.clock import Now, utc_now
from ccexport.errors import SourceError
from ccexport.segments.masking import mask_value
from ccexport.segments.spark import disconnect
from ccexport.segments.spec import KEY, SEGMENT, read_spec
from ccexport.segments.steadiness import Pause
from ccexport.segments.text import as_text, is_text
from ccexport.segments.trouble import translated

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends import BaseBackend
    from ibis.backends.duckdb import Backend

    from ccexport.segments.opening import Opened

DEFAULT_MEMORY_LIMIT_MB = 2_000
EXAMPLES = 3
_EXAMPLE_ROWS = 200
_ROWS_PER_PIECE = 262_144  # of a result: in few pieces rows are picked faster, and hardly more is set aside than used
_ROWS_PER_BATCH = 16_384  # of what streams in from a database


@dataclass(frozen=True)
class Attribute:
    """A column of the profiles. `fill_rate`: share that is not blank, 0.0-1.0; `examples`: up to three, masked."""

    name: str
    type: str
    fill_rate: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A segment and how many distinct profiles are in it; `label`: what people call it, where the source says."""

    name: str
    members: int
    label: str = ""

    @property
    def shown(self) -> str:
        """Its label with its name, which two labels that are the same do not share."""
        return f"{self.label} ({self.name})" if self.label else self.name


@dataclass(frozen=True)
class Strangers:
    """Members of segments, those that have no profile, and a key of each side to compare (None where all have one)."""

    members: int
    without_profile: int
    member: str | None
    profile: str | None

    @property
    def example_of_each_side(self) -> list[str | None] | None:
        """The keys to compare, a member's first."""
        return [self.member, self.profile] if self.without_profile else None

    def said(self) -> str:
        """One line for people; empty where every member has a profile."""
        if not self.without_profile:
            return ""
        whose = (
            "1 member has"
            if self.without_profile == 1
            else f"{self.without_profile:,} members have"
        )
        return (
            f"{whose} no profile, of {self.members:,}: such as {json.dumps(self.member, ensure_ascii=False)}, while "
            f"profiles have keys such as {json.dumps(self.profile, ensure_ascii=False)}."
        )


class Source:
    """Profiles and their segments, over one connection of its own. Close it, or use it in a `with`."""

    def __init__(
        self,
        backend: BaseBackend,
        customers: ir.Table,
        memberships: ir.Table,
        names: dict[str, str],
        opened: Opened | None = None,
    ) -> None:
        """`customers` has the key as `CustomerId`, `memberships` that and `Segment`.

        `names`: what people call the two tables (files), under "customers" and "memberships"; `opened`: what more is
        known of a source that was opened by its address.
        """
        self._backend, self._names = backend, names
        self._reads_files: bool = opened.reads_files if opened else backend.name == "duckdb"
        self._made = 0  # tables kept and lent so far
        self._kinds = dict(customers.schema().items())
        self.opened = opened
        self.customers = as_text(customers)
        self.memberships = as_text(memberships.select(KEY, SEGMENT))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """All columns of the profiles but the key, in their order."""
        return tuple(name for name in self.customers.columns if name != KEY)

    def segments(self) -> list[Segment]:
        """All segments by name, with the number of distinct profiles in each."""
        self._refuse_broken()
        known = self.memberships.semi_join(self.customers, KEY)
        known = known.filter(known[SEGMENT].notnull())
        counted = known.group_by(SEGMENT).agg(members=known[KEY].nunique())
        labels = self._labels()
        return [
            Segment(row[SEGMENT], row["members"], labels.get(row[SEGMENT], ""))
            for row in self._rows(counted.order_by(SEGMENT))
        ]

    def _labels(self) -> dict[str, str]:
        """What the source calls its segments, by name; of a segment that has two labels the first of them."""
        labels = self.opened.labels if self.opened else None
        if labels is None:
            return {}
        rows = self._rows(labels.filter(labels.label.notnull()).order_by(["name", "label"]))
        found: dict[str, str] = {}
        for row in rows:
            label = str(row["label"]).strip()
            if label and label != row["name"]:
                found.setdefault(row["name"], label)
        return found

    def check_types(self, names: Iterable[str]) -> None:
        """Raise `SourceError` for the first of these attributes that holds no text, such as a list."""
        for name in names:
            kind = self._kinds.get(name)
            if kind is not None and not is_text(kind):
                raise SourceError(
                    f'The column "{name}" of {self._names["customers"]} holds several values in one ({kind}). '
                    "Write it as text, or choose another column."
                )

    def strangers(
        self, segments: Sequence[str] | None = None, *, found: int | None = None
    ) -> Strangers:
        """How many members of segments (of all, where none are named) have no profile, with an example of each side.

        `found`: profiles that were read of the segments, where that is known: where all members are, no more is asked.
        """
        chosen = self.memberships.filter(self.memberships[KEY].notnull())
        if segments is not None:
            chosen = chosen.filter(chosen[SEGMENT].isin(list(segments)))
        if found is not None and self.count(chosen) == found:
            return Strangers(
                found, 0, None, None
            )  # nobody is a member twice: there is nothing to tell apart
        keys = chosen.select(KEY).distinct()
        members = self._distinct(chosen)
        if members == found:
            return Strangers(members, 0, None, None)
        unknown = keys.anti_join(self.customers, KEY)
        without = self.count(unknown) if found is None else members - found
        if not without:
            return Strangers(members, 0, None, None)
        return Strangers(
            members, without, self._first_key(unknown), self._first_key(self.customers)
        )

    def keys_without_profile(self, segments: Sequence[str]) -> Iterator[pa.Array]:
        """The keys of members of segments that have no profile, piece by piece."""
        chosen = self.memberships.filter(self.memberships[SEGMENT].isin(list(segments)))
        keys = chosen.filter(chosen[KEY].notnull()).select(KEY).distinct()
        return (rows.column(KEY) for rows in self.stream(keys.anti_join(self.customers, KEY)))

    def _distinct(self, members: ir.Table) -> int:
        """How many keys there are. By their hashes where the engine is ours: of a million, keys take 100 MB more."""
        keys = members[KEY].hash() if self._reads_files else members[KEY]
        [row] = self._rows(members.agg(members=keys.nunique()))
        return int(row["members"])

    def _first_key(self, keys: ir.Table) -> str | None:
        [row] = self._rows(keys.agg(first=keys[KEY].min()))
        return None if row["first"] is None else str(row["first"])

    def wait_until_still(self) -> None:
        """Return once nobody writes to the source's files. Raises `SourceError` where somebody goes on doing so."""
        if self.opened:
            self.opened.place.wait_until_still()

    def check_segments(self, names: Sequence[str]) -> None:
        """Raise `SourceError` for the first name that is not a segment of this source, or that nobody can ask for."""
        self._refuse_broken()
        for name in names:
            if "\0" in name:  # no question to an engine can hold it, and PostgreSQL's store neither
                shown = name.replace("\0", " ")
                raise SourceError(
                    f'The segment "{shown}" has a NUL in its name. Rename it in the source.'
                )
        named = self.memberships.filter(self.memberships[SEGMENT].notnull())
        rows = self._rows(named.select(SEGMENT).distinct().order_by(SEGMENT))
        known = [row[SEGMENT] for row in rows]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known[:8]
                raise SourceError(
                    f'The source has no segment "{name}". It has: {", ".join(near)}. '
                    "Choose one of its segments."
                )

    def attributes(self) -> list[Attribute]:
        """Every attribute with its type, fill rate and masked examples (of the profiles with the smallest keys)."""
        names = self.attribute_names
        filled = {name: (self.customers[name].fill_null("") != "").sum() for name in names}
        [counts] = self._rows(self.customers.agg(profiles=self.customers.count(), **filled))
        first = self._rows(self.customers.order_by(KEY).limit(_EXAMPLE_ROWS))
        return [
            Attribute(
                name=name,
                type=str(self._kinds[name]),
                fill_rate=int(counts[name] or 0) / max(counts["profiles"], 1),
                examples=_examples(row[name] for row in first),
            )
            for name in names
        ]

    def profile(self, customer_id: str) -> dict[str, str | None] | None:
        """One profile by its key, all attributes as text; None where there is none."""
        return self.profiles([customer_id]).get(customer_id)

    def keys_of(self, attribute: str, text: str) -> list[str]:
        """The keys of profiles in which an attribute, trimmed and in lower case, is this text; 1,000 at most."""
        value = self.customers[attribute].strip().lower()
        found = self.customers.filter(value == text).select(KEY).order_by(KEY).limit(1_000)
        return [row[KEY] for row in self._rows(found)]

    def profiles(self, customer_ids: Iterable[str]) -> dict[str, dict[str, str | None]]:
        """A few profiles, by key."""
        found = self._rows(self.customers.filter(self.customers[KEY].isin(list(customer_ids))))
        return {row[KEY]: row for row in found}

    def stream(
        self, expression: ir.Table, rows_per_batch: int = 16_384
    ) -> Iterator[pa.RecordBatch]:
        """Execute an expression over the source's tables and yield its rows as they come, in its order."""
        with self._translated():
            yield from self._backend.to_pyarrow_batches(expression, chunk_size=rows_per_batch)

    def keep(self, expression: ir.Table) -> ir.Table:
        """Work an expression out once, and give a table with its rows, for use in further expressions.

        Only a source of files keeps them (in memory, until it is closed); a database is not written to.
        """
        if not self._reads_files:
            return expression
        self._made += 1
        with self._translated():
            return self._backend.create_table(f"kept_{self._made}", expression)

    @contextmanager
    def nearby(self, expression: ir.Table) -> Iterator[ir.Table]:
        """The rows of an expression as a table of the engine that `fetch` asks: once, while the block lasts.

        The engine that reads files is that engine. Of any other the rows stream into it as they are asked for.
        """
        if self._reads_files:
            yield expression
            return
        with self._translated():
            rows = self._backend.to_pyarrow_batches(expression, chunk_size=_ROWS_PER_BATCH)
        with self.lent(rows) as table:
            yield table

    @contextmanager
    def lent(self, rows: pa.Table | pa.RecordBatchReader) -> Iterator[ir.Table]:
        """Rows of Arrow as a table of the engine that `fetch` asks, to be read once while the block lasts."""
        self._made += 1
        name, near = f"lent_{self._made}", self._near
        # The stream itself: given anything else of Arrow, DuckDB imports pandas (half a second, 40 MB) to look at it.
        near.con.from_arrow(rows.__arrow_c_stream__()).create_view(name)
        try:
            yield near.table(name)
        finally:
            near.con.execute(f'DROP VIEW "{name}"')

    def fetch(self, expression: ir.Table) -> pa.Table:
        """All rows of an expression over files, or over what is `nearby` or `lent`, in no order.

        The engine works them out with all its threads. Its own sorting would take several times their size.
        """
        with self._translated():
            # A relation, not a result: of that one thread alone makes Arrow's columns, and the others wait for it.
            found = self._near.con.sql(self._near.compile(expression))
            return found.to_arrow_table(_ROWS_PER_PIECE)

    def repeated(self, customer_id: str) -> SourceError:
        """What to raise where a key is there twice."""
        return SourceError(
            f'{self._names["customers"]} has more than one profile with the CustomerId "{customer_id}". '
            "Make the keys unique."
        )

    def count(self, expression: ir.Table) -> int:
        """How many rows an expression has."""
        [counted] = self._rows(expression.agg(rows=expression.count()))
        return int(counted["rows"])

    def interrupt(self) -> None:
        """End the question in hand, which raises `SourceError` then. For another thread; does nothing where none is."""
        for backend in self._engines():
            connection: Any = getattr(backend, "con", None)
            for end in ("cancel_safe", "interrupt"):  # of PostgreSQL's client; of DuckDB
                if hasattr(connection, end):
                    getattr(connection, end)()

    def close(self) -> None:
        """Give the connections back; the source cannot be used afterwards."""
        for backend in self._engines():
            disconnect(backend)

    def _engines(self) -> list[BaseBackend]:
        """Those that were opened so far, each once."""
        near = vars(self).get("_near")
        return [self._backend] if near in (None, self._backend) else [self._backend, near]

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raises `SourceError` where a file changed meanwhile: what was read of it is not to be used."""
        self.close()
        if self.opened and (error is None or isinstance(error, SourceError)):
            self.opened.place.refuse_changes()

    def _rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        with self._translated():
            batches = self._backend.to_pyarrow_batches(expression)
            return [row for batch in batches for row in batch.to_pylist()]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """An engine's words become ours; and what was read while somebody wrote to it is not used."""
        if self.opened is None:
            with translated(self._names):
                yield
            return
        place = self.opened.place
        try:
            with place.translated():
                yield
        except SourceError:
            place.refuse_changes()  # of half a file the engine says something else
            raise
        place.refuse_changes()

    def _refuse_broken(self) -> None:
        """Raise `SourceError` for a membership whose segments cannot be read."""
        for found in self.opened.memberships if self.opened else ():
            if found.broken is not None and (rows := self._rows(found.broken.limit(1))):
                raise SourceError(
                    f'{found.name}: the segments of "{rows[0][KEY]}" are not JSON of the form '
                    '{"Segments": ["A", "B"]} or ["A", "B"]. Correct the row.'
                )

    @cached_property
    def _near(self) -> Backend:
        """The engine that makes lines: the one that reads files, or one of its kind with nothing in it."""
        if self._reads_files:
            return cast("Backend", self._backend)
        from ccexport.segments.engine import connect

        return connect(threads=None, memory_limit_mb=DEFAULT_MEMORY_LIMIT_MB)


def open_source(
    url: str,
    *,
    threads: int | None = None,
    memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB,
    now: Now = utc_now,
    pause: Pause = time.sleep,
    copies_in: Path | None = None,
    fresh: bool = False,
) -> Source:
    """Open the source at `CCEXPORT_SOURCE_URL`. Raises `SourceError` where it cannot be read as it is.

    `copies_in`: a folder for encrypted copies of what is read from far away; `fresh`: read now, not minutes ago.
    """
    from ccexport.segments.opening import open_tables
    from ccexport.segments.places import Means

    means = Means(threads, memory_limit_mb, now, pause, copies_in, fresh)
    opened = open_tables(read_spec(url), means)
    place = opened.place
    return Source(place.backend, opened.profiles, opened.pairs, opened.names, opened)


def _examples(values: Iterable[str | None]) -> tuple[str, ...]:
    distinct = dict.fromkeys(value for value in values if value and value.strip())
    return tuple(mask_value(value) for value in list(distinct)[:EXAMPLES])
