"""JSON documents: every key and type that the interface promises; nothing else on standard output."""

from __future__ import annotations

import csv
import io
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ccexport.sandbox.server import RunningSandbox
from tests.commands.conftest import DELETED_LIST_ID
from tests.commands.running import Here, run_process, start_process
from tests.kit.house import LIST_ID, OTHER_LIST_ID, House, check_sums, people, write_source

COUNTS = {
    **dict.fromkeys(("read", "rejected", "prepared", "new", "changed", "unchanged"), int),
    **dict.fromkeys(("submitted", "accepted", "unsubscribed", "failed"), int),
    **dict.fromkeys(("removed", "suppressed", "truncated"), int),
}
NULLABLE_TEXT, NULLABLE_INT = (str, type(None)), (int, type(None))


class Time(str):
    """A time with milliseconds and Z."""


RUN: dict[str, Any] = {
    "id": int,
    "export": str,
    "connection": str,
    "list_id": str,
    "trigger": str,
    "mode": str,
    "resync": bool,
    "state": str,
    "error": NULLABLE_TEXT,
    "waiting_for": NULLABLE_TEXT,
    "waiting_until": (Time, type(None)),
    "guard": (dict, type(None)),
    "requested_by": str,
    "queued_at": Time,
    "started_at": Time,
    "finished_at": Time,
    "timings": {"preparing": float, "uploading": float, "confirming": float},
    "counts": COUNTS,
    "rejections": {"missing_email": int, "invalid_email": int, "duplicate": int},
}
BATCH: dict[str, Any] = {
    "number": int,
    "rows": int,
    "bytes": int,
    "state": str,
    "activity_id": str,
    "file_name": str,
    "attempts": int,
    "person_count": NULLABLE_INT,
    "error_count": NULLABLE_INT,
    "correctable_count": NULLABLE_INT,
    "unsubscribed_count": NULLABLE_INT,
    "failed": int,
    "failed_unnamed": int,
    "errors": [str],
}
PREVIEW: dict[str, Any] = {
    "export": str,
    "list_id": str,
    "counts": {
        **dict.fromkeys(("read", "rejected", "prepared", "truncated"), int),
        **dict.fromkeys(("new", "changed", "unchanged", "suppressed"), int),
    },
    "mapping_changed": bool,
    "asks_first": bool,
    "rejections": {"missing_email": int, "invalid_email": int, "duplicate": int},
    "files": int,
    "bytes": int,
    "requests": int,
    "seconds_at_least": int,
    "samples": [
        {
            "customer_id": str,
            "profile": dict,
            "contact": dict,
            "rejection": NULLABLE_TEXT,
            "sent_instead": NULLABLE_TEXT,
        }
    ],
}
CONNECTION: dict[str, Any] = {
    "name": str,
    "account": str,
    "organization": str,
    "state": str,
    "contributors": bool,
    "export_user": str,
    "agreed_by": str,
    "agreed_at": Time,
    "exports": int,
}
EXPORT: dict[str, Any] = {
    "name": str,
    "connection": str,
    "list_id": str,
    "segments": [str],
    "mapping": {"email": str, "first_name": str, "last_name": str},
    "mode": str,
    "schedule": str,
    "guard": str,
    "next_run_at": (Time, type(None)),
    "state": str,
    "last_run": (dict, type(None)),
}


def check(value: Any, shape: Any, where: str = "document") -> None:
    """The value has these keys and types; it may have further keys."""
    if isinstance(shape, dict):
        assert set(value) >= set(shape), where
        for key, below in shape.items():
            check(value[key], below, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for number, item in enumerate(value):
            check(item, shape[0], f"{where}[{number}]")
    elif Time in (kinds := shape if isinstance(shape, tuple) else (shape,)):
        assert (value is None and type(None) in kinds) or re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value
        ), where
    else:
        assert type(value) in kinds, f"{where} is {value!r}"


@pytest.fixture(scope="module")
def used_house(
    tmp_path_factory: pytest.TempPathFactory, stand_in: RunningSandbox
) -> Iterator[House]:
    """Twelve profiles, of which four are left out, one is cut; one run that succeeded."""
    house = House(tmp_path_factory.mktemp("used"), stand_in)
    profiles = people(12, first=101)
    profiles[1]["EMail"] = " "
    profiles[2]["EMail"] = "nobody@nowhere"
    profiles[3]["EMail"] = "PERSON101@example.com "
    profiles[4]["EMail"] = ""
    profiles[5]["FirstName"] = "Ä" * 60
    write_source(house.source, profiles)
    house.connect()
    house.add_export()
    house.run()
    yield house
    house.close()


