"""MySQL and MariaDB: a database made of a backup file of :mod:`.dump`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

import pymysql
import xxhash

from ...errors import BackupFailed
from .connect import is_out_of_space, number_of, quote, words_of
from .copy import NOT_LIVE
from .grammar import Grammar
from .growing import Growing
from .objects import event_with
from .parts import TOO_LONG
from .session import PATIENT_S, Connection, Factory, execute, is_refusal

STRICT = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
LENIENT = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
"""For a table with an ENUM that holds the value of no member, which a strict server refuses."""
LENIENT_MODE = f"SET SESSION sql_mode = '{LENIENT}'"

HEADER = (
    "SET NAMES utf8mb4",
    f"SET SESSION sql_mode = '{STRICT}', time_zone = '+00:00', foreign_key_checks = 0",
    # MariaDB only; unique_checks stays on, as off it defers errors to the commit there.
    "/*M!100201 SET SESSION check_constraint_checks = 0 */",
)
FOOTER = (
    "SET SESSION foreign_key_checks = 1",
    "/*M!100201 SET SESSION check_constraint_checks = 1 */",
)

_SETTINGS = (*HEADER, *FOOTER, LENIENT_MODE)

MAGIC = b"-- Flask-Ferry backup of a MySQL or MariaDB database, format 1"
END = b"-- end of the backup: %d statements, hash %s\n"

_END = re.compile(rb"-- end of the backup: ([0-9]+) statements, hash ([0-9a-f]{32})\n\Z")
_LONGEST_END = 200
_CHUNK = 1 << 20
_FUNCTION_CREATORS = 1419
_WITHOUT_A_KEY = 3750


def restore(factory: Factory, dump: Path, database: str) -> None:
    """Make a database of a backup file, in the place of what was there, in constant memory.

    The file is read to its end and compared with its hash before anything is done. Events do not run.

    :raises BackupFailed: the file is damaged, truncated or not one of ours, or the server refused a statement.
    """
    with _reading(dump), dump.open("rb") as file:
        expected = _verify(file, dump)
        _check(file, dump)
        _compare(dump, expected, _make(factory, database, statements(file), dump))


def restore_growing(factory: Factory, growing: Growing, database: str) -> None:
    """Make a database of a backup file while another thread of this process writes it.

    It is compared with its hash when it is whole: until then nothing has read it that could be harmed, as this
    process writes what it holds. So of the rows, too, only the first statement of each table is looked at.

    :raises BackupFailed: what was written is not restored, the file does not hold it, or it will never be whole.
    """
    dump = growing.path
    with contextlib.closing(growing):
        grammar = Grammar(str(dump), _SETTINGS, knows_rows=True)
        with _reading(dump):
            count = _make(factory, database, _looked_at(statements(growing), grammar), dump)
            with dump.open("rb") as file:
                _compare(dump, _verify(file, dump), count)


@contextlib.contextmanager
def _reading(dump: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"{dump} cannot be read: {error.strerror or error}.") from error


def _make(factory: Factory, database: str, sql: Iterable[bytes], dump: Path) -> int:
    """Make a database of statements; how many they were."""
    with factory(to_database=False, read_timeout=PATIENT_S) as connection:
        execute(connection, f"DROP DATABASE IF EXISTS {quote(database)}")
        execute(connection, f"CREATE DATABASE {quote(database)}")
        connection.select_db(database)
        return _run(connection, sql, dump)


def _compare(dump: Path, expected: int, count: int) -> None:
    if count != expected:
        raise BackupFailed(f"{dump} has {expected} statements, of which {count} were found.")


def _verify(file: IO[bytes], dump: Path) -> int:
    """The number of statements that the file says it has.

    :raises BackupFailed: it is not complete.
    """
    hint = "Use another backup: flask db-backup --list"
    if file.readline().rstrip(b"\n") != MAGIC:
        raise BackupFailed(f"{dump} is not a backup of a MySQL or MariaDB database.", hint=hint)
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _LONGEST_END))
    end = _END.search(file.read())
    if end is None:
        raise BackupFailed(f"{dump} is not complete: it has no end.", hint=hint)
    file.seek(0)
    digest, rest = xxhash.xxh3_128(), size - len(end[0])
    while rest and (chunk := file.read(min(rest, _CHUNK))):
        digest.update(chunk)
        rest -= len(chunk)
    if digest.hexdigest().encode() != end[2]:
        raise BackupFailed(f"{dump} is damaged: it is not what was written.", hint=hint)
    file.seek(0)
    return int(end[1])


def _check(file: IO[bytes], dump: Path) -> None:
    """Compare all statements with what our dumps hold, before the first is run.

    :raises BackupFailed: one of them is none of ours.
    """
    for _ in _looked_at(statements(file), Grammar(str(dump), _SETTINGS)):
        pass
    file.seek(0)


def _looked_at(sql: Iterable[bytes], grammar: Grammar) -> Iterator[bytes]:
    """Statements, each once it was compared with what our dumps hold.

    :raises BackupFailed: one of them is none of ours.
    """
    line = 1
    for number, statement in enumerate(sql, 1):
        grammar.check(statement, number, line)
        line += statement.count(b"\n") + 1
        yield statement


class Lines(Protocol):
    """A file, read line by line."""

    def readline(self) -> bytes:
        """The next line with its end; empty behind the last."""


def statements(file: Lines) -> Iterator[bytes]:
    """The statements of a backup file, one at a time, without their delimiters."""
    while line := file.readline():
        if line.startswith(b"DELIMITER "):
            yield _block(file, line.removeprefix(b"DELIMITER "))
        elif not line.startswith(b"--"):
            yield line.removesuffix(b"\n").removesuffix(b";")


def _block(file: Lines, end: bytes) -> bytes:
    lines = []
    while (line := file.readline()) and line != end:
        lines.append(line)
    file.readline()
    return b"".join(lines).removesuffix(b"\n")


def _run(connection: Connection, all_sql: Iterable[bytes], dump: Path) -> int:
    [(most,)] = execute(connection, "SELECT @@max_allowed_packet")
    count = 0
    for sql in all_sql:
        if len(sql) >= int(most):
            raise BackupFailed(
                f"{dump}: statement {count + 1} has {len(sql)} bytes, and the server takes {most}.",
                hint=f"SET GLOBAL max_allowed_packet = {(len(sql) // 1024 + 1) * 1024}, then run the command again; "
                "where that may not be set, back up without SQL: flask db-backup --portable",
            )
        try:
            connection.query(_not_running(sql))
        except pymysql.Error as error:
            if not is_refusal(error):
                raise
            raise _refuse(dump, count + 1, error) from error
        count += 1
    return count


def _not_running(sql: bytes) -> bytes:
    return event_with(NOT_LIVE, sql.decode()).encode() if sql.startswith(b"CREATE EVENT") else sql


def _refuse(dump: Path, number: int, error: pymysql.Error) -> BackupFailed:
    hint = None
    if is_out_of_space(error):
        hint = "Make room on the database server, then run the command again."
    elif TOO_LONG.decode() in words_of(error):
        hint = (
            "Set max_allowed_packet to what the server had that was backed up, then run the command again; where that "
            "may not be set, back up without SQL: flask db-backup --portable"
        )
    elif number_of(error) == _WITHOUT_A_KEY:
        hint = "Give the table a primary key, or let an administrator run: SET GLOBAL sql_require_primary_key = 0"
    elif number_of(error) == _FUNCTION_CREATORS:
        hint = "Let an administrator run: SET GLOBAL log_bin_trust_function_creators = 1"
    return BackupFailed(f"{dump}: the server refused statement {number}: {words_of(error)}", hint=hint)
