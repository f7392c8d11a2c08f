"""C27: the scope of the answer differs in text from the one asked for. What counts is what it grants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses

from ccexport.constantcontact.access import explain_denied
from ccexport.errors import AccessDenied, NotConnected
from tests.constantcontact.pairs import GRANTED, PAIR, TOKEN, finish, renew

NOT_SAID = "the answer has no such field"
ENOUGH: tuple[object, ...] = (
    "account_read contact_data",
    "contact_data account_read offline_access",
    "account_read,contact_data",
    " contact_data\taccount_read ",
    "Contact_Data ACCOUNT_READ",
    ["contact_data", "account_read"],
    "account_read contact_data campaign_data offline_access",
    "",
    None,
    7,
    NOT_SAID,
)
TOO_LITTLE = {
    "account_read offline_access": "contact_data",
    "contact_data": "account_read",
    "offline_access": "account_read and contact_data",
    "contact_data_readonly account_read": "contact_data",
}


@pytest.fixture
def token_endpoint() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def answer(scope: object, **changes: object) -> dict[str, Any]:
    given = {**GRANTED, "scope": scope, **changes}
    return {name: value for name, value in given.items() if value is not NOT_SAID}


@pytest.mark.parametrize("scope", ENOUGH, ids=repr)
def test_a_scope_that_grants_enough_signs_in_and_is_renewed(
    token_endpoint: responses.RequestsMock, scope: object
) -> None:
    token_endpoint.post(TOKEN, json=answer(scope))
    assert finish().access_token == renew().access_token == "new-access"


@pytest.mark.parametrize(("scope", "missing"), TOO_LITTLE.items())
def test_a_scope_that_grants_too_little_is_refused_and_names_what_is_missing(
    token_endpoint: responses.RequestsMock, scope: str, missing: str
) -> None:
    token_endpoint.post(TOKEN, json=answer(scope))
    with pytest.raises(AccessDenied, match=f"did not grant {missing}\\. Start it again"):
        finish()


@pytest.mark.parametrize(("scope", "missing"), TOO_LITTLE.items())
def test_a_renewal_that_grants_too_little_is_kept_and_the_first_refusal_names_what_is_missing(
    token_endpoint: responses.RequestsMock, scope: str, missing: str
) -> None:
    """The old pair is spent by then: to drop the new one would end the connection."""
    token_endpoint.post(TOKEN, json=answer(scope))
    pair = renew()
    assert (pair.access_token, pair.refresh_token) == ("new-access", "new-refresh")
    assert f"did not grant {missing}. Open" in explain_denied({"account:read"}, pair.scope)


@pytest.mark.parametrize("refresh_token", [NOT_SAID, None, "", 5])
def test_a_sign_in_without_a_refresh_token_is_refused_at_once_with_the_reason(
    token_endpoint: responses.RequestsMock, refresh_token: object
) -> None:
    token_endpoint.post(TOKEN, json=answer("account_read", refresh_token=refresh_token))
    with pytest.raises(NotConnected, match=r"no refresh token.*offline_access"):
        finish()


def test_a_renewal_without_a_scope_keeps_the_one_that_was_granted(
    token_endpoint: responses.RequestsMock,
) -> None:
    token_endpoint.post(TOKEN, json=answer(NOT_SAID))
    assert renew().scope == PAIR.scope