def test_the_run_document(here: Here, used_house: House) -> None:
    outcome = here("runs", "show", "1", "--json", environment=used_house.environment())
    assert (outcome.code, outcome.err) == (0, "")
    document: Mapping[str, Any] = outcome.document
    check(document, RUN | {"batches": [BATCH]})
    check_sums(document)
    assert document["state"] == "succeeded"
    assert document["counts"] == {
        **dict.fromkeys(COUNTS, 0),
        **{"read": 12, "rejected": 4, "prepared": 8, "new": 8},
        **{"submitted": 8, "accepted": 8, "truncated": 1},
    }
    assert document["rejections"] == {"missing_email": 2, "invalid_email": 1, "duplicate": 1}
    assert [batch["rows"] for batch in document["batches"]] == [8]


def test_the_list_of_runs_is_run_documents_without_batches(here: Here, used_house: House) -> None:
    environment = used_house.environment()
    outcome = here("runs", "list", "--json", environment=environment)
    assert (outcome.code, outcome.err) == (0, "")
    check(outcome.document, [RUN])
    whole = here("runs", "show", "1", "--json", environment=environment).document
    assert outcome.document[-1] == {k: v for k, v in whole.items() if k != "batches"}
    of_export = here("runs", "list", "--export", "newsletter", "--json", environment=environment)
    assert of_export.document == outcome.document


def test_the_preview_document(here: Here, used_house: House) -> None:
    environment = used_house.environment()
    outcome = here("exports", "preview", "newsletter", "--json", environment=environment)
    assert (outcome.code, outcome.err) == (0, "")
    check(outcome.document, PREVIEW)
    run = here("runs", "show", "1", "--json", environment=environment).document
    for key in set(PREVIEW["counts"]) - {"new", "changed"}:
        assert outcome.document["counts"][key] == run["counts"][key]
    sent_before = run["counts"]["new"]
    assert outcome.document["counts"]["changed"] == sent_before == 8
    assert outcome.document["counts"]["new"] == 0
    assert outcome.document["rejections"] == run["rejections"]
    assert outcome.document["files"] == len(run["batches"])
    assert outcome.document["bytes"] == sum(batch["bytes"] for batch in run["batches"])
    samples = {sample["customer_id"]: sample for sample in outcome.document["samples"]}
    assert samples["0000104"]["rejection"] == "duplicate"
    assert samples["0000104"]["sent_instead"] == "0000101"
    assert samples["0000101"]["contact"]["email"] == "person101@example.com"
    none = here(
        "exports", "preview", "Newsletter", "--samples", "0", "--json", environment=environment
    )
    assert none.document["samples"] == []


def test_the_documents_of_connections_exports_segments_and_lists(
    here: Here, used_house: House
) -> None:
    environment = used_house.environment()
    connections = here("connections", "list", "--json", environment=environment).document
    check(connections, [CONNECTION])
    assert [(each["name"], each["state"], each["exports"]) for each in connections] == [
        ("Marketing", "connected", 1)
    ]
    exports = here("exports", "list", "--json", environment=environment).document
    check(exports, [EXPORT])
    check(exports[0]["last_run"], RUN)
    assert (exports[0]["schedule"], exports[0]["state"]) == ("refresh", "active")
    segments = here("segments", "list", "--json", environment=environment).document
    assert segments == [{"name": "All", "members": 12}]
    lists = here("connections", "lists", "Marketing", "--json", environment=environment).document
    assert {each["list_id"] for each in lists} >= {LIST_ID, OTHER_LIST_ID}
    assert DELETED_LIST_ID not in {each["list_id"] for each in lists}


def test_a_schedule_of_times_shows_the_next_one(here: Here, house: House) -> None:
    environment = house.environment()
    words = ["--connection", "Marketing", "--list-id", OTHER_LIST_ID, "--segment", "All"]
    words += ["--map", "email=EMail", "--schedule", "daily 06:30 Europe/Berlin"]
    assert here("exports", "add", "Daily", *words, environment=environment).code == 0
    off = [*words[:-1], "off"]
    assert here("exports", "add", "Off", *off, environment=environment).code == 0
    found = here("exports", "list", "--json", environment=environment).document
    states = {each["name"]: (each["state"], each["next_run_at"] is None) for each in found}
    assert states == {
        "Daily": ("active", False),
        "Newsletter": ("active", True),
        "Off": ("off", True),
    }


def test_a_segment_is_shown_with_its_attributes_and_masked_examples(
    here: Here, used_house: House
) -> None:
    outcome = here("segments", "show", "All", "--json", environment=used_house.environment())
    shape = {"name": str, "type": str, "fill_rate": float, "examples": [str]}
    check(outcome.document, {"name": str, "members": int, "attributes": [shape]})
    assert "example.com" not in outcome.out
    table = here("segments", "show", "All", environment=used_house.environment())
    assert table.out.startswith("All: 12 members\n")


