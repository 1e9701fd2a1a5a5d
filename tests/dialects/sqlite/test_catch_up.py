"""What was written to a live database, brought into its staging: byte for byte, and nothing that breaks a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.dialects.rounds import CannotCatchUp
from tests.dialects.catching_up import CHANGES, assert_same, bring, bring_values, copy_of, pairs_of, refuse_dangling
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


def test_rows_that_came_changed_and_went_are_brought_over(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    assert bring(room, staging) == {}
    for change in CHANGES:
        room.execute(change)
    before = room.everything()
    assert bring(room, staging) == {"parents": 3, "children": 5}
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
    # Foreign keys are not enforced by default.
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
    room.execute("ALTER TABLE parents RENAME COLUMN name TO former", url=staging)
    room.execute("ALTER TABLE parents ADD COLUMN name VARCHAR(41)", url=staging)
    with pytest.raises(CannotCatchUp, match="of another type"):
        bring(room, staging)
