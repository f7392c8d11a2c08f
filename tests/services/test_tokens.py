"""The sign-in lives on: renewed in time, by one at a time, durable before use."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ccexport.constantcontact import auth
from ccexport.constantcontact import keeper as tokens_module
from ccexport.errors import NotConnected, OutcomeUnknown
from ccexport.sandbox.server import running_sandbox
from ccexport.store.tokens import TokenStore
from tests.kit.house import House, behaviour


@pytest.fixture
def signed_in(tmp_path: Path, database_url: str):  # type: ignore[no-untyped-def]  # a fixture that yields
    """A connection whose tokens live a minute, on each database."""
    with running_sandbox(behaviour(expires_in=60)) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url)
        house.connect()
        yield house
        house.close()


def test_many_who_need_a_token_at_once_renew_it_once(signed_in: House, tmp_path: Path) -> None:
    signed_in.expire()
    got: list[str] = []

    def take() -> None:
        other = House(tmp_path, signed_in.sandbox, database_url=signed_in.settings.database_url)
        got.append(other.installation.tokens.access_token(1))
        other.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1, "each of them renewed the pair"
    counters = signed_in.ask("/_sandbox/tokens")
    assert counters["spent_refresh_tokens_used"] == 0
    assert counters["refreshed"] == 1


def test_the_new_pair_is_stored_before_anybody_uses_it(
    signed_in: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in.expire()
    keeper = signed_in.installation.tokens
    seen: list[str] = []
    original = TokenStore.write

    def write(store: TokenStore, connection_id: int, content: bytes, expires_at: object) -> None:
        original(store, connection_id, content, expires_at)  # type: ignore[arg-type]
        seen.append("stored")

    monkeypatch.setattr(TokenStore, "write", write)
    token = keeper.access_token(1)
    assert seen == ["stored"]
    monkeypatch.undo()
    stored = signed_in.tokens.read(1)
    assert stored is not None
    assert token.encode() in stored.content


def test_a_token_rejected_meanwhile_renewed_by_another_is_not_renewed_again(
    signed_in: House,
) -> None:
    keeper = signed_in.installation.tokens
    current = keeper.access_token(1)
    assert keeper.renewed(1, "an older one") == current
    assert signed_in.ask("/_sandbox/tokens")["refreshed"] <= 1


def test_a_lost_renewal_is_tried_once_more_and_then_a_person_has_to_sign_in(
    signed_in: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in.expire()
    calls: list[str] = []

    def lose(*args: object, **kwargs: object) -> auth.TokenPair:
        calls.append("asked")
        if len(calls) == 1:
            raise OutcomeUnknown("lost")
        raise NotConnected("spent")

    monkeypatch.setattr(tokens_module, "refresh", lose)
    with pytest.raises(NotConnected, match='sign-in of "Marketing"'):
        signed_in.installation.tokens.access_token(1)
    assert calls == ["asked", "asked"]
    assert signed_in.installation.connections.get(1).needs_sign_in


def test_tokens_are_not_readable_in_the_store(signed_in: House) -> None:
    stored = signed_in.tokens.read(1)
    assert stored is not None
    assert "access_token" not in repr(stored)
    with signed_in.installation.engine.connect() as connection:
        (secret,) = connection.exec_driver_sql("SELECT pair FROM token").one()
    assert b"access_token" not in bytes(secret)
