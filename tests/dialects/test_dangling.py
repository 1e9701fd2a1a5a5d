"""What would refer to nothing in staging, when rows were brought over."""

from __future__ import annotations

import pytest

from app.dialects.dangling import keys_to
from app.dialects.model import ForeignKey, Table

from .catching_up import copy_of, pairs_of, refuse_dangling
from .rooms import Room

UNENFORCED = {
    "MySQL/MariaDB": ["ALTER TABLE children DROP FOREIGN KEY children_ibfk_1"],
    "PostgreSQL": ["ALTER TABLE children DROP CONSTRAINT children_parent_id_fkey"],
    "SQLite": [],  # not by default
}


@pytest.mark.parametrize(
    "change",
    ["INSERT INTO children (a, b, parent_id) VALUES (9, 'x', 99)", "DELETE FROM parents WHERE id = 1"],
)
def test_rows_of_staging_that_would_refer_to_nothing(room: Room, change: str) -> None:
    room.fill()
    staging = copy_of(room)
    for statement in (*UNENFORCED[room.dialect.name], change):
        room.execute(statement)
    before = room.state(staging)
    refuse_dangling(room, staging)
    assert room.state(staging) == before


def test_where_nothing_was_brought_over_all_is_looked_at(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    with room.dialect.catching_up(room.target, staging) as turn:
        assert turn.find_dangling() is None
        assert turn.list_acted_on(pairs_of(room, staging)[:0]) == set()


def test_names_are_compared_as_servers_do() -> None:
    key = ForeignKey(("parent_id",), "Parents", ("id",))
    table = Table("children", (), foreign_keys=(key,))
    assert keys_to("parents", table) == [key]
    assert keys_to("others", table) == []
