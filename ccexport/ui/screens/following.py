"""Pages that list runs draw themselves again while runs are live, whenever one of them has moved.

The page is drawn whole and in place: what is ticked, typed and chosen stays, and so does how far one has scrolled.
Everybody who looks asks the store one small question, together once a second at most; while nothing moves no page is
drawn again.
"""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Person
from ccexport.ui import live, page

LOOK_EVERY_SECONDS = 3.0
Moves = tuple[tuple[int, str, str, int, int], ...]


def live_runs() -> Moves:
    """The live runs and how far they are; ask before the page reads what it shows."""
    return tuple(
        (run.id, str(run.state), str(run.waiting_for), run.prepared_count, run.submitted_count)
        for run in page.installation().runs.unfinished()
    )


def follow(shown: Moves, *, by: Person) -> None:
    """Last on a page that was drawn when the live runs were as in `shown`."""
    seconds = live.every(LOOK_EVERY_SECONDS)

    @st.fragment(run_every=seconds if shown else None)
    def look() -> None:
        if not live.repeats():
            return
        page.begin_again(by)
        is_moved = live.recent("live runs", live_runs) != shown
        if is_moved or live.is_too_often(seconds, LOOK_EVERY_SECONDS):
            st.rerun()

    look()
