"""Keys that differ are found whole, whoever looks for them: by two sessions, by counts, by hashes of keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
from sqlalchemy import URL

from app.dialects.mysql import catch_up, differing
from app.dialects.mysql.catch_up import MySqlRound
from app.dialects.rounds import Memory, Pair
from app.errors import DatabaseUnreachable
from tests.dialects.catching_up import copy_of, pairs_of
from tests.dialects.rooms import Room

NUMBERS = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 60) SELECT id"
PLACES = "CREATE TABLE {} ({}, other VARCHAR(20), PRIMARY KEY ({}))"
CHANGES = (
    "UPDATE {} SET other = 'A' WHERE a IN (3, 59)",
    "DELETE FROM {} WHERE a IN (7, 30, 31, 60)",
    "INSERT INTO {} (a, other) VALUES (0, 'first'), (-5, 'lower'), (1000, 'last')",
)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differing, "MANY", 10)


def fill(room: Room, columns: str, key: str) -> URL:
    room.dialect.create(room.target)
    room.execute(PLACES.format("own", columns, key))
    room.execute(f"INSERT INTO own (a, other) {NUMBERS}, 'a' FROM n".replace("%", "%%"))
    return copy_of(room)


def look(room: Room, staging: URL, memory: Memory, *, still: bool) -> tuple[int, list[tuple[Any, ...]]]:
    """How many differ, and what is remembered of them."""
    [pair] = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging, memory=memory) as turn:
        assert isinstance(turn, MySqlRound)
        [count] = turn.find_all([pair], still=still)
        rows = turn._ask(f"SELECT * FROM {turn._keys['own']} ORDER BY 1")
    return count, [tuple(map(str, row)) for row in rows]


@pytest.mark.parametrize("columns", ["a INT", "a BIGINT, b SMALLINT NOT NULL DEFAULT 4", "a VARCHAR(20)"])
def test_two_sessions_find_what_one_does(room: Room, columns: str) -> None:
    staging, memory = fill(room, columns, "a, b" if " b " in columns else "a"), Memory()
    assert look(room, staging, memory, still=False) == (0, [])
    assert memory.middles == ({} if "VARCHAR" in columns else {"own": 31})
    for change in CHANGES:
        room.execute(change.format("own"))
    alone = look(room, staging, Memory(), still=False)
    assert alone[0] == 9
    assert look(room, staging, memory, still=True) == alone


def test_a_server_that_gives_no_other_session(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    staging, memory = fill(room, "a INT", "a"), Memory()
    look(room, staging, memory, still=False)
    for change in CHANGES:
        room.execute(change.format("own"))
    alone = look(room, staging, Memory(), still=False)
    connect, opened = catch_up.connect_to, list[URL]()

    @contextmanager
    def refuse(url: URL, *arguments: Any, **options: Any) -> Iterator[Any]:
        opened.append(url)
        if len(opened) > 1:
            raise pymysql.OperationalError(1040, "Too many connections")
        with connect(url, *arguments, **options) as connection:
            yield connection

    monkeypatch.setattr(catch_up, "connect_to", refuse)
    assert look(room, staging, memory, still=True) == alone
    assert len(opened) == 2


def test_too_many_keys_to_be_sent(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    staging, memory = fill(room, "a INT", "a"), Memory()
    look(room, staging, memory, still=False)
    for change in CHANGES:
        room.execute(change.format("own"))
    alone = look(room, staging, Memory(), still=False)
    for most in (1, 2):
        monkeypatch.setattr(differing, "_MOST", most)
        assert look(room, staging, memory, still=True) == alone


def test_the_other_session_is_lost(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was to look at is not taken for equal."""
    staging, memory = fill(room, "a INT", "a"), Memory()
    look(room, staging, memory, still=False)
    [pair] = pairs_of(room, staging)

    class Lost(differing.Beside):
        def _ask(self, sql: str) -> differing.Keys | None:
            raise pymysql.OperationalError(2013, "Lost connection")

    monkeypatch.setattr(differing, "Beside", Lost)
    with pytest.raises(DatabaseUnreachable):
        _find(room, staging, pair, memory)


def _find(room: Room, staging: URL, pair: Pair, memory: Memory) -> None:
    with room.dialect.catching_up(room.target, staging, memory=memory) as turn:
        turn.find_all([pair], still=True)


def test_keys_that_a_collation_takes_for_one_have_several_hashes(room: Room) -> None:
    """So the counts of hashes do not come out, and every key is looked for."""
    room.dialect.create(room.target)
    room.execute("CREATE TABLE own (a VARCHAR(20) COLLATE utf8mb4_unicode_ci PRIMARY KEY, other INT)")
    room.execute("INSERT INTO own VALUES ('a', 1), ('b', 1), ('c', 1), ('d', 1)")
    staging = copy_of(room)
    room.execute("UPDATE own SET a = upper(a)")
    room.execute("DELETE FROM own WHERE a IN ('B', 'd')")
    count, keys = look(room, staging, Memory(), still=True)
    assert count == 4
    assert {key[0].lower() for key in keys} == {"a", "b", "c", "d"}


def test_a_few_rows_went_of_a_table_with_a_column_of_any_name(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE own (h INT PRIMARY KEY, n INT, s INT, l INT, x INT)")
    room.execute(f"INSERT INTO own {NUMBERS}, 1, 1, 1, 1 FROM n".replace("%", "%%"))
    staging = copy_of(room)
    room.execute("DELETE FROM own WHERE h IN (4, 44)")
    outcomes, few = list[bool](), differing._find_few
    monkeypatch.setattr(differing, "_find_few", lambda *arguments: outcomes.append(few(*arguments)) or outcomes[-1])
    assert look(room, staging, Memory(), still=True) == (2, [("4", "0"), ("44", "0")])
    assert outcomes == [True]


def test_rows_that_changed_places_are_no_rows_that_went(room: Room) -> None:
    staging, memory = fill(room, "a INT", "a"), Memory()
    look(room, staging, memory, still=False)
    room.execute("DELETE FROM own WHERE a = 5")
    room.execute("INSERT INTO own (a, other) VALUES (500, 'a')")
    assert look(room, staging, memory, still=True) == (2, [("5", "0"), ("500", "1")])
