"""The keyed seal of a backup's manifest: who has no key cannot make a backup that is taken for ours.

The manifest holds the SHA-256 of the backup file, so its seal is the file's as well. The key is ``FERRY_BACKUP_KEY``
where that is a secret, or 32 random bytes that the control area keeps: whoever can write to the directory of backups,
and not to the database server (or, of a SQLite file, to the directory beside it), cannot read it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from ..run.control import Control
from ..run.settings import Settings

KEPT_AS = "backup key"
ID_KEPT_AS = "database id"
_UNSEALED = ("seal", "file")
"""The seal itself, and the place: a directory of backups may be moved."""


def existing_key(settings: Settings, control: Control | None) -> bytes | None:
    """The key of this database's backups, or None where none was ever made; nothing is written."""
    text = settings.seal_secret or (control.get(KEPT_AS) if control else None)
    return hashlib.sha256(text.encode()).digest() if text else None


def make_key(settings: Settings, control: Control) -> bytes:
    """The key of this database's backups, made where there is none; called under the lock."""
    key = existing_key(settings, control)
    if key is None:
        control.keep(KEPT_AS, secrets.token_hex(32))
        key = existing_key(settings, control)
    assert key is not None  # noqa: S101 # it was kept just now
    return key


def existing_id(control: Control | None) -> str | None:
    """The random id of this database, or None where none was ever made; nothing is written."""
    return control.get(ID_KEPT_AS) if control else None


def make_id(control: Control) -> str:
    """The random id of this database, made where there is none; called under the lock."""
    if existing_id(control) is None:
        control.keep(ID_KEPT_AS, secrets.token_hex(16))
    return str(existing_id(control))


def seal(manifest: Mapping[str, Any], key: bytes) -> str:
    """The seal of a manifest: HMAC-SHA256 in hex over its values, however they are laid out in the file."""
    sealed = {name: value for name, value in manifest.items() if name not in _UNSEALED}
    text = json.dumps(sealed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def is_sealed(manifest: Mapping[str, Any], key: bytes | None) -> bool:
    """Whether a manifest has the seal of this key."""
    text = str(manifest.get("seal") or "")
    return key is not None and hmac.compare_digest(seal(manifest, key).encode(), text.encode())
