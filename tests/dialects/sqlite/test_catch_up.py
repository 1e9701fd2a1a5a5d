"""What was written to a live database, brought into its staging: byte for byte, and nothing that breaks a rule."""

from __future__ import annotations

import pytest

from app.dialects.rounds import CannotCatchUp
from tests.dialects.catching_up import assert_same, bring, bring_values, copy_of
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
