"""Installation of pages that draw themselves again while one looks: what many people at once may cost.

A run goes on beside the pages on the same machine. So what all of them show is read once a second for everybody, and
the more people look, the longer each page waits between two looks. Nothing here may hold anything of a person.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

LOOKS_PER_SECOND = 20  # of all people together, by their quickest parts
RECENT_SECONDS = 1.0
GONE_SECONDS = 120.0  # a session that has not looked for so long is gone
MAX_KEPT = 1_000

Found = TypeVar("Found")


class Looks:
    """Who looks, and what was found lately. One for the process; sessions are threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen_at: dict[str, float] = {}
        self._found: dict[Hashable, tuple[float, Any]] = {}
        self._being_read: dict[Hashable, threading.Lock] = {}

    def seen(self, session: str) -> int:
        """This session looks; how many do."""
        now = self._clock()
        with self._lock:
            self._seen_at[session] = now
            if min(self._seen_at.values()) < now - GONE_SECONDS:
                kept = {k: at for k, at in self._seen_at.items() if at >= now - GONE_SECONDS}
                self._seen_at = kept
            return len(self._seen_at)

    def recent(self, key: Hashable, read: Callable[[], Found]) -> Found:
        """What was found within the last second, by whomever; else it is read, by one for all who wait for it."""
        if (kept := self._kept(key)) is None:
            with self._lock:
                turn = self._being_read.setdefault(key, threading.Lock())
            with turn:
                if (kept := self._kept(key)) is None:
                    kept = self._keep(key, read())
        found: Found = kept[1]
        return found

    def _kept(self, key: Hashable) -> tuple[float, Any] | None:
        kept = self._found.get(key)
        return kept if kept and kept[0] > self._clock() - RECENT_SECONDS else None

    def _keep(self, key: Hashable, found: object) -> tuple[float, Any]:
        with self._lock:
            if len(self._found) >= MAX_KEPT:
                self._found.clear()
                self._being_read.clear()
            self._found[key] = kept = (self._clock(), found)
            return kept


@st.cache_resource(show_spinner=False)
def _looks() -> Looks:
    return Looks()


def every(seconds: float) -> float:
    """How often a part may draw itself again: as asked for, less often while many look."""
    context = get_script_run_ctx()
    looking = _looks().seen(context.session_id) if context else 1
    return max(seconds, round(seconds / 2 * looking / LOOKS_PER_SECOND, 1))


def is_too_often(seconds: float, asked: float) -> bool:
    """Whether a part that began with `seconds` should begin anew, since far more or far fewer people look now."""
    now = every(asked)
    return now > 2 * seconds or now < seconds / 2


def repeats() -> bool:
    """Whether a part draws itself again now, and not the whole page, as after something that a person did."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def recent(key: Hashable, read: Callable[[], Found]) -> Found:
    """`read()`; where a part draws itself again, what that gave somebody within the last second."""
    return _looks().recent(key, read) if repeats() else read()
