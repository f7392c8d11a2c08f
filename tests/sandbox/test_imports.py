"""Imports over HTTP: what is refused, what is dropped, who is on the list afterwards."""

import json
from typing import Any

import pytest

from ccexport.sandbox.account.activities import Activity, Report
from tests.sandbox.conftest import Account, OpenAccount

PEOPLE = "email,first_name,last_name,cf:Loyalty_tier\r\nana@example.com,Ana,Silva,Gold\r\nBo@Example.com,Bo,,\r\n"


def test_people_of_a_file_are_on_the_list_afterwards(account: Account) -> None:
    done = account.import_now(PEOPLE)
    assert done["state"] == "completed"
    assert done["source_file_name"] == "run1-0001.csv"
    assert done["status"] == {
        "items_total_count": 3,
        "items_completed_count": 3,
        "person_count": 2,
        "error_count": 0,
        "correctable_count": 0,
        "cannot_add_to_list_count": 0,
    }
    ana, bo = account.members()
    assert (ana["email_address"], ana["first_name"], ana["last_name"]) == (
        "ana@example.com",
        "Ana",
        "Silva",
    )
    assert ana["custom_fields"] == {"Loyalty_tier": "Gold"}
    assert (bo["email_address"], bo["custom_fields"], "last_name" in bo) == (
        "bo@example.com",
        {},
        False,
    )


def test_the_first_answer_knows_no_counters_yet(account: Account) -> None:
    answer = account.upload(PEOPLE)
    assert answer.status_code == 201
    first = answer.json()
    assert first["state"] == "initialized"
    assert first["activity_errors"] == []
    assert set(first["status"].values()) == {0}
    assert first["_links"]["self"]["href"] == f"/v3/activities/{first['activity_id']}"


def test_an_import_goes_from_initialized_over_processing_to_completed(
    open_account: OpenAccount,
) -> None:
    account = open_account(processing_seconds=100)
    account.sign_in()
    started = account.upload("email\na@example.com\n").json()
    path = f"/activities/{started['activity_id']}"
    seen = []
    for seconds in (0, 24, 2, 73, 1):
        account.clock.advance(seconds)
        activity = account.get(path).json()
        seen.append((activity["state"], activity["percent_done"], len(account.emails())))
    assert seen == [
        ("initialized", 1, 0),
        ("initialized", 24, 0),
        ("processing", 26, 0),
        ("processing", 99, 0),
        ("completed", 100, 1),
    ]


def test_imports_are_processed_side_by_side(open_account: OpenAccount) -> None:
    account = open_account(processing_seconds=100)
    account.sign_in()
    for n in range(20):
        account.upload(f"email\np{n}@example.com\n")
    account.clock.advance(100)
    states = {one["state"] for one in account.get("/activities").json()["activities"]}
    assert states == {"completed"}


def test_a_second_import_changes_what_it_brings_and_nothing_else(account: Account) -> None:
    account.import_now(PEOPLE)
    account.import_now("email,first_name,city\nANA@example.com,,Porto\nbo@example.com,Robert,\n")
    ana, bo = account.members()
    assert (ana["first_name"], ana["last_name"], ana["city"]) == ("Ana", "Silva", "Porto")
    assert bo["first_name"] == "Robert"
    assert "city" not in bo


def test_one_address_twice_in_a_file_is_one_contact(account: Account) -> None:
    done = account.import_now("email,first_name\na@example.com,One\nA@EXAMPLE.com,Two\n")
    assert done["status"]["person_count"] == 2
    assert [one["first_name"] for one in account.members()] == ["Two"]


def test_who_opted_out_is_counted_and_not_on_the_list(open_account: OpenAccount) -> None:
    account = open_account(unsubscribed=["Out@example.com"])
    account.sign_in()
    done = account.import_now("email\nin@example.com\nout@example.com\nunsubscribed@example.com\n")
    assert done["status"]["cannot_add_to_list_count"] == 2
    assert done["status"]["error_count"] == 0
    assert account.emails() == ["in@example.com"]


def test_who_left_the_list_is_put_back(account: Account) -> None:
    account.import_now(PEOPLE)
    answer = account.turn("leave", email="ana@example.com", list_id=account.newsletter)
    assert answer.status_code == 200
    assert account.emails() == ["bo@example.com"]
    account.import_now(PEOPLE)
    assert account.emails() == ["ana@example.com", "bo@example.com"]


