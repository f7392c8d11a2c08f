"""Requests per second, per day, and those of the token endpoint."""

import pytest
import requests

from ccexport.sandbox.account.limits import SlidingSecond
from tests.sandbox.conftest import Account, OpenAccount


@pytest.mark.parametrize(
    ("arrivals", "admitted"),
    [
        ([0, 0.1, 0.2, 0.3, 0.4], [True] * 4 + [False]),
        ([0, 0.25, 0.5, 0.75, 1.0, 1.25], [True] * 6),
        ([0.9, 0.9, 0.9, 0.9, 1.1], [True] * 4 + [False]),
        ([0, 0, 0, 0, 0, 0.5, 1.0, 1.5], [True] * 4 + [False, False, True, True]),
    ],
)
def test_any_second_admits_four(arrivals: list[float], admitted: list[bool]) -> None:
    window = SlidingSecond()
    assert [window.admits(at, 4) for at in arrivals] == admitted


def _get(account: Account) -> requests.Response:
    return account.get("/contact_lists")


def test_the_fifth_request_of_a_second_is_throttled(open_account: OpenAccount) -> None:
    account = open_account(requests_per_second=4)
    account.sign_in()
    assert [_get(account).status_code for _ in range(5)] == [200] * 4 + [429]
    assert _get(account).json() == {"error_key": "throttled", "error_message": "Too Many Requests"}
    account.clock.advance(1)
    assert _get(account).status_code == 200


def test_the_days_budget_ends_at_midnight_utc(open_account: OpenAccount) -> None:
    account = open_account(requests_per_day=2)
    account.sign_in()
    assert [_get(account).status_code for _ in range(3)] == [200, 200, 429]
    assert _get(account).json() == {
        "error_key": "quota_exceeded",
        "error_message": "Limit Exceeded",
    }
    account.clock.now = 1_767_657_599.9
    assert _get(account).status_code == 429
    account.clock.now = 1_767_657_600.0
    assert _get(account).status_code == 200


def test_refused_requests_count_as_well(open_account: OpenAccount) -> None:
    account = open_account(requests_per_day=1)
    assert [_get(account).status_code for _ in range(2)] == [401, 429]


def test_429_says_nothing_about_when_to_come_back(open_account: OpenAccount) -> None:
    account = open_account(requests_per_day=0)
    assert not {name for name in _get(account).headers if "retry" in name or "rate" in name}


def test_the_token_endpoint_admits_one_request_a_second(open_account: OpenAccount) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    url = f"{account.url}/oauth2/default/v1/token"
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "app"}
    account.clock.advance(0.5)
    assert requests.post(url, data=form, timeout=10).status_code == 429
    account.clock.advance(1)
    assert requests.post(url, data=form, timeout=10).status_code == 200


def test_looking_into_the_sandbox_costs_nothing(open_account: OpenAccount) -> None:
    account = open_account(requests_per_day=0, requests_per_second=1)
    assert [account.inspect("requests").status_code for _ in range(3)] == [200] * 3
