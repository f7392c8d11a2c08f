"""What many people at once cost: read once for all, and the less often the more of them look."""

from __future__ import annotations

import threading

import pytest

from ccexport.ui import live
from ccexport.ui.live import GONE_SECONDS, LOOKS_PER_SECOND, RECENT_SECONDS, Looks
from tests.kit.clocks import Seconds


@pytest.fixture
def looks(seconds: Seconds) -> Looks:
    return Looks(seconds)


def test_what_was_found_within_a_second_is_not_read_again(looks: Looks, seconds: Seconds) -> None:
    numbers = iter(range(10))
    assert [looks.recent("a", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]
    assert looks.recent("b", lambda: next(numbers)) == 1
    seconds.now += RECENT_SECONDS
    assert looks.recent("a", lambda: next(numbers)) == 2


def test_nothing_found_is_an_answer_too(looks: Looks) -> None:
    answers = iter([None, "another"])
    assert [looks.recent("a", lambda: next(answers)) for _ in range(2)] == [None, None]


def test_what_fails_is_not_kept(looks: Looks) -> None:
    def fail() -> str:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        looks.recent("a", fail)
    assert looks.recent("a", lambda: "there") == "there"


def test_many_at_once_are_answered_by_one_reading(looks: Looks) -> None:
    reading, may_end = threading.Event(), threading.Event()
    read: list[int] = []
    answers: list[str] = []

    def slowly() -> str:
        read.append(1)
        reading.set()
        may_end.wait(30)
        return "found"

    threads = [
        threading.Thread(target=lambda: answers.append(looks.recent("a", slowly)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    assert reading.wait(30)
    may_end.set()
    for thread in threads:
        thread.join(30)
    assert (read, answers) == ([1], ["found"] * 20)


def test_memory_is_bounded(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_KEPT", 3)
    for number in range(10):
        looks.recent(number, lambda: "x")
    assert len(looks._found) <= 3
    assert len(looks._being_read) <= 4


def test_sessions_that_have_gone_are_not_counted(looks: Looks, seconds: Seconds) -> None:
    assert [looks.seen(name) for name in ("a", "b", "a")] == [1, 2, 2]
    seconds.now += GONE_SECONDS - 1
    assert looks.seen("b") == 2
    seconds.now += 2
    assert looks.seen("b") == 1


@pytest.mark.parametrize(
    ("looking", "asked", "expected"),
    [(1, 2, 2), (10, 2, 2), (20, 2, 2), (200, 2, 10.0), (200, 5, 25.0), (10, 5, 5)],
)
def test_the_more_people_look_the_less_often_a_part_is_drawn(
    monkeypatch: pytest.MonkeyPatch, looking: int, asked: float, expected: float
) -> None:
    monkeypatch.setattr(live, "_looks", lambda: _Looking(looking))
    monkeypatch.setattr(live, "get_script_run_ctx", lambda: _Context())
    assert live.every(asked) == expected
    assert looking / live.every(2) <= LOOKS_PER_SECOND


def test_a_part_begins_anew_when_far_more_or_fewer_people_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "get_script_run_ctx", lambda: _Context())
    monkeypatch.setattr(live, "_looks", lambda: _Looking(200))
    assert live.is_too_often(2, asked=2)
    assert not live.is_too_often(10, asked=2)
    monkeypatch.setattr(live, "_looks", lambda: _Looking(2))
    assert live.is_too_often(10, asked=2)
    assert not live.is_too_often(2, asked=2)


class _Context:
    session_id = "me"
    fragment_ids_this_run = ("part",)


class _Looking:
    def __init__(self, number: int) -> None:
        self._number = number

    def seen(self, _session: str) -> int:
        return self._number
