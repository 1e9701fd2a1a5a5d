"""MySQL and MariaDB: a backup file in SQL, exact, that the server's own client reads as well.

The servers' own programs lose digits of FLOAT columns, and name owners whom only an administrator may name (seen). This
file is written over the connection that reads the database, in constant memory. A statement takes one line, and those
that may contain line breaks lie between lines that change the client's delimiter, so they are found again without
parsing SQL. The last line counts them and has a hash of everything before, so a file that was cut anywhere is known.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pymysql
import xxhash

from ...errors import BackupFailed, DoesNotFit
from ..files import open_private
from ..model import SchemaObject
from .connect import quote, words_of
from .copy import charset_of, check_view, list_columns, refuse_history
from .driver import version_of
from .growing import Growing
from .histograms import list_histograms
from .objects import (
    SEQUENCE,
    MySqlObject,
    define_all,
    fingerprint_of,
    list_all,
    objects,
    position,
    schema_fingerprint,
    strip_database,
    tables_of,
)
from .parts import write_in_parts
from .restore import END, FOOTER, HEADER, LENIENT_MODE, MAGIC, restore
from .session import Connection, execute, is_refusal
from .stream import Stream
from .types import SPATIAL

__all__ = ["dump", "restore"]

STATEMENT_BYTES = 1 << 20
"""Of the rows of an INSERT, where not a single one is longer; a server takes 16 MiB, 4 MiB or 1 MiB some."""

LONGEST_HEXADECIMAL = 64 << 10
"""Bytes; hex doubles them, and a server refuses a statement that is longer than its max_allowed_packet."""
_BESIDE_ROWS = 8 << 10
"""Bytes kept free of a packet, for the beginning of an INSERT."""

Render = Callable[[bytes], bytes]

_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal")
_NUMBERED = "enum by number"
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit", "vector", *SPATIAL)


# As text FLOAT has six digits only; as DOUBLE it is exact (seen).
_SELECTED = {"float": "CAST({} AS DOUBLE)", _NUMBERED: "{} + 0"}


def _bare(value: bytes) -> bytes:
    return value


def _hexadecimal(value: bytes) -> bytes:
    return b"x'" + value.hex().encode() + b"'"


def _bytes(value: bytes) -> bytes:
    """In hex, which is safe with any program; what is long as it is, or a server might not take it back."""
    if len(value) <= LONGEST_HEXADECIMAL:
        return _hexadecimal(value)
    return min(b"_binary" + _quote_text(value), _hexadecimal(value), key=len)


def _quote_text(value: bytes) -> bytes:
    value = value.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\0", b"\\0")
    return b"'" + value.replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b"\x1a", b"\\Z") + b"'"


def _render(kind: str) -> Render:
    if kind in (*_NUMBERS, _NUMBERED):
        return _bare
    # A float is quoted, too: as a number -0 would lose its sign.
    return _bytes if kind in _BYTES else _quote_text


class _Writer:
    """Statements to a file, counted and hashed.

    :param growing: is told of the end of each statement.
    :ivar longest: bytes that the rows of a statement may have.
    """

    def __init__(self, file: IO[bytes], longest: int, growing: Growing | None) -> None:
        self._file, self._hash, self.statements, self.longest = file, xxhash.xxh3_128(), 0, longest
        self._growing = growing

    def line(self, text: bytes) -> None:
        self._hash.update(text + b"\n")
        self._file.write(text + b"\n")

    def statement(self, sql: bytes) -> None:
        """One without a line break, and with ``;`` in literals at most."""
        self.line(sql + b";")
        self._count()

    def block(self, sql: str) -> None:
        """One of any form; a line of its own ends it."""
        self.block_of(sql.encode())

    def block_of(self, text: bytes) -> None:
        """As :meth:`block`, of bytes."""
        end, number = b";;", 0
        while end in text:
            number += 1
            end = b"$$%d" % number
        self.line(b"DELIMITER " + end)
        self.line(text)
        self.line(end)
        self.line(b"DELIMITER ;")
        self._count()

    def _count(self) -> None:
        self.statements += 1
        if self._growing:
            self._file.flush()
            self._growing.reach(self._file.tell())

    def end(self) -> None:
        self._file.write(END % (self.statements, self._hash.hexdigest().encode()))


def dump(connection: Connection, database: str, to: Path, growing: Growing | None = None) -> None:
    """Write a backup file of everything in a database, flushed to disk, for its owner alone.

    Events are in it as they run; :func:`restore` makes them not run, another program would.

    :param connection: inside a consistent snapshot, which nothing else is being read from. It reads nothing of
        another instant, but DDL is not part of a snapshot: it is found out.
    :param growing: is told how far the file is written.
    :raises BackupFailed: it cannot be written, the schema changed meanwhile, or something cannot be backed up.
    """
    try:
        with _new_file(to, growing) as file:
            listed = list_all(connection, database)
            statements, events = define_all(connection, database, listed)
            items = objects(connection, database, listed, events)
            [(allowed,)] = execute(connection, "SELECT @@max_allowed_packet")
            writer = _Writer(file, int(allowed) - _BESIDE_ROWS, growing)
            _write(writer, connection, database, tables_of(listed), statements, items)
            if schema_fingerprint(connection, database) != fingerprint_of(database, statements, items):
                raise BackupFailed(f"The schema of {database} was changed while it was backed up.", hint="Run again.")
    except OSError as error:
        raise BackupFailed(f"The backup to {to} failed: {error.strerror or error}.") from error
    except DoesNotFit as error:
        raise BackupFailed(f"{database} cannot be backed up: {error.message}", hint=error.hint) from error
    except pymysql.Error as error:
        if not is_refusal(error):
            raise
        raise BackupFailed(f"{database} cannot be backed up: {words_of(error)}") from error


@contextlib.contextmanager
def _new_file(path: Path, growing: Growing | None) -> Iterator[IO[bytes]]:
    """A file for its owner alone, on disk at the end; gone where there is an error."""
    is_whole = False
    try:
        with open_private(path) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        is_whole = True
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        if growing:
            growing.end(whole=is_whole)


def _write(
    writer: _Writer,
    connection: Connection,
    database: str,
    kinds: dict[str, str],
    statements: dict[str, str],
    items: list[SchemaObject],
) -> None:
    name = database.encode("unicode_escape")
    instant = datetime.now(UTC).isoformat(timespec="seconds")
    writer.line(MAGIC)
    writer.line(
        b"-- server: %s; database: %s; taken: %s" % (str(version_of(connection)).encode(), name, instant.encode())
    )
    for sql in HEADER:
        writer.statement(sql.encode())
    writer.statement(f"ALTER DATABASE {charset_of(connection, database)}".encode())
    columns = list_columns(connection, database)
    # A default may name a sequence, which has to be there.
    for table in sorted(kinds, key=lambda name: kinds[name] != SEQUENCE):
        refuse_history(table, kinds[table])
        writer.block(strip_database(statements[table], database))
        if kinds[table] == SEQUENCE:
            value, rounds = position(connection, database, table)
            writer.block(f"DO SETVAL({quote(table)}, {value}, 0, {rounds})")
        else:
            _write_rows(writer, connection, database, table, columns[table])
    for histogram in list_histograms(connection, database):
        writer.block(histogram.statement)
    for item in items:
        if item.kind == "view":
            check_view(connection, database, item.name)
        if item.kind != "sequence":
            _write_object(writer, item)
    for sql in FOOTER:
        writer.statement(sql.encode())
    writer.end()


def _write_object(writer: _Writer, item: SchemaObject) -> None:
    """An object between its session's settings and the usual ones."""
    session = dict(item.session) if isinstance(item, MySqlObject) else {}
    for name, value in session.items():
        writer.statement(f"SET SESSION {name} = {_quote_text(value.encode()).decode()}".encode())
    writer.block(item.sql)
    for sql in HEADER[: 2 if session else 0]:
        writer.statement(sql.encode())


