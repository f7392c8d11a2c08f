"""Runs against the sandbox over real HTTP: what arrives, what is counted, what a person reads."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

import pytest

from ccexport.clock import utc_now
from ccexport.errors import Conflict, SetupError
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.account.people import PEOPLE
from ccexport.sandbox.behaviour import OWNER
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import Exports
from ccexport.services.runs.people import People
from ccexport.services.runs.progress import RunProgress
from ccexport.services.runs.runs import Runs
from ccexport.states import RunFile
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import ANA, LIST_ID, House, check_sums, people, write_source


def fault(house: House, do: str, on: str = "contactsCSVImport", **more: object) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": on, "do": do, **more}])


def test_a_segment_arrives_in_the_list_and_the_run_adds_up(house: House) -> None:
    document = house.run()
    assert document["state"] == "succeeded"
    assert document["counts"]["accepted"] == 10
    assert set(house.members()) == {f"person{n}@example.com" for n in range(1, 11)}
    check_sums(document)


def test_names_arrive_as_they_are(house: House) -> None:
    odd = ["O'Neill", 'Jo "J" Smith', "Müller, Anna", "Ωmega", "李小龙", "=1+1", "🎉"]
    profiles = people(len(odd))
    for profile, name in zip(profiles, odd, strict=True):
        profile["LastName"] = name
    write_source(house.source, profiles)
    house.run()
    assert [member["last_name"] for member in house.members().values()] == odd


def test_every_profile_left_out_is_named_with_its_reason(house: House) -> None:
    profiles = people(6)
    profiles[1]["EMail"] = ""
    profiles[2]["EMail"] = "nobody@nowhere"
    profiles[3]["EMail"] = "PERSON1@example.com "
    profiles[4]["EMail"] = "a" * 75 + "@ex.com"
    write_source(house.source, profiles)
    document = house.run()
    check_sums(document)
    rows = list(Runs(house.installation).rejected(document["id"], by=ANA))
    assert {(row[0], row[2], row[3]) for row in rows} == {
        ("0000002", "missing_email", ""),
        ("0000003", "invalid_email", ""),
        ("0000004", "duplicate", "0000001"),
        ("0000005", "email_too_long", ""),
    }


def test_somebody_who_opted_out_is_counted_and_is_no_failure(house: House) -> None:
    house.tell("/_sandbox/unsubscribe", email="person3@example.com")
    document = house.run()
    check_sums(document)
    assert document["state"] == "succeeded"
    assert document["counts"]["unsubscribed"] == 1
    assert "person3@example.com" not in house.members()


def test_rows_the_service_refuses_are_counted_and_named_by_line(house: House) -> None:
    fault(house, "reject_rows", lines=[3, 5])
    document = house.run()
    check_sums(document)
    assert document["state"] == "completed_with_errors"
    assert document["counts"]["failed"] == 2
    assert [error.split(":")[0] for error in document["batches"][0]["errors"]] == [
        "Line 3",
        "Line 5",
    ]


def test_an_error_text_of_the_service_is_kept_without_its_address(house: House) -> None:
    fault(
        house,
        "activity_failed",
        messages=["Line 3: Invalid address person2@example.com"],
    )
    document = house.run()
    assert "person2@example.com" not in str(document)
    assert "Line 3" in str(document["batches"][0]["errors"])


@pytest.mark.parametrize("do", ["activity_failed", "activity_timed_out", "activity_cancelled"])
def test_a_run_whose_every_file_failed_has_failed(house: House, do: str) -> None:
    fault(house, do)
    document = house.run()
    check_sums(document)
    assert document["state"] == "failed"
    assert document["counts"]["accepted"] == 0
    assert "accepted none of the files" in document["error"]


@pytest.mark.parametrize("do", ["no_person_count", "no_counters", "no_file_name"])
def test_a_counter_that_is_not_known_is_not_zero(house: House, do: str) -> None:
    fault(house, do)
    document = house.run()
    check_sums(document)
    assert document["state"] == "succeeded"


@pytest.mark.parametrize(
    "do", ["drop_after", "answer_after", "cut_after", "drop_before", "server_error", "bad_gateway"]
)
def test_a_lost_answer_is_looked_up_before_the_file_is_sent_again(house: House, do: str) -> None:
    fault(house, do)
    document = house.run()
    check_sums(document)
    assert document["state"] == "succeeded"
    sent = house.requests("contactsCSVImport")
    arrived = [each for each in sent if each["activity_id"]]
    assert len(arrived) == 1, "the file was made into two jobs"
    assert len(sent) == (1 if do in ("drop_after", "answer_after", "cut_after") else 2)
    assert set(house.members()) == {f"person{n}@example.com" for n in range(1, 11)}


@pytest.mark.parametrize(
    ("do", "reason"),
    [("queue_full", "queue"), ("quota_exceeded", "quota"), ("unavailable", "service")],
)
def test_waiting_is_a_state_with_its_reason(house: House, do: str, reason: str) -> None:
    fault(house, do, on="contactsCSVImport" if do == "queue_full" else "*", times=-1)
    run_id = house.queue()
    assert house.installation.runs.claim("w1", run_id=run_id)
    execute_run(Held(run_id, "w1"), Worker(house.installation).tools)
    document = house.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", reason)
    assert document["waiting_until"] is not None


def test_a_revoked_sign_in_waits_for_a_person_and_then_goes_on(house: House) -> None:
    house.tell("/_sandbox/revoke")
    run_id = house.queue()
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    assert Connections(house.installation).views()[0].connection.needs_sign_in
    house.connect()
    house.work()
    assert house.document(run_id)["state"] == "succeeded"
    assert len(house.members()) == 10


def test_another_account_is_refused_at_sign_in_and_nothing_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(PEOPLE, OWNER, PEOPLE["other@example.com"])
        with pytest.raises(Conflict, match="Nothing was changed"):
            house.connect()
    connection = Connections(house.installation).views()[0].connection
    assert connection.organization == "Sandbox Traders"


def test_an_account_that_changed_under_the_sign_in_gets_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PEOPLE, OWNER, PEOPLE["other@example.com"])
    document = house.run()
    assert document["state"] == "failed"
    assert "another Constant Contact account" in document["error"]
    assert house.requests("contactsCSVImport") == []


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda h: (h.source / "Customer.csv").unlink(), "Customer"),
        (lambda h: write_source(h.source, [{"CustomerId": "1", "Mail": "a@example.com"}]), "EMail"),
        (lambda h: write_source(h.source, people(2), [("0000001", "Other")]), "All"),
        (
            lambda h: h.tell(
                "/_sandbox/behaviour",
                lists=[{"list_id": LIST_ID, "name": "Spring buyers", "deleted": True}],
            ),
            "was deleted",
        ),
    ],
    ids=["source gone", "column gone", "segment gone", "list deleted"],
)
def test_what_a_run_relies_on_is_checked_before_anything_is_sent(
    house: House, prepare: object, says: str
) -> None:
    prepare(house)  # type: ignore[operator]
    document = house.run()
    assert document["state"] == "failed"
    assert says in document["error"]
    assert "\n" not in document["error"]
    assert house.requests("contactsCSVImport") == []


def test_more_contacts_than_allowed_stop_before_anything_is_sent(
    house: House, tmp_path: Path
) -> None:
    small = House(tmp_path, house.sandbox, max_profiles=9)
    document = small.run()
    assert document["state"] == "failed"
    assert "more than 9 contacts" in document["error"]
    assert house.requests("contactsCSVImport") == []
    small.close()


def test_no_profiles_at_all_is_skipped_and_says_so(house: House) -> None:
    write_source(house.source, people(1), [("nobody", "All")])
    document = house.run()
    assert document["state"] == "skipped"
    assert "no members" in document["error"]


def test_no_usable_profile_is_not_success(house: House) -> None:
    profiles = people(2)
    for profile in profiles:
        profile["EMail"] = "?"
    write_source(house.source, profiles)
    document = house.run()
    assert document["state"] == "completed_with_errors"
    assert "None of the 2 profiles" in document["error"]


def test_a_canceled_run_sends_nothing_more(house: House) -> None:
    run_id = house.queue()
    Runs(house.installation).request_cancel(run_id, by=ANA)
    house.work()
    assert house.document(run_id)["state"] == "canceled"
    assert house.requests("contactsCSVImport") == []


def test_a_second_run_is_refused_with_the_first_ones_number(house: House) -> None:
    run_id = house.queue()
    with pytest.raises(Conflict, match=f"Run {run_id} of"):
        house.queue()


def test_run_files_that_are_gone_are_prepared_again_and_proven_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = house.queue()

    def lose_files(*args: object) -> None:
        monkeypatch.undo()
        house.installation.run_files.delete(run_id)
        raise SystemExit  # as if the process had died here

    monkeypatch.setattr("ccexport.runs.uploading.send_batch", lose_files)
    assert house.installation.runs.claim("w1", run_id=run_id)
    with pytest.raises(SystemExit):
        execute_run(Held(run_id, "w1"), Worker(house.installation).tools)
    house.installation.runs.release(Held(run_id, "w1"))
    assert not house.installation.run_files.exists(run_id, RunFile.CONTACTS)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


def test_an_export_without_its_connection_does_not_run(house: House) -> None:
    Connections(house.installation).remove("Marketing", by=ANA)
    with pytest.raises(SetupError, match="detached"):
        Exports(house.installation).queue("Newsletter", by=ANA)


def test_nothing_of_a_run_lies_about_in_the_clear(house: House) -> None:
    house.run()
    token = house.installation.tokens.access_token(1)
    secrets = [b"person1@example.com", b"First1", token.encode()]
    house.close()
    for path in house.settings.data_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret in content], path
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_preview_says_what_the_run_then_does(house: House) -> None:
    profiles = people(30)
    profiles[3]["EMail"] = "x"
    profiles[4]["FirstName"] = "n" * 60
    profiles[5]["EMail"] = profiles[6]["EMail"]
    write_source(house.source, profiles)
    preview = Exports(house.installation).preview("Newsletter", by=ANA)
    document = house.run()
    assert preview.counts.read == document["counts"]["read"]
    assert preview.counts.prepared == document["counts"]["prepared"]
    assert preview.counts.truncated == document["counts"]["truncated"] == 1
    assert dict(preview.counts.rejections) == document["rejections"]
    assert preview.counts.files == len(document["batches"])
    assert preview.counts.bytes == sum(batch["bytes"] for batch in document["batches"])


def test_a_rejection_of_a_value_names_its_field_and_is_counted_by_its_reason(house: House) -> None:
    profiles = [each | {"Month": "2", "Day": "29"} for each in people(4)]
    profiles[1]["Day"] = "30"
    profiles[2]["Month"] = "Jul"
    profiles[3]["FirstName"] = "NULL"
    write_source(house.source, profiles)
    mapping = ["email=EMail", "first_name=FirstName", "birthday_month=Month", "birthday_day=Day"]
    house.add_export("Birthdays", mapping=mapping)
    preview = Exports(house.installation).preview("Birthdays", by=ANA)
    assert preview.counts.warnings == [{"field": "first_name", "value": "NULL", "count": 1}]
    assert preview.counts.warning_lines() == ["1 first name is 'NULL', sent as it is there."]
    document = house.run("Birthdays")
    assert document["rejections"] == {"invalid_value": 2}
    rejected = list(Runs(house.installation).rejected(document["id"], by=ANA))
    assert [(row[0][-1], row[2]) for row in rejected] == [
        ("2", "invalid_value: birthday_day"),
        ("3", "invalid_value: birthday_month"),
    ]
    shown = RunProgress(house.installation).rejected(document["id"], by=ANA, reason="invalid_value")
    assert (shown.matching, len(shown.rows)) == (2, 2)
    [entry] = People(house.installation).find("person2@example.com", by=ANA).document["runs"]
    assert (entry["outcome"], entry["detail"]) == ("invalid_value", "left out for its birthday_day")


def test_rejections_can_be_read_as_csv_with_awkward_values(house: House, tmp_path: Path) -> None:
    profiles = people(2)
    profiles[1]["EMail"] = 'no, "really", not'
    write_source(house.source, profiles)
    document = house.run()
    path = tmp_path / "out.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(Runs(house.installation).rejected(document["id"], by=ANA))
    with path.open(newline="", encoding="utf-8") as file:
        assert [row[1] for row in csv.reader(file)] == ['no, "really", not']


def test_old_run_files_are_deleted_and_the_history_stays(house: House, tmp_path: Path) -> None:
    document = house.run()
    later = House(tmp_path, house.sandbox, now=lambda: utc_now() + timedelta(days=31))
    later.work()
    assert not house.installation.run_files.exists(document["id"], RunFile.CONTACTS)
    assert house.document(document["id"]) == document
    later.close()


def test_eight_runs_of_different_exports_go_on_side_by_side(house: House) -> None:
    house.tell("/_sandbox/behaviour", processing_seconds=1)
    for number in range(8):
        house.add_export(f"Export {number}")
    runs = [house.queue(f"Export {number}") for number in range(8)]
    house.work()
    documents = [house.document(run_id) for run_id in runs]
    assert {document["state"] for document in documents} == {"succeeded"}
    begun = [document["started_at"] for document in documents]
    ended = [document["finished_at"] for document in documents]
    assert max(begun) < min(ended)
