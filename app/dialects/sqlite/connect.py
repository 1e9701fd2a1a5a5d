"""SQLite: database files, read without a trace, made for their owner alone, named where something is wrong."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL, Engine

from ...errors import DatabaseDamaged, FerryError, Protected
from . import swap


def path_of(url: URL) -> Path:
    """The file of a SQLite URL.

    :raises Protected: an in-memory database, which has none; a file that only a VFS of its own can read.
    """
    name = url.database or ""
    if is_uri(url):
        name = unquote(name.removeprefix("file:").partition("?")[0])
        # file:///path and file://localhost/path are SQLite's other ways to write an absolute one.
        name = re.sub(r"^//(localhost)?/", "/", name)
        if "vfs" in url.query:
            raise Protected("A SQLite file of a VFS of its own cannot be read.", hint="Leave vfs= out of the URL.")
    if not name or name == ":memory:" or url.query.get("mode") == "memory":
        raise Protected(
            "An in-memory SQLite database is gone with its process: there is nothing to carry over or to keep.",
            hint="Set SQLALCHEMY_DATABASE_URI to a file, e.g. sqlite:///app.db",
        )
    return Path(name)


def is_uri(url: URL) -> bool:
    """Whether the database is written as SQLite's ``file:`` URI; without ``uri=true`` that is a file's plain name."""
    said = str(url.query.get("uri", "")).lower()
    return (url.database or "").startswith("file:") and said in ("true", "yes", "on", "y", "t", "1")


def refuse_read_only(url: URL) -> None:
    """:raises Protected: the app opens its file for reading alone, so that it is not the app's to replace."""
    if is_uri(url) and (url.query.get("mode") == "ro" or "immutable" in url.query):
        raise Protected(
            "The app opens its SQLite file for reading only (mode=ro or immutable in SQLALCHEMY_DATABASE_URI).",
            hint="Run the command with the URL of an app that may write it.",
        )


def attach_nothing(action: int, file: str | None, *_more: object) -> int:
    """An authorizer: what a revision would attach is no staging database.

    ``VACUUM`` attaches a file whose name is empty. One that is computed, or bound, comes as None.
    """
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH and file != "" else sqlite3.SQLITE_OK


def refuse_attached(engine: Engine) -> None:
    """:raises Protected: whoever connects by such an engine has further databases in sight."""
    with engine.connect() as connection:
        found = [name for _, name, _ in connection.exec_driver_sql("PRAGMA database_list")]
    if others := [name for name in found if name not in ("main", "temp")]:
        raise Protected(
            f"A listener of the app attaches further databases to every connection: {', '.join(others)}.",
            hint="Attach them to the app's own engine alone: @event.listens_for(db.engine, 'connect').",
        )


def url_of(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def fsync_directory(directory: Path) -> None:
    """Make a rename in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def private(path: Path) -> None:
    """Create a file that only its owner can read, before anything is in it."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


@contextlib.contextmanager
def explained_by_file(path: Path) -> Iterator[None]:
    """Turn the library's errors, a full disk before all, into one that names the file.

    :raises DoesNotFit: there is no room.
    :raises FerryError: anything else.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise swap.explained(path, error) from error


@contextlib.contextmanager
def open_file(path: Path, *, timeout_s: float = 30) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=timeout_s)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that only its owner can read from its first byte on."""
    private(path)
    with open_file(path) as connection:
        yield connection


@contextlib.contextmanager
def open_read_only(path: Path, *, timeout_s: float = 30) -> Iterator[sqlite3.Connection]:
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
            yield connection
            return
    with damage_named(path), tempfile.TemporaryDirectory(prefix="ferry-") as scratch:
        copy = Path(scratch) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(path.with_name(path.name + "-journal"), copy.with_name(copy.name + "-journal"))
        with open_file(copy) as connection:
            yield connection


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """:raises DatabaseDamaged: what is read is no database, or a broken one."""
    try:
        yield
    except sqlite3.DatabaseError as error:
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
