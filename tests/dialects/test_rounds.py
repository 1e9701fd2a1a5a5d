"""The nouns of a round, and what one does on every server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.dialects.rounds import CannotCatchUp, Pair

from .catching_up import CHANGES, assert_same, bring, copy_of, pairs_of
from .rooms import Room

COLUMNS = tuple(Column(name, LogicalType.INT) for name in ("a", "b", "c"))


def test_a_key_has_a_name_on_either_side() -> None:
    columns = (("a", "x"), ("b", "b"), ("c", "y"))
    pair = Pair(Table("one", COLUMNS), Table("two", COLUMNS), columns, ("c", "a"))
    assert pair.pairs_of_key == [("c", "y"), ("a", "x")]


def test_rows_that_came_changed_and_went_are_brought_over(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    assert bring(room, staging) == {}
    for change in CHANGES:
        room.execute(change)
    before = room.everything()
    # By a collation that takes a key of another case for the same one, that is one row and not two.
    assert bring(room, staging) == {"parents": 3, "children": 4 if room.dialect.name == "MySQL/MariaDB" else 5}
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


def test_what_staging_refuses_is_an_event_and_nothing_is_kept(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    room.execute("CREATE UNIQUE INDEX one_ratio ON children (ratio)", url=staging)
    room.execute("UPDATE children SET ratio = 0.1")
    before = room.state(staging)
    with pytest.raises(CannotCatchUp):
        bring(room, staging)
    assert room.state(staging) == before


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
