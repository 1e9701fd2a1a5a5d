"""Rows in: by file, by statements, one by one, and what is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from app.dialects.model import Values
from app.dialects.mysql import connect
from app.dialects.mysql.load import _OFFERED, _Loading
from app.dialects.mysql.write import Encoder
from app.errors import DatabaseUnreachable, FerryError, SnapshotUnusable
from tests.dialects.rooms import Room
from tests.dialects.things import load, rows, table
from tests.support.servers.mariadb import ON_MYSQL, MariaDB


def test_null_is_never_taken_for_a_default(room: Room, way: str, mariadb: MariaDB) -> None:
    definition = "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 5, "
    definition += "t TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, words TEXT NOT NULL"
    to = table(room, definition)
    at = "2024-01-01 00:00:00.000000+00:00"
    wanted: list[Values] = [[None, 1, at, ""], [1, None, at, ""], [2, 1, None, ""], [3, 1, at, None], [4, 1, at, ""]]
    refused = load(room, to, wanted)
    assert refused == [
        (1, "Column 'id' cannot be null"),
        (2, "Column 'n' cannot be null"),
        (3, "Column 't' cannot be null"),
        (4, "Column 'words' cannot be null"),
    ]
    assert rows(room) == [[4, 1, at, ""]]


def test_words_of_a_refusal_do_not_show_the_value(room: Room) -> None:
    to = table(room, "id INT PRIMARY KEY, password VARCHAR(20)")
    [(_, words)] = load(room, to, [[1, {"$bytes": "hunter2="}]])
    assert "password" in words
    assert "hunter2" not in words


def test_a_row_above_the_largest_packet_is_refused_and_others_of_many_megabytes_go_in(
    room: Room, way: str, mariadb: MariaDB
) -> None:
    to = table(room, "id INT PRIMARY KEY, t LONGTEXT, b LONGBLOB")
    half = 700_000
    wanted: list[Values] = [
        [1, "'" * half, None],
        [2, "x" * 1_100_000, None],
        [3, "y" * (2 * half), None],
        [4, None, "eHh4" * (half // 3)],
        [5, "\\" * half, "AAAA" * 100],
    ]
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {1 << 20}")
    try:
        refused = load(room, to, wanted)
    finally:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {16 << 20}")
    assert [number for number, _ in refused] == [1, 2, 3, 5]
    assert all("max_allowed_packet" in words for _, words in refused)
    assert [row[0] for row in rows(room)] == [4]
    assert load(room, to, [wanted[n] for n in (0, 1, 2, 4)]) == []
    assert rows(room) == wanted


def test_rows_go_in_packets_that_the_server_takes(room: Room, mariadb: MariaDB) -> None:
    """It refuses a larger one while lines are sent, and what it says then no driver understands (seen)."""
    to = table(room, "id INT PRIMARY KEY, words TEXT")
    wanted: list[Values] = [[n, "x" * 3000] for n in range(100)]
    mariadb.execute("SET GLOBAL max_allowed_packet = 16384")
    try:
        assert load(room, to, wanted) == []
    finally:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {16 << 20}")
    assert rows(room) == wanted


KEY = "things.PRIMARY" if ON_MYSQL else "PRIMARY"


def test_many_rows_in_batches_of_any_size(room: Room, way: str) -> None:
    to = table(room, "id INT PRIMARY KEY, words VARCHAR(50) NOT NULL, UNIQUE (words)")
    wanted: list[Values] = [[n, f"row {n} \\ '\t"] for n in range(3000)]
    with_repeats = [row for n, row in enumerate(wanted) for row in ([row, row] if n % 500 == 3 else [row])]
    refused = load(room, to, with_repeats, batch_rows=97)
    assert [number for number, _ in refused] == [5, 506, 1007, 1508, 2009, 2510]
    assert all(
        words == f"Duplicate entry '{number - 2 - i}' for key '{KEY}'" for i, (number, words) in enumerate(refused)
    )
    assert rows(room) == wanted


def test_a_reason_that_is_no_rows_own_ends_the_load(room: Room, way: str) -> None:
    to = table(room, "id INT PRIMARY KEY")

    def renamed() -> Iterator[Values]:
        room.execute("RENAME TABLE things TO elsewhere")
        yield [1]

    with pytest.raises(FerryError, match="things"):
        room.dialect.load(room.target, to, renamed(), batch_rows=1)
    with pytest.raises(FerryError, match="things"):
        room.dialect.load(room.target, to, [[1]], batch_rows=1)
    assert room.state() == {"elsewhere": []}


@contextlib.contextmanager
def loading(room: Room) -> Iterator[_Loading]:
    with connect.connect_to(room.target, None, driver=_Loading, local_infile=True, autocommit=True) as connection:
        assert isinstance(connection, _Loading)
        yield connection


@pytest.mark.parametrize("offered", [False, True])
def test_no_file_is_sent_whatever_a_server_asks_for(room: Room, tmp_path: Path, offered: bool) -> None:
    table(room, "words VARCHAR(50)")
    secret = tmp_path / "secret"
    secret.write_text("a file of this host\n")
    with (
        pytest.raises(DatabaseUnreachable, match="not offered"),
        loading(room) as connection,
        connection.offering(iter([b"what is offered\n"])) if offered else contextlib.nullcontext(),
    ):
        connection.query(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE things")
    assert rows(room) == []


def test_what_is_offered_is_sent_once(room: Room) -> None:
    table(room, "words VARCHAR(50)")
    sql = f"LOAD DATA LOCAL INFILE '{_OFFERED}' INTO TABLE things"
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(DatabaseUnreachable, match="not offered"))
        connection = stack.enter_context(loading(room))
        with connection.offering(iter([b"offered\n", b"", b"x" * 50 + b"\n"])):
            assert connection.query(sql) == 2
        connection.query(sql)
    assert rows(room) == [["offered"], ["x" * 50]]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of the rows"),
        KeyboardInterrupt("of the rows"),
        SnapshotUnusable("of the rows"),
        # Of another server, which the rows come from: one that ends a load, and one that a row is to blame for.
        pymysql.err.OperationalError(1034, "of the rows"),
        pymysql.err.DataError(1690, "of the rows"),
    ],
    ids=repr,
)
def test_an_error_of_whoever_gives_the_rows_is_told_as_it_is(room: Room, way: str, error: BaseException) -> None:
    """And not as one of the server, of which the driver's words would be; with the cause that it has."""
    to = table(room, "id INT PRIMARY KEY, words VARCHAR(2000)")
    cause = OSError("the disk")

    def broken() -> Iterator[Values]:
        yield from ([n, "x" * 2000] for n in range(150))
        raise error from cause

    with pytest.raises(type(error), match="of the rows") as caught:
        room.dialect.load(room.target, to, broken(), batch_rows=100)
    assert caught.value is error
    assert error.__cause__ is cause
    assert rows(room) == []
    assert load(room, to, [[1, "x"]]) == []


def test_a_server_that_asks_for_no_file_is_given_statements(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    to = table(room, "id INT PRIMARY KEY")
    monkeypatch.setattr(Encoder, "load_data", lambda _self, _file: "DO 0")
    result = room.dialect.load(room.target, to, [[n] for n in range(5)], batch_rows=2)
    assert (result.loaded, result.refused) == (5, [])
    assert "did not ask" in result.note
    assert rows(room) == [[n] for n in range(5)]


def test_lines_are_sent_while_the_next_are_made(room: Room, mariadb: MariaDB) -> None:
    to = table(room, "id INT PRIMARY KEY, words VARCHAR(2000)")
    running: list[str] = []

    def watched() -> Iterator[Values]:
        yield from ([n, "x" * 2000] for n in range(99))
        running.extend(str(info) for (info,) in mariadb.execute("SELECT info FROM information_schema.processlist"))
        yield [99, "the last"]

    assert room.dialect.load(room.target, to, watched(), batch_rows=100).loaded == 100
    assert any("LOAD DATA" in info for info in running)
    assert len(rows(room)) == 100


def test_loading_leaves_no_file(room: Room) -> None:
    before = sorted(room.directory.rglob("*"))
    room.fill()
    assert sorted(room.directory.rglob("*")) == before
