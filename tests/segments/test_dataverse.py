"""Dataverse: every row once, with patience, as the application that is signed in; and what is said where that fails."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccexport.errors import SourceError, SourceUnavailable
from ccexport.segments.source import Source, open_source
from ccexport.segments.web_api import seconds_to_wait
from ccexport.segments.wire import NotNow
from tests.kit.dataverse import (
    BROKEN,
    NONSENSE,
    SECRET,
    Fault,
    Organization,
    Table,
    rows_of,
    running,
)

PEOPLE, MEMBERS = "msdynci_customerprofiles", "msdynci_segmentmemberships"
ROWS_OF_A_PAGE = 100  # as the stand-in serves them; what is asked for is 5,000
COUNT = 250  # three pages
FIRST_AT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


def person(number: int) -> dict[str, Any]:
    return {
        "msdynci_customerid": f"{number:032x}",
        "msdynci_email": f"person{number}@example.com",
        "msdynci_firstname": None if number % 10 == 3 else f"Zoë {number}",
        "msdynci_points": number,
        "msdynci_share": number / 2,
        "msdynci_active": number % 2 == 0,
    }


def member(number: int) -> dict[str, Any]:
    """Everybody is in All, every second person in News too."""
    names = ["All", "News"] if number % 2 == 0 else ["All"]
    return {
        "msdynci_customerid": f"{number:032x}",
        "msdynci_segments": json.dumps({"Segments": names}),
        "msdynci_segmentmembershiptype": "Customer",
        "msdynci_identifier": f"{number}|CustomerInsights|Customer",
    }


@pytest.fixture
def organization(monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    tables = {PEOPLE: Table(COUNT, person), MEMBERS: Table(COUNT, member)}
    with running(Organization(tables, most=ROWS_OF_A_PAGE)) as organization:
        for name, value in organization.environment().items():
            monkeypatch.setenv(name, value)
        yield organization


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def opened(
    organization: Organization, tmp_path: Path, pauses: list[float]
) -> Callable[..., Source]:
    def open_it(options: str = "", at: datetime = FIRST_AT, *, fresh: bool = False) -> Source:
        return open_source(
            f"dataverse:{organization.url}{options}",
            now=lambda: at,
            pause=lambda seconds: pauses.append(seconds) if seconds else None,
            copies_in=tmp_path / "copies",
            fresh=fresh,
        )

    return open_it


def emails(source: Source) -> set[str]:
    return {
        row["msdynci_email"]
        for batch in source.stream(source.customers.select("msdynci_email"))
        for row in batch.to_pylist()
    }


EVERYBODY = {f"person{number}@example.com" for number in range(COUNT)}


def test_every_row_of_every_page_is_read_once(
    opened: Callable[..., Source], organization: Organization
) -> None:
    with opened() as source:
        assert {each.name: each.members for each in source.segments()} == {
            "All": COUNT,
            "News": (COUNT + 1) // 2,
        }
        assert source.count(source.customers) == COUNT
        assert emails(source) == EVERYBODY
        assert source.strangers().without_profile == 0
    assert len(organization.asked) == 6  # three pages of each table
    assert len(organization.forms) == 1
    assert organization.forms[0]["scope"] == f"{organization.url}/.default"
    assert set(organization.preferred) == {"odata.maxpagesize=5000"}
    selected = [path for path in organization.asked if MEMBERS in path]
    assert all("$select=msdynci_customerid,msdynci_segments," in path for path in selected)


def test_values_come_as_the_text_that_a_file_would_hold(opened: Callable[..., Source]) -> None:
    with opened() as source:
        found = source.profiles([f"{3:032x}", f"{4:032x}"])
    assert found[f"{3:032x}"] == {
        "msdynci_customerid": f"{3:032x}",
        "msdynci_email": "person3@example.com",
        "msdynci_firstname": None,
        "msdynci_points": "3",
        "msdynci_share": "1.5",
        "msdynci_active": "false",
        "CustomerId": f"{3:032x}",
    }
    assert found[f"{4:032x}"]["msdynci_firstname"] == "Zoë 4"
    assert found[f"{4:032x}"]["msdynci_share"] == "2"


def test_only_rows_of_customers_count_and_several_rows_of_one_are_put_together(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.tables[PEOPLE] = Table(3, person)
    other = member(1) | {
        "msdynci_segmentmembershiptype": "Contact",
        "msdynci_segments": '{"Segments": ["Secret"]}',
    }
    second = member(2) | {"msdynci_segments": '["Late"]'}
    organization.tables[MEMBERS] = rows_of([member(0), member(2), second, other])
    with opened() as source:
        found = {each.name: each.members for each in source.segments()}
    assert found == {"All": 2, "News": 2, "Late": 1}


def test_columns_that_only_later_pages_have_are_read(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    late = 1_501  # in another file of the copy
    more = {"msdynci_loyalty": "gold"}
    organization.tables[PEOPLE] = Table(late + 1, lambda n: person(n) | (more if n == late else {}))
    with opened() as source:
        found = source.profiles([f"{late:032x}", f"{1:032x}"])
    assert found[f"{late:032x}"]["msdynci_loyalty"] == "gold"
    assert found[f"{1:032x}"]["msdynci_loyalty"] is None


@pytest.mark.parametrize(
    ("fault", "waits", "at"),
    [
        pytest.param(Fault(429, "7"), [7.0], 3, id="429 with Retry-After"),
        pytest.param(Fault(429), [1.0], 3, id="429"),
        pytest.param(Fault(503, "30"), [30.0], 3, id="503 with Retry-After"),
        pytest.param(Fault(500), [1.0], 3, id="500"),
        pytest.param(Fault(502), [1.0], 3, id="502"),
        pytest.param(Fault(BROKEN), [1.0], 3, id="a page that breaks off"),
        pytest.param(Fault(NONSENSE), [1.0], 3, id="a page that is not JSON"),
        *(pytest.param(Fault(BROKEN), [1.0], at, id=f"at {at}") for at in (1, 2, 5)),
    ],
)
def test_a_fault_in_the_middle_costs_a_wait_and_no_row(
    organization: Organization,
    opened: Callable[..., Source],
    pauses: list[float],
    fault: Fault,
    waits: list[float],
    at: int,
) -> None:
    organization.faults[at] = fault
    with opened() as source:
        assert emails(source) == EVERYBODY
        assert source.count(source.customers) == COUNT
    assert pauses == waits
    assert len(organization.asked) == 7


def test_a_reading_that_broke_off_goes_on_behind_the_last_whole_page(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.faults = {number: Fault(503) for number in range(3, 100)}
    with pytest.raises(SourceUnavailable, match="Dataverse answers 503"):
        opened(fresh=True)
    asked = len(organization.asked)
    organization.faults = {}
    with opened(at=FIRST_AT + timedelta(minutes=50), fresh=True) as source:
        assert emails(source) == EVERYBODY
        assert source.count(source.customers) == COUNT
    assert len(organization.asked) - asked == 4  # one page of people, three of memberships


def test_a_reading_that_broke_off_long_ago_begins_anew(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.faults = {number: Fault(503) for number in range(3, 100)}
    with pytest.raises(SourceUnavailable):
        opened(fresh=True)
    asked = len(organization.asked)
    organization.faults = {}
    opened(at=FIRST_AT + timedelta(minutes=61), fresh=True).close()
    assert len(organization.asked) - asked == 6


def test_screens_share_a_copy_for_ten_minutes_and_a_run_reads_anew(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    opened().close()
    opened(at=FIRST_AT + timedelta(minutes=9)).close()
    assert len(organization.asked) == 6
    opened(at=FIRST_AT + timedelta(minutes=9), fresh=True).close()
    assert len(organization.asked) == 12
    opened(at=FIRST_AT + timedelta(minutes=20)).close()
    assert len(organization.asked) == 18


def test_a_token_that_ran_out_in_the_middle_is_renewed(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    def sign_out_at(number: int) -> dict[str, Any]:
        if number == 150 and len(organization.forms) == 1:
            organization.sign_everybody_out()
        return person(number)

    organization.tables[PEOPLE] = Table(COUNT, sign_out_at)
    with opened() as source:
        assert emails(source) == EVERYBODY
    assert len(organization.forms) == 2


def test_the_sign_in_has_patience_too(
    organization: Organization, opened: Callable[..., Source], pauses: list[float]
) -> None:
    organization.token_faults.extend([Fault(503), Fault(429, "3")])
    opened().close()
    assert pauses == [1.0, 3.0]


@pytest.mark.parametrize(
    ("tried", "waited", "trouble", "seconds"),
    [
        (1, 0.0, NotNow("x"), 1.0),
        (5, 15.0, NotNow("x"), 16.0),
        (6, 31.0, NotNow("x"), None),
        (1, 0.0, NotNow("x", 300.0), 300.0),
        (1, 0.0, NotNow("x", 301.0), None),
        (2, 200.0, NotNow("x", 101.0), None),
        (2, 1.0, NotNow("x", reached=False), 2.0),
        (3, 3.0, NotNow("x", reached=False), None),
    ],
)
def test_patience_has_an_end(
    tried: int, waited: float, trouble: NotNow, seconds: float | None
) -> None:
    assert seconds_to_wait(trouble, tried, waited) == seconds


def test_what_dataverse_asks_for_beyond_patience_is_told_to_who_waits(
    organization: Organization, opened: Callable[..., Source], pauses: list[float]
) -> None:
    organization.faults = {2: Fault(429, "900")}
    with pytest.raises(SourceUnavailable) as caught:
        opened()
    assert caught.value.retry_after_seconds == 900.0
    assert pauses == []


@pytest.mark.parametrize("elsewhere", ["http://127.0.0.2:9", "https://evil.example"])
def test_a_next_page_at_another_host_is_not_asked_for(
    organization: Organization, opened: Callable[..., Source], elsewhere: str
) -> None:
    organization.next_host = elsewhere
    with pytest.raises(SourceError, match=r"at another host than 127\.0\.0\.1") as caught:
        opened()
    assert "\n" not in str(caught.value)
    assert len(organization.asked) == 1


def test_pages_that_go_in_a_circle_are_refused(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.next_host = f"{organization.url}/api/data/v9.2/{PEOPLE}?x="
    with pytest.raises(SourceError, match="followed by one before it"):
        opened()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not accept the sign-in. Add the application as an application user"),
        (403, "does not let the application read. Give it the Viewer permission"),
        (302, "refuses to answer"),
        (410, "refuses to answer"),
    ],
)
def test_a_refusal_is_one_line_and_is_not_repeated(
    organization: Organization, opened: Callable[..., Source], status: int, said: str
) -> None:
    organization.faults = {number: Fault(status) for number in range(1, 9)}
    with pytest.raises(SourceError, match=said) as caught:
        opened()
    assert not isinstance(caught.value, SourceUnavailable)
    assert "\n" not in str(caught.value)
    assert len(organization.asked) <= 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("?customer_table=nothing", "Dataverse has no table nothing"),
        ("?customer_key=msdynci_id", "has no column msdynci_id. It has: msdynci_customerid, "),
        ("?membership_table=msdynci_customerprofile&segment=x", "has no column x"),
        ("?customer_table=a/b", "Name it by its logical name"),
        ("?colour=red", 'has the option "colour"'),
        ("/api", "has a path. Write dataverse:https://ORG.crm.dynamics.com"),
    ],
)
def test_an_address_that_does_not_fit_is_refused_with_what_to_do(
    opened: Callable[..., Source], options: str, said: str
) -> None:
    with pytest.raises(SourceError, match=re.escape(said)):
        opened(options)


@pytest.mark.parametrize("name", ["http://contoso.crm.dynamics.com", "https://a:b@contoso.example"])
def test_no_token_goes_over_plain_http_or_beside_another_password(
    organization: Organization, name: str
) -> None:
    with pytest.raises(SourceError, match=r"after dataverse: (begins with http|is not an https)"):
        open_source(f"dataverse:{name}")
    assert organization.forms == []


def test_other_tables_and_keys_are_read_by_their_names(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.tables |= {
        "crx_people": rows_of([{"crx_id": 7, "crx_email": "ana@example.com"}]),
        "crx_audiences": rows_of([{"crx_person": 7, "crx_audience": "News"}]),
    }
    options = (
        "?customer_table=crx_people&customer_key=crx_id&membership_table=crx_audience"
        "&membership_key=crx_person&segment=crx_audience"
    )
    with opened(options) as source:
        assert [(each.name, each.members) for each in source.segments()] == [("News", 1)]
        assert source.profiles(["7"])["7"]["crx_email"] == "ana@example.com"


def test_memberships_of_an_older_organization_lack_a_column(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    rows = [{"msdynci_customerid": f"{0:032x}", "msdynci_segments": '["News"]'}]
    organization.tables[MEMBERS] = rows_of(rows)
    with opened() as source:
        assert [(each.name, each.members) for each in source.segments()] == [("News", 1)]


@pytest.mark.parametrize("table", [PEOPLE, MEMBERS])
def test_a_table_without_rows_is_refused_since_it_would_remove_everybody(
    organization: Organization, opened: Callable[..., Source], table: str
) -> None:
    organization.tables[table] = rows_of([])
    with pytest.raises(SourceError, match="of Dataverse has no rows"):
        opened()


def test_a_profile_without_a_key_is_refused(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.tables[PEOPLE] = rows_of([person(0), person(1) | {"msdynci_customerid": None}])
    with (
        opened() as source,
        pytest.raises(SourceError, match="has a profile without a msdynci_customerid"),
    ):
        source.segments()


def test_segments_that_are_not_json_are_refused_by_their_key(
    organization: Organization, opened: Callable[..., Source]
) -> None:
    organization.tables[MEMBERS] = rows_of([member(0), member(1) | {"msdynci_segments": "{News"}])
    with opened() as source, pytest.raises(SourceError, match="are not JSON of the form"):
        source.segments()


@pytest.mark.parametrize("missing", ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"])
def test_a_setting_that_is_missing_is_named(
    opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(SourceError, match=f"needs {missing}"):
        opened()


def test_a_wrong_secret_is_told_by_its_code_and_not_shown(
    opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-s3cret")
    with pytest.raises(
        SourceError, match=r"refuses the sign-in \(invalid_client, AADSTS7000215\)"
    ) as caught:
        opened()
    assert "wrong-s3cret" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


def test_no_secret_token_or_person_is_in_an_address_a_log_or_the_copy(
    organization: Organization,
    opened: Callable[..., Source],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG, logger="ccexport")
    organization.faults = {2: Fault(503), 4: Fault(BROKEN)}
    with opened() as source:
        assert source.count(source.customers) == COUNT
        files = list((tmp_path / "copies").glob("*/*.parquet"))
        assert files
        for file in files:
            content = file.read_bytes()
            assert b"example.com" not in content
            assert f"{7:032x}".encode() not in content
            assert b"PAR1" not in content
            assert b"msdynci" not in content
            assert file.stat().st_mode & 0o077 == 0
    told = caplog.text + " ".join(organization.asked)
    assert "token-" not in told
    assert SECRET not in told
    assert "example.com" not in told


def test_a_copy_goes_when_nobody_reads_it_any_more(
    opened: Callable[..., Source], tmp_path: Path
) -> None:
    first = opened()
    with opened(fresh=True):
        assert len(list((tmp_path / "copies").iterdir())) == 2
        assert first.count(first.customers) == COUNT  # it is read as it was, beside the new one
        first.close()
        del first
    assert len(list((tmp_path / "copies").iterdir())) == 1


def test_what_a_killed_process_left_is_cleared_away(
    opened: Callable[..., Source], tmp_path: Path
) -> None:
    from ccexport.processes import new_worker_name

    left = tmp_path / "copies" / "left"
    left.mkdir(parents=True)
    host, machine, _, random = new_worker_name().split("/")
    (left / "owner").write_text(f"{host}/{machine}/4194305/{random}")  # above the highest number
    (left / "half.parquet").write_bytes(b"PARE")
    opened().close()
    assert not left.exists()


def test_a_copy_that_cannot_be_written_is_one_line(
    organization: Organization, tmp_path: Path
) -> None:
    (tmp_path / "copies").write_text("a file")
    with pytest.raises(SourceError, match="The source's copy cannot be written to"):
        open_source(f"dataverse:{organization.url}", copies_in=tmp_path / "copies")


def test_an_organization_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, organization: Organization
) -> None:
    pauses: list[float] = []
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "http://127.0.0.1:1")
    with pytest.raises(SourceUnavailable, match="The sign-in cannot be reached") as caught:
        open_source(f"dataverse:{organization.url}", pause=pauses.append)
    assert "\n" not in str(caught.value)
    assert [seconds for seconds in pauses if seconds] == [1.0, 2.0]
