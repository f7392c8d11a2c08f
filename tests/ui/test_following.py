"""Runs and Exports draw themselves again when a live run has moved, and keep what was chosen on them."""

from __future__ import annotations

import pytest

from ccexport.installation import Installation
from ccexport.states import RunState
from ccexport.store.exports import ExportView
from ccexport.store.moves import Held
from ccexport.ui import live
from ccexport.ui.screens import following
from tests.kit.rows import run_row
from tests.ui.conftest import OpenPage


@pytest.mark.parametrize("name", ["runs", "exports"])
def test_a_page_follows_a_run_that_moves_and_then_stops(
    open_page: OpenPage,
    installation: Installation,
    export: ExportView,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    every: list[object] = []
    fragment = following.st.fragment

    def noted(*, run_every: object) -> object:
        every.append(run_every)
        return fragment(run_every=run_every)  # type: ignore[call-overload]  # as it is called

    monkeypatch.setattr(following.st, "fragment", noted)
    row = run_row(at=installation.now(), export_id=export.export.id)
    run = installation.runs.queue(row)
    installation.runs.claim("w1", run_id=run.id)
    test = open_page(name)
    assert every == [following.LOOK_EVERY_SECONDS]
    # the run ends between the page and its next look
    held, read = Held(run.id, "w1"), following.live_runs
    moves = iter([RunState.PREPARING, RunState.SUCCEEDED])

    def looks(key: str, ask: object) -> following.Moves:
        if (to := next(moves, None)) is RunState.PREPARING:
            installation.runs.move(held, to)
        elif to is not None:
            installation.runs.finish(held, to)
        return read()

    monkeypatch.setattr(live, "repeats", lambda: True)
    monkeypatch.setattr(live, "recent", looks)
    test.run()
    assert not test.exception
    assert every[-1] is None, "nothing is live any more"
    assert len(every) == 4, "drawn again once a move, and not after that"


def test_a_page_on_which_nothing_moves_is_not_drawn_again(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, export: ExportView
) -> None:
    drawn: list[object] = []
    monkeypatch.setattr(live, "repeats", lambda: True)
    monkeypatch.setattr(following.st, "rerun", lambda: drawn.append(1))
    assert not open_page("exports").exception
    assert drawn == []
