"""What is read out of answers that say 200, whatever they hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ccexport.constantcontact import protocol
from ccexport.constantcontact.answers import (
    Answer,
)
from ccexport.constantcontact.exported import read_export_emails
from ccexport.constantcontact.model import Activity, line_of
from ccexport.constantcontact.values import next_path, read_time
from ccexport.errors import (
    ConstantContactRefused,
    NotFoundThere,
    OutcomeUnknown,
    ServiceTrouble,
)
from tests.constantcontact.samples import ALL_REQUESTS, GET, IMPORT, LIST, answer_with

# --- answers that say 200 -------------------------------------------------------------------------------------

ACTIVITY: dict[str, Any] = {
    "activity_id": "6f0c2c1e-8f55-4f0b-9a57-0f3f0a9d1c11",
    "state": "completed",
    "created_at": "2026-01-05T10:00:00.000Z",
    "percent_done": 100,
    "source_file_name": "run42-0007.csv",
    "activity_errors": ["Line 3: Invalid birthday", {"message": "Line 4: No email"}, 7, None],
    "status": {
        "items_total_count": 20_001,
        "person_count": 20_000,
        "error_count": 1,
        "correctable_count": 2,
        "cannot_add_to_list_count": 3,
    },
    "_links": {"self": {"href": "/v3/activities/6f0c"}},
    "unheard_of": {},
}


def test_an_activity_is_read_with_all_its_counters() -> None:
    activity = protocol.read_activity(answer_with(IMPORT, ACTIVITY, 201))
    assert activity == Activity(
        activity_id="6f0c2c1e-8f55-4f0b-9a57-0f3f0a9d1c11",
        state="completed",
        file_name="run42-0007.csv",
        percent_done=100,
        created_at=datetime(2026, 1, 5, 10, tzinfo=UTC),
        person_count=20_000,
        error_count=1,
        correctable_count=2,
        cannot_add_count=3,
        items_total_count=20_001,
        errors=("Line 3: Invalid birthday", "Line 4: No email"),
    )


@pytest.mark.parametrize(
    "status", [None, {}, {"person_count": None}, [], "x", {"person_count": -1}]
)
def test_a_counter_that_is_missing_is_not_known_rather_than_zero(status: object) -> None:
    data = {**ACTIVITY, "status": status, "activity_errors": None, "percent_done": None}
    activity = protocol.read_activity(answer_with(IMPORT, data))
    assert activity.person_count is None
    assert activity.cannot_add_count is None
    assert activity.percent_done is None
    assert activity.errors == ()


@pytest.mark.parametrize(
    ("state", "is_terminal", "is_completed"),
    [
        ("initialized", False, False),
        ("processing", False, False),
        ("completed", True, True),
        ("failed", True, False),
        ("cancelled", True, False),
        ("timed_out", True, False),
        ("time_out", True, False),
        ("something_new", False, False),
        ("", False, False),
    ],
)
def test_a_state_nobody_knows_has_not_ended(
    state: str, is_terminal: bool, is_completed: bool
) -> None:
    activity = Activity("a", state)
    assert (activity.is_terminal, activity.is_completed) == (is_terminal, is_completed)


@pytest.mark.parametrize(
    ("links", "results_id"),
    [
        ({"results": {"href": "/v3/contacts_exports/04fe-9a97"}}, "04fe-9a97"),
        ({"results": {"href": "/v3/contact_exports/04fe-9a97/?x=1"}}, "04fe-9a97"),
        ({"results": {"href": "/v3/contact_exports/.."}}, None),
        ({"results": {"href": 7}}, None),
        ({"results": None}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_id_of_an_export_is_the_end_of_its_link(links: object, results_id: str | None) -> None:
    activity = protocol.read_activity(answer_with(GET, {**ACTIVITY, "_links": links}))
    assert activity.results_id == results_id


NONSENSE = [
    b"",
    b"<html>",
    b'{"activity_id": "a',
    b"[]",
    b"null",
    b"7",
    b"{}",
    b"\xff",
    b"[" * 99_999,
]


@pytest.mark.parametrize("body", [*NONSENSE, b'{"activity_id": 7}', b'{"activity_id": ""}'])
def test_an_import_answered_201_with_nonsense_may_have_been_done(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        protocol.read_activity(Answer(IMPORT, 201, {}, body))


@pytest.mark.parametrize("body", NONSENSE)
def test_reads_answered_200_with_nonsense_are_trouble_of_the_service(body: bytes) -> None:
    readers = [
        (protocol.read_list, "list"),
        (protocol.read_account, "account"),
        (protocol.read_activity, "activity"),
    ]
    if body != b"{}":
        readers += [(protocol.read_lists, "lists"), (protocol.read_contact_counts, "counts")]
    if body != b"[]":
        readers.append((protocol.read_privileges, "privileges"))
    for read, name in readers:
        with pytest.raises(ServiceTrouble):
            read(Answer(ALL_REQUESTS[name], 200, {}, body))


@pytest.mark.parametrize(
    "data",
    [
        {"message": "try later"},
        {"error_key": "x"},
        {"lists": {}},
        {"lists": ["x"]},
        {"lists": [{"name": "without an id"}]},
    ],
)
def test_an_answer_without_lists_is_not_an_account_without_lists(data: object) -> None:
    with pytest.raises(ServiceTrouble):
        protocol.read_lists(answer_with(ALL_REQUESTS["lists"], data))


@pytest.mark.parametrize(
    "data", [{"lists": []}, {"lists": None}, {}, {"_links": None, "lists_count": 0}]
)
def test_an_account_without_lists_is_read_as_that(data: object) -> None:
    page = protocol.read_lists(answer_with(ALL_REQUESTS["lists"], data))
    assert (page.items, page.next_path) == ((), None)


def test_a_list_shows_whether_it_was_deleted_and_how_many_it_has() -> None:
    data = {
        "list_id": LIST,
        "name": "Spring",
        "membership_count": 12,
        "created_at": "2016-03-03T10:53:04-05:00",
        "deleted_at": "2026-01-01T00:00:00Z",
    }
    found = protocol.read_list(answer_with(GET, data))
    assert found.deleted
    assert found.membership_count == 12
    assert found.created_at == datetime(2016, 3, 3, 15, 53, 4, tzinfo=UTC)


def test_custom_fields_are_read_with_the_name_a_file_needs_and_their_choices() -> None:
    data = {
        "custom_fields": [
            {"name": "Fav_fruit", "label": "Fav fruit", "type": "single_select",
             "choices": [{"choice_label": "Apple"}, {"choice_label": "Old", "deleted_at": "2023-12-18"}]},
            {"name": "tier", "type": "string", "choices": None},
        ]
    }  # fmt: skip
    page = protocol.read_custom_fields(answer_with(ALL_REQUESTS["fields"], data))
    fruit, tier = page.items
    assert (fruit.name, fruit.label, fruit.choices) == ("Fav_fruit", "Fav fruit", ("Apple",))
    assert (tier.label, tier.choices) == ("tier", ())


def test_contacts_known_by_phone_only_have_no_email() -> None:
    data = {
        "contacts": [
            {"contact_id": "c1", "email_address": {"address": "Ana@Example.com ", "permission_to_send": "implicit"},
             "list_memberships": [LIST]},
            {"contact_id": "c2"},
            {"contact_id": "c3", "email_address": None, "list_memberships": None},
        ]
    }  # fmt: skip
    page = protocol.read_contacts(answer_with(ALL_REQUESTS["contacts"], data))
    assert [contact.email for contact in page.items] == ["ana@example.com", None, None]
    assert page.items[0].list_ids == (LIST,)


def test_activities_of_others_that_make_no_sense_do_not_hide_ours() -> None:
    data = {"activities": [{"state": "odd"}, ACTIVITY]}
    page = protocol.read_activities(answer_with(ALL_REQUESTS["activities"], data))
    assert [activity.file_name for activity in page.items] == ["run42-0007.csv"]


def test_the_account_and_the_privileges_are_read_by_name() -> None:
    account = protocol.read_account(
        answer_with(
            ALL_REQUESTS["account"], {"encoded_account_id": "a07e1", "organization_name": "Shop"}
        )
    )
    assert (account.account_id, account.organization, account.contact_email) == (
        "a07e1",
        "Shop",
        "",
    )
    data = [{"privilege_id": 30, "privilege_name": "contacts:write"}]
    names = protocol.read_privileges(answer_with(ALL_REQUESTS["privileges"], data))
    assert names == {"contacts:write"}
    counts = protocol.read_contact_counts(
        answer_with(ALL_REQUESTS["counts"], {"total": 5, "implicit": "3"})
    )
    assert (counts.total, counts.implicit, counts.explicit) == (5, 3, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Line 3: Invalid birthday", (1, "Invalid birthday")),
        ("line 2 - no email", (0, "no email")),
        ("Line 40000: x: y", (39_998, "x: y")),
        ("Line 1: header", (None, "Line 1: header")),
        ("Line 0: header", (None, "Line 0: header")),
        ("Line three: odd", (None, "Line three: odd")),
        ("Something failed on line 3", (None, "Something failed on line 3")),
        ("", (None, "")),
        ("Line 99999999999999999999: far", (None, "Line 99999999999999999999: far")),
    ],
)
def test_a_line_of_an_error_leads_to_the_row_it_is_about(
    text: str, expected: tuple[int | None, str]
) -> None:
    assert line_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00.000Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00-05:00", datetime(2026, 1, 5, 15, tzinfo=UTC)),
        ("2026-01-05T10:00:00+0000", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_times_are_read_in_each_of_their_forms(text: object, expected: datetime | None) -> None:
    assert read_time(text) == expected


# --- paging ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "links",
    [
        None,
        {},
        [],
        "x",
        {"next": None},
        {"next": {}},
        {"next": {"href": None}},
        {"next": {"href": ""}},
    ],
)
def test_each_way_to_say_the_last_page_is_understood(links: object) -> None:
    assert next_path(links) is None


def test_a_next_link_is_followed_as_it_came() -> None:
    links = {"next": {"href": "/v3/contacts?cursor=bGltaXQ9NTAw%2B&x=//y"}}
    assert next_path(links) == "/contacts?cursor=bGltaXQ9NTAw%2B&x=//y"


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/v3/contacts?cursor=x",
        "https://api.cc.email/v3/contacts",
        "//evil.example/v3/contacts",
        "/v4/contacts",
        "v3/contacts",
        "/v3/../v2/contacts",
        "/v3/%2e%2E/v2",
        "/v3//evil.example/",
        "/v3/x\\y",
        "/v3/contacts?cursor=x\r\nHost: evil",
        "/v3/contacts?a b",
        "/v3/contacts#x",
        "/v3/",
        7,
        ["/v3/contacts"],
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(href: object) -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        next_path({"next": {"href": href}})
    with pytest.raises(ServiceTrouble):
        protocol.read_lists(
            answer_with(ALL_REQUESTS["lists"], {"lists": [], "_links": {"next": {"href": href}}})
        )


# --- exported files -------------------------------------------------------------------------------------------

DOWNLOAD = Answer(ALL_REQUESTS["download"], 200)


@pytest.mark.parametrize(
    ("content", "emails"),
    [
        (b"\xef\xbb\xbfFirst name,Email address\r\nAna,Ana@Example.com\r\n", ["ana@example.com"]),
        (
            b'EMAIL_ADDRESS,"Last, name"\n a@b.co ,"x\ny"\n,phone only\nc@d.co\n',
            ["a@b.co", "c@d.co"],
        ),
        (b"Name,e-mail,Email\n\xff,x,b@c.de\n", ["b@c.de"]),
        ("Ort,Email address\nKöln,z@y.de".encode(), ["z@y.de"]),
        (b"Email address\r\n", []),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_addresses_are_found_by_the_name_of_their_column(
    content: bytes, emails: list[str], size: int
) -> None:
    chunks = (content[start : start + size] for start in range(0, len(content), size))
    assert list(read_export_emails(DOWNLOAD, chunks)) == emails


@pytest.mark.parametrize("content", [b"", b"First name,Phone\r\nAna,1\r\n", b"<html>oops</html>"])
def test_an_export_without_addresses_fails_loudly(content: bytes) -> None:
    with pytest.raises(ConstantContactRefused, match="no column of email addresses"):
        list(read_export_emails(DOWNLOAD, [content]))


def test_an_export_that_is_not_csv_is_trouble_and_quotes_nothing() -> None:
    content = b'Email address\n"' + b"x" * 200_000
    with pytest.raises(ServiceTrouble, match="not CSV") as raised:
        list(read_export_emails(DOWNLOAD, [content]))
    assert raised.value.__suppress_context__


def test_a_refused_download_is_refused_like_any_request() -> None:
    with pytest.raises(NotFoundThere):
        list(read_export_emails(Answer(ALL_REQUESTS["download"], 404), []))