def test_the_rejected_profiles_are_written_to_a_file_of_mode_0600(
    here: Here, used_house: House, tmp_path: Path
) -> None:
    environment = used_house.environment()
    path = tmp_path / "rejected.csv"
    path.write_text("what was there before, and readable by all")
    path.chmod(0o644)
    outcome = here("runs", "rejected", "1", "--output", str(path), environment=environment)
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith(f"4 rejected profiles written to {path}.")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["customer_id", "email", "reason", "sent_instead"]
    assert {(row[0], row[2], row[3]) for row in rows[1:]} == {
        ("0000102", "missing_email", ""),
        ("0000103", "invalid_email", ""),
        ("0000104", "duplicate", "0000101"),
        ("0000105", "missing_email", ""),
    }
    printed = here("runs", "rejected", "1", environment=environment)
    assert list(csv.reader(io.StringIO(printed.out))) == rows


def test_empty_lists_are_an_empty_array_and_tables_say_the_next_step(
    here: Here, used_house: House, tmp_path: Path
) -> None:
    environment = used_house.environment() | {
        "CCEXPORT_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"
    }
    for noun in ("runs", "exports", "connections"):
        assert here(noun, "list", "--json", environment=environment).document == []
        table = here(noun, "list", environment=environment)
        assert (table.code, table.out) == (0, "")
        assert table.err.startswith(f"There are no {noun} yet.")


def test_json_is_alone_on_standard_output_of_a_process(house: House) -> None:
    write_source(house.source, [{**people(1)[0], "LastName": "李小龙 🎉"}])
    environment = house.environment() | {"LC_ALL": "C", "CCEXPORT_LOG_LEVEL": "debug"}
    outcome = run_process(
        *("exports", "run", "Newsletter", "--wait", "--json"), environment=environment
    )
    assert outcome.code == 0
    check(outcome.document, RUN | {"batches": [BATCH], "rejections": {}})
    assert "1 of 1 file done" in outcome.err
    preview = run_process("exports", "preview", "Newsletter", "--json", environment=environment)
    assert preview.document["samples"][0]["contact"]["last_name"] == "李小龙 🎉"
    assert "person1@example.com" not in outcome.err + preview.err


def test_a_reader_that_has_had_enough_is_no_error(quiet_house: House) -> None:
    words = ("connections", "list", "--json")
    with start_process(*words, environment=quiet_house.environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_people_find_and_runs_retry_print_their_documents(here: Here, house: House) -> None:
    keys = {"on": "contactsCSVImport", "do": "reject_rows", "lines": [3]}
    house.tell("/_sandbox/behaviour", faults=[keys])
    house.run()
    environment = house.environment()
    found = here("people", "find", "Person2@example.com", "--json", environment=environment)
    assert (found.code, found.err) == (0, "")
    shape = {"run": int, "export": str, "at": Time, "outcome": str, "detail": str}
    ledger = {"export": str, "list_id": str, "state": str, "since": Time}
    document = {"email": str, "customer_ids": [str], "runs": [shape], "ledgers": [ledger]}
    check(found.document, document)
    assert found.document["ledgers"] == [], "the row failed, so nobody was placed"
    assert found.document["runs"][0]["outcome"] == "failed"
    table = here("people", "find", "person2@example.com", environment=environment)
    assert "failed" in table.out
    retry = here("runs", "retry", "1", "--json", environment=environment)
    assert (retry.code, retry.document["state"]) == (0, "queued")
    assert (retry.document["trigger"], retry.document["retry_of"]) == ("retry", 1)
    assert "1 contact that failed in run 1" in retry.err
    again = here("runs", "retry", "1", environment=environment)
    assert (again.code, again.out) == (1, "")
    assert re.search(r"^Run 2 .*still live.*\n$", again.err)


def test_a_downloaded_cell_is_not_run_as_a_formula_and_constant_contact_gets_it_as_it_is(
    here: Here, house: House, tmp_path: Path
) -> None:
    profiles = people(1)
    profiles[0]["FirstName"] = "=1+1"
    left_out = [
        {**people(1)[0], "CustomerId": f"{sign}cmd{number}", "EMail": f"{sign}x"}
        for number, sign in enumerate("=+-@")
    ]
    write_source(house.source, [*profiles, *left_out])
    house.run()
    path = tmp_path / "rejected.csv"
    here("runs", "rejected", "1", "--output", str(path), environment=house.environment())
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))[1:]
    assert sorted(row[0] for row in rows) == [
        f"'{sign}cmd{n}" for sign, n in zip("+-=@", (1, 2, 0, 3), strict=True)
    ]
    assert all(row[1].startswith("'") for row in rows)
    printed = here("runs", "rejected", "1", environment=house.environment()).out
    assert {row[0] for row in csv.reader(printed.splitlines()[1:])} == {
        row["CustomerId"] for row in left_out
    }
    assert house.members()["person1@example.com"]["first_name"] == "=1+1"