def _write_rows(
    writer: _Writer, connection: Connection, database: str, table: str, columns: list[tuple[str, str]]
) -> None:
    path = f"{quote(database)}.{quote(table)}"
    enums = [quote(name) for name, kind in columns if kind == "enum"]
    odd = enums and execute(connection, f"SELECT 1 FROM {path} WHERE 0 IN ({', '.join(enums)}) LIMIT 1")
    if odd:
        writer.statement(LENIENT_MODE.encode())
    start = f"INSERT INTO {quote(table)} ({', '.join(quote(name) for name, _ in columns)}) VALUES ".encode()
    if odd:
        # By its number, as a member may be spelled like the value of no member.
        columns = [(name, _NUMBERED if kind == "enum" else kind) for name, kind in columns]
    for statements, values in _batches(connection, path, columns, writer.longest):
        for sql in (*statements, start + values):
            if b"\n" in start:
                writer.block_of(sql)
            else:
                writer.statement(sql)
    if odd:
        writer.statement(HEADER[1].encode())


def _batches(
    connection: Connection, path: str, columns: list[tuple[str, str]], longest: int
) -> Iterator[tuple[Sequence[bytes], bytes]]:
    """Rows as SQL text, about as many as a statement should have, each time with what has to be said before."""
    renders = [_render(kind) for _, kind in columns]
    most = min(STATEMENT_BYTES, longest)
    is_text = [render is _quote_text for render in renders]
    selected = [_SELECTED.get(kind, "{}").format(quote(name)) for name, kind in columns]
    rows: list[bytes] = []
    size = 0
    with _raw(connection), connection.cursor(Stream) as cursor:
        cursor.execute(f"SELECT {', '.join(selected)} FROM {path}")
        for item in cursor.rows():
            values = [b"NULL" if value is None else render(value) for value, render in zip(item, renders, strict=True)]
            row = b"(" + b",".join(values) + b")"
            if rows and size + len(row) > most:
                yield (), b",".join(rows)
                rows, size = [], 0
            # What is longer than a packet as it is, no server puts together: restoring says what to set.
            if len(row) > longest >= max(len(value or b"") for value in item):
                statements, values = write_in_parts(item, values, is_text, longest, _quote_text)
                yield statements, b"(" + b",".join(values) + b")"
                continue
            rows.append(row)
            size += len(row) + 1
    if rows:
        yield (), b",".join(rows)


@contextlib.contextmanager
def _raw(connection: Connection) -> Iterator[None]:
    """Let the driver convert nothing: values are the bytes that the server sends."""
    former = connection.decoders, connection.use_unicode
    connection.decoders, connection.use_unicode = {}, False
    try:
        yield
    finally:
        connection.decoders, connection.use_unicode = former
