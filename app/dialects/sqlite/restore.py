"""SQLite: a backup, which is a database file, put in the place of another one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...errors import BackupFailed, DatabaseDamaged
from .connect import Files
from .copy import copy_at_rest

_HEADER = b"SQLite format 3\x00"
_TIMEOUT_S = 60.0


def restore(files: Files, backup: Path, to: Path) -> None:
    """:raises BackupFailed: the file cannot be read, or is no database."""
    try:
        with backup.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                raise BackupFailed(f"{backup} is not a SQLite database.")
        copy_at_rest(files, backup, to, timeout_s=_TIMEOUT_S)
    except (sqlite3.Error, OSError, DatabaseDamaged) as error:
        raise BackupFailed(f"{backup} cannot be read: {error}") from error
