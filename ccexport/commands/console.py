"""How commands speak: documents on standard output, everything else on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from ccexport.words import counted

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
UNBROKEN = 10_000  # characters: elsewhere than on a terminal a row is a line, for grep and its kind
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
ENDED = ("completed", "failed", "canceled")  # batches of which nothing more will come
ExportName = Annotated[str, typer.Argument(metavar="NAME", help="The export's name.")]


def say(text: str) -> None:
    """One line to the person, on standard error, never broken by the terminal's width."""
    print(plain(text), file=sys.stderr, flush=True)  # noqa: T201  # this is where commands speak


def print_json(document: object) -> None:
    """The document alone on standard output."""
    print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201  # as `say`


def print_file(content: str) -> None:
    """A file's content as it is, on standard output; it escapes what could steer a terminal itself."""
    sys.stdout.write(content)


def print_text(text: str) -> None:
    """A line of the answer, on standard output."""
    print(plain(text))  # noqa: T201  # as `say`


def plain(text: str) -> str:
    """One line without control characters: names come from files and services, and must not steer a terminal."""
    return _CONTROL.sub(" ", text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table on standard output; with no rows, the next step on standard error."""
    if not rows:
        say(empty)
        return
    from rich.console import Console  # a tenth of a second that JSON and messages do not need
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        numbers = all(type(value) is int for value in values)
        table.add_column(
            column,
            overflow="fold",
            no_wrap=numbers,
            min_width=max(map(len, column.split())),
            justify="right" if numbers else "left",
        )
    for row in rows:
        table.add_row(*(Text(plain(_shown(value))) for value in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else UNBROKEN).print(table)


def shown_time(moment: str | None) -> str | None:
    """A document's time as tables show it: `2026-01-05 10:00 UTC`."""
    return f"{moment[:10]} {moment[11:16]} UTC" if moment else None


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


@contextmanager
def run_progress() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Shows run documents as they change: a bar on a terminal, a line a change elsewhere."""
    if not sys.stderr.isatty():
        yield _ProgressLines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("queued", total=None)

        def show(run: Mapping[str, Any]) -> None:
            batches = run["batches"]
            ended = sum(batch["state"] in ENDED for batch in batches)
            total = len(batches) or None
            bar.update(task, description=describe(run), completed=ended, total=total)

        yield show


class _ProgressLines:
    def __init__(self) -> None:
        self._last = ""

    def show(self, run: Mapping[str, Any]) -> None:
        line = describe(run)
        if line != self._last:
            say(line)
            self._last = line


def describe(run: Mapping[str, Any]) -> str:
    """One line on where a run is."""
    line = f'Run {run["id"]} of "{run["export"]}": {run["state"].replace("_", " ")}'
    if run["state"] == "waiting":
        until = f" until {run['waiting_until'][:19]}Z" if run["waiting_until"] else ""
        line += f" for {run['waiting_for'].replace('_', ' ')}{until}"
        if run["waiting_for"] == "approval" and run.get("waiting_why"):
            line += f": {run['waiting_why']}"
    if run.get("batches"):
        ended = sum(batch["state"] in ENDED for batch in run["batches"])
        line += f", {ended} of {counted(len(run['batches']), 'file')} done"
    return line
