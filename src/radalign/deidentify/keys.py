"""One secret key makes every pseudonym, UID and date shift: same in, same out, and no way back.

Whoever has the key can recompute pseudonyms from identities; keep it away from the de-identified files.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from radalign.deidentify.errors import DeidentifyError

KEY_BYTES = 32
MAX_SHIFT_DAYS = 3650
_PSEUDONYM_LETTERS = 16


@dataclass(frozen=True)
class Key:
    """The secret.

    >>> key = Key(bytes(32))
    >>> key.pseudonym("patient", "12") == key.pseudonym("patient", "12") != key.pseudonym("visit", "12")
    True
    >>> key.uid("1.2.3")[:5], 1 <= -key.shift_days("123") <= MAX_SHIFT_DAYS
    ('2.25.', True)
    """

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise DeidentifyError(f"This is no key of {KEY_BYTES} bytes; give a whole key file.")

    def __repr__(self) -> str:
        return "Key(...)"

    def pseudonym(self, kind: str, value: str) -> str:
        """Sixteen letters and digits (80 bits) for a value of a kind (`patient`, `accession`, ...)."""
        return base64.b32encode(self._digest(kind, value)).decode()[:_PSEUDONYM_LETTERS]

    def uid(self, uid: str) -> str:
        """A UID under 2.25 (a UUID as a decimal number), at most 44 characters.

        References:
            DICOM PS3.5 B.2 (UUID derived UID); RFC 9562, version 8.
        """
        return f"2.25.{uuid.UUID(bytes=_as_uuid8(self._digest('uid', uid))).int}"

    def shift_days(self, patient: str) -> int:
        """Days to add to every date of a patient, 1 to 3650 into the past."""
        number = int.from_bytes(self._digest("shift", patient)[:8], "big")
        return -(1 + number % MAX_SHIFT_DAYS)

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{kind}\0{value}".encode(), hashlib.sha256).digest()


def read_key(path: Path) -> Key:
    """Read a key file.

    Raises:
        DeidentifyError: If it is missing or not 64 hexadecimal digits.
    """
    if not path.is_file():
        raise DeidentifyError(f"There is no key file {path}; make one with --new-key.")
    try:
        return Key(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except ValueError as error:
        raise DeidentifyError(
            f"{path} is not a key file (64 hexadecimal digits); give the right one."
        ) from error


def others_can_read(path: Path) -> bool:
    """Whether a file is open to more than its owner (never said on Windows, which has other rights)."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def new_key(path: Path) -> Key:
    """Make a key file that only its owner can read.

    Raises:
        DeidentifyError: If a file is there already: a lost key cannot be remade.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_bytes(KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise DeidentifyError(f"{path} exists already; leave --new-key out to use it.") from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret.hex() + "\n")
    return Key(secret)


def _as_uuid8(digest: bytes) -> bytes:
    made = bytearray(digest[:16])
    made[6] = (made[6] & 0x0F) | 0x80
    made[8] = (made[8] & 0x3F) | 0x80
    return bytes(made)
