"""`backup` and `restore` as an operator types them: no passphrase is on a command line, trouble is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccexport.store.vault import sealed
from tests.commands.running import Here, assert_one_line, run_process
from tests.kit.house import House

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_SCRYPT_N", 1 << 10)


def test_a_store_is_lost_and_comes_back(here: Here, house: House, tmp_path: Path) -> None:
    """In processes of their own, with the cost that a guess really has."""
    house.run()
    path = tmp_path / "store.backup"
    environment = house.environment() | {"CCEXPORT_BACKUP_PASSPHRASE": PASSPHRASE}
    made = run_process("backup", str(path), environment=environment)
    assert (made.code, made.out) == (0, "")
    assert "It holds the keys too" in made.err
    assert made.err.count("\n") == 1
    environment["CCEXPORT_DATA_DIR"] = str(tmp_path / "new")
    environment["CCEXPORT_DATABASE_URL"] = f"sqlite:///{tmp_path / 'new' / 'ccexport.db'}"
    back = run_process("restore", str(path), environment=environment)
    assert (back.code, back.out) == (0, "")
    for words in (
        "Run files are not in a backup",
        "sign in again",
        "Start dashboard and worker anew",
    ):
        assert words in back.err
    again = here("exports", "run", "Newsletter", "--wait", environment=environment)
    assert again.code == 0, again.err
    assert (tmp_path / "new" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_wrong_passphrase_and_a_store_that_holds_something_are_one_line_each(
    here: Here, house: House, tmp_path: Path
) -> None:
    path = tmp_path / "store.backup"
    environment = house.environment()
    first = here(
        "backup", str(path), environment=environment, CCEXPORT_BACKUP_PASSPHRASE=PASSPHRASE
    )
    assert first.code == 0, first.err
    wrong = here(
        *("restore", str(path), "--replace"),
        environment=environment,
        CCEXPORT_BACKUP_PASSPHRASE="x" * 12,
    )
    assert_one_line(wrong, "store.backup", "does not open with this passphrase")
    full = here(
        "restore", str(path), environment=environment, CCEXPORT_BACKUP_PASSPHRASE=PASSPHRASE
    )
    assert_one_line(full, "--replace")


def test_without_a_passphrase_and_nobody_to_ask_it_is_wrong_usage(
    house: House, tmp_path: Path
) -> None:
    outcome = run_process("backup", str(tmp_path / "b"), environment=house.environment())
    assert_one_line(outcome, "CCEXPORT_BACKUP_PASSPHRASE", code=2)
    assert not (tmp_path / "b").exists()
