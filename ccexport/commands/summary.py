"""A run as a person reads it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccexport.commands.console import print_text
from ccexport.states import RunState
from ccexport.words import counted
from ccexport.words import reason as reason_words

_SHOWN_ERRORS = 5


def print_run(run: Mapping[str, Any], *, why_waiting: str | None = None) -> None:
    """Headline, counts, reasons, files and their errors."""
    counts = run["counts"]
    print_text(f'Run {run["id"]} of "{run["export"]}": {run["state"].replace("_", " ")}')
    for words in filter(None, (run["error"], why_waiting)):
        print_text(f"  {words}")
    _line("read", counts["read"])
    _line("rejected", counts["rejected"], reasons(run["rejections"]))
    _line("prepared", counts["prepared"], _cut(counts["truncated"]))
    known = counts["changed"] + counts["unchanged"] + counts["suppressed"]
    if known:
        _line("new", counts["new"])
        _line("changed", counts["changed"], "or sent again" if run["mode"] == "full" else "")
    if counts["unchanged"]:
        _line("unchanged", counts["unchanged"], "not sent: the list has them as they are")
    if counts["suppressed"]:
        _line("suppressed", counts["suppressed"], "left the list, so they are not put back")
    _line("submitted", counts["submitted"], f"in {counted(len(run['batches']), 'file')}")
    if run["not_sent"]:
        ended = RunState(run["state"]).is_final
        _line("not sent", run["not_sent"], "the run ended before" if ended else "yet")
    _line("accepted", counts["accepted"], "by Constant Contact's counters")
    if counts["unsubscribed"]:
        _line("unsubscribed", counts["unsubscribed"], "opted out earlier: not put on the list")
    if counts["failed"]:
        _line("failed", counts["failed"], _unnamed(run))
    if run["to_remove"]:
        _line("taken off", counts["removed"], _of_those_who_left(run["to_remove"]))
    _print_errors(run)
    seconds = ", ".join(f"{stage} {took:.1f} s" for stage, took in run["timings"].items())
    print_text(f"  {seconds}")


def _line(name: str, count: int, remark: str = "") -> None:
    print_text(f"  {name:<13}{count:>12,}  {remark}".rstrip())


def reason(name: str) -> str:
    """A rejection's name and what it means."""
    said = reason_words(name)
    return f"{name} ({said[:1].lower()}{said[1:]})"


def reasons(rejections: Mapping[str, int]) -> str:
    """How many were left out for which reason, the most first."""
    return "; ".join(
        f"{count:,} {reason(name)}"
        for name, count in sorted(rejections.items(), key=lambda item: -item[1])
    )


def _of_those_who_left(people: int) -> str:
    return f"of {people:,} who are in none of the segments any more; they stay in the account"


def _cut(truncated: int) -> str:
    return f"{truncated:,} with a value cut to the length allowed" if truncated else ""


def _unnamed(run: Mapping[str, Any]) -> str:
    count = sum(batch["failed_unnamed"] for batch in run["batches"])
    return f"of {count:,} Constant Contact did not say which" if count else ""


def _print_errors(run: Mapping[str, Any]) -> None:
    for batch in run["batches"]:
        for text in batch["errors"][:_SHOWN_ERRORS]:
            print_text(f"  file {batch['number']}: {text}")
        more = len(batch["errors"]) - _SHOWN_ERRORS
        if more > 0:
            print_text(
                f"  file {batch['number']}: and {more:,} more (`runs show {run['id']} --json`)"
            )
