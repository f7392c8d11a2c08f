"""API tokens: how they are made, whom they let in, and what becomes of their scope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import SQLModel, select

from ccexport.errors import Conflict, NotFound, UsageError
from ccexport.installation import Installation
from ccexport.redaction import redact
from ccexport.services.api.tokens import ApiTokens, WrongToken, is_well_formed, new_token
from ccexport.settings import Settings
from ccexport.store.database.engine import reading
from tests.kit.clocks import Clock
from tests.kit.house import ANA
from tests.kit.rows import export_row


@pytest.fixture
def installation(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Installation]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "var", database_url=database_url)
    made = Installation(settings, clock)
    yield made
    made.close()


@pytest.fixture
def tokens(installation: Installation) -> ApiTokens:
    return ApiTokens(installation)


def add_export(installation: Installation, name: str) -> None:
    installation.exports.add(export_row(name, at=installation.now()), ["All"], [("email", "EMail")])


def test_a_token_has_prefix_random_part_and_checksum() -> None:
    found = {new_token() for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch(r"cce_[0-9A-Za-z]{46}", token) for token in found)
    assert all(map(is_well_formed, found))


@pytest.mark.parametrize("place", [4, 20, 43, 44, 49])
def test_a_slip_in_a_token_is_seen_by_its_checksum(place: int) -> None:
    token = new_token()
    other = "a" if token[place] != "a" else "b"
    assert not is_well_formed(token[:place] + other + token[place + 1 :])


def test_what_is_longer_shorter_or_something_else_is_not_well_formed() -> None:
    token = new_token()
    for text in ("", "cce_", "ghp_x", token[:-1], f"{token}0", f" {token}", f"{token}\n"):
        assert not is_well_formed(text)


def test_a_token_lets_in_until_it_is_revoked(tokens: ApiTokens) -> None:
    token = tokens.add("airflow", by=ANA)
    caller = tokens.caller(token, "10.1.2.3")
    assert (caller.person.name, caller.person.is_token, caller.person.came_from) == (
        "airflow",
        True,
        "10.1.2.3",
    )
    tokens.revoke("AirFlow", by=ANA)
    with pytest.raises(WrongToken, match="not known"):
        tokens.caller(token)
    assert tokens.all(by=ANA) == []


def test_another_token_lets_nobody_in(tokens: ApiTokens) -> None:
    tokens.add("airflow", by=ANA)
    with pytest.raises(WrongToken, match="not known"):
        tokens.caller(new_token())


def test_a_token_expires(tokens: ApiTokens, clock: Clock) -> None:
    token = tokens.add("airflow", days=30, by=ANA)
    clock.move(days=30, seconds=-1)
    assert tokens.caller(token)
    clock.move(seconds=1)
    with pytest.raises(WrongToken, match="has expired, at "):
        tokens.caller(token)


def test_last_use_is_kept_to_the_minute(
    tokens: ApiTokens, installation: Installation, clock: Clock
) -> None:
    token = tokens.add("airflow", by=ANA)
    assert tokens.all(by=ANA)[0].token.last_used_at is None
    first = clock()
    for seconds, said in ((0, first), (59, first), (1, first + timedelta(seconds=60))):
        clock.move(seconds=seconds)
        tokens.caller(token)
        assert tokens.all(by=ANA)[0].token.last_used_at == said


def test_the_store_holds_no_token(tokens: ApiTokens, installation: Installation) -> None:
    token = tokens.add("airflow", by=ANA)
    with reading(installation.engine) as session:
        rows = [session.execute(select(each)).all() for each in SQLModel.metadata.tables.values()]
    assert token not in repr(rows)
    assert token[4:44] not in repr(rows)


def test_a_token_whose_exports_are_gone_reaches_none_and_inherits_none(
    tokens: ApiTokens, installation: Installation
) -> None:
    add_export(installation, "Newsletter")
    tokens.add("dbt", exports=["newsletter"], by=ANA)
    [view] = tokens.all(by=ANA)
    assert view.export_names == ("Newsletter",)
    installation.exports.remove(next(iter(view.export_ids)))
    add_export(installation, "Something else")
    [view] = tokens.all(by=ANA)
    assert (view.token.all_exports, view.export_ids) == (False, frozenset())


@pytest.mark.parametrize("name", ["", "  ", "ana@example.com", "a\nb", "x" * 201])
def test_a_name_that_could_mislead_is_refused(tokens: ApiTokens, name: str) -> None:
    with pytest.raises(UsageError):
        tokens.add(name, by=ANA)


@pytest.mark.parametrize("days", [0, -1, 3_651])
def test_a_time_that_makes_no_sense_is_refused(tokens: ApiTokens, days: int) -> None:
    with pytest.raises(UsageError, match="1 to 3,650 days"):
        tokens.add("airflow", days=days, by=ANA)


def test_a_name_is_taken_once_whatever_its_case(tokens: ApiTokens) -> None:
    tokens.add("Airflow", by=ANA)
    with pytest.raises(Conflict, match="already"):
        tokens.add("airflow", by=ANA)


def test_what_is_not_there_is_said(tokens: ApiTokens) -> None:
    with pytest.raises(NotFound, match="no export"):
        tokens.add("airflow", exports=["Nothing"], by=ANA)
    with pytest.raises(NotFound, match="no API token"):
        tokens.revoke("airflow", by=ANA)
    assert tokens.all(by=ANA) == []


def test_a_token_is_masked_in_logs_and_errors() -> None:
    token = new_token()
    for text in (f"got {token}!", f"/api?x={token}", f"Authorization: Bearer {token}"):
        assert token[4:] not in redact(text)
