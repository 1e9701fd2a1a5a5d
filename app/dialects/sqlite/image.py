"""SQLite: a target at one instant, which is a copy of its file."""

from __future__ import annotations

import functools
import sqlite3
from pathlib import Path

from ...errors import BackupFailed, DatabaseDamaged
from ..dumping import Dump
from .connect import Files
from .copy import copy_at_rest
from .read import SqliteReader

IMAGE_TIMEOUT_S = 20.0


class SqliteImage:
    """The copy of a target that :meth:`.dialect.SqliteDialect.image` made; nobody writes it."""

    def __init__(self, files: Files, copy: Path, token: bytes, reader: SqliteReader) -> None:
        self._files, self._copy = files, copy
        self.token, self.reader = token, reader

    def dump(self, to: Path) -> None:
        try:
            copy_at_rest(self._files, self._copy, to, timeout_s=IMAGE_TIMEOUT_S)
        except OSError as error:
            raise BackupFailed(f"The backup to {to} failed: {error.strerror or error}") from error
        except (sqlite3.Error, DatabaseDamaged) as error:
            raise BackupFailed(f"The backup to {to} failed: {error}") from error

    def begin_dump(self, to: Path) -> Dump:
        """All of it beside: it is done over connections of its own."""
        return Dump(beside=functools.partial(self.dump, to))
