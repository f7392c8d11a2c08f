"""`users …`, `audit export`, and `serve` on an address that others reach."""

from __future__ import annotations

import json

import pytest

from ccexport.services.people.access import local_administrator
from tests.commands.running import Here, assert_one_line
from tests.kit.house import House

OIDC = {
    "CCEXPORT_OIDC_ISSUER": "https://login.example.com",
    "CCEXPORT_OIDC_CLIENT_ID": "ccexport",
    "CCEXPORT_OIDC_CLIENT_SECRET": "correct horse",
}


def test_users_are_added_changed_listed_and_removed(here: Here, house: House) -> None:
    environment = house.environment()
    assert here("users", "list", environment=environment).err.startswith("Nobody has signed in yet")
    added = here(
        "users", "add", "Ana@Example.com", "--role", "administrator", environment=environment
    )
    assert (added.code, added.err) == (0, "ana@example.com may sign in as administrator.\n")
    here("users", "add", "bob@example.com", environment=environment)
    here("users", "set", "bob@example.com", "--role", "contributor", environment=environment)
    found = here("users", "list", "--json", environment=environment).document
    assert [(each["email"], each["role"]) for each in found] == [
        ("ana@example.com", "administrator"),
        ("bob@example.com", "contributor"),
    ]
    last = here("users", "remove", "ana@example.com", environment=environment)
    assert_one_line(last, "This is the last administrator")
    assert here("users", "remove", "bob@example.com", environment=environment).code == 0
    assert_one_line(
        here("users", "set", "bob@example.com", "--role", "viewer", environment=environment),
        "is not among the people",
    )
    wrong = here("users", "add", "ana", environment=environment)
    assert_one_line(wrong, "That is not an email address", code=2)


def test_audit_export_prints_a_line_of_json_a_row(here: Here, house: House) -> None:
    environment = house.environment()
    here("exports", "run", "Newsletter", environment=environment)
    outcome = here("audit", "export", environment=environment)
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    assert [row["action"] for row in rows] == ["connection.add", "export.add", "export.run"]
    last = rows[-1]
    assert (last["who"], last["role"], last["outcome"], last["target"], last["from"]) == (
        local_administrator().name,
        "administrator",
        "done",
        "Newsletter",
        "",
    )
    later = here("audit", "export", "--since", "2999-01-01", environment=environment)
    assert (later.code, later.out) == (0, "")
    wrong = here("audit", "export", "--since", "yesterday", environment=environment)
    assert_one_line(wrong, '--since holds "yesterday"', code=2)


def test_audit_holds_neither_token_nor_secret_nor_profile(here: Here, house: House) -> None:
    house.run()
    text = here("audit", "export", environment=house.environment()).out
    pair = house.installation.tokens.access_token(
        house.installation.connections.by_name("Marketing").id
    )
    assert pair not in text
    assert "person1@" not in text
    assert "First1" not in text


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "dashboard.example.com"])  # noqa: S104  # to be refused
def test_serve_for_others_without_signing_in_is_refused_in_one_line(
    here: Here, quiet_house: House, address: str
) -> None:
    outcome = here("serve", "--address", address, environment=quiet_house.environment())
    assert_one_line(outcome, f"--address {address}", "CCEXPORT_OIDC_ISSUER", code=2)


@pytest.mark.parametrize("missing", sorted(OIDC))
def test_serve_with_half_of_the_sign_in_names_the_rest(
    here: Here, quiet_house: House, missing: str
) -> None:
    variables = {name: value for name, value in OIDC.items() if name != missing}
    outcome = here("serve", environment=quiet_house.environment() | variables)
    assert_one_line(outcome, f"{missing} must be set too")
