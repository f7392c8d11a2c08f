"""Working ahead changes neither the items, nor their order, nor what is raised."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from ccexport.preparation.ahead import work_ahead


def count_to(last: int, closed: list[bool] | None = None) -> Generator[int, None, None]:
    try:
        yield from range(last)
    finally:
        if closed is not None:
            closed.append(True)


@pytest.mark.parametrize("most", [1, 3, 100])
def test_all_items_come_in_order(most: int) -> None:
    assert list(work_ahead(count_to(50), most)) == list(range(50))


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise KeyError("broken")

    items = work_ahead(failing(), 2)
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_a_generator_closed_early_leaves_no_thread_and_closes_the_maker() -> None:
    closed: list[bool] = []
    items = work_ahead(count_to(10**9, closed), 2)
    assert next(items) == 0
    items.close()
    assert closed == [True]
    assert not [thread for thread in threading.enumerate() if thread.name == "prepare"]
