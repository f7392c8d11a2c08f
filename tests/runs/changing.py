"""Sources that change, people who are put on a list by hand, and what runs say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.runs.runs import Runs
from tests.kit.house import (
    ANA,
    LIST_ID,
    MAPPING,
    House,
    check_sums,
)
from tests.kit.waiting import wait_until


def counts(document: Mapping[str, Any]) -> dict[str, int]:
    check_sums(document)
    return {n: document["counts"][n] for n in ("new", "changed", "unchanged", "suppressed")}


def renamed(profiles: Sequence[Mapping[str, str]], *numbers: int) -> list[dict[str, str]]:
    return [
        {**profile, "FirstName": f"Other{n}"} if n in numbers else dict(profile)
        for n, profile in enumerate(profiles, 1)
    ]


def said(house: House, run_id: int, what: str) -> list[str]:
    return [e.detail for e in Runs(house.installation).events(run_id) if e.what == what]


def put_on_by_hand(house: House, email: str) -> None:
    connection = house.installation.connections.by_name("Marketing")
    with closing(house.installation.client_for(connection.id)) as client:
        client.import_contacts("by-hand.csv", f"email\r\n{email}\r\n".encode(), LIST_ID)
    wait_until(lambda: email in house.members(), "they are on the list")


def change(house: House, name: str, **values: str) -> None:
    draft = {
        **{"list_id": LIST_ID, "mode": "changes", "mapping": MAPPING[1]},
        **{"segment": "All", "connection": "Marketing", "guard": "20", **values},
    }
    mapping = parse_mapping([MAPPING[0], draft["mapping"], MAPPING[2]])
    found = ExportDraft(
        name,
        draft["connection"],
        draft["list_id"],
        [draft["segment"]],
        mapping,
        draft["mode"],
        guard=draft["guard"],
    )
    Exports(house.installation).update(name, found, by=ANA)
