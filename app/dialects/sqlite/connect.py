"""SQLite: database files, read without a trace, made for their owner alone, named where something is wrong."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...errors import DatabaseDamaged, FerryError
from ..files import create_private
from . import swap
from .functions import Functions, refuse_lacking


@contextlib.contextmanager
def explain_file_errors(path: Path) -> Iterator[None]:
    """Turn the library's errors, a full disk before all, into one that names the file.

    :raises DoesNotFit: there is no room.
    :raises FerryError: anything else.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise swap.explained(path, error) from error


class Files:
    """Database files, opened by connections that have the app's functions and collations."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions

    @contextlib.contextmanager
    def open(self, path: Path, *, timeout_s: float = 30) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=timeout_s)) as connection:
            self.functions.give(connection)
            yield connection

    @contextlib.contextmanager
    def create(self, path: Path) -> Iterator[sqlite3.Connection]:
        """Open a database that only its owner can read from its first byte on."""
        create_private(path)
        with self.open(path) as connection:
            yield connection

    @contextlib.contextmanager
    def read(self, path: Path, *, timeout_s: float = 30) -> Iterator[sqlite3.Connection]:
        """Read without writing: ``mode=ro`` leaves the file and its WAL as they are, to the byte.

        A hot journal, left by a killed program, has to be rolled back before anything can be read; that is done in a
        private copy, as nobody can be writing then.
        """
        if not path.is_file():
            raise FerryError(f"There is no database file {path}.")
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with (
            damage_named(path),
            contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)) as connection,
        ):
            if not _has_hot_journal(connection):
                self.functions.give(connection)
                yield connection
                return
        with damage_named(path), tempfile.TemporaryDirectory(prefix="ferry-") as scratch:
            copy = Path(scratch) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(path.with_name(path.name + "-journal"), copy.with_name(copy.name + "-journal"))
            with self.open(copy) as connection:
                yield connection


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Name the file in what goes wrong with it.

    :raises DatabaseDamaged: what is read is no database, or a broken one.
    :raises DoesNotFit: its schema needs a function or collation that no connection has.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        refuse_lacking(error, f"The database {path}")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DatabaseDamaged(
                f"The database {path} is damaged: {error}.",
                hint="Put a backup back (flask db-backup --list, flask db-restore), or repair the file.",
            ) from error
        raise


def _has_hot_journal(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            return True
        raise
    return False
