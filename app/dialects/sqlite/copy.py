"""SQLite: whole databases copied; tables and objects that no revision made, made again in another one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from ...errors import DoesNotFit, LockHeld
from ..files import create_private, fsync, fsync_directory
from ..model import SchemaObject
from . import virtual
from .connect import Files, remove
from .names import quote
from .read import carried_virtual, reflect, reflect_virtual

_HEADER_BYTES, _PIECE_BYTES = 100, 1 << 20
_MAGIC = b"SQLite format 3\x00"
_ROLLBACK_JOURNAL = b"\x01\x01"


def copy_at_rest(files: Files, source: Path, to: Path, *, timeout_s: float, durable: bool = True) -> None:
    """As :func:`copy_file`, byte by byte, of a file on which this process has no lock that it needs.

    That takes a fifth of the time. Whoever writes to it meanwhile waits. One that is not whole by itself, or whose
    header says another size, is left to SQLite.
    """
    # One descriptor for all: when any is closed, POSIX takes away the locks that this process has on the file.
    with source.open("rb") as file, files.read(source, timeout_s=timeout_s) as locking:
        locking.execute("BEGIN")
        locking.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        is_whole = _is_whole(source, file.fileno())
        if is_whole:
            _make_room(to)
            create_private(to)
            with to.open("wb") as copy:
                shutil.copyfileobj(file, copy, _PIECE_BYTES)
        locking.execute("ROLLBACK")
    if not is_whole:
        copy_file(files, source, to, timeout_s=timeout_s, durable=durable)
        return
    if durable:
        _make_durable(to)


def renew_copy(files: Files, source: Path, descriptor: int, to: Path, *, timeout_s: float) -> None:
    """Let a copy that was made before be what its original is now: the pieces that differ are written.

    To read both takes a fifth of the time in which all is written. A killed process leaves a mixture of both.

    :param descriptor: of the original, which this process keeps locked: no other one may be closed meanwhile, as POSIX
        would take away the lock.
    """
    if not to.exists() or not _is_whole(source, descriptor):
        copy_file(files, source, to, timeout_s=timeout_s)
        return
    piece, former, place = bytearray(_PIECE_BYTES), bytearray(_PIECE_BYTES), 0
    with to.open("r+b", buffering=0) as copy:
        while count := os.preadv(descriptor, [piece], place):
            if os.preadv(copy.fileno(), [former], place) != count or piece[:count] != former[:count]:
                _write_all(copy.fileno(), memoryview(piece)[:count], place)
            place += count
        copy.truncate(place)
    _make_durable(to)


def _write_all(descriptor: int, data: memoryview, place: int) -> None:
    while data:
        count = os.pwrite(descriptor, data, place)
        data, place = data[count:], place + count


def _is_whole(path: Path, descriptor: int) -> bool:
    """Whether a file is all of its database: without a journal, in no WAL mode, of the size that its header says."""
    if any(path.with_name(path.name + suffix).exists() for suffix in ("-journal", "-wal")):
        return False
    header = os.pread(descriptor, _HEADER_BYTES, 0)
    page = int.from_bytes(header[16:18])
    size = (65536 if page == 1 else page) * int.from_bytes(header[28:32])
    is_ours = header.startswith(_MAGIC) and header[18:20] == _ROLLBACK_JOURNAL
    return is_ours and 0 < size == os.fstat(descriptor).st_size


def _make_room(to: Path) -> None:
    remove(to)
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def _make_durable(to: Path) -> None:
    fsync(to)
    fsync_directory(to.parent)


def copy_file(files: Files, source: Path, to: Path, *, timeout_s: float, durable: bool = True) -> None:
    """Copy a database as it is at one instant, by SQLite's backup, in the place of what is there.

    :param durable: whether it has to outlive the machine's end.
    :raises LockHeld: another program kept the source locked for ``timeout_s``.
    :raises DatabaseDamaged: the source is no database, or a broken one.
    """
    _make_room(to)
    deadline = time.monotonic() + timeout_s

    def guard(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise LockHeld(f"{source} stayed locked by another program for {timeout_s:g} s.")

    with files.read(source, timeout_s=timeout_s) as original, files.create(to) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        original.backup(copy, progress=guard, sleep=0.01)
        copy.execute("PRAGMA journal_mode = DELETE")
    if durable:
        _make_durable(to)


def create_objects(connection: sqlite3.Connection, objects: Iterable[SchemaObject]) -> None:
    """:raises DoesNotFit: an object refers to what is not there any more."""
    for item in objects:
        try:
            connection.execute(item.sql)
            if item.kind == "view":
                connection.execute(f"SELECT * FROM {quote(item.name)} LIMIT 0")
            virtual.refresh(connection, [item])
        except sqlite3.Error as error:
            raise DoesNotFit(
                f"The {item.kind} {item.name!r}, which no revision made, does not fit the new schema: {error}",
                hint=f"Drop or rewrite this {item.kind} in the live database, or let a revision do it.",
            ) from error


def carry(connection: sqlite3.Connection, source: Path, tables: Iterable[str]) -> None:
    """Copy tables of another database into this one, in the place of those that are there."""
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("ATTACH DATABASE ? AS origin", (str(source),))
    connection.execute("BEGIN")
    for table in tables:
        _carry_table(connection, table)
    connection.execute("COMMIT")


def _carry_table(connection: sqlite3.Connection, table: str) -> None:
    """Make a table of the database attached as ``origin`` in the main one, with its rows, indexes and triggers."""
    query = "SELECT sql FROM origin.sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL AND type = ?"
    connection.execute(f"DROP TABLE IF EXISTS main.{quote(table)}")
    connection.execute(connection.execute(query, (table, "table")).fetchone()[0])
    carried = carried_virtual(connection)
    reflected = reflect_virtual(connection, table, carried[table]) if table in carried else reflect(connection, table)
    names = ", ".join(map(quote, reflected.column_names))
    connection.execute(f"INSERT INTO main.{quote(table)} ({names}) SELECT {names} FROM origin.{quote(table)}")
    for kind in ("index", "trigger"):
        for (sql,) in connection.execute(query, (table, kind)).fetchall():
            connection.execute(sql)
