"""Looks for secrets in bytes: as they are, in UTF-16 of both kinds, and in base64 wherever they begin in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote


class Needles:
    """What must not be found. `found_in` names it by what it is, never by its value."""

    def __init__(self, secrets: dict[str, str]) -> None:
        self._names: dict[bytes, str] = {}
        for name, secret in secrets.items():
            for way, written in _ways(secret):
                self._names.setdefault(written, f"{name} ({way})")
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(each) for each in longest_first))

    def found_in(self, content: bytes) -> set[str]:
        return {self._names[match] for match in set(self._pattern.findall(content))}

    def found_below(self, folders: Iterable[Path]) -> dict[str, set[str]]:
        """File → what is in it, in its name too; files of sockets and the like are passed by."""
        found = {}
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                content = path.read_bytes() if path.is_file() else b""
                if names := self.found_in(content) | self.found_in(str(path).encode()):
                    found[str(path)] = names
        return found


def _ways(secret: str) -> Iterator[tuple[str, bytes]]:
    yield "UTF-8", secret.encode()
    yield "UTF-16 LE", secret.encode("utf-16-le")
    yield "UTF-16 BE", secret.encode("utf-16-be")
    yield "percent-encoded", quote(secret, safe="").encode()
    yield "hexadecimal", secret.encode().hex().encode()
    for content, kind in ((secret.encode(), "UTF-8"), (secret.encode("utf-16-le"), "UTF-16")):
        for offset in range(3):
            plain = _base64_of(content, offset)
            yield f"base64 of {kind} at {offset}", plain
            yield f"base64url of {kind} at {offset}", plain.translate(_URL_SAFE)


def _base64_of(content: bytes, offset: int) -> bytes:
    """The characters that are the same whatever stands before and after it."""
    encoded = base64.b64encode(bytes(offset) + content)
    first = -(-offset * 8 // 6)  # characters that hold bits of what stands before
    last = (offset + len(content)) * 8 // 6
    return encoded[first:last]


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
