"""The keys for what is encrypted at rest: token pairs (Fernet) and run files (32 bytes, derived)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ccexport.errors import StoreError


@dataclass(frozen=True)
class Keys:
    """What encrypts tokens, and the 32 bytes that encrypt run files."""

    fernet: Fernet = field(repr=False)
    run_files: bytes = field(repr=False)

    def encrypt(self, plain: bytes) -> bytes:
        return self.fernet.encrypt(plain)

    def decrypt(self, secret: bytes) -> bytes:
        """Raises `StoreError` when another key encrypted it."""
        try:
            return self.fernet.decrypt(secret)
        except InvalidToken:
            raise StoreError(
                "The stored sign-ins were encrypted with another key. Set CCEXPORT_SECRET_KEY to the key they were "
                "made with (or bring back secret.key), or sign in again at each connection."
            ) from None


def load_keys(secret_key: str | None, data_dir: Path) -> Keys:
    """The keys from the setting, else from `<data_dir>/secret.key`, which is made (mode 0600) when missing."""
    text = secret_key or _read_or_make(data_dir / "secret.key")
    try:
        fernet = Fernet(text)
    except ValueError:
        raise StoreError(
            f"{data_dir / 'secret.key'} does not hold a key. Bring back the file from a backup."
        ) from None
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"ccexport run files")
    return Keys(fernet, derived.derive(text.encode()))


def _read_or_make(path: Path) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_once(path, Fernet.generate_key())
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The key file {path} cannot be used ({error.__class__.__name__}). Make the folder readable and "
            "writable for this user, or set CCEXPORT_SECRET_KEY."
        ) from error


def _write_once(path: Path, key: bytes) -> None:
    """Durably, and only if no other process was faster: a link never replaces a file."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(handle, key)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
