"""`refresh`: read the source's segments again and queue the exports due on it; or set when that happens by itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from ccexport.clock import iso
from ccexport.commands.console import Json, print_json, print_table, print_text, say
from ccexport.commands.session import open_installation
from ccexport.errors import SourceError, UsageError
from ccexport.words import counted

if TYPE_CHECKING:
    from ccexport.services.operations.refreshes import Refreshes, RefreshResult


def refresh(
    ctx: typer.Context,
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="HH:MM", help="Refresh by itself at this time; up to four times."),
    ] = None,
    days: Annotated[
        str, typer.Option(help="daily, or weekdays as in mon,wed,fri (with --at).")
    ] = "daily",
    zone: Annotated[str, typer.Option(help="Whose clock --at means, as Europe/Berlin.")] = "UTC",
    off: Annotated[bool, typer.Option("--off", help="Stop refreshing by itself.")] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Show when it happens by itself.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read the segments again and queue every export due on a refresh.

    With --at or --off: set when that happens by itself.
    """
    from ccexport.services.operations.refreshes import Refreshes
    from ccexport.services.people.access import local_administrator

    if sum((bool(at), off, schedule)) > 1:
        raise UsageError("--at, --off and --schedule cannot be combined. Give one of them.")
    refreshes, by = Refreshes(open_installation(ctx)), local_administrator()
    if at:
        refreshes.set_schedule(_weekdays(days), at, zone, by=by)
    elif off:
        refreshes.turn_off(by=by)
    elif not schedule:
        _print_result(refreshes.refresh(by=by), as_json)
        return
    _print_schedule(refreshes, as_json)


def _print_result(result: RefreshResult, as_json: bool) -> None:
    from ccexport.services.operations.refreshes import refresh_document

    error = result.refresh.error
    if as_json:
        print_json(refresh_document(result))
    if error and not result.sizes:
        raise SourceError(error)
    if not as_json:
        rows = [[name, members] for name, members in sorted(result.sizes.items())]
        print_table(["segment", "members"], rows, empty="The source holds no segments.")
        for run in result.runs:
            print_text(f'Run {run.id} of "{run.export_name}" is queued.')
    if error:
        say(error)
    segments, runs = counted(len(result.sizes), "segment"), counted(len(result.runs), "run")
    ending = "; a worker performs them: python -m ccexport worker" if result.runs else ""
    say(f"{segments} read, {runs} queued{ending}.")


def _print_schedule(refreshes: Refreshes, as_json: bool) -> None:
    from ccexport.schedules import describe_recurrence

    recurrence, times = refreshes.recurrence(), refreshes.next_five()
    is_on = bool(times) and recurrence is not None
    if as_json:
        print_json(
            {
                "weekdays": list(recurrence.weekdays) if recurrence else [],
                "times": [f"{at:%H:%M}" for at in recurrence.times] if recurrence else [],
                "zone": recurrence.zone if recurrence else None,
                "on": is_on,
                "next": [iso(each) for each in times],
            }
        )
    elif recurrence is None or not is_on:
        say("No refresh happens by itself. Set one: refresh --at 06:30 --zone Europe/Berlin")
    else:
        print_text(f"Refreshes {describe_recurrence(recurrence)}; next:")
        for each in times:
            print_text(f"  {_local(each, recurrence.zone)}")


def _local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%a %d %b %Y %H:%M} ({zone})"


def _weekdays(text: str) -> list[int]:
    """`daily`, or names of days of at least three letters, with commas. Raises `UsageError`."""
    from ccexport.schedules import DAY_NAMES, EVERY_DAY

    if text.strip().casefold() == "daily":
        return list(EVERY_DAY)
    found = []
    for part in text.split(","):
        word = part.strip().casefold()
        number = next(
            (n for n, name in enumerate(DAY_NAMES) if name.casefold().startswith(word)), None
        )
        if number is None or len(word) < 3:
            raise UsageError(
                f'"{part.strip()[:50]}" is not a weekday. Write daily, or mon,wed,fri.'
            )
        found.append(number)
    return found