def test_correctable_rows_and_errors_are_counted_and_told_by_line(account: Account) -> None:
    done = account.import_now(
        "email,first_name\na@example.com,A\nwrong,B\n,\n,C\nb@example.com," + "x" * 51 + "\n"
    )
    assert done["state"] == "completed"
    status = done["status"]
    assert (status["items_total_count"], status["person_count"]) == (6, 5)
    assert (status["correctable_count"], status["error_count"]) == (2, 2)
    assert done["activity_errors"] == [
        "Line 3: Invalid email address",
        "Line 4: no name and no email address",
        "Line 5: email address is missing",
        "Line 6: first_name is longer than 50 characters",
    ]
    assert account.emails() == ["a@example.com"]


def test_an_import_into_several_lists_is_one_text_part(account: Account) -> None:
    both = [entry.list_id for entry in account.state.lists.all()]
    account.import_now(PEOPLE, lists=",".join(both))
    assert [len(account.emails(one)) for one in both] == [2, 2]


@pytest.mark.parametrize(
    "lists",
    [
        "",
        "11111111-1111-1111-1111-111111111111",
        '["{0}"]',
        ",".join(["{0}"] * 51),
        "{0},nonsense",
    ],
)
def test_list_ids_have_to_be_ids_of_lists(account: Account, lists: str) -> None:
    answer = account.upload(PEOPLE, lists=lists.replace("{0}", account.newsletter))
    assert answer.status_code == 400
    assert answer.json()[0]["error_key"] == "contacts.api.validation.error"


def test_list_ids_in_several_parts_are_refused(account: Account) -> None:
    ids = [("list_ids", (None, entry.list_id)) for entry in account.state.lists.all()]
    files = [("file", ("a.csv", PEOPLE, "text/csv")), *ids]
    answer = account.call("POST", "/activities/contacts_file_import", files=files)
    assert answer.status_code == 400


def test_a_deleted_list_takes_no_import(open_account: OpenAccount) -> None:
    account = open_account(lists=[{"name": "Old", "deleted": True}])
    account.sign_in()
    assert account.upload(PEOPLE).status_code == 400


@pytest.mark.parametrize(
    ("name", "part_type"), [("run.txt", "text/csv"), ("run", "text/csv"), ("run.csv", "text/plain")]
)
def test_a_file_that_is_not_called_csv_is_415(account: Account, name: str, part_type: str) -> None:
    assert account.upload(PEOPLE, name=name, part_type=part_type).status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "text/csv"])
def test_a_content_type_set_by_hand_is_415(account: Account, content_type: str) -> None:
    answer = account.call(
        "POST",
        "/activities/contacts_file_import",
        data=PEOPLE.encode(),
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == 415


def test_a_missing_file_part_is_415(account: Account) -> None:
    files = {"list_ids": (None, account.newsletter)}
    answer = account.call("POST", "/activities/contacts_file_import", files=files)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "header", ["\ufeffemail", "Email", "email,nickname", "email,cf:Loyalty tier"]
)
def test_an_unknown_column_refuses_the_file(account: Account, header: str) -> None:
    answer = account.upload(f"{header}\na@example.com\n")
    assert answer.status_code == 400
    assert answer.json()[0]["error_key"] == "contacts.api.validation.error"


def test_what_is_beyond_40000_lines_is_dropped_without_a_word(account: Account) -> None:
    rows = "".join(f"p{n}@example.com\n" for n in range(40_010))
    done = account.import_now(f"email\n{rows}")
    assert (done["status"]["items_total_count"], done["status"]["person_count"]) == (40_000, 39_999)
    assert done["activity_errors"] == []
    assert (
        len(account.inspect("members", list=account.newsletter, format="emails").json()) == 39_999
    )


def test_what_is_beyond_four_million_bytes_of_the_body_is_dropped(account: Account) -> None:
    row = "p{:05d}@example.com," + "x" * 50 + "," + "y" * 50 + "\n"
    rows = [row.format(n) for n in range(39_000)]
    done = account.import_now("email,first_name,last_name\n" + "".join(rows))
    assert done["state"] == "completed"
    fits = (4_000_000 - len("email,first_name,last_name\n")) // len(rows[0])
    assert fits - 10 <= done["status"]["person_count"] <= fits
    assert done["status"]["error_count"] == 0


