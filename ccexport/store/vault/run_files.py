"""The files of a run: encrypted Parquet, one folder a run, readable by row range. No profile is on disk in the clear.

Each file has its own key, derived from the store's key, the run and the file's name; footer and all columns are
encrypted and authenticated, so a damaged, swapped or foreign file is refused. The newest of the store's keys encrypts;
to read, each is tried. This module imports nothing else of the store.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyarrow.parquet import encryption

from ccexport.errors import StoreError
from ccexport.store.database.folders import sync_folder

if TYPE_CHECKING:
    import numpy as np
    from pyarrow.parquet import FileDecryptionProperties, FileEncryptionProperties

ROWS_PER_GROUP = 16_384  # what is read at least to get at one row; a file to send is 2 or 3 of them
ALGORITHM = "AES_GCM_V1"
COMPRESSION = "lz4"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class RunFileWriter:
    """Takes record batches; get one from `RunFiles.writer`. Compresses and encrypts in a thread of its own."""

    def __init__(
        self, writer: pq.ParquetWriter, schema: pa.Schema, thread: ThreadPoolExecutor
    ) -> None:
        self._writer, self._schema, self._thread = writer, schema, thread
        self._waiting: list[pa.RecordBatch] = []
        self._being_written: Future[None] | None = None
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. Nothing is durable before the writer is left without an error."""
        if batch.num_rows == 0:
            return
        self.rows += batch.num_rows
        self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= ROWS_PER_GROUP:
            self._write_waiting()

    def flush(self) -> None:
        """Write what waits. Raises what writing raised, now or since the last call."""
        self._write_waiting()
        self._wait()

    def _write_waiting(self) -> None:
        """Begin to write what waits, in row groups of `ROWS_PER_GROUP`, once what was begun before is written."""
        self._wait()
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._waiting = []
            self._being_written = self._thread.submit(
                self._writer.write_table, table, row_group_size=ROWS_PER_GROUP
            )

    def _wait(self) -> None:
        begun, self._being_written = self._being_written, None
        if begun:
            begun.result()


