"""Folders to read from: of this machine, or of an Azure storage account by `abfss://`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from ccexport.errors import SourceError

TO_INSTALL = "abfss:// needs adlfs: pip install -r requirements-azure.txt"


@dataclass(frozen=True)
class Lake:
    """A folder. Paths are relative to it, with `/` between."""

    address: str

    @property
    def local(self) -> Path | None:
        """The folder, where it is of this machine."""
        if "://" in self.address:
            return None
        return Path(self.address).expanduser()

    def exists(self, path: str) -> bool:
        """Whether there is such a file. Raises `SourceError` where that cannot be told."""
        if self.local is not None:
            return (self.local / path).is_file()
        with self._said():
            return bool(self._files.exists(self._whole(path)))

    def size(self, path: str) -> int:
        """Its bytes."""
        if self.local is not None:
            return (self.local / path).stat().st_size
        with self._said():
            return int(self._files.size(self._whole(path)))

    def stamp(self, path: str) -> tuple[str, ...]:
        """What is another as soon as somebody writes to it."""
        with self._said():
            self._files.invalidate_cache()
            found = self._files.info(self._whole(path))
        return tuple(str(found.get(name)) for name in ("size", "etag", "last_modified", "created"))

    def open(self, path: str) -> BinaryIO:
        """Its bytes. Raises `SourceError`."""
        if self.local is not None:
            return (self.local / path).open("rb")
        with self._said():
            return cast("BinaryIO", self._files.open(self._whole(path), "rb"))

    def _whole(self, path: str) -> str:
        parts = urlsplit(self.address)
        container, _, _ = parts.netloc.rpartition("@")
        return posixpath.join(container or parts.netloc, parts.path.strip("/"), path)

    @cached_property
    def _files(self) -> Any:
        parts = urlsplit(self.address)
        if parts.scheme == "memory":  # what tests read from
            import fsspec

            return fsspec.filesystem("memory")
        if parts.scheme not in ("abfss", "abfs"):
            raise SourceError(
                f'The source\'s place begins with "{parts.scheme}://". Use a folder, or '
                "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH."
            )
        return _azure(parts.netloc)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """An account's words become ours. Raises `SourceError`."""
        try:
            yield
        except SourceError:
            raise
        except FileNotFoundError as error:
            raise SourceError(
                f"{self.address} is not there, or a file of it. Look at the address."
            ) from error
        except Exception as error:  # each library below has errors of its own
            raise SourceError(
                f"{self.address} cannot be read ({type(error).__name__}). Check the account, the sign-in "
                "(AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET) and its right (Storage Blob Data Reader)."
            ) from error


def _azure(host: str) -> Any:
    """The files of an account, with the sign-in that the environment has, or its connection string."""
    import os

    container, _, account = host.rpartition("@")
    if not container:
        raise SourceError(
            f'The source\'s place is at "{host}". Write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH.'
        )
    try:
        from adlfs import AzureBlobFileSystem
        from azure.identity.aio import DefaultAzureCredential
    except ImportError as error:
        raise SourceError(TO_INSTALL) from error
    name = account.partition(".")[0]
    if connection := os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        return AzureBlobFileSystem(account_name=name, connection_string=connection)
    return AzureBlobFileSystem(account_name=name, credential=DefaultAzureCredential())
