"""MySQL and MariaDB: a database made of a backup file of :mod:`.dump`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pymysql
import xxhash

from ...errors import BackupFailed
from .connect import is_out_of_space, number_of, quote, words_of
from .copy import NOT_LIVE
from .grammar import Grammar
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
    try:
        with dump.open("rb") as file:
            expected = _verify(file, dump)
            _check(file, dump)
            with factory(to_database=False, read_timeout=PATIENT_S) as connection:
                execute(connection, f"DROP DATABASE IF EXISTS {quote(database)}")
                execute(connection, f"CREATE DATABASE {quote(database)}")
                connection.select_db(database)
                count = _run(connection, file, dump)
    except OSError as error:
        raise BackupFailed(f"{dump} cannot be read: {error.strerror or error}.") from error
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
    grammar, line = Grammar(str(dump), (*HEADER, *FOOTER, LENIENT_MODE)), 1
    for number, sql in enumerate(statements(file), 1):
        grammar.check(sql, number, line)
        line += sql.count(b"\n") + 1
    file.seek(0)


def statements(file: IO[bytes]) -> Iterator[bytes]:
    """The statements of a backup file, one at a time, without their delimiters."""
    while line := file.readline():
        if line.startswith(b"DELIMITER "):
            yield _block(file, line.removeprefix(b"DELIMITER "))
        elif not line.startswith(b"--"):
            yield line.removesuffix(b"\n").removesuffix(b";")


def _block(file: IO[bytes], end: bytes) -> bytes:
    lines = []
    while (line := file.readline()) and line != end:
        lines.append(line)
    file.readline()
    return b"".join(lines).removesuffix(b"\n")


def _run(connection: Connection, file: IO[bytes], dump: Path) -> int:
    [(most,)] = execute(connection, "SELECT @@max_allowed_packet")
    count = 0
    for sql in statements(file):
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
