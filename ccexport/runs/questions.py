"""Ends the reading of a source whose answer nobody wants: the run is canceled, or its process ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ccexport.errors import CcexportError, SourceError
from ccexport.runs.listing import CancelAsked
from ccexport.runs.tools import StopAsked, Tools
from ccexport.segments.source import Source
from ccexport.segments.steadiness import Pause
from ccexport.store.moves import Held

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


@contextmanager
def ending_when_asked(source: Source, held: Held, tools: Tools) -> Iterator[None]:
    """While the block lasts, look at whether to go on. Raises `CancelAsked` and `StopAsked` where it is not."""
    done, ended = threading.Event(), threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            if _is_over(held, tools):
                ended.set()
                source.interrupt()

    watching = threading.Thread(target=look, name="questions", daemon=True)
    watching.start()
    try:
        yield
    except SourceError:
        if not ended.is_set():
            raise
        log.info("run %d: its source's question was ended", held.run_id)
        raise (StopAsked if tools.sleep(0) else CancelAsked) from None
    finally:
        done.set()
        watching.join()


def pause_while_wanted(held: Held, tools: Tools) -> Pause:
    """A sleep for a source that is read piece by piece; to end the reading it raises `CancelAsked` and `StopAsked`.

    No question of an engine is in hand while pages of a web service come in, which `ending_when_asked` could end.
    """

    def pause(seconds: float) -> None:
        while True:
            if _is_canceled(held, tools):
                raise CancelAsked
            piece = min(seconds, LOOK_SECONDS)
            tools.pause(piece)
            seconds -= piece
            if seconds <= 0:
                return

    return pause


def _is_over(held: Held, tools: Tools) -> bool:
    return tools.sleep(0) or _is_canceled(held, tools)


def _is_canceled(held: Held, tools: Tools) -> bool:
    try:
        return tools.runs.get(held.run_id).cancel_requested_by is not None
    except CcexportError:
        return False  # it is asked again
