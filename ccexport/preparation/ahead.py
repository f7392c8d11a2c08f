"""Work ahead: a generator is run in a thread of its own, a few items before they are asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

Item = TypeVar("Item")
_PATIENCE_SECONDS = 0.1  # how soon the thread sees that nobody waits for it any more


def work_ahead(items: Generator[Item, None, None], most: int) -> Generator[Item, None, None]:
    """Yield the items in their order, up to `most` of them made in advance. Raises what making them raises.

    When the generator is closed early, the thread has ended (and `items` is closed) before `close` returns.
    """
    made: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=most)
    unwanted = threading.Event()
    maker = threading.Thread(
        target=_make, args=(items, made, unwanted), name="prepare", daemon=True
    )
    maker.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only beside an error
    finally:
        unwanted.set()
        maker.join()


def _make(
    items: Generator[Item, None, None],
    made: queue.Queue[tuple[Item | None, BaseException | None]],
    unwanted: threading.Event,
) -> None:
    with closing(items):
        try:
            for item in items:
                if not _put(made, (item, None), unwanted):
                    return
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised where the items are used
            _put(made, (None, error), unwanted)
        else:
            _put(made, (None, StopIteration()), unwanted)


def _put(
    made: queue.Queue[tuple[Item | None, BaseException | None]],
    entry: tuple[Item | None, BaseException | None],
    unwanted: threading.Event,
) -> bool:
    """Whether the entry was put before the items became unwanted."""
    while not unwanted.is_set():
        try:
            made.put(entry, timeout=_PATIENCE_SECONDS)
        except queue.Full:
            continue
        return True
    return False
