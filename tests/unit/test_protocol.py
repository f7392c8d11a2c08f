"""What is sent to Constant Contact, and what never is. No network."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ccexport.constantcontact import protocol
from ccexport.constantcontact.access import explain_denied, missing_privileges
from ccexport.constantcontact.answers import (
    Answer,
    Part,
    Request,
)
from ccexport.errors import (
    ConstantContactRefused,
    NotFoundThere,
)
from tests.constantcontact.samples import ALL_REQUESTS, LIST

# --- what is sent ---------------------------------------------------------------------------------------------


def test_requests_are_those_of_the_reference() -> None:
    sent = {name: (r.method, r.path, dict(r.params), r.json) for name, r in ALL_REQUESTS.items()}
    assert sent == {
        "account": ("GET", "/account/summary", {}, None),
        "privileges": ("GET", "/account/user/privileges", {}, None),
        "lists": (
            "GET", "/contact_lists",
            {"limit": "500", "status": "active", "include_membership_count": "active"}, None,
        ),
        "list": ("GET", f"/contact_lists/{LIST}", {"include_membership_count": "active"}, None),
        "create": ("POST", "/contact_lists", {}, {"name": "Spring buyers", "favorite": False}),
        "fields": ("GET", "/contact_custom_fields", {"limit": "100"}, None),
        "import": ("POST", "/activities/contacts_file_import", {}, None),
        "activity": ("GET", "/activities/a1", {}, None),
        "activities": ("GET", "/activities", {"limit": "500"}, None),
        "remove": (
            "POST", "/activities/remove_list_memberships", {},
            {"source": {"contact_ids": ["c1"]}, "list_ids": [LIST]},
        ),
        "contacts": (
            "GET", "/contacts",
            {"limit": "500", "include": "list_memberships", "email": "ana+x@example.com"}, None,
        ),
        "counts": ("GET", "/contacts/counts", {}, None),
        "export": (
            "POST", "/activities/contact_exports", {},
            {"list_ids": [LIST], "fields": ["email_address"]},
        ),
        "download": ("GET", "/contact_exports/e1", {}, None),
    }  # fmt: skip


def test_only_imports_removals_and_new_lists_are_unsafe_to_repeat() -> None:
    unsafe = {name for name, request in ALL_REQUESTS.items() if not request.safe_to_repeat}
    assert unsafe == {"import", "create", "remove"}


def test_opt_outs_are_asked_for_with_a_time_in_utc() -> None:
    request = protocol.build_contacts(opted_out_after=datetime(2026, 1, 5, 10, tzinfo=UTC))
    assert dict(request.params)["optout_after"] == "2026-01-05T10:00:00.000Z"
    assert dict(request.params)["status"] == "all"


@pytest.mark.parametrize("request_", ALL_REQUESTS.values(), ids=ALL_REQUESTS)
def test_every_request_of_ours_passes_the_last_look(request_: Request) -> None:
    protocol.check_request(request_, json.dumps(request_.json).encode() if request_.json else b"")


FORBIDDEN = {
    "deletion": Request("POST", "/activities/contact_delete", "x", "x", json={"contact_ids": ["c"]}),
    "HTTP DELETE": Request("DELETE", "/contact_lists/x", "x", "x"),
    "everybody removed": Request(
        "POST", "/activities/remove_list_memberships", "remove_list_memberships", "x",
        json={"source": {"all_active_contacts": True}, "list_ids": [LIST]},
    ),
    "everybody, said false": Request("POST", "/x", "x", "x", json={"a": [{"all_active_contacts": False}]}),
    "empty export": Request("POST", "/activities/contact_exports", "contact_exports", "x", json={}),
    "export of fields only": Request(
        "POST", "/activities/contact_exports", "contact_exports", "x", json={"fields": ["email_address"]}
    ),
    "export without a body": Request("POST", "/activities/contact_exports", "contact_exports", "x"),
    "export of no lists": Request(
        "POST", "/activities/contact_exports", "contact_exports", "x", json={"list_ids": []}
    ),
    "removal of nobody": Request(
        "POST", "/activities/remove_list_memberships", "remove_list_memberships", "x",
        json={"source": {"contact_ids": []}, "list_ids": [LIST]},
    ),
    "removal from no list": Request(
        "POST", "/activities/remove_list_memberships", "remove_list_memberships", "x",
        json={"source": {"contact_ids": ["c"]}, "list_ids": []},
    ),
    "removal by list": Request(
        "POST", "/activities/remove_list_memberships", "remove_list_memberships", "x",
        json={"source": {"list_ids": [LIST]}, "list_ids": [LIST]},
    ),
    "removal hidden under another name": Request(
        "POST", "/activities/remove_list_memberships", "x", "x",
        json={"source": {"tag_ids": ["t"]}, "list_ids": [LIST]},
    ),
    "removal from two lists": Request(
        "POST", "/activities/remove_list_memberships", "x", "x",
        json={"source": {"contact_ids": ["c"]}, "list_ids": [LIST, "x"]},
    ),
    "removal of contacts and a list": Request(
        "POST", "/activities/remove_list_memberships", "x", "x",
        json={"source": {"contact_ids": ["c"], "list_ids": [LIST]}, "list_ids": [LIST]},
    ),
    "addition by list": Request(
        "POST", "/activities/add_list_memberships", "x", "x",
        json={"source": {"list_ids": [LIST]}, "list_ids": ["x"]},
    ),
    "export by tag": Request(
        "POST", "/activities/contact_exports", "x", "x", json={"list_ids": [LIST], "tag_ids": ["t"]}
    ),
    "deletion within a body": Request(
        "POST", "/x", "x", "x", json={"then": [{"contact_delete": {"contact_ids": ["c"]}}]}
    ),
    "import with a third part": Request(
        "POST", "/activities/contacts_file_import", "x", "x",
        files=(Part("file", b""), Part("list_ids", b""), Part("tag_ids", b"t")),
    ),
    "export hidden under another name": Request("POST", "/activities/contact_exports", "x", "x", json={}),
}  # fmt: skip


@pytest.mark.parametrize("request_", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_would_touch_the_whole_account_never_leaves(request_: Request) -> None:
    with pytest.raises(ValueError, match=r"."):
        protocol.check_request(
            request_, json.dumps(request_.json).encode() if request_.json else b""
        )


@pytest.mark.parametrize("number", [0, 501])
def test_a_removal_takes_1_to_500_contacts(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 500"):
        protocol.build_remove_list_memberships(LIST, ["c"] * number)


@pytest.mark.parametrize(
    "name", ["", "x", "x.CSV", "x.csv.exe", "a/b.csv", '"x".csv', "ä.csv", "x\r\n.csv", ".csv"]
)
def test_a_file_name_that_would_be_answered_415_is_a_bug(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        protocol.build_file_import(name, b"email\r\n", [LIST])


@pytest.mark.parametrize("ids", [[], ["x,y"], ["x y"], [LIST] * 51, [""]])
def test_list_ids_of_an_import_are_1_to_50_plain_ids(ids: list[str]) -> None:
    with pytest.raises(ValueError, match="list ids"):
        protocol.build_file_import("x.csv", b"email\r\n", ids)


def test_contacts_are_never_asked_for_all_at_once() -> None:
    with pytest.raises(ValueError, match="never all"):
        protocol.build_contacts()


@pytest.mark.parametrize(
    "pasted", ["..", "../account/summary", "", "a b", "x?y", "https://x/y", "ä"]
)
def test_what_cannot_be_an_id_is_said_so_and_not_sent(pasted: str) -> None:
    with pytest.raises(NotFoundThere, match="not an id"):
        protocol.build_get_list(pasted)


@pytest.mark.parametrize("name", ["", "   ", "x" * 256])
def test_a_list_name_has_1_to_255_characters(name: str) -> None:
    with pytest.raises(ConstantContactRefused, match="255"):
        protocol.build_create_list(name)


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        (LIST, LIST),
        (f" {LIST.upper()}\n", LIST),
        (f"https://app.constantcontact.com/pages/contacts/ui#contacts/{LIST}?sort=x", LIST),
        (f"{LIST} {LIST.upper()}", LIST),
        (f"{LIST} {LIST[:-1]}0", None),
        ("the newsletter", None),
        ("", None),
    ],
)
def test_a_list_is_found_in_its_id_or_in_its_address(pasted: str, found: str | None) -> None:
    assert protocol.find_list_id(pasted) == found


def test_what_is_shown_of_a_request_holds_no_contact_data() -> None:
    request = protocol.build_contacts(email="ana@example.com")
    import_ = protocol.build_file_import("x.csv", b"email\r\nana@example.com\r\n", [LIST])
    answer = Answer(import_, 400, {}, b"ana@example.com")
    assert "ana@" not in repr((request, import_, answer))


# --- rights ---------------------------------------------------------------------------------------------------

RIGHTS = frozenset({"account:read", "contacts:read", "contacts:write", "contacts:lists:read"})


def test_privileges_are_compared_as_whole_names() -> None:
    assert missing_privileges(RIGHTS) == frozenset()
    assert missing_privileges({"account:read", "contacts:read", "contacts:lists:read:all"}) == {
        "contacts:write",
        "contacts:lists:read",
    }
    assert missing_privileges(RIGHTS, may_create_lists=True) == {"contacts:lists:write"}


@pytest.mark.parametrize(
    ("granted", "scope", "said"),
    [
        (RIGHTS, "account_read offline_access", "did not grant contact_data"),
        (
            {"account:read", "contacts:read", "contacts:lists:read"},
            "contact_data account_read",
            "lacks contacts:write",
        ),
        (RIGHTS, "contact_data account_read offline_access", "application is restricted"),
        (RIGHTS, "", "application is restricted"),
    ],
)
def test_a_denied_request_is_explained_by_scope_then_privilege(
    granted: frozenset[str], scope: str, said: str
) -> None:
    assert said in explain_denied(granted, scope)
