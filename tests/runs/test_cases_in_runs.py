"""Sources that went wrong elsewhere, by a whole run; the numbers are those of a list of such cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.errors import SourceError
from ccexport.sandbox.server import running_sandbox
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.runs.runs import Runs
from tests.kit.house import ANA, House, behaviour, people, write_source


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url)
        house.connect()
        yield house
        house.close()


def test_a_nul_costs_its_own_row_and_the_store_keeps_what_is_said_of_it(house: House) -> None:
    """C10."""
    profiles = people(3)
    profiles[0]["FirstName"] = "An\0a"
    profiles[1]["EMail"] = "b\0en@example.com"
    keys = [each["CustomerId"] for each in profiles]
    write_source(
        house.source, profiles, [(key, name) for key in keys for name in ("All", "Ne\0ws")]
    )
    with pytest.raises(SourceError, match='segment "Ne ws" has a NUL in its name'):
        house.set_up_export(segments=("All", "Ne\0ws"))
    house.add_export()
    Refreshes(house.installation).refresh(by=ANA)
    house.work()  # a refresh starts the export
    document = house.document(1)
    assert document["state"] == "succeeded"
    assert document["rejections"] == {"invalid_email": 1}
    [rejected] = Runs(house.installation).rejected(document["id"], by=ANA)
    assert (rejected[0], rejected[2]) == (keys[1], "invalid_email")
    assert house.members()["person1@example.com"]["first_name"] == "An a"
    assert len(house.members()) == 2


@pytest.mark.one_store
def test_members_of_whom_nobody_has_a_profile_are_not_called_none(house: House) -> None:
    """C14: it is said by the run, and a key of each side by its timeline."""
    write_source(house.source, people(2), [("1", "All"), ("2", "All")])
    house.add_export()
    document = house.run()
    assert document["state"] == "skipped"
    assert "no members with a profile" in document["error"]
    assert "write a key alike" in document["error"]
    said = [event.detail for event in house.installation.runs.events(document["id"])]
    assert (
        '2 members have no profile, of 2: such as "1", while profiles have keys such as "0000001".'
        in said
    )
