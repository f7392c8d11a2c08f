"""Files that are encrypted on the disk and opened by an engine in memory, one whole file at a time (AES-GCM).

DuckDB's own reading of encrypted Parquet fails on some files that Arrow writes (1.5: "Computed AES tag differs").
"""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend

_NONCE_BYTES, _TAG_BYTES = 12, 16
_PROTOCOL = "sealed"


def seal(path: Path, content: bytes, key: bytes) -> None:
    """Write a new file that its owner alone may read. Raises `OSError`."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, content, path.name.encode())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(nonce)
        file.write(sealed)


def unseal(path: Path, key: bytes) -> bytes:
    """What was sealed. Raises `OSError` where the file is gone or damaged."""
    content = memoryview(path.read_bytes())  # not copied to be cut
    nonce, sealed = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, sealed, path.name.encode())
    except Exception as error:  # of the library, which says no more than that it failed
        raise OSError(f"{path.name} is damaged") from error


def let_open(backend: Backend, key: bytes) -> None:
    """Let an engine open files that were sealed with this key, by the addresses of `address_of`."""
    backend.con.execute(
        "SET enable_external_file_cache = false"
    )  # they are near, and opened they are large
    backend.con.register_filesystem(_Opener(key))


def address_of(path: Path) -> str:
    """Under what an engine finds a sealed file."""
    return f"{_PROTOCOL}://{path}"


class _Opener(AbstractFileSystem):
    """Reads sealed files, for DuckDB, which asks for these alone."""

    protocol = _PROTOCOL
    cachable = False

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def _open(self, path: str, *_arguments: Any, **_more: Any) -> io.BytesIO:
        return io.BytesIO(unseal(Path(path), self._key))

    def info(self, path: str, **_more: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        size = Path(path).stat().st_size - _NONCE_BYTES - _TAG_BYTES
        return {"name": path, "size": size, "type": "file"}

    def glob(self, path: str, **_more: Any) -> list[str]:
        return [self._strip_protocol(path)]

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(Path(self._strip_protocol(path)).stat().st_mtime, UTC)
