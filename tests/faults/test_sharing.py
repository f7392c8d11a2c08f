"""A connection that does not answer costs the others nothing."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from ccexport.clock import utc_now
from ccexport.constantcontact.model import Activity
from ccexport.errors import ServiceTrouble
from ccexport.runs.tools import ActivityBoard
from ccexport.worker import MAX_RUNS_OF_A_CONNECTION, _Shares
from tests.kit.house import OTHER_LIST_ID, House

HUNG_SECONDS = 4.0


def test_a_connection_that_does_not_answer_before_preparing_holds_up_no_other(
    house: House,
) -> None:
    house.add_export("Slow", list_id=OTHER_LIST_ID)
    house.tell(
        "/_sandbox/behaviour",
        faults=[
            {
                "on": f"GET /v3/contact_lists/{OTHER_LIST_ID}",
                "do": "delay",
                "delay_seconds": HUNG_SECONDS,
            }
        ],
    )
    slow, quick = house.queue("Slow"), house.queue()
    house.work()
    documents = {run_id: house.document(run_id) for run_id in (slow, quick)}
    assert {document["state"] for document in documents.values()} == {"succeeded"}
    (hung,) = [each for each in house.requests("getList") if each["fault"] == "delay"]
    ended = datetime.fromisoformat(documents[quick]["finished_at"]).timestamp()
    assert ended < hung["at"] + HUNG_SECONDS


def test_a_connection_takes_half_of_the_places_of_a_worker() -> None:
    shares = _Shares()
    for run_id in range(MAX_RUNS_OF_A_CONNECTION):
        assert shares.used_up(range(run_id)) == []
        shares.taken(run_id, 7)
    alive = set(range(MAX_RUNS_OF_A_CONNECTION))
    assert shares.used_up(alive) == [7]
    assert shares.used_up(alive - {3}) == []


def test_a_connection_in_trouble_is_tried_by_one_run_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = [100.0]
    monkeypatch.setattr("ccexport.worker.time.monotonic", lambda: seconds[0])
    shares = _Shares()
    shares.taken(1, 7)
    shares.taken(2, 7)
    shares.ended(1, trouble=True)
    seconds[0] += 1
    assert shares.used_up([2]) == [], "run 2 began before the trouble and tries nothing"
    shares.taken(3, 7)
    assert shares.used_up([2, 3]) == [7]
    shares.ended(3, trouble=True)
    assert shares.used_up([2]) == []
    shares.taken(4, 7)
    seconds[0] += 1000
    assert shares.used_up([2, 4]) == [], "a run that works for so long is being answered"
    shares.ended(4, trouble=False)
    shares.taken(5, 7)
    assert shares.used_up([2, 5]) == []


class _Silent:
    """A client whose look at the activities fails once everybody waits for it."""

    def __init__(self) -> None:
        self.asked = 0
        self.everybody_waits = threading.Event()

    def activities(self, until: object) -> list[Activity]:
        self.asked += 1
        assert self.everybody_waits.wait(30)
        raise ServiceTrouble("no answer", retry_after_seconds=3)


def test_a_look_that_fails_is_not_repeated_by_each_who_waited_for_it() -> None:
    client, board, now = _Silent(), ActivityBoard(), utc_now()
    failed: list[float | None] = []

    def look() -> None:
        try:
            board.look(1, client, not_before=now, wanted={"a.csv"})  # type: ignore[arg-type]  # all that a look asks of a client
        except ServiceTrouble as error:
            failed.append(error.retry_after_seconds)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    while board.asked < len(threads):
        threads[0].join(0.01)
    client.everybody_waits.set()
    for thread in threads:
        thread.join()
    assert failed == [3.0] * 4
    assert client.asked == 1
