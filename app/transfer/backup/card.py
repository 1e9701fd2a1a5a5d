"""The card of a backup in a storage: a small object beside it, written last, by which it is found.

It is sealed as a manifest is, together with the name of its object: a copy of it beside other bytes is no card.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ...errors import BackupFailed
from ..rows.expect import Unexpected, a_count, a_digest, a_flag, a_text, a_text_or_null, an_instant, an_object
from ..rows.files import to_plain_json
from ..rows.strictjson import StrictJSONError, loads
from .manifest import Backup
from .seal import is_sealed, seal

CARD = ".ferry.json"


@dataclass(frozen=True)
class Card:
    """What is kept of one backup.

    :ivar id: what it is asked for by; the name of the object begins with it.
    :ivar file: the name of the object.
    :ivar name: what the backup file is called.
    :ivar database_id: of the control area that it was stored from: two databases may have one name.
    :ivar size_bytes: of the backup file.
    :ivar stored_bytes: of the object, which is longer where it is encrypted.
    :ivar manifest: the manifest as text; where it is encrypted, what age made of it, in hex.
    """

    id: str
    file: str
    name: str
    command: str
    run: str
    database: str
    database_id: str
    made_at: str
    rows: int
    revision: str | None
    portable: bool
    size_bytes: int
    encrypted: bool
    stored_bytes: int
    stored_sha256: str
    manifest: str
    seal: str = ""

    def has_seal_of(self, key: bytes | None) -> bool:
        """Whether it was sealed with this key, for its object, and says what it said then."""
        return is_sealed(self._to_seal(), key)

    def seal_with(self, key: bytes) -> Card:
        """The card with the seal of a key."""
        return replace(self, seal=seal(self._to_seal(), key))

    def _to_seal(self) -> dict[str, Any]:
        # The seal of a manifest leaves "file" out, as a directory may be moved.
        return asdict(self) | {"object": self.file}

    def to_json(self) -> bytes:
        return to_plain_json(asdict(self))

    def is_of(self, backup: Backup) -> bool:
        """Whether it says of a backup what its manifest does: the card decides which one is the newest."""
        facts = facts_of(backup)
        of_card = {name: getattr(self, name) for name in facts}
        return of_card == facts and self.id in (backup.id, id_beside(backup))


def facts_of(backup: Backup) -> dict[str, Any]:
    """What a card says as the manifest does."""
    return {
        "name": backup.path.name,
        "command": backup.command,
        "run": backup.run,
        "database": backup.database,
        "made_at": backup.made_at,
        "rows": backup.rows,
        "revision": backup.revision,
        "portable": backup.portable,
        "size_bytes": backup.size_bytes,
    }


def id_beside(backup: Backup) -> str:
    """The id in a storage of a backup whose file somebody named: another one may be called so."""
    return f"{backup.run}-{backup.id}"


def read_card(text: bytes, file: str, place: str) -> Card:
    """A card of an object.

    :param file: the name of the object that it lies beside.
    :param place: where it lies, for people.
    :raises BackupFailed: it is none of ours, or another object's.
    """
    try:
        card = _check(an_object(loads(text.decode("utf-8")), "it"))
    except (Unexpected, StrictJSONError, UnicodeDecodeError) as error:
        raise BackupFailed(f"{place} is not the card of a backup: {error}") from error
    if card.file != file:
        raise BackupFailed(f"{place} is not the card of a backup: it is a copy of that of {card.file[:200]!r}.")
    return card


def _check(card: dict[str, Any]) -> Card:
    """:raises Unexpected: a key is missing, unknown, or of another kind."""
    if unknown := sorted(card.keys() - {item.name for item in fields(Card)}):
        raise Unexpected("it", f"of this version: it says {', '.join(unknown)[:200]}")
    value = card.get
    return Card(
        id=a_text(value("id"), "id"),
        file=a_text(value("file"), "file"),
        name=a_text(value("name"), "name"),
        command=a_text(value("command"), "command"),
        run=a_text(value("run"), "run"),
        database=a_text(value("database"), "database"),
        database_id=a_text(value("database_id"), "database_id"),
        made_at=an_instant(value("made_at"), "made_at"),
        rows=a_count(value("rows"), "rows"),
        revision=a_text_or_null(value("revision"), "revision"),
        portable=a_flag(value("portable"), "portable"),
        size_bytes=a_count(value("size_bytes"), "size_bytes"),
        encrypted=a_flag(value("encrypted"), "encrypted"),
        stored_bytes=a_count(value("stored_bytes"), "stored_bytes"),
        stored_sha256=a_digest(value("stored_sha256"), "stored_sha256", 64),
        manifest=a_text(value("manifest"), "manifest"),
        seal=a_text(value("seal"), "seal"),
    )
