"""Backups of the store and its keys, in one file under a passphrase, while everything runs; and back.

Run files are not in it: they are large, deleted after a while, and made again from the source by runs that need them.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from ccexport import __version__
from ccexport.clock import iso
from ccexport.errors import CcexportError, Conflict, SetupError, StoreError
from ccexport.installation import Installation
from ccexport.processes import is_dead
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.store.database.folders import sync_folder
from ccexport.store.vault.backups import BackupStore, holds_something, restore
from ccexport.store.vault.dump import dump_lines
from ccexport.store.vault.keys import KEY_FILE, Key, Keys, read_key, write_key_file
from ccexport.store.vault.sealed import MAGIC, seal, unseal


@dataclass(frozen=True)
class Made:
    """A backup: how much it holds, and the size of its file."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Restored:
    """What came back; `canceled_runs` end at once, since nobody knows what they did after the backup."""

    made_at: datetime
    rows: int
    canceled_runs: list[int]


class Backups:
    """What an operator does against loss."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def make(self, path: Path, passphrase: str, *, by: Person) -> Made:
        """Write a backup, replacing an earlier one of that name only once it is complete. Raises `SetupError`.

        The attempt is recorded, so that `doctor` can tell of backups that fail.
        """
        by = require(self._installation, by, Action.MAKE_BACKUP, "backup", path.name)
        store = BackupStore(self._installation.engine, self._installation.now)
        with audited(self._installation, by, Action.MAKE_BACKUP, "backup", path.name):
            attempt = store.started(path.name)
        try:
            made = self._write(path, passphrase)
        except BaseException as error:
            told = isinstance(error, CcexportError)
            store.ended(
                attempt, error=str(error) if told else f"broke off ({type(error).__name__})"
            )
            raise
        store.ended(attempt, rows=made.rows, size=made.bytes)
        return made

    def _write(self, path: Path, passphrase: str) -> Made:
        """The file alone, without asking or telling anybody."""
        counter = _Counter()
        with (
            _replacing(path) as file,
            closing(dump_lines(self._installation.engine, self._about())) as lines,
        ):
            seal(_compressed(counter.counted(lines)), file, passphrase)
        return Made(counter.rows, path.stat().st_size)

    def restore(self, path: Path, passphrase: str, *, replace: bool, by: Person) -> Restored:
        """Put a backup in place of the store, all or nothing. Raises `SetupError`.

        Refuses a store that holds something, unless `replace`, and while workers are alive. An older backup is
        brought to this code's tables.
        """
        by = require(self._installation, by, Action.RESTORE_BACKUP, "backup", path.name)
        with _opened(path) as file:
            lines = _lines(_decompressed(unseal(file, passphrase, str(path)), path), path)
            about = json.loads(next(lines))
            self._check(replace)
            its = [read_key(text) for text in about["keys"]]
            if self._installation.settings.secret_key is None and not self._key_file.exists():
                write_key_file(self._installation.settings.data_dir, about["keys"])
            made_at = datetime.fromisoformat(about["made_at"])
            with audited(self._installation, by, Action.RESTORE_BACKUP, "backup", path.name):
                rows, canceled = restore(
                    self._installation.engine,
                    lines,
                    about["revision"],
                    self._with(its),
                    made_at,
                    self._installation.now,
                )
        self._delete_run_files()
        return Restored(made_at, rows, canceled)

    @property
    def _key_file(self) -> Path:
        return self._installation.settings.data_dir / KEY_FILE

    def _about(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "made_at": iso(self._installation.now()),
            "keys": [key.text for key in self._installation.keys.ring],
        }

    def _check(self, replace: bool) -> None:
        alive = [each.id for each in self._installation.workers.alive() if not is_dead(each.id)]
        if alive:
            raise Conflict(
                f"Workers are alive ({', '.join(sorted(alive))}). Stop them, then restore."
            )
        if not replace and holds_something(self._installation.engine):
            raise Conflict(
                "The store holds connections, exports or runs. To put the backup in their place, add --replace."
            )

    def _with(self, its: list[Key]) -> Keys:
        """The keys of this installation, then those of the backup: what these made is encrypted with ours."""
        ring = self._installation.keys.ring
        merged = (*ring, *(key for key in its if key.name not in {ours.name for ours in ring}))
        return Keys(lambda: merged)

    def _delete_run_files(self) -> None:
        """Those that are here belong to other runs of the same numbers, or to later states of them."""
        shutil.rmtree(self._installation.settings.run_files_dir, ignore_errors=True)


class _Counter:
    """Counts rows as they pass: each is a line that is a JSON array."""

    def __init__(self) -> None:
        self.rows = 0

    def counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self.rows += line.startswith(b"[")
            yield line


def _compressed(lines: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj()
    for line in lines:
        yield packer.compress(line)
    yield packer.flush()


def _decompressed(chunks: Iterable[bytes], path: Path) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    for chunk in chunks:
        yield unpacker.decompress(chunk)
    if not unpacker.eof:
        raise StoreError(f"{path} is damaged: it ends too early. Take another backup.")


def _lines(chunks: Iterable[bytes], path: Path) -> Iterator[bytes]:
    waiting = b""
    for chunk in chunks:
        *complete, waiting = (waiting + chunk).split(b"\n")
        yield from complete
    if waiting:
        raise StoreError(f"{path} is damaged: it ends too early. Take another backup.")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file (mode 0600) that takes the name at a clean end, durably; only another backup is replaced."""
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _refuse_what_is_no_backup(path)
        handle = os.open(half, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise SetupError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        half.unlink(missing_ok=True)


def _refuse_what_is_no_backup(path: Path) -> None:
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise SetupError(
                    f"{path} is there already and is not a backup. Choose another name."
                )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield file
