"""A process killed while it sends one profile as a test: list and ledger are exact after the next run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ccexport.services.exports.sending_one import SendingOne
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import KILLED, Doom, commits_of, send_one_in_process
from tests.kit.house import ANA, people, write_source
from tests.runs.changing import change, counts

REFUSED = [{"on": "contactsCSVImport", "do": "reject_rows", "lines": [2], "messages": ["Invalid"]}]
NOTHING: list[dict[str, Any]] = []
KILLS = [  # (where, what goes wrong, whether they are on the list then, what the next run makes of them)
    (Doom("before", "OneSentStore.begin"), NOTHING, False, "new"),
    (Doom("after", "OneSentStore.begin"), NOTHING, False, "new"),
    (Doom("before", "OneSentStore.confirm"), NOTHING, True, "changed"),  # may not have arrived
    (Doom("after", "OneSentStore.confirm"), NOTHING, True, "unchanged"),
    (Doom("before", "OneSentStore.take_back"), REFUSED, False, "new"),
    (Doom("after", "OneSentStore.take_back"), REFUSED, False, "new"),
]
MORE = people(len(KILLS), first=21)


def more_people(crash: CrashHouse) -> None:
    """Twenty people are on the list, and some more in the segment."""
    change(crash.house, "Newsletter")
    assert counts(crash.house.run())["new"] == 20
    write_source(crash.house.source, [*crash.profiles, *MORE])


def test_whose_sending_was_killed_is_neither_lost_nor_taken_for_one_who_left(
    crash_house: Callable[..., CrashHouse],
) -> None:
    crash = crash_house()
    house = crash.house
    more_people(crash)
    expected = {"new": 0, "changed": 0, "unchanged": 20, "suppressed": 0}
    for person, (doom, faults, is_on, found) in zip(MORE, KILLS, strict=True):
        house.tell("/_sandbox/behaviour", faults=faults)
        assert send_one_in_process(house.environment(), person["CustomerId"], doom) == KILLED
        assert (person["EMail"] in house.members()) is is_on, str(doom)
        expected[found] += 1
    house.tell("/_sandbox/behaviour", faults=[])
    assert counts(house.run()) == expected
    assert len(house.members()) == 26
    assert counts(house.run())["unchanged"] == 26


@pytest.mark.one_store
def test_every_commit_of_a_test_has_its_kill(crash_house: Callable[..., CrashHouse]) -> None:
    crash = crash_house()
    more_people(crash)
    sending = SendingOne(crash.house.installation)

    def send() -> None:
        for faults in (REFUSED, NOTHING):
            crash.house.tell("/_sandbox/behaviour", faults=faults)
            ready = sending.prepare("Newsletter", MORE[0]["CustomerId"], by=ANA)
            sending.follow(sending.send(ready, by=ANA))

    made = {name for name in commits_of(send) if not name.startswith("BudgetStore")}
    assert made == {doom.name for doom, *_ in KILLS}
