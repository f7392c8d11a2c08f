"""How the screens write numbers, times and states. Text alone: nothing here is drawn but `state_badge`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from ccexport.words import DASH, counted

EXPORT_STATES = {  # what people read, its colour and its icon
    "active": ("Active", "green", ":material/check_circle:"),
    "off": ("Off", "gray", ":material/pause_circle:"),
    "detached": ("Detached", "orange", ":material/link_off:"),
}
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def count(number: int | None) -> str:
    """`12,345`; a dash for what is not known."""
    return DASH if number is None else f"{number:,}"


def share(part: int, whole: int) -> str:
    """`12.3 %`; never 0 % or 100 % of what is not quite nothing or all; a dash of nothing."""
    if not whole:
        return DASH
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def ago(at: datetime | None, now: datetime) -> str:
    """`just now`, `5 minutes ago`, `in 2 hours`; a dash where there is none."""
    if at is None:
        return DASH
    seconds = round((now - at).total_seconds())
    unit = next(((name, size) for name, size in _UNITS if abs(seconds) >= size), None)
    if unit is None:
        return "just now" if seconds >= 0 else "in a moment"
    words = counted(abs(seconds) // unit[1], unit[0])
    return f"{words} ago" if seconds > 0 else f"in {words}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """`A, B, C and 4 more`; a dash for none. The names as they are: not for Markdown."""
    more = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {more:,} more" if more > 0 else shown or DASH


def state_badge(state: str) -> None:
    """The state of an export as a badge."""
    words, colour, icon = EXPORT_STATES[state]
    st.badge(words, color=colour, icon=icon)  # type: ignore[arg-type]  # one of Streamlit's colours
