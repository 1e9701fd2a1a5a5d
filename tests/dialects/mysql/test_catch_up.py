"""What was written to a live database, brought into its staging: byte for byte, and nothing that breaks a rule."""

from __future__ import annotations

import pytest

from app.dialects.rounds import CannotCatchUp
from tests.dialects.catching_up import assert_same, bring, bring_values, copy_of, keep_too
from tests.dialects.rooms import Room

ODD = {
    "VARCHAR(40) COLLATE utf8mb4_unicode_ci": (
        ["'a'", "'a'", "'e'", "''", "NULL"],
        ["'A'", "'a '", "'é'", "NULL", "''"],
    ),
    "CHAR(9) CHARACTER SET latin1": (["'a'", "'ss'"], ["'A'", "'ß'"]),
    "DOUBLE": (["0.1", "1e300"], ["0.1000000000000001", "-1e300"]),
    "FLOAT": (["0.1"], ["0.10000001"]),
    "DECIMAL(30,10)": (["1.0000000001", "NULL"], ["1.0000000002", "0"]),
    "BIGINT UNSIGNED": (["18446744073709551615"], ["18446744073709551614"]),
    "BLOB": (["x'00ff'", "''", "x'61'"], ["x'00fe'", "NULL", "x'6100'"]),
    "DATETIME(6)": (["'2024-01-01 00:00:00.000001'"], ["'2024-01-01 00:00:00.000002'"]),
    "TIMESTAMP(3) NULL": (["'2024-10-27 00:30:00.001'"], ["'2024-10-27 00:30:00.002'"]),
    "TIME(3)": (["'-838:59:58.999'"], ["'-838:59:58.998'"]),
    "ENUM('a','A b')": (["'a'"], ["'A b'"]),
    "SET('x','y')": (["'x'", "''"], ["'x,y'", "NULL"]),
    "BIT(64)": (["b'0'"], ["b'1000000000000000000000000000000000000000000000000000000000000000'"]),
    "JSON": (["'{\"a\": 1}'", "'1'"], ["'{\"a\":  2}'", "'null'"]),
    "POINT": (["POINT(1, 2)"], ["POINT(1, 2.5)"]),
}


@pytest.mark.parametrize("column", ODD)
def test_every_change_of_a_value_is_seen(room: Room, column: str) -> None:
    bring_values(room, column, *ODD[column])


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
    room.execute("ALTER TABLE parents MODIFY name VARCHAR(41) NOT NULL", url=staging)
    with pytest.raises(CannotCatchUp, match="of another type"):
        bring(room, staging)


def test_what_is_brought_over_is_kept_in_a_generation_too(room: Room) -> None:
    keep_too(room)
