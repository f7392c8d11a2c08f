"""Text in another encoding than UTF-8, written anew in memory: the engine reads UTF-8 alone.

Packed, so that a million profiles take some 30 MB; never on a disk, where they would lie in the clear.
"""

from __future__ import annotations

import codecs
import gzip
import io
import uuid
from functools import cached_property
from typing import Any, ClassVar

from ibis.backends.duckdb import Backend

from ccexport.errors import SourceError
from ccexport.segments.csv_fault import CsvFile

_PIECE_BYTES = 1_048_576
_PROTOCOL = "rewritten"


class Rewriter:
    """Files of memory that an engine can read, as long as this is kept."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def address_of(self, file: CsvFile) -> str:
        """Write a file anew; gives the address under which the engine finds it."""
        return self.put(f"{file.name.removesuffix('.gz')}.gz", packed(file))

    def put(self, name: str, content: bytes) -> str:
        """Keep a file of memory; gives its address. `name` shows in the engine's errors."""
        path = f"/{uuid.uuid4().hex}/{name}"
        self._files.pipe(path, content)
        return f"{_PROTOCOL}://{path}"

    @cached_property
    def _files(self) -> Any:
        from fsspec.implementations.memory import MemoryFileSystem

        class Files(MemoryFileSystem):
            """Its own files, not those of all the process, so that they go when this does."""

            protocol = _PROTOCOL
            cachable = False
            store: ClassVar[dict[str, Any]] = {}
            pseudo_dirs: ClassVar[list[str]] = [""]

            @classmethod
            def _strip_protocol(cls, path: str) -> str:
                return "/" + str(path).removeprefix(f"{_PROTOCOL}://").strip("/")

        files = Files()
        self._backend.con.register_filesystem(files)
        return files


def packed(file: CsvFile) -> bytes:
    """A file's text as UTF-8, packed. Raises `SourceError` naming the line that is not in its encoding."""
    decoder = codecs.getincrementaldecoder(file.heading.encoding)()
    target, line = io.BytesIO(), 1
    with file.open() as stream, gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as out:
        while True:
            piece = stream.read(_PIECE_BYTES)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise SourceError(
                    f"{file.name}, line {line}: not {file.heading.encoding} text. "
                    "Save the file as UTF-8, or name its encoding in the source's address."
                ) from error
            line += text.count("\n")
            out.write(text.encode())
            if not piece:
                break
    return target.getvalue()
