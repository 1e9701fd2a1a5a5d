"""Tables in logical types, and their rows."""

from __future__ import annotations

from dataclasses import replace

import pymysql
import pytest

from app.dialects.batches import MOST_ROWS
from app.dialects.mysql.connect import connect
from app.errors import FerryError, LockHeld
from tests.dialects.rooms import PARENTS, Room
from tests.dialects.things import load, rows, table
from tests.support.servers.mariadb import ON_MYSQL, MariaDB


def test_a_key_of_several_columns_may_lie_anywhere(room: Room) -> None:
    definition = "x INT, b VARCHAR(5) NOT NULL, y INT, a INT NOT NULL, part VARCHAR(300), `odd ``name%` INT, "
    definition += "PRIMARY KEY (a, b), UNIQUE both_ (y, x), UNIQUE parts (part(10)), INDEX (x)"
    found = table(room, definition)
    assert found.primary_key == ("a", "b")
    assert found.unique == (("y", "x"),)
    assert load(room, found, [[1, "z", 1, 2, None, 5], [1, "a", 2, 2, None, 6], [1, "q", 3, 1, None, 7]]) == []
    assert [row[1] for row in rows(room)] == ["q", "a", "z"]
    some = replace(found, columns=(found.columns[5], found.columns[1]))
    with room.dialect.reader(room.target) as reader:
        assert list(reader.rows(some)) == [[7, "q"], [6, "a"], [5, "z"]]


def test_what_is_no_base_table_is_no_table(room: Room) -> None:
    room.fill()
    if not ON_MYSQL:
        room.execute("CREATE SEQUENCE numbers_")
    room.execute(f"CREATE TABLE versions (id INT PRIMARY KEY) {'' if ON_MYSQL else 'WITH SYSTEM VERSIONING'}")
    with room.dialect.reader(room.target) as reader:
        assert sorted(reader.tables()) == ["children", "parents", "versions"]


def test_a_table_that_is_altered_between_two_looks_is_an_error(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        parents = reader.tables()["parents"]
        room.execute("ALTER TABLE parents FORCE")
        with pytest.raises(FerryError, match="parents was altered"):
            list(reader.rows(parents))


def test_a_connection_used_behind_the_readers_back_is_an_error(room: Room) -> None:
    room.fill()
    values = ", ".join(f"({n}, 'parent {n}')" for n in range(10, 10 + MOST_ROWS))
    room.execute(f"INSERT INTO parents (id, name) VALUES {values}")
    with room.dialect.reader(room.target) as reader:
        parents = reader.tables()["parents"]
        found = reader.rows(parents)
        next(found)
        with pytest.warns(UserWarning, match="unbuffered"), reader._connection.cursor(pymysql.cursors.Cursor) as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT 1")
        with pytest.raises(FerryError, match="something else"):
            list(found)


def test_settings_of_the_server_do_not_lose_rows(room: Room, mariadb: MariaDB) -> None:
    room.fill()
    hostile = {"sql_select_limit": 1, "sql_mode": "'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES'", "sql_safe_updates": 1}
    former = {name: mariadb.execute(f"SELECT @@GLOBAL.{name}")[0][0] for name in hostile}
    for name, value in hostile.items():
        mariadb.execute(f"SET GLOBAL {name} = {value}")
    try:
        assert rows(room, "parents") == PARENTS
        room.staged("other")
    finally:
        for name, value in former.items():
            mariadb.execute(f"SET GLOBAL {name} = %s", value)


def test_a_lock_that_another_connection_waited_for_is_not_the_readers(room: Room) -> None:
    room.fill()
    with pytest.raises(LockHeld) as caught:
        wait_beside_a_reader(room)
    assert "stayed locked" not in str(caught.value)


def wait_beside_a_reader(room: Room) -> None:
    with (
        room.dialect.reader(room.target) as reader,
        connect(room.target, None) as one,
        connect(room.target, None, session=("innodb_lock_wait_timeout = 1",)) as two,
    ):
        assert reader.count("parents") == len(PARENTS)
        one.begin()
        for connection in (one, two):
            with connection.cursor() as cursor:
                cursor.execute("UPDATE parents SET id = id")
