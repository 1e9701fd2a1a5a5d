"""Rows in: by file, by statements, one by one, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.dialects.model import Values
from app.dialects.mysql import connect
from app.dialects.mysql.load import _Loading
from app.errors import DatabaseUnreachable, FerryError
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

    def locked() -> Iterator[Values]:
        yield [1]
        room.execute("RENAME TABLE things TO elsewhere")
        yield [2]

    with pytest.raises(FerryError, match="things"):
        room.dialect.load(room.target, to, locked(), batch_rows=1)
    with pytest.raises(FerryError, match="things"):
        room.dialect.load(room.target, to, [[1]], batch_rows=1)
    assert room.state() == {"elsewhere": []}


def test_no_file_is_sent_but_the_one_that_was_written(room: Room, tmp_path: Path) -> None:
    table(room, "words VARCHAR(50)")
    secret = tmp_path / "secret"
    secret.write_text("a file of this host\n")
    sql = f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE things"
    options: dict[str, Any] = {"driver": _Loading, "local_infile": True}
    with (
        pytest.raises(DatabaseUnreachable, match="not offered"),
        connect.connect_to(room.target, None, **options) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert rows(room) == []
    with connect.connect_to(room.target, None, **options) as connection, connection.cursor() as cursor:
        connection.permitted = str(secret).encode()
        cursor.execute(sql)
    assert rows(room) == [["a file of this host"]]


def test_loading_leaves_no_file(room: Room) -> None:
    before = sorted(room.directory.rglob("*"))
    room.fill()
    assert sorted(room.directory.rglob("*")) == before