def test_the_thousand_and_first_activity_is_refused(open_account: OpenAccount) -> None:
    account = open_account(processing_seconds=100)
    account.sign_in()
    now = account.clock.now
    for _ in range(999):
        account.state.activities.add(Activity("other", now, now + 100, {}, Report))
    assert [account.upload("email\na@example.com\n").status_code for _ in range(2)] == [201, 429]
    answer = account.post("/activities/contact_delete", {"list_ids": [account.newsletter]})
    assert (answer.status_code, "1,000 queued" in answer.text) == (429, True)
    account.clock.advance(100)
    account.get("/activities")
    assert account.upload("email\na@example.com\n").status_code == 201


def _json_import(account: Account, records: Any, **changes: Any) -> Any:
    body = {"import_data": records, "list_ids": [account.newsletter]} | changes
    return account.post("/activities/contacts_json_import", body)


def test_json_takes_typed_phones_and_places(account: Account) -> None:
    done = account.finish(
        _json_import(
            account,
            [
                {
                    "email": "ana@example.com",
                    "birthday_month": 2,
                    "birthday_day": 29,
                    "mobile_phone": "555",
                    "work_city": "Porto",
                    "cf:Loyalty_tier": "Gold",
                },
                {"email": "bo@example.com"},
            ],
        )
    )
    assert done["status"]["person_count"] == 2
    assert "source_file_name" not in done
    include = "phone_numbers,street_addresses,custom_fields"
    ana = account.get("/contacts", email="ana@example.com", include=include).json()["contacts"][0]
    assert ana["phone_numbers"] == [{"phone_number": "555", "kind": "mobile"}]
    assert ana["street_addresses"] == [{"kind": "work", "city": "Porto"}]
    assert ana["custom_fields"][0]["value"] == "Gold"
    assert (ana["birthday_month"], ana["birthday_day"]) == (2, 29)


@pytest.mark.parametrize(
    "record",
    [
        {"email": "x" * 39 + "@example.com"},
        {"email": "a@example.com", "first_name": None},
        {"email": "a@example.com", "birthday_month": "2"},
        {"email": "a@example.com", "nickname": "A"},
        {"email": "a@example.com", "cf:unknown": "A"},
        {"email_address": {"address": "a@example.com"}},
        {"first_name": "A"},
    ],
)
def test_one_bad_record_refuses_all_of_a_json_import(account: Account, record: Any) -> None:
    answer = _json_import(account, [{"email": "good@example.com"}, record])
    assert answer.status_code == 400
    assert "/import_data/1" in answer.json()[0]["error_message"]


@pytest.mark.parametrize("lists", [[], "one", ["11111111-1111-1111-1111-111111111111"], None])
def test_json_wants_a_real_array_of_lists(account: Account, lists: Any) -> None:
    answer = _json_import(account, [{"email": "a@example.com"}], list_ids=lists)
    assert answer.status_code == 400


def test_json_beyond_four_million_bytes_is_dropped(account: Account) -> None:
    records = [{"email": f"p{n:05d}@example.com", "first_name": "x" * 50} for n in range(50_000)]
    assert len(json.dumps(records)) > 4_000_000
    done = account.finish(_json_import(account, records))
    assert 35_000 < done["status"]["person_count"] <= 40_000


def test_a_number_for_messages_stands_for_a_contact_without_an_address(account: Account) -> None:
    account.import_now("email,sms_number,first_name\n,508-123-1235,Sam\n")
    found = account.get("/contacts", lists=account.newsletter).json()["contacts"]
    assert [("email_address" in one, one["first_name"]) for one in found] == [(False, "Sam")]


def test_a_contact_on_fifty_lists_fits_on_no_other(open_account: OpenAccount) -> None:
    account = open_account(lists=52)
    account.sign_in()
    lists = [entry.list_id for entry in account.state.lists.all()]
    account.import_now("email\na@example.com\n", lists=",".join(lists[:50]))
    done = account.import_now("email\na@example.com\nb@example.com\n", lists=lists[50])
    assert (done["status"]["error_count"], done["activity_errors"]) == (
        1,
        ["Line 2: contact is on 50 lists"],
    )
    assert account.emails(lists[50]) == ["b@example.com"]
