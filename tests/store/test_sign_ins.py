"""Sign-ins under way: once, within ten minutes, by the browser that began; nothing readable in the store."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from ccexport.store.database.tables import OAuthSignIn
from ccexport.store.sign_ins import SignInStore, Wish
from ccexport.store.vault.keys import Keys
from tests.kit.clocks import Clock

WISH = Wish("Marketing", True, "ana")


@pytest.fixture
def store(engine: Engine, keys: Keys, clock: Clock) -> SignInStore:
    return SignInStore(engine, keys, clock)


def _begin(store: SignInStore, ticket: str = "ticket", state: str = "state") -> bool:
    return store.begin(
        ticket, state=state, browser="cookie", code_verifier="verifier", asked_by="ana"
    )


def test_sign_in_comes_back_with_what_was_asked_for(store: SignInStore) -> None:
    store.add("ticket", WISH)
    assert _begin(store)
    found = store.take("state", "cookie")
    assert found is not None
    assert (found.wish, found.code_verifier) == (WISH, "verifier")


def test_ticket_begins_once(store: SignInStore) -> None:
    store.add("ticket", WISH)
    assert _begin(store)
    assert not _begin(store, state="another")
    assert store.take("another", "cookie") is None


def test_ticket_that_nobody_made_begins_nothing(store: SignInStore) -> None:
    store.add("ticket", WISH)
    assert not _begin(store, ticket="made up")


def test_ticket_older_than_ten_minutes_begins_nothing(store: SignInStore, clock: Clock) -> None:
    store.add("ticket", WISH)
    clock.move(minutes=10)
    assert not _begin(store)


@pytest.mark.parametrize(
    ("state", "cookie"), [("state", "foreign"), ("foreign", "cookie"), ("", ""), ("state", "")]
)
def test_return_with_a_foreign_state_or_cookie_is_nobodys_and_spoils_nothing(
    store: SignInStore, state: str, cookie: str
) -> None:
    store.add("ticket", WISH)
    _begin(store)
    assert store.take(state, cookie) is None
    assert store.take("state", "cookie") is not None


def test_return_is_taken_once(store: SignInStore) -> None:
    store.add("ticket", WISH)
    _begin(store)
    assert store.take("state", "cookie") is not None
    assert store.take("state", "cookie") is None


def test_return_after_ten_minutes_is_too_late(store: SignInStore, clock: Clock) -> None:
    store.add("ticket", WISH)
    _begin(store)
    clock.move(minutes=10)
    assert store.take("state", "cookie") is None


def test_store_holds_neither_ticket_nor_state_nor_cookie_nor_verifier(
    store: SignInStore, engine: Engine
) -> None:
    store.add("ticket", WISH)
    _begin(store)
    with Session(engine) as session:
        row = session.exec(select(OAuthSignIn)).one()
    held = repr((row.ticket, row.state, row.browser, row.verifier))
    assert not any(f"'{word}'" in held for word in ("ticket", "state", "cookie"))
    assert row.verifier is not None
    assert b"verifier" not in row.verifier
    store.take("state", "cookie")
    with Session(engine) as session:
        assert session.exec(select(OAuthSignIn)).one().verifier is None


def test_sign_ins_of_yesterday_are_forgotten(
    store: SignInStore, engine: Engine, clock: Clock
) -> None:
    store.add("old", WISH)
    clock.move(days=1, minutes=1)
    store.add("new", WISH)
    with Session(engine) as session:
        assert len(session.exec(select(OAuthSignIn)).all()) == 1
