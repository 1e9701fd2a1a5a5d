"""What was written to a live database, brought into its staging: byte for byte, and nothing that breaks a rule."""

from __future__ import annotations

import pytest

from app.dialects.rounds import CannotCatchUp
from app.dialects.sqlite import catch_up
from tests.dialects.catching_up import CHANGES, assert_same, bring, bring_values, copy_of, pairs_of
from tests.dialects.rooms import Room

ODD = {
    "TEXT COLLATE NOCASE": (["'a'", "'a'", "''", "NULL", "'é'"], ["'A'", "'a '", "NULL", "''", "'É'"]),
    "": (["1", "'1'", "x'31'", "1"], ["1.0e0 + 0.0", "x'31'", "'1'", "'1'"]),
    "REAL": (["0.1", "9e999"], ["0.1000000000000001", "-9e999"]),
    "INTEGER": (["9223372036854775807", "'x'"], ["9223372036854775806", "'X'"]),
    "BLOB": (["x'00ff'", "x''"], ["x'00fe'", "NULL"]),
    "TEXT": (["CAST(x'610062' AS TEXT)"], ["CAST(x'610063' AS TEXT)"]),
    "NUMERIC COLLATE RTRIM": (["'a'"], ["'a '"]),
}


@pytest.mark.parametrize("column", ODD)
def test_every_change_of_a_value_is_seen(room: Room, column: str) -> None:
    bring_values(room, column, *ODD[column])


def test_a_key_that_is_null_is_nobodys(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v)")
    room.execute("INSERT INTO t VALUES (NULL, 1), ('a', 2)")
    staging = copy_of(room)
    with pytest.raises(CannotCatchUp, match="NULL"):
        bring(room, staging)


def test_rows_that_change_places_with_a_unique_value(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    for change in ("name = 'x' WHERE id = 1", "name = 'one' WHERE id = 2", "name = 'two' WHERE id = 1"):
        room.execute(f"UPDATE parents SET {change}")
    assert bring(room, staging) == {"parents": 2}
    assert_same(room, staging)


def test_a_column_of_another_type_is_refused(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    room.execute("ALTER TABLE parents RENAME COLUMN name TO former", url=staging)
    room.execute("ALTER TABLE parents ADD COLUMN name VARCHAR(41)", url=staging)
    with pytest.raises(CannotCatchUp, match="of another type"):
        bring(room, staging)


@pytest.mark.parametrize("most", [catch_up.MOST, 1, 0])
def test_two_sessions_find_what_one_does(room: Room, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "MOST", most)
    room.fill()
    room.execute("CREATE TABLE rest (k TEXT NOT NULL, n REAL NOT NULL, b BLOB NOT NULL, PRIMARY KEY (k, n, b))")
    room.execute("INSERT INTO rest VALUES ('ü', 0.1, x'00'), ('1', 1e300, x''), ('', -0.5, x'ff')")
    staging = copy_of(room)
    for change in (*CHANGES, "UPDATE rest SET k = k || 'x' WHERE n < 1"):
        room.execute(change)
    pairs = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging) as turn:
        assert isinstance(turn, catch_up.SqliteRound)
        alone = [(turn.find(pair, still=True), turn.list_keys(pair)) for pair in pairs]
    with room.dialect.catching_up(room.target, staging) as turn:
        assert isinstance(turn, catch_up.SqliteRound)
        counts = turn.find_all(pairs, still=True)
        assert [(count, turn.list_keys(pair)) for count, pair in zip(counts, pairs, strict=True)] == alone
        turn.apply([pair for count, pair in zip(counts, pairs, strict=True) if count])
    assert_same(room, staging)


def test_what_the_other_session_cannot_tell_is_found_here(room: Room) -> None:
    """A key that is no text, though it says so: it is compared, and not sent."""
    room.fill()
    room.execute("CREATE TABLE rest (k TEXT NOT NULL PRIMARY KEY, v INTEGER)")
    room.execute("INSERT INTO rest VALUES (CAST(x'ff' AS TEXT), 1), ('a', 1)")
    staging = copy_of(room)
    room.execute("UPDATE rest SET v = 2")
    pairs = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging) as turn:
        counts = turn.find_all(pairs, still=True)
    assert {pair.live.name: count for pair, count in zip(pairs, counts, strict=True)}["rest"] == 2
