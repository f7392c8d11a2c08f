"""After many failures at the sign-in a caller has to wait; memory stays bounded."""

from __future__ import annotations

import pytest

from ccexport.web import attempts
from ccexport.web.attempts import MAX_FAILURES, WITHIN_SECONDS, FailedAttempts
from tests.kit.clocks import Seconds


@pytest.fixture
def failures(seconds: Seconds) -> FailedAttempts:
    return FailedAttempts(seconds)


def _fail(failures: FailedAttempts, address: str, times: int = MAX_FAILURES) -> None:
    for _ in range(times):
        failures.failed(address)


def test_address_may_fail_so_often_and_then_waits(failures: FailedAttempts) -> None:
    _fail(failures, "192.0.2.1", MAX_FAILURES - 1)
    assert failures.seconds_to_wait("192.0.2.1") == 0
    failures.failed("192.0.2.1")
    assert failures.seconds_to_wait("192.0.2.1") == WITHIN_SECONDS
    assert failures.seconds_to_wait("192.0.2.2") == 0


def test_wait_ends_when_the_oldest_failure_is_old(
    failures: FailedAttempts, seconds: Seconds
) -> None:
    failures.failed("192.0.2.1")
    seconds.now += 100
    _fail(failures, "192.0.2.1", MAX_FAILURES - 1)
    assert failures.seconds_to_wait("192.0.2.1") == WITHIN_SECONDS - 100
    seconds.now += WITHIN_SECONDS - 100
    assert failures.seconds_to_wait("192.0.2.1") == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2001:db8::1", "2001:db8::ffff:1"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_addresses_of_one_owner_count_together(
    failures: FailedAttempts, first: str, second: str
) -> None:
    _fail(failures, first)
    assert failures.seconds_to_wait(second) > 0


def test_addresses_of_two_owners_do_not(failures: FailedAttempts) -> None:
    _fail(failures, "2001:db8:0:1::1")
    assert failures.seconds_to_wait("2001:db8:0:2::1") == 0


def test_memory_is_bounded_and_the_latest_are_remembered(
    failures: FailedAttempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_ADDRESSES", 3)
    for number in range(5):
        _fail(failures, f"192.0.2.{number}")
    waits = [failures.seconds_to_wait(f"192.0.2.{number}") > 0 for number in range(5)]
    assert waits == [False, False, True, True, True]
