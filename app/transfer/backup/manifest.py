"""What a backup's manifest says: written last, beside the backup file, sealed; read with its types checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...dialects.model import TableChecksum
from ...errors import BackupFailed
from ..proof.checksums import Contents
from ..rows.expect import (
    Unexpected,
    a_count,
    a_digest,
    a_digest_or_null,
    a_flag,
    a_text,
    a_text_or_null,
    an_instant,
    an_object,
    rows_and_digest,
    rows_and_null,
)
from ..rows.files import to_plain_json, write
from ..rows.strictjson import StrictJSONError, loads
from .seal import is_sealed, seal

SUFFIX = ".manifest.json"
LARGEST_BYTES = 16 << 20
"""Of a manifest: a line of 100 bytes for each of 160,000 tables."""


@dataclass(frozen=True)
class Backup:
    """A backup file and what its manifest says of it.

    :ivar tables: name -> [rows, checksum], the columns of each table by name; no checksum where ``whole`` is known.
    :ivar whole: what all of the database is known by as it lies, of which no row had to be read then.
    :ivar portable: a snapshot of kind ``rows`` instead of the server's own dump.
    :ivar seal: see :mod:`.seal`; empty where it was made without a key.
    """

    id: str
    file: str
    command: str
    run: str
    database: str
    made_at: str
    size_bytes: int
    sha256: str
    revision: str | None
    tables: dict[str, list[Any]] = field(default_factory=dict)
    portable: bool = False
    whole: str | None = None
    seal: str = ""

    @property
    def contents(self) -> Contents:
        """What the database that it is of held."""
        if self.whole is not None:
            return Contents({}, {}, whole=self.whole, counts={name: rows for name, (rows, _) in self.tables.items()})
        return Contents({name: TableChecksum(rows, int(total, 16)) for name, (rows, total) in self.tables.items()}, {})

    @property
    def path(self) -> Path:
        return Path(self.file)

    @property
    def rows(self) -> int:
        """Without that of Alembic's own table, which is there where a database is at a revision."""
        return sum(int(rows) for rows, _ in self.tables.values()) - (self.revision is not None and not self.portable)

    def to_manifest(self) -> dict[str, Any]:
        """What its manifest says: ``whole`` only where it is known, as older versions know no such key."""
        return {name: value for name, value in asdict(self).items() if name != "whole" or value is not None}

    def has_seal_of(self, key: bytes | None) -> bool:
        """Whether it was sealed with this key, and its manifest is what it was then."""
        return is_sealed(self.to_manifest(), key)


def manifest_of(file: Path) -> Path:
    """Where the manifest of a backup file lies."""
    return file.with_name(file.name + SUFFIX)


def write_manifest(backup: Backup, key: bytes | None) -> Backup:
    """Seal a manifest, where there is a key, and write it beside its backup."""
    return keep_manifest(replace(backup, seal=seal(backup.to_manifest(), key) if key else ""))


def keep_manifest(backup: Backup) -> Backup:
    """Write a manifest beside its backup, with the seal that it has."""
    write(manifest_of(backup.path), [to_plain_json(backup.to_manifest())], keep_former=False)
    return backup


def load_manifest(file: Path) -> Backup | None:
    """The manifest of a backup file, or None when it has none.

    :raises BackupFailed: there is one, and it is none of ours.
    """
    path = manifest_of(file)
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Unexpected("it", f"a manifest: it is larger than {LARGEST_BYTES} bytes")
        # A directory of backups may be moved; its files are found beside their manifests.
        return replace(read_manifest(path.read_text(encoding="utf-8"), str(path)), file=str(file))
    except (Unexpected, UnicodeDecodeError) as error:
        raise BackupFailed(f"{path} is not the manifest of a backup: {error}") from error
    except OSError as error:
        raise BackupFailed(f"{path} cannot be read: {error.strerror or error}") from error


def read_manifest(text: str, place: str) -> Backup:
    """What a manifest says.

    :param place: where it lies, for people.
    :raises BackupFailed: it is none of ours.
    """
    try:
        return _check(an_object(loads(text), "it"))
    except (Unexpected, StrictJSONError) as error:
        raise BackupFailed(f"{place} is not the manifest of a backup: {error}") from error


def _check(manifest: Mapping[str, Any]) -> Backup:
    """:raises Unexpected: a key is missing, unknown, or of another kind."""
    known = {item.name for item in fields(Backup)}
    if unknown := sorted(manifest.keys() - known):
        raise Unexpected("it", f"of this version: it says {', '.join(unknown)[:200]}")
    value = manifest.get
    whole = a_digest_or_null(value("whole"), "whole", 32)
    check_table = rows_and_digest if whole is None else rows_and_null
    return Backup(
        id=a_text(value("id"), "id"),
        file=a_text(value("file"), "file"),
        command=a_text(value("command"), "command"),
        run=a_text(value("run"), "run"),
        database=a_text(value("database"), "database"),
        made_at=an_instant(value("made_at"), "made_at"),
        size_bytes=a_count(value("size_bytes"), "size_bytes"),
        sha256=a_digest(value("sha256"), "sha256", 64),
        revision=a_text_or_null(value("revision"), "revision"),
        tables={
            name: check_table(pair, f"tables.{name}") for name, pair in an_object(value("tables"), "tables").items()
        },
        portable=a_flag(value("portable", False), "portable"),
        whole=whole,
        seal=a_text(value("seal", ""), "seal"),
    )