class RunFiles:
    """The run files below one folder. `keys` gives the keys as they are now, 32 bytes each, the newest first."""

    def __init__(self, folder: Path, keys: Callable[[], Sequence[bytes]]) -> None:
        self._folder, self._keys = Path(folder), keys

    @contextmanager
    def writer(self, run_id: int, name: str, schema: pa.Schema) -> Iterator[RunFileWriter]:
        """Write `name` of a run, replacing it: complete and durable at a clean end, untouched after an error.

        Raises `StoreError` where the disk is full or the folder cannot be written.
        """
        path = self._path(run_id, name)
        half = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            self._make_folder(path.parent)
            key = self._keys()[0]
            with _open_private(half) as sink:
                properties = encryption.create_encryption_properties(
                    _file_key(key, run_id, name), encryption_algorithm=ALGORITHM
                )
                with (
                    _parquet_writer(sink, schema, properties) as parquet,
                    ThreadPoolExecutor(1, thread_name_prefix="run-file") as thread,
                ):
                    file = RunFileWriter(parquet, schema, thread)
                    yield file
                    file.flush()
                sink.flush()
                os.fsync(sink.fileno())
            if key not in self._keys():
                raise StoreError(
                    "The key was dropped while a run file was written: it is written anew."
                )
            half.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            half.unlink(missing_ok=True)
            raise _cannot_write(self._folder, error) from error
        except BaseException:
            half.unlink(missing_ok=True)
            raise

    def rows(self, run_id: int, name: str, first: int, count: int) -> pa.Table:
        """Rows `first` … `first + count - 1`, counted from 0; reads only the row groups they are in."""
        with self._reader(run_id, name) as file:
            groups: list[int] = []
            skipped = start = 0
            for index in range(file.metadata.num_row_groups):
                stop = start + file.metadata.row_group(index).num_rows
                if start < first + count and stop > first:
                    skipped = start if not groups else skipped
                    groups.append(index)
                start = stop
            if not groups:
                return file.schema_arrow.empty_table()
            return file.read_row_groups(groups, use_threads=False).slice(first - skipped, count)

    def find(
        self, run_id: int, name: str, fits: Callable[[pa.RecordBatch], np.ndarray]
    ) -> list[tuple[int, dict[str, str]]]:
        """(row number, row) of the rows that fit; "" stands for null. Raises `StoreError` where the file is gone."""
        found: list[tuple[int, dict[str, str]]] = []
        start = 0
        for batch in self.stream(run_id, name):
            for place in fits(batch).nonzero()[0].tolist():
                [row] = batch.slice(place, 1).to_pylist()
                found.append((start + place, {key: value or "" for key, value in row.items()}))
            start += batch.num_rows
        return found

    def stream(
        self, run_id: int, name: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """All rows, in order, a row group or less at a time; of some columns, or of all."""
        wanted = None if columns is None else list(columns)
        with self._reader(run_id, name) as file:
            yield from file.iter_batches(
                batch_size=ROWS_PER_GROUP, columns=wanted, use_threads=False
            )

    def all(self) -> Iterator[tuple[int, str]]:
        """Run and name of each file that is there."""
        for path in sorted(self._folder.glob("*/*.parquet")):
            if path.parent.name.isdecimal() and _NAME.fullmatch(path.stem):
                yield int(path.parent.name), path.stem

    def key_number(self, run_id: int, name: str) -> int | None:
        """Which of the keys opens a file: 0 is the newest; None where none does, or the file is damaged."""
        try:
            place, file = self._open(run_id, name)
        except (OSError, pa.ArrowException):
            return None
        file.close()
        return place

    def rewrite(
        self,
        run_id: int,
        name: str,
        change: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda batch: batch,
    ) -> None:
        """The same rows, each record batch changed, under the newest key. A reader of the file goes on undisturbed."""
        with self._reader(run_id, name) as old:
            schema = old.schema_arrow
            with self.writer(run_id, name, schema) as new:
                for batch in old.iter_batches(batch_size=ROWS_PER_GROUP, use_threads=False):
                    new.write(change(batch))

    def exists(self, run_id: int, name: str) -> bool:
        """Whether the file was completely written (and not deleted since)."""
        return self._path(run_id, name).is_file()

    def delete(self, run_id: int) -> None:
        """Remove the files of a run, if there are any."""
        shutil.rmtree(self._folder / str(int(run_id)), ignore_errors=True)

    def drop(self, run_id: int, name: str) -> None:
        """Remove one file of a run, if it is there."""
        self._path(run_id, name).unlink(missing_ok=True)

    @contextmanager
    def _reader(self, run_id: int, name: str) -> Iterator[pq.ParquetFile]:
        try:
            with self._open(run_id, name)[1] as file:
                yield file
        except FileNotFoundError as error:
            raise StoreError(f"The file {name} of run {run_id} is not there any more.") from error
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"The file {name} of run {run_id} is damaged or was written with another "
                "CCEXPORT_SECRET_KEY. Set the key it was written with, or queue the run anew."
            ) from error

    def _open(self, run_id: int, name: str) -> tuple[int, pq.ParquetFile]:
        """The file, and which of the keys opens it (0 is the newest); the last one's error where none does."""
        path = self._path(run_id, name)
        keys = self._keys()
        for place, key in enumerate(keys):
            properties = encryption.create_decryption_properties(_file_key(key, run_id, name))
            try:
                return place, _open_parquet(path, properties)
            except FileNotFoundError:
                raise
            except (OSError, pa.ArrowException):
                if place + 1 == len(keys):
                    raise
        raise ValueError("there is no key")

    def _path(self, run_id: int, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a run file")
        return self._folder / str(int(run_id)) / f"{name}.parquet"

    def _make_folder(self, folder: Path) -> None:
        for each in (self._folder, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)  # whatever the umask, and whichever process made it


def _file_key(key: bytes, run_id: int, name: str) -> bytes:
    if len(key) != 32:
        raise ValueError("the key of the run files is 32 bytes")
    about = f"ccexport run file {int(run_id)}/{name}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=about).derive(key)


def _open_private(path: Path):  # type: ignore[no-untyped-def]  # a buffered binary file
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _parquet_writer(
    sink: object, schema: pa.Schema, properties: FileEncryptionProperties
) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        schema,
        compression=COMPRESSION,
        use_dictionary=False,  # values hardly repeat, and a dictionary costs more than it saves here
        write_statistics=False,  # nobody filters by them, and they would be a copy of somebody's address
        encryption_properties=properties,
    )


def _open_parquet(path: Path, properties: FileDecryptionProperties) -> pq.ParquetFile:
    return pq.ParquetFile(path, decryption_properties=properties)


def _cannot_write(folder: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            f"The disk that holds {folder} is full. Free some space; the run then goes on by itself."
        )
    return StoreError(
        f"The run files cannot be written to {folder}: {os.strerror(error.errno or 0)}."
    )
