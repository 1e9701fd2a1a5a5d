"""Rows that are taken out of the driver's buffer are those that the driver reads itself."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
from pymysql.cursors import SSCursor
from sqlalchemy import make_url

from app.dialects.mysql import stream
from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.packets import BUFFER_BYTES
from app.dialects.mysql.read import RAW
from app.dialects.mysql.stream import Stream
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB

# Where a length takes another byte, and where a row is longer than what is read ahead.
LENGTHS = (0, 1, 250, 251, 252, 65_535, 65_536, BUFFER_BYTES - 20, BUFFER_BYTES, 1 << 20)


@pytest.fixture
def database(mariadb: MariaDB) -> str:
    name = new_name()
    mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    mariadb.execute(f"CREATE TABLE {name}.t (id INT PRIMARY KEY, word LONGTEXT, more LONGBLOB, f DOUBLE, z INT)")
    rows = [(n, "é" * (size // 2) + "x" * (size % 2), b"\xfb\xfe\xff\0" * (n % 3), n / 7, None) for n, size in
            enumerate(LENGTHS * 3)]  # fmt: skip
    # The first cell of a row may have the byte with which an error or an end begins.
    rows += [(n, None if n % 2 else "", b"\xff" * 254, None, n) for n in range(100, 700)]
    for row in rows:
        mariadb.execute(f"INSERT INTO {name}.t VALUES (%s, %s, %s, %s, %s)", *row)
    return name


def read(connection: pymysql.Connection[Any], kind: type[SSCursor], query: str) -> list[tuple[Any, ...]]:
    with connection.cursor(kind) as cursor:
        cursor.execute(query)
        return list(cursor.rows()) if isinstance(cursor, Stream) else list(cursor.fetchall())


@pytest.mark.parametrize("columns", ["*", "word, id", "more, word", "z, f", "id"])
def test_every_row_is_that_of_the_driver(mariadb: MariaDB, database: str, columns: str) -> None:
    query = f"SELECT {columns} FROM t ORDER BY id"
    with connect_to(make_url(mariadb.url(database)), None, conv=RAW) as connection:
        rows = read(connection, Stream, query)
        assert rows == read(connection, SSCursor, query)
        assert len(rows) == len(LENGTHS) * 3 + 600
        assert read(connection, Stream, "SELECT id FROM t WHERE id < 0") == []


def test_most_rows_do_not_pass_the_driver(mariadb: MariaDB, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    def count(connection: Any, texts: Any) -> Any:
        nonlocal taken
        rows = take(connection, texts)
        taken += len(rows)
        return rows

    take = stream.take_rows
    monkeypatch.setattr(stream, "take_rows", count)
    with connect_to(make_url(mariadb.url(database)), None, conv=RAW) as connection:
        assert len(read(connection, Stream, "SELECT * FROM t WHERE id >= 100")) == 600
    assert taken > 500


def test_an_error_among_the_rows_is_raised(mariadb: MariaDB, database: str) -> None:
    query = "SELECT id, IF(id = 400, (SELECT 1 UNION SELECT 2), 1) FROM t WHERE id >= 100 ORDER BY id"
    with (
        connect_to(make_url(mariadb.url(database)), None, conv=RAW) as connection,
        connection.cursor(Stream) as cursor,
    ):
        cursor.execute(query)
        with pytest.raises(pymysql.Error, match="more than 1 row"):
            list(cursor.rows())
        cursor.execute("SELECT 1")
        assert list(cursor.rows()) == [("1",)]


def test_rows_that_are_moved_to_a_file_are_the_same(mariadb: MariaDB, database: str) -> None:
    with connect_to(make_url(mariadb.url(database)), None, conv=RAW) as connection:
        expected = read(connection, SSCursor, "SELECT * FROM t ORDER BY id")
        with connection.cursor(Stream) as cursor:
            cursor.execute("SELECT * FROM t ORDER BY id")
            rows = cursor.rows()
            first = [next(rows) for _ in range(35)]
            cursor.park()
            assert read(connection, Stream, "SELECT 1") == [("1",)]
            assert first + list(rows) == expected
            cursor.end()


@pytest.mark.parametrize("ended", [KeyboardInterrupt, ConnectionResetError])
def test_what_ended_the_connection_is_what_is_raised(
    mariadb: MariaDB, database: str, monkeypatch: pytest.MonkeyPatch, ended: type[BaseException]
) -> None:
    """The driver would read on to the end of the rows, from a connection that it closed itself."""
    raised = pymysql.OperationalError if ended is ConnectionResetError else ended
    with connect_to(make_url(mariadb.url(database)), None, conv=RAW) as connection:

        def end(*_: object) -> None:
            raise ended

        def read_on() -> None:
            with connection.cursor(Stream) as cursor:
                cursor.execute("SELECT * FROM t")
                rows = cursor.rows()
                next(rows)
                monkeypatch.setattr(stream, "take_rows", lambda *_: [])
                monkeypatch.setattr(connection._rfile, "read", end, raising=False)
                list(rows)

        with pytest.raises(raised):
            read_on()
        assert not connection.open


def test_who_is_interrupted_does_not_read_on(mariadb: MariaDB, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_on() -> None:
        with (
            connect_to(make_url(mariadb.url(database)), None, conv=RAW) as connection,
            connection.cursor(Stream) as cursor,
        ):
            cursor.execute("SELECT * FROM t")
            next(cursor.rows())
            monkeypatch.setattr(connection, "_read_packet", lambda *_: pytest.fail("it reads on"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_on()
