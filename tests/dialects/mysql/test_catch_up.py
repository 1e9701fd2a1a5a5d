"""What was written to a live database, brought into its staging: byte for byte, and nothing that breaks a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.dialects.rounds import CannotCatchUp
from tests.dialects.catching_up import CHANGES, assert_same, bring, bring_values, copy_of, pairs_of, refuse_dangling
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


def test_rows_that_came_changed_and_went_are_brought_over(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    assert bring(room, staging) == {}
    for change in CHANGES:
        room.execute(change)
    before = room.everything()
    assert bring(room, staging) == {"parents": 3, "children": 4}
    assert_same(room, staging)
    assert room.everything() == before


def test_triggers_of_staging_do_not_fire_and_stay(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    for statement in room.trigger:
        room.execute(statement.replace("%", "%%"), url=staging)
    with room.dialect.reader(staging) as reader:
        objects = reader.objects()
    room.execute(CHANGES[0])
    assert bring(room, staging) == {"parents": 1}
    with room.dialect.reader(staging) as reader:
        assert reader.objects() == objects
    assert [7, "seven"] in room.state(staging)["parents"]


def test_rows_that_change_places_with_a_unique_value(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    for change in ("name = 'x' WHERE id = 1", "name = 'one' WHERE id = 2", "name = 'two' WHERE id = 1"):
        room.execute(f"UPDATE parents SET {change}")
    assert bring(room, staging) == {"parents": 2}
    assert_same(room, staging)


def test_what_staging_refuses_is_an_event_and_nothing_is_kept(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    room.execute("CREATE UNIQUE INDEX one_ratio ON children (ratio)", url=staging)
    room.execute("UPDATE children SET ratio = 0.1")
    before = room.state(staging)
    with pytest.raises(CannotCatchUp):
        bring(room, staging)
    assert room.state(staging) == before


def test_rows_of_staging_that_would_refer_to_nothing(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    room.execute("ALTER TABLE children DROP FOREIGN KEY children_ibfk_1")
    room.execute("INSERT INTO children (a, b, parent_id) VALUES (9, 'x', 99)")
    refuse_dangling(room, staging)


def test_columns_that_were_added_have_the_value_of_all_rows(room: Room) -> None:
    room.fill()
    pairs = pairs_of(room, staging := copy_of(room))
    room.execute("ALTER TABLE parents ADD COLUMN more VARCHAR(9) DEFAULT 'all'", url=staging)
    with room.dialect.reader(staging) as reader:
        table = reader.tables()["parents"]
    [pair] = [replace(one, staged=table, added=("more",)) for one in pairs if one.live.name == "parents"]
    for change in (CHANGES[0], CHANGES[2]):
        room.execute(change)
    assert bring(room, staging, [pair]) == {"parents": 2}
    assert [row[-1] for row in room.state(staging)["parents"]] == ["all"] * 4
    room.execute("UPDATE parents SET more = 'other' WHERE id = 1", url=staging)
    with pytest.raises(CannotCatchUp, match="several values"):
        bring(room, staging, [pair])


def test_a_column_of_another_type_is_refused(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    room.execute("ALTER TABLE parents MODIFY name VARCHAR(41) NOT NULL", url=staging)
    with pytest.raises(CannotCatchUp, match="of another type"):
        bring(room, staging)


def test_what_is_brought_over_is_kept_in_a_generation_too(room: Room) -> None:
    room.fill()
    staging, generation = copy_of(room), room.dialect.generation_url(room.target, "0badcafe-new")
    room.dialect.keep(staging, generation)
    for change in CHANGES:
        room.execute(change)
    pairs = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging, generation) as turn:
        changed = [pair for pair in pairs if turn.find(pair)]
        turn.apply(changed)
    assert room.state(generation) == room.state(staging) == room.state()
