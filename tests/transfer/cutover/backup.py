"""Backups to try things on."""

from __future__ import annotations

import json
from pathlib import Path

from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.transfer.cutover.backups import (
    make,
)
from app.transfer.cutover.manifest import Backup, manifest_of

DIALECT = SqliteDialect()


KEY = b"of this database"


def made(source: Path, to: Path, command: str = "db-backup", database: str = "") -> Backup:
    scratch = url_of(source.with_name("scratch.db"))
    with DIALECT.image(url_of(source), url_of(source.with_name("copy.db")), None) as image:
        backup = make(
            DIALECT,
            image,
            to,
            scratch=scratch,
            command=command,
            run="run",
            database=database or str(source),
            key=KEY,
        )
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
