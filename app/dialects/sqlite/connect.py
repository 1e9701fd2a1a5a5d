"""SQLite: database files, read without a trace, made for their owner alone, named where something is wrong."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL

from ...errors import DatabaseDamaged, FerryError, Protected
from ..files import create_private
from . import swap
from .fence import explain_locked
from .functions import Functions, refuse_lacking
from .names import path_of


@contextlib.contextmanager
def explain_file_errors(path: Path) -> Iterator[None]:
    """Turn the library's errors, a full disk before all, into one that names the file.

    :raises DoesNotFit: there is no room.
    :raises FerryError: anything else.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise swap.explain_error(path, error) from error


def locate(url: URL) -> object:
    """The file, by whichever path; a database in memory has none, and its text stands for it."""
    try:
        return path_of(url).resolve()
    except Protected:
        return url


COPIES = 3
"""How often a file is copied at most that others write to meanwhile."""


class Files:
    """Database files, opened by connections that have the app's functions and collations."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.copies: Path | None = None

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

        Where that is not enough a private copy is read: a hot journal, left by a killed program, has to be rolled back
        first, and beside a WAL SQLite makes a file of its own, which it cannot in a directory that is read-only.
        """
        if not path.is_file():
            raise FerryError(f"There is no database file {path}.")
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with (
            damage_named(path),
            contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)) as connection,
        ):
            if not _needs_copy(connection, path):
                self.functions.give(connection)
                yield connection
                return
        with (
            damage_named(path),
            tempfile.TemporaryDirectory(prefix="ferry-", dir=self.copies) as scratch,
            self.open(_copy_at_rest(path, Path(scratch))) as connection,
        ):
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
        is_broken = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        # What is no text in the schema itself: of rows such values are read as bytes.
        if is_broken or "Could not decode to UTF-8 column 'sql'" in str(error):
            raise _name_damaged(path, error) from error
        raise
    except UnicodeDecodeError as error:
        # SQLite's own words, which quote such a schema.
        raise _name_damaged(path, "its schema holds what is not UTF-8") from error


def _name_damaged(path: Path, why: object) -> DatabaseDamaged:
    return DatabaseDamaged(
        f"The database {path} is damaged: {why}.",
        hint="Put a backup back (flask db-backup --list, flask db-restore), or repair the file.",
    )


def remove(path: Path) -> None:
    """Remove a database file with what SQLite keeps beside it, where there is any of it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _needs_copy(connection: sqlite3.Connection, path: Path) -> bool:
    try:
        look_at(connection, path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
            return True
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and _is_wal(path):
            return True
        raise
    return False


def look_at(connection: sqlite3.Connection, path: Path) -> None:
    """Read the schema, so that a transaction that was begun has its instant.

    :raises LockHeld: another program, named where the system shows it, keeps the file locked.
    """
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise explain_locked(path) from error
        raise


def _is_wal(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(20)[18:19] == b"\x02"


def _copy_at_rest(path: Path, to: Path) -> Path:
    """Copy a file with its journals to a directory.

    :raises FerryError: somebody writes to it all the time.
    """
    for _ in range(COPIES):
        before = _state_of(path)
        for suffix in before:
            shutil.copyfile(path.with_name(path.name + suffix), to / (path.name + suffix))
        if _state_of(path) == before:
            return to / path.name
        for suffix in before:
            (to / (path.name + suffix)).unlink()
    raise FerryError(
        f"{path} is written all the time, and can only be copied while it is not.",
        hint="Stop the program that writes to it, or give a copy that it made, then run the command again.",
    )


def _state_of(path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of a database file and its journals, by their suffix."""
    states = {}
    for suffix in ("", "-wal", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            stat = path.with_name(path.name + suffix).stat()
            states[suffix] = (stat.st_size, stat.st_mtime_ns)
    return states
