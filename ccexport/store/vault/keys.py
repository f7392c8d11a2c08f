"""The keys for what is encrypted at rest: token pairs (Fernet) and run files (32 bytes, derived).

There may be several, the newest first: the first encrypts, all of them decrypt. Those of the key file are read again
when the file has changed, so a process that runs goes on while the keys are rotated.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ccexport.errors import StoreError
from ccexport.store.database.folders import sync_folder

KEY_FILE = "secret.key"
_SEALED = b"\x00ccexport sealed 1\x00"  # no Fernet token begins so
_NONCE_BYTES, _NAME_CHARACTERS = 12, 8


@dataclass(frozen=True)
class Key:
    """One key. `name` tells keys apart and says nothing of them."""

    text: str = field(repr=False)
    name: str
    fernet: Fernet = field(repr=False)
    run_files: bytes = field(repr=False)
    columns: bytes = field(repr=False)  # what large values in the store are sealed with
    cookies: str = field(repr=False)  # what the cookies of signed-in people are signed with


def read_key(text: str) -> Key:
    """Raises `ValueError` for what is not a key."""
    fernet = Fernet(text)
    name = hashlib.sha256(b"ccexport key name " + text.encode()).hexdigest()[:8]
    uses = ("run files", "columns", "cookies")
    run_files, columns, cookies = (_derived(text, f"ccexport {use}") for use in uses)
    return Key(text, name, fernet, run_files, columns, cookies.hex())


def _derived(text: str, purpose: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return hkdf.derive(text.encode())


def split_keys(text: str) -> list[str]:
    """Keys as the setting holds them (commas) or the key file (lines)."""
    return [part for part in text.replace(",", "\n").split() if part]


class Keys:
    """The ring of keys. `read` gives the ring as it is now."""

    def __init__(self, read: Callable[[], tuple[Key, ...]]) -> None:
        self._read = read

    @property
    def ring(self) -> tuple[Key, ...]:
        """The keys as they are now, the newest first."""
        return self._read()

    @property
    def newest(self) -> Key:
        """What encrypts."""
        return self.ring[0]

    def run_files(self) -> Sequence[bytes]:
        """The keys of run files, the newest first."""
        return [key.run_files for key in self.ring]

    def encrypt(self, plain: bytes) -> bytes:
        return self.newest.fernet.encrypt(plain)

    def seal(self, plain: bytes) -> bytes:
        """As `encrypt`, for what is large: a third smaller, in a tenth of the time."""
        key, nonce = self.newest, os.urandom(_NONCE_BYTES)
        head = _SEALED + key.name.encode()
        return head + nonce + AESGCM(key.columns).encrypt(nonce, plain, head)

    def renewed(self, secret: bytes) -> bytes:
        """The same under the newest key, encrypted or sealed as it was. Raises as `decrypt`."""
        again = self.seal if secret.startswith(_SEALED) else self.encrypt
        return again(self.decrypt(secret))

    def decrypt(self, secret: bytes) -> bytes:
        """What `encrypt` or `seal` made. Raises `StoreError` when none of the keys encrypted it."""
        if secret.startswith(_SEALED):
            return self._unsealed(secret)
        key = self.key_of(secret)
        if key is None:
            raise StoreError(
                "The stored sign-ins were encrypted with another key. Set CCEXPORT_SECRET_KEY to the key they were "
                "made with (or bring back secret.key), or sign in again at each connection."
            )
        return key.fernet.decrypt(secret)

    def key_of(self, secret: bytes) -> Key | None:
        """Which of the keys encrypted it."""
        if secret.startswith(_SEALED):
            return self._key_of_sealed(secret)
        for key in self.ring:
            try:
                key.fernet.decrypt(secret)
            except InvalidToken:
                continue
            return key
        return None

    def _key_of_sealed(self, secret: bytes) -> Key | None:
        name = secret[len(_SEALED) : len(_SEALED) + _NAME_CHARACTERS]
        return next((key for key in self.ring if key.name.encode() == name), None)

    def _unsealed(self, secret: bytes) -> bytes:
        key, head = self._key_of_sealed(secret), len(_SEALED) + _NAME_CHARACTERS
        try:
            if key is not None:
                nonce, rest = secret[head : head + _NONCE_BYTES], secret[head + _NONCE_BYTES :]
                return AESGCM(key.columns).decrypt(nonce, rest, secret[:head])
        except InvalidTag:
            pass
        raise StoreError(
            "What the store keeps of the people on lists was encrypted with another key. Set CCEXPORT_SECRET_KEY to "
            "the key it was made with (or bring back secret.key)."
        )


def load_keys(secret_key: str | None, data_dir: Path) -> Keys:
    """The keys from the setting, else from `<data_dir>/secret.key`, which is made (mode 0600) when missing."""
    if secret_key:
        fixed = tuple(read_key(text) for text in split_keys(secret_key))
        return Keys(lambda: fixed)
    file = _KeyFile(data_dir / KEY_FILE)
    _ = file.ring()  # what is wrong with it is said at once
    return Keys(file.ring)


class _KeyFile:
    """Read again whenever it was replaced; a look costs one `stat`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._ring: tuple[Key, ...] = ()

    def ring(self) -> tuple[Key, ...]:
        with self._lock:
            try:
                if not self._path.exists():
                    if self._ring:
                        return (
                            self._ring
                        )  # taken away while we work: never a new key beside the old secrets
                    self._make()
                now = self._path.stat()
                seen = (now.st_ino, now.st_mtime_ns, now.st_size)
                if seen != self._seen:
                    texts = split_keys(self._path.read_text(encoding="ascii"))
                    self._ring = tuple(read_key(text) for text in texts)
                    self._seen = seen
            except (OSError, UnicodeDecodeError) as error:
                raise _cannot_use(self._path, error) from error
            except ValueError:
                raise _no_key(self._path) from None
            if not self._ring:
                raise _no_key(self._path)
            return self._ring

    def _make(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = _draft(self._path, [Fernet.generate_key().decode()])
        try:
            os.link(draft, self._path)  # only if no other process was faster: never replaces a file
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        sync_folder(self._path.parent)


def write_key_file(data_dir: Path, texts: Sequence[str]) -> None:
    """Replace the key file, durably and at once: a reader finds the earlier keys or these."""
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _draft(path, texts).replace(path)
        sync_folder(data_dir)
    except OSError as error:
        raise _cannot_use(path, error) from error


def _draft(path: Path, texts: Sequence[str]) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(handle, "".join(f"{text}\n" for text in texts).encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return draft


def _cannot_use(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"The key file {path} cannot be used ({error.__class__.__name__}). Make the folder readable and "
        "writable for this user, or set CCEXPORT_SECRET_KEY."
    )


def _no_key(path: Path) -> StoreError:
    return StoreError(f"{path} does not hold a key. Bring back the file from a backup.")
