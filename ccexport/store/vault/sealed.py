"""A file under a passphrase: scrypt makes the key, AES-GCM encrypts and authenticates it piece by piece.

Layout: a first line that says what it is, a salt, then pieces of four bytes of length and their ciphertext. A piece's
nonce counts it and marks the last one, so pieces that are missing, swapped or added are refused. A salt is used once,
so no nonce is used twice under one key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ccexport.errors import StoreError

MAGIC = b"ccexport backup 1\n"
_SALT_BYTES = 16
_TAG_BYTES = 16
_PIECE_BYTES = 1 << 20
_SCRYPT_N = 1 << 17  # 128 MiB and a few tenths of a second for each guess


def seal(content: Iterable[bytes], file: BinaryIO, passphrase: str) -> None:
    """Write `content` to `file`, encrypted."""
    header = MAGIC + os.urandom(_SALT_BYTES)
    cipher = _cipher(passphrase, header)
    file.write(header)
    number, waiting = 0, b""
    for chunk in content:
        waiting += chunk
        while len(waiting) > _PIECE_BYTES:
            _write(file, cipher, header, _nonce(number, last=False), waiting[:_PIECE_BYTES])
            number, waiting = number + 1, waiting[_PIECE_BYTES:]
    _write(file, cipher, header, _nonce(number, last=True), waiting)


def unseal(file: BinaryIO, passphrase: str, name: str) -> Iterator[bytes]:
    """What was sealed, piece by piece; the end comes only after the last one. Raises `StoreError`, naming the file."""
    header = file.read(len(MAGIC) + _SALT_BYTES)
    if not header.startswith(MAGIC) or len(header) != len(MAGIC) + _SALT_BYTES:
        raise StoreError(f"{name} is not a backup of ccexport.")
    cipher, number = _cipher(passphrase, header), 0
    secret = _read(file, name)
    while True:
        following = _read(file, name)
        nonce = _nonce(number, last=not following)
        try:
            yield cipher.decrypt(nonce, secret, header)
        except InvalidTag:
            raise StoreError(_refusal(name, first=number == 0)) from None
        if not following:
            return
        number, secret = number + 1, following


def _cipher(passphrase: str, header: bytes) -> AESGCM:
    salt = header[len(MAGIC) :]
    return AESGCM(Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=8, p=1).derive(passphrase.encode()))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _write(file: BinaryIO, cipher: AESGCM, header: bytes, nonce: bytes, plain: bytes) -> None:
    secret = cipher.encrypt(nonce, plain, header)
    file.write(len(secret).to_bytes(4, "big") + secret)


def _read(file: BinaryIO, name: str) -> bytes:
    """The next piece; nothing at the end of the file."""
    length = file.read(4)
    if not length:
        return b""
    count = int.from_bytes(length, "big")
    secret = file.read(count) if count <= _PIECE_BYTES + _TAG_BYTES else b""
    if len(length) != 4 or len(secret) != count or count < _TAG_BYTES:
        raise StoreError(f"{name} is damaged: it ends too early. Take another backup.")
    return secret


def _refusal(name: str, *, first: bool) -> str:
    if first:
        return f"{name} does not open with this passphrase, or it is damaged. Nothing was changed."
    return f"{name} is damaged. Nothing was changed; take another backup."
