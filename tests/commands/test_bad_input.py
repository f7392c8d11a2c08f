"""Bad input: one line that names the thing and says what to do; nothing stored, nothing sent, nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands.adding import adding
from tests.commands.conftest import DELETED_LIST_ID
from tests.commands.running import Here, assert_one_line
from tests.kit.house import LIST_ID, OTHER_LIST_ID, House, people, write_source

UNKNOWN_LIST_ID = "5f0c1e70-9d7a-4a52-8f43-000000000000"


def kept(house: House) -> tuple[object, ...]:
    """Everything people set up or ran."""
    installation = house.installation
    return (
        [(view.connection.name, view.exports) for view in installation.connections.views()],
        [(view.export.name, view.mapping, view.segments) for view in installation.exports.views()],
        [(run.id, run.state) for run in installation.runs.latest()],
    )


@pytest.fixture
def untouched(quiet_house: House) -> Iterator[House]:
    """An installation of which nothing may change, and a service that may be sent nothing."""
    before, sent = kept(quiet_house), len(quiet_house.requests("contactsCSVImport"))
    yield quiet_house
    assert kept(quiet_house) == before
    assert len(quiet_house.requests("contactsCSVImport")) == sent


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (adding(segment=["Al"]), ['"Al"', "All"], 1),
        (adding(segment=["All", "Nobody"]), ['"Nobody"', "All"], 1),
        (adding(map=["email=Mail"]), ['"Mail"', "EMail"], 1),
        (adding(map=["email=EMail", "first_name=Firstname"]), ['"Firstname"', "FirstName"], 1),
        (adding(map=["email=EMail", "frist_name=FirstName"]), ['"frist_name"', "first_name"], 1),
        (adding(map=["email=EMail", "cf:Store=FirstName"]), ['"Store"', "Shop"], 1),
        (adding(map=["email=EMail", "cf:=FirstName"]), ["cf:NAME"], 1),
        (adding(map=["email=EMail", "email=FirstName"]), ['"email"', "twice"], 1),
        (adding(map=["first_name=FirstName"]), ["no email", "email=EMail"], 1),
        (adding(map=["email==ana@example.com"]), ["email", "constant"], 1),
        (adding(map=["email=EMail", "job_title={First"]), ['"{First"', "{Attribute}"], 1),
        (adding(map=["email=EMail", "birthday_day=FirstName"]), ["birthday_month"], 1),
        (adding(map=["email"]), ['"email"', "CONTACT_FIELD=ATTRIBUTE"], 2),
        (adding(map=["email="]), ['"email="', "CONTACT_FIELD=ATTRIBUTE"], 2),
        (adding(list_id=[UNKNOWN_LIST_ID]), [UNKNOWN_LIST_ID, "Choose another list"], 1),
        (adding(list_id=[DELETED_LIST_ID]), ['"Old list"', "deleted", "Choose another list"], 1),
        (adding(list_id=["newsletter"]), ['"newsletter"', "list id"], 2),
        (adding(list_id=[f"{LIST_ID} {OTHER_LIST_ID}"]), ["list id"], 2),
        (adding(connection=["Sales"]), ['"Sales"', "connections list"], 1),
        (adding("Newsletter"), ['"Newsletter"', "already", "another name"], 1),
        (adding(" NEWSLETTER "), ['"NEWSLETTER"', "already", "another name"], 1),
        (adding("  "), ["name", "blank"], 2),
        (adding("N" * 201), ["201", "200"], 2),
        (adding(mode=["some"]), ['"some"', "full"], 2),
        (adding(guard=["some"]), ['"some"', "0 to 100", "off"], 2),
        (adding(guard=["101"]), ['"101"', "0 to 100"], 2),
        (["runs", "approve", "99"], ["no run 99", "runs list"], 1),
        (["runs", "decline", "99"], ["no run 99", "runs list"], 1),
        (adding(schedule=["daily 25:00 Europe/Berlin"]), ["25:00"], 2),
        (adding(schedule=["daily 06:30 Europe/Berlni"]), ["Europe/Berlni", "Europe/Berlin"], 2),
        (adding(schedule=["sometimes"]), ['"sometimes"', "refresh"], 2),
        (["exports", "preview", "Nothing"], ['"Nothing"', "exports list"], 1),
        (["exports", "run", "Nothing"], ['"Nothing"', "exports list"], 1),
        (["exports", "run", "Nothing", "--wait", "--json"], ['"Nothing"', "exports list"], 1),
        (["exports", "remove", "Nothing"], ['"Nothing"', "exports list"], 1),
        (["connections", "check", "Sales"], ['"Sales"', "connections list"], 1),
        (["connections", "lists", "Sales"], ['"Sales"', "connections list"], 1),
        (["connections", "remove", "Sales"], ['"Sales"', "connections list"], 1),
        (["connections", "add", "Sales"], ["--agree", "personal data"], 2),
        (["connections", "add", "  ", "--agree"], ["name", "blank"], 2),
        (["segments", "show", "al"], ['"al"', "All"], 1),
        (["runs", "show", "99999"], ["99999", "runs list"], 1),
        (["runs", "show", "99999999999999999999"], ["'ID'", "2147483647"], 2),
        (["runs", "show", "0"], ["0", "runs list"], 1),
        (["runs", "cancel", "99999"], ["99999", "runs list"], 1),
        (["runs", "rejected", "99999"], ["99999", "runs list"], 1),
        (["runs", "list", "--export", "Nothing"], ['"Nothing"', "exports list"], 1),
        (["sandbox", "--behaviour", "/nowhere/b.yaml"], ["/nowhere/b.yaml"], 1),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_a_wrong_name_or_value_is_one_line(
    here: Here, untouched: House, words: list[str], said: list[str], code: int
) -> None:
    assert_one_line(here(*words, environment=untouched.environment()), *said, code=code)


@pytest.mark.parametrize(
    "text",
    [
        OTHER_LIST_ID.upper(),
        f"https://app.constantcontact.com/pages/contacts/ui#contacts/{OTHER_LIST_ID}",
        f" https://app.constantcontact.com/lists?list={OTHER_LIST_ID}&sort=name ",
    ],
)
def test_a_pasted_list_address_is_understood(here: Here, house: House, text: str) -> None:
    outcome = here(*adding(list_id=[text]), environment=house.environment())
    assert (outcome.code, outcome.out) == (0, "")
    assert '"Customers"' in outcome.err
    assert house.installation.exports.by_name("New").export.list_id == OTHER_LIST_ID


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def empty_folder(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def no_members(folder: Path) -> None:
    (folder / "SegmentMembership.csv").unlink()


def rewritten(name: str, content: bytes) -> Callable[[Path], None]:
    """The table with this content in its stead."""

    def rewrite(folder: Path) -> None:
        (folder / name).write_bytes(content)

    rewrite.__name__ = f"{name[:8]} {content[:30]!r}"
    return rewrite


def appended(content: bytes) -> Callable[[Path], None]:
    """Ten good profiles (lines 2 to 11), then this."""

    def append(folder: Path) -> None:
        with (folder / "Customer.csv").open("ab") as file:
            file.write(content)

    append.__name__ = f"appended {content[:30]!r}"
    return append


MEMBERS = "SegmentMembership.csv"
SOURCES: list[tuple[Callable[[Path], None], list[str]]] = [
    (no_folder, ["does not exist", "CCEXPORT_SOURCE_URL"]),
    (empty_folder, ["is empty", "Customer"]),
    (no_members, ["no SegmentMembership.parquet or SegmentMembership.csv"]),
    (rewritten("Customer.csv", b""), ["Customer.csv", "empty", "Export it anew"]),
    (rewritten(MEMBERS, b""), [MEMBERS, "empty", "Export it anew"]),
    (rewritten("Customer.csv", b"CustomerId,EMail\n"), ["Customer.csv", "header alone"]),
    (rewritten(MEMBERS, b"CustomerId,Segment\n"), [MEMBERS, "header alone"]),
    (
        rewritten("Customer.csv", b"Id,EMail\n1,a@example.com\n"),
        ["no column CustomerId", "Id, EMail"],
    ),
    (rewritten(MEMBERS, b"CustomerId,Group\n1,All\n"), [MEMBERS, "no column Segment"]),
    (
        rewritten("Customer.csv", b"CustomerId,EMail,email\n1,a,b\n"),
        ["Customer.csv", "two columns"],
    ),
    (rewritten("Customer.parquet", b"PAR1 this is none"), ["Customer.parquet"]),
    (appended(b'0000011,"First,Last,x@example.com\r\n'), ["Customer.csv, line 12", "quot"]),
    (appended(b'0000011,"Fi"rst",Last,x@example.com\r\n'), ["Customer.csv, line 12", "quot"]),
    (appended(b"0000011,F\xfcrst,Last,x@example.com\r\n"), ["Customer.csv, line 12", "UTF-8"]),
    (appended(b"0000011,First\r\n"), ["Customer.csv, line 12", "headings"]),
    (appended(b",First,Last,x@example.com\r\n"), ["Customer.csv", "CustomerId"]),
]


@pytest.mark.parametrize(("spoil", "said"), SOURCES, ids=[spoil.__name__ for spoil, _ in SOURCES])
def test_a_source_that_cannot_be_read_is_one_line_that_says_where(
    here: Here, untouched: House, tmp_path: Path, spoil: Callable[[Path], None], said: list[str]
) -> None:
    source = write_source(tmp_path / "source", people(10))
    spoil(source)
    environment = untouched.environment() | {"CCEXPORT_SOURCE_URL": f"file:{source}"}
    outcome = here("exports", "preview", "Newsletter", "--json", environment=environment)
    assert_one_line(outcome, *said)
    assert "x@example.com" not in outcome.err
    listed = here("segments", "list", environment=environment)
    assert listed.code in (0, 1)
    if listed.code:
        assert_one_line(listed, *said)


@pytest.mark.parametrize("command", [adding(), ["exports", "preview", "Newsletter"]])
def test_an_attribute_that_is_gone_is_named(
    here: Here, untouched: House, tmp_path: Path, command: list[str]
) -> None:
    source = write_source(tmp_path / "source", [{"CustomerId": "1", "Mail": "a@example.com"}])
    environment = untouched.environment() | {"CCEXPORT_SOURCE_URL": f"file:{source}"}
    assert_one_line(here(*command, environment=environment), '"EMail"', "Mail")


def test_a_source_that_went_bad_fails_the_run_and_sends_nothing(here: Here, house: House) -> None:
    appended(b"0000011,F\xfcrst,Last,x@example.com\r\n")(house.source)
    sent = len(house.requests("contactsCSVImport"))
    outcome = here(
        "exports", "run", "Newsletter", "--wait", "--json", environment=house.environment()
    )
    assert outcome.code == 1
    assert outcome.document["state"] == "failed"
    assert "Customer.csv, line 12: not UTF-8" in outcome.document["error"]
    assert "Traceback" not in outcome.err
    assert len(house.requests("contactsCSVImport")) == sent


def test_more_contacts_than_a_run_may_send_fail_it_before_anything_is_sent(
    here: Here, house: House
) -> None:
    environment = house.environment() | {"CCEXPORT_MAX_PROFILES": "9"}
    sent = len(house.requests("contactsCSVImport"))
    outcome = here("exports", "run", "Newsletter", "--wait", "--json", environment=environment)
    assert outcome.code == 1
    assert outcome.document["state"] == "failed"
    assert "more than 9 contacts" in outcome.document["error"]
    assert "CCEXPORT_MAX_PROFILES" in outcome.document["error"]
    assert len(house.requests("contactsCSVImport")) == sent
    preview = here("exports", "preview", "Newsletter", environment=environment)
    assert preview.code == 0
    assert "CCEXPORT_MAX_PROFILES" in preview.err
    whole = here("exports", "preview", "Newsletter", environment=house.environment())
    assert whole.err == ""


def test_constant_contact_out_of_reach_is_one_line(here: Here, untouched: House) -> None:
    environment = untouched.environment() | {"CCEXPORT_CC_API_URL": "http://127.0.0.1:1/v3"}
    for command in (
        adding(),
        ["connections", "check", "Marketing"],
    ):
        outcome = here(*command, environment=environment)
        assert_one_line(outcome, "Constant Contact cannot be reached", "Start the command again")


def test_no_application_is_one_line(here: Here, untouched: House) -> None:
    environment = untouched.environment() | {"CCEXPORT_CC_CLIENT_ID": ""}
    for command in (
        ["connections", "add", "Sales", "--agree", "--callback-port", "8799"],
        ["connections", "check", "Marketing"],
        adding(),
    ):
        assert_one_line(here(*command, environment=environment), "CCEXPORT_CC_CLIENT_ID")


def test_a_sign_in_that_ended_is_one_line_that_says_how_to_renew_it(
    here: Here, house: House
) -> None:
    house.tell(
        "/_sandbox/behaviour",
        faults=[
            {"on": "token:refresh_token", "do": "invalid_grant", "times": -1},
            {"on": "* /v3/*", "do": "unauthorized", "times": -1},
        ],
    )
    outcome = here("connections", "check", "Marketing", environment=house.environment())
    assert_one_line(outcome, '"Marketing"', "connections add")
    listed = here("connections", "list", "--json", environment=house.environment())
    assert listed.document[0]["state"] == "needs_sign_in"


def test_a_second_run_of_an_export_is_refused_and_removing_its_connection_ends_the_first(
    here: Here, house: House
) -> None:
    environment = house.environment()
    sent_before = house.requests("contactsCSVImport")
    number = house.queue()
    again = here("exports", "run", "Newsletter", environment=environment)
    assert_one_line(again, f"Run {number}", '"Newsletter"', "live")
    removed = here("connections", "remove", "Marketing", environment=environment)
    assert (removed.code, removed.out) == (0, "")
    assert "1 export is detached now. 1 live run is stopped; nothing more is sent." in removed.err
    assert house.document(number)["state"] == "canceled"
    assert house.requests("contactsCSVImport") == sent_before


def test_an_export_without_its_connection_is_detached_and_does_not_run(
    here: Here, house: House
) -> None:
    environment = house.environment()
    removed = here("connections", "remove", "Marketing", environment=environment)
    assert removed.code == 0
    assert "1 export is detached" in removed.err
    assert (
        here("exports", "list", "--json", environment=environment).document[0]["state"]
        == "detached"
    )
    for words in (["exports", "run", "Newsletter"], ["exports", "run", "Newsletter", "--wait"]):
        assert_one_line(here(*words, environment=environment), '"Newsletter"', "detached")
    assert here("exports", "preview", "Newsletter", environment=environment).code == 0


@pytest.mark.parametrize("output", ["/nowhere/rejected.csv", "."])
def test_a_file_that_cannot_be_written_is_one_line(here: Here, house: House, output: str) -> None:
    number = house.run()["id"]
    outcome = here(
        "runs", "rejected", str(number), "--output", output, environment=house.environment()
    )
    assert_one_line(outcome, output, "cannot be written")
