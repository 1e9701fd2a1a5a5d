"""Encryption of what leaves this machine: age, by pyrage, in the format that age's own programs read.

pyrage is imported when something is encrypted or decrypted, and by nothing else.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from ...errors import BackupFailed, Misconfigured
from ..run.backup_key import is_identity, is_recipients, split_recipients
from ..run.settings import Settings
from .store import EXTRA

LONGEST_FILE = 1 << 20
SUFFIX = ".age"


def is_encrypting(settings: Settings) -> bool:
    """Whether ``FERRY_BACKUP_KEY`` says that what is stored is encrypted."""
    return is_recipients(settings.backup_key) or is_identity(settings.backup_key)


def describe(settings: Settings) -> str:
    """Whether what is stored is encrypted, for people."""
    return "encrypted" if is_encrypting(settings) else "not encrypted"


class _Remembering:
    """A stream that knows what stopped it: out of age's own code comes a text only."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except BaseException as error:
            self.failure = error
            raise

    def write(self, piece: bytes) -> int:
        try:
            self._stream.write(piece)
        except BaseException as error:
            self.failure = error
            raise
        return len(piece)

    def flush(self) -> None:
        """Whoever opened it closes it."""


def encrypt(settings: Settings, reader: Any, writer: Any) -> None:
    """Encrypt a stream for whom ``FERRY_BACKUP_KEY`` names.

    :raises BackupFailed: it could not be encrypted; what reading or writing raises is raised as it is.
    """
    age = _import()
    recipients = _recipients(age, settings)
    streams = _Remembering(reader), _Remembering(writer)
    try:
        age.encrypt_io(*streams, recipients)
    except (age.EncryptError, OSError) as error:
        _raise_failure(streams)
        raise BackupFailed(f"It could not be encrypted: {error}") from error


def decrypt(settings: Settings, reader: Any, writer: Any, name: str) -> None:
    """Decrypt a stream with the identity of ``FERRY_BACKUP_KEY``, or with those of ``FERRY_BACKUP_IDENTITY``.

    What was written must not be used where this raises.

    :param name: what it is of, for people.
    :raises BackupFailed: none of them is the right one, or it was changed or cut off.
    :raises Misconfigured: there is none.
    """
    age = _import()
    identities = _identities(age, settings)
    streams = _Remembering(reader), _Remembering(writer)
    try:
        age.decrypt_io(*streams, identities)
    except (age.DecryptError, OSError) as error:
        _raise_failure(streams)
        raise BackupFailed(
            f"{name} could not be decrypted: {error}.",
            hint="Where the key is another one: set FERRY_BACKUP_IDENTITY to the file of the identity it was encrypted "
            "for. Where it was changed, use another backup: flask db-backup --list",
        ) from error


def _raise_failure(streams: tuple[_Remembering, ...]) -> None:
    for stream in streams:
        if stream.failure:
            raise stream.failure


def require(settings: Settings) -> None:
    """:raises Misconfigured: it is to be encrypted, and cannot be."""
    if is_encrypting(settings):
        _recipients(_import(), settings)


def _import() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise Misconfigured("Encryption of backups needs pyrage.", hint=f"Install it: {EXTRA}") from error
    return pyrage


def _recipients(age: Any, settings: Settings) -> list[Any]:
    key = str(settings.backup_key)
    try:
        if is_identity(key):
            return [age.x25519.Identity.from_str(key).to_public()]
        return [age.x25519.Recipient.from_str(item) for item in split_recipients(key)]
    except (age.RecipientError, age.IdentityError):
        # Not the error itself: it may quote the key.
        raise Misconfigured(
            "FERRY_BACKUP_KEY is no key of age, though it looks like one: a character of it is wrong."
        ) from None


def _identities(age: Any, settings: Settings) -> list[Any]:
    lines = [settings.backup_key] if settings.backup_key and is_identity(settings.backup_key) else []
    lines += _read(settings.backup_identity) if settings.backup_identity else []
    if not lines:
        raise Misconfigured(
            "It is encrypted, and there is no identity to read it with.",
            hint="Set FERRY_BACKUP_IDENTITY to a file with the identity of age (AGE-SECRET-KEY-1...), mode 0600.",
        )
    try:
        return [age.x25519.Identity.from_str(line) for line in lines]
    except age.IdentityError:
        raise Misconfigured(
            f"FERRY_BACKUP_IDENTITY: {settings.backup_identity} holds a line that is no identity of age.",
            hint="Each line is AGE-SECRET-KEY-1..., or begins with #. One with a passphrase is decrypted first: age -d",
        ) from None


def _read(file: Path) -> list[str]:
    """The identities of a file.

    :raises Misconfigured: others can read it, or it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(file.stat().st_mode)
            text = stream.read(LONGEST_FILE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Misconfigured(f"FERRY_BACKUP_IDENTITY: {file} cannot be read: {why}.") from None
    if mode & 0o077:
        raise Misconfigured(
            f"FERRY_BACKUP_IDENTITY: {file} can be read by others (mode {mode:04o}).", hint=f"chmod 600 {file}"
        )
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
