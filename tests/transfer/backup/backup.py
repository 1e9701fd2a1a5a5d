"""Backups to try things on."""

from __future__ import annotations

import json
from pathlib import Path

from pyrage import x25519

from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.transfer.backup.card import Card
from app.transfer.backup.making import Making
from app.transfer.backup.manifest import Backup, manifest_of
from app.transfer.backup.stored import store_backup
from app.transfer.run.run import Run
from tests.transfer.hosts import made_run

DIALECT = SqliteDialect()


KEY = b"of this database"
IDENTITY = str(x25519.Identity.generate())
CLEAR, ENCRYPTED = "a key of sixteen or more", IDENTITY


def a_run(directory: Path, key: str = CLEAR, **config: str) -> Run:
    """A run whose backups go to a directory beside as well."""
    (directory / "far" / "kept").mkdir(parents=True, exist_ok=True)
    return made_run(directory, FERRY_STORAGE=f"file://{directory}/far/kept", FERRY_BACKUP_KEY=key, **config)


def a_backup(run: Run, source: Path, name: str = "b.sqlite3", command: str = "db-backup") -> Backup:
    run.settings.backups.mkdir(exist_ok=True)
    return made(source, run.settings.backups / name, command, run.dialect.identity(run.target).full_name)


def stored(run: Run, backup: Backup) -> Card:
    card = store_backup(run, backup)
    assert card
    return card


def far(run: Run, card: Card) -> Path:
    """The object of a card."""
    return Path(str(run.settings.storage).removeprefix("file://")) / card.file


def made(source: Path, to: Path, command: str = "db-backup", database: str = "") -> Backup:
    scratch = url_of(source.with_name("scratch.db"))
    with DIALECT.image(url_of(source), url_of(source.with_name("copy.db")), None) as image:
        making = Making(
            DIALECT,
            image,
            to,
            scratch=scratch,
            command=command,
            run="run",
            database=database or str(source),
            key=KEY,
        )
        backup = making.make()
    assert not DIALECT.exists(scratch)
    return backup


def entry(directory: Path, name: str, *, made_at: str, command: str = "db-backup", database: str = "/db") -> Backup:
    """A backup of which only file and manifest exist."""
    file = directory / name
    file.write_text(name)
    fields = {
        "id": name,
        "file": str(file),
        "command": command,
        "run": "run",
        "database": database,
        "made_at": made_at,
        "size_bytes": 1,
        "sha256": "0" * 64,
        "revision": None,
        "tables": {},
    }
    manifest_of(file).write_text(json.dumps(fields))
    return Backup(**fields)  # type: ignore[arg-type] # as JSON has them
