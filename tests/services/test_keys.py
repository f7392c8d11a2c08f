"""Changing the key: the new one encrypts, the old ones decrypt until they are dropped; nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import LargeBinary
from sqlmodel import SQLModel, select

from ccexport.errors import Conflict, SetupError, StoreError
from ccexport.installation import Installation
from ccexport.sandbox.server import running_sandbox
from ccexport.services.operations.keys import KeyRotation, KeyUse
from ccexport.states import RunState
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Run, Token
from ccexport.store.vault.keys import KEY_FILE, load_keys, split_keys, write_key_file
from ccexport.store.vault.secrets import ENCRYPTED
from tests.kit.house import ANA, House, behaviour, people, write_source

SCHEMA = pa.schema([("email", pa.string())])

SECRETS = 3  # the sign-in, a part of the ledger, and the key of its hashes


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """A connection, an export, one run that has ended with one profile left out."""
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url)
        write_source(house.source, [*people(5), {**people(1)[0], "CustomerId": "9", "EMail": ""}])
        house.connect()
        house.add_export()
        house.run()
        yield house
        house.close()


def key_texts(house: House) -> list[str]:
    return split_keys((house.settings.data_dir / KEY_FILE).read_text())


def stored_pair(installation: Installation) -> bytes:
    with reading(installation.engine) as session:
        return session.exec(select(Token)).one().pair


def test_a_new_key_encrypts_and_the_old_one_still_decrypts(house: House) -> None:
    old, before = key_texts(house), stored_pair(house.installation)
    done = KeyRotation(house.installation).rotate(by=ANA)
    assert done.secrets == 3, "the sign-in, a part of the ledger, the key of its hashes"
    new = key_texts(house)
    assert new[1:] == old
    assert (house.settings.data_dir / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert stored_pair(house.installation) != before
    Fernet(new[0]).decrypt(stored_pair(house.installation))
    assert len(list(house.installation.run_files.all())) == 2
    assert {
        house.installation.run_files.key_number(*file)
        for file in house.installation.run_files.all()
    } == {1}
    assert house.run()["counts"]["accepted"] == 5


def test_a_process_that_has_read_the_keys_before_goes_on(house: House) -> None:
    elsewhere = Installation(house.settings)
    token = elsewhere.tokens.access_token(1)
    KeyRotation(house.installation).rotate(by=ANA)
    assert elsewhere.tokens.access_token(1) == token
    assert elsewhere.keys.newest.text == key_texts(house)[0]
    KeyRotation(house.installation).drop_old(by=ANA)
    assert elsewhere.tokens.access_token(1) == token
    assert len(elsewhere.keys.ring) == 1
    elsewhere.close()


def test_dropping_the_old_keys_encrypts_run_files_anew_and_loses_no_row(house: House) -> None:
    files = house.installation.run_files
    before = {file: pa.Table.from_batches(files.stream(*file)) for file in files.all()}
    KeyRotation(house.installation).rotate(by=ANA)
    KeyRotation(house.installation).rotate(by=ANA)
    done = KeyRotation(house.installation).drop_old(by=ANA)
    assert (done.run_files, done.unreadable_files) == (2, 0)
    assert len(key_texts(house)) == 1
    assert {file: files.key_number(*file) for file in before} == dict.fromkeys(before, 0)
    for file, rows in before.items():
        assert pa.Table.from_batches(files.stream(*file)).equals(rows)
    assert {path.stat().st_mode & 0o777 for path in house.settings.data_dir.rglob("*.parquet")} == {
        0o600
    }


def test_keys_are_listed_by_names_that_say_nothing_of_them(house: House) -> None:
    KeyRotation(house.installation).rotate(by=ANA)
    newest, old = KeyRotation(house.installation).uses()
    assert newest == KeyUse(newest.name, True, SECRETS, 0)
    assert old == KeyUse(old.name, False, 0, 2)
    for use, text in zip((newest, old), key_texts(house), strict=True):
        assert use.name
        assert use.name not in text
        assert text not in repr(house.installation.keys.ring)


def test_what_no_key_opens_is_counted_and_keeps_keys_from_being_dropped(house: House) -> None:
    write_key_file(house.settings.data_dir, [Fernet.generate_key().decode()])
    assert KeyRotation(house.installation).uses()[-1] == KeyUse(None, False, SECRETS, 2)
    with pytest.raises(StoreError, match="encrypted with another key"):
        KeyRotation(house.installation).drop_old(by=ANA)


def test_old_keys_stay_while_a_run_makes_its_files(house: House) -> None:
    KeyRotation(house.installation).rotate(by=ANA)
    run_id = house.queue()
    with writing(house.installation.engine) as session:
        run = session.get_one(Run, run_id)
        run.state = RunState.PREPARING
        session.add(run)
    with pytest.raises(Conflict, match=f"Run {run_id} is being prepared"):
        KeyRotation(house.installation).drop_old(by=ANA)
    assert len(key_texts(house)) == 2


def test_a_file_whose_key_is_dropped_while_it_is_written_is_not_kept(house: House) -> None:
    files = house.installation.run_files

    def write() -> None:
        with files.writer(9, "late", SCHEMA) as late:
            late.write(pa.record_batch([["a@example.com"]], schema=SCHEMA))
            KeyRotation(house.installation).rotate(by=ANA)
            KeyRotation(house.installation).drop_old(by=ANA)

    with pytest.raises(StoreError, match="written anew"):
        write()
    assert not files.exists(9, "late")


def test_a_key_in_the_setting_is_changed_there_without_a_stop(house: House) -> None:
    [old] = key_texts(house)
    new = Fernet.generate_key().decode()

    def installation(keys: str) -> Installation:
        settings = house.settings.model_copy(update={"secret_key": SecretStr(keys)})
        return Installation(settings)

    old_alone, reads_both = installation(old), installation(f"{old},{new}")
    writes_new, new_alone = installation(f"{new}, {old}"), installation(new)
    with pytest.raises(SetupError, match="CCEXPORT_SECRET_KEY holds one key"):
        KeyRotation(old_alone).rotate(by=ANA)
    token = reads_both.tokens.access_token(1)
    assert KeyRotation(writes_new).rotate(by=ANA).secrets == 3
    assert reads_both.tokens.access_token(1) == token
    assert KeyRotation(writes_new).drop_old(by=ANA).run_files == 2
    assert new_alone.tokens.access_token(1) == token
    assert {use.name: use.run_files for use in KeyRotation(new_alone).uses()} == {
        new_alone.keys.newest.name: 2
    }
    assert key_texts(house) == [old]
    for each in (old_alone, reads_both, writes_new, new_alone):
        each.close()


def test_a_key_file_that_vanishes_is_not_replaced_by_a_new_key(tmp_path: Path) -> None:
    keys = load_keys(None, tmp_path)
    secret = keys.encrypt(b"pair")
    (tmp_path / KEY_FILE).unlink()
    assert keys.decrypt(secret) == b"pair"
    assert not (tmp_path / KEY_FILE).exists()


def test_every_column_that_holds_bytes_is_encrypted_anew() -> None:
    bytes_of_tables = {
        (table.name, column.name)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert bytes_of_tables == {(str(table.__tablename__), name) for table, name in ENCRYPTED}
