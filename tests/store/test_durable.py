"""What must survive a loss of power is forced to the disk before anything relies on it."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import text

from ccexport.store.database.engine import open_engine, writing
from ccexport.store.vault.keys import load_keys
from ccexport.store.vault.run_files import RunFiles

ROWS = pa.RecordBatch.from_pydict({"email": ["a@b.co"]})


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was forced to the disk, and what got its final name, in order."""
    seen: list[str] = []
    fsync, replace, link = os.fsync, Path.replace, os.link

    def note_fsync(handle: int) -> None:
        seen.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")
        fsync(handle)

    def note_replace(path: Path, target: Path) -> Path:
        seen.append(f"name {Path(target).name}")
        return replace(path, target)

    def note_link(source: Path, target: Path) -> None:
        seen.append(f"name {Path(target).name}")
        link(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "link", note_link)
    monkeypatch.setattr(Path, "replace", note_replace)
    return seen


def test_a_run_file_is_on_disk_before_it_has_its_name_and_its_name_before_it_is_used(
    tmp_path: Path, forced: list[str]
) -> None:
    with RunFiles(tmp_path, lambda: [bytes(32)]).writer(7, "contacts", ROWS.schema) as file:
        file.write(ROWS)
    draft = f"contacts.parquet.{os.getpid()}.tmp"
    assert forced == [f"fsync {draft}", "name contacts.parquet", "fsync 7"]


def test_a_new_key_is_on_disk_before_it_encrypts_anything(
    tmp_path: Path, forced: list[str]
) -> None:
    load_keys(None, tmp_path)
    draft = f".secret.key.{os.getpid()}"
    assert forced == [f"fsync {draft}", "name secret.key", f"fsync {tmp_path.name}"]


def test_every_connection_commits_durably(database_url: str) -> None:
    """On PostgreSQL that is the server's affair: we never ask it for less than it was set up for."""
    engine = open_engine(database_url)
    with writing(engine) as session:
        if engine.dialect.name == "sqlite":
            (level,) = session.connection().execute(text("PRAGMA synchronous")).one()
            assert level == 2, "FULL: a commit is on disk when it returns"
        else:
            asked = text("SELECT source FROM pg_settings WHERE name = 'synchronous_commit'")
            assert session.connection().execute(asked).scalar_one() != "session"
    engine.dispose()
