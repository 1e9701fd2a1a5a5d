"""A staging database that is brought to its live one by a round, and what is looked at then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import URL

from app.dialects.rounds import CannotCatchUp, Pair
from app.transfer.staging.row_by_row import pair_same

from .rooms import Room

CHANGES = (
    "INSERT INTO parents VALUES (7, 'seven')",
    "INSERT INTO children (a, b, parent_id, ratio) VALUES (7, 'new', 7, 0.25)",
    "UPDATE parents SET name = 'ONE' WHERE id = 1",
    "UPDATE children SET b = 'B' WHERE a = 1 AND b = 'b'",
    "UPDATE children SET parent_id = NULL WHERE parent_id = 3",
    "DELETE FROM parents WHERE id = 3",
)
"""Rows that come, change, go, and get another key."""


def pairs_of(room: Room, staging: URL) -> list[Pair]:
    with room.dialect.reader(room.target) as live, room.dialect.reader(staging) as staged:
        there = staged.tables()
        paired = pair_same({name: table for name, table in live.tables().items() if name in there})
    assert not paired.others
    return list(paired.pairs.values())


def bring(room: Room, staging: URL, pairs: Sequence[Pair] | None = None) -> dict[str, int]:
    """One round; how many rows of each table were otherwise, by a search and where nobody writes meanwhile."""
    pairs = pairs_of(room, staging) if pairs is None else pairs
    with room.dialect.catching_up(room.target, staging) as turn:
        for pair in pairs:
            turn.refuse(pair)
        searched = {pair.staged.name: turn.find(pair) for pair in pairs}
        counts = {pair.staged.name: turn.find(pair, still=True) for pair in pairs}
        assert counts == searched
        changed = [pair for pair in pairs if counts[pair.staged.name]]
        turn.apply(changed)
        assert turn.find_dangling(changed) is None
        assert all(turn.agree(pair) for pair in changed)
    return {name: count for name, count in counts.items() if count}


def assert_same(room: Room, staging: URL) -> None:
    """Values, and the sums that the server makes of their bytes, are the same; nothing is left to be brought."""
    assert room.state(staging) == room.state()
    with room.dialect.reader(room.target) as live, room.dialect.reader(staging) as staged:
        tables = staged.tables()
        assert {name: live.digest(table) for name, table in tables.items()} == {
            name: staged.digest(table) for name, table in tables.items()
        }
    assert bring(room, staging) == {}


def copy_of(room: Room) -> URL:
    staging = room.other("one")
    room.dialect.copy(room.target, staging, timeout_s=30)
    return staging


def bring_values(room: Room, column: str, first: Sequence[str], then: Sequence[str]) -> None:
    """Each value of a column becomes another one, both spelled as SQL; every change is seen, and brought over."""
    room.dialect.create(room.target)
    room.execute(f"CREATE TABLE odd (id INTEGER NOT NULL PRIMARY KEY, v {column})")
    for number, value in enumerate(first, 1):
        room.execute(f"INSERT INTO odd VALUES ({number}, {value})".replace("%", "%%"))
    staging = copy_of(room)
    assert bring(room, staging) == {}
    for number, value in enumerate(then, 1):
        room.execute(f"UPDATE odd SET v = {value} WHERE id = {number}".replace("%", "%%"))
    assert bring(room, staging) == {"odd": len(first)}
    assert_same(room, staging)


def keep_too(room: Room) -> None:
    """What is brought into staging is brought into a generation that was kept of it before."""
    room.fill()
    staging, generation = copy_of(room), room.dialect.generation_url(room.target, "0badcafe-new")
    room.dialect.keep(staging, generation)
    for change in CHANGES:
        room.execute(change)
    pairs = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging, generation) as turn:
        turn.apply([pair for pair in pairs if turn.find(pair)])
    assert room.state(generation) == room.state(staging) == room.state()


def refuse_dangling(room: Room, staging: URL) -> None:
    """What would refer to nothing in staging is not brought there."""
    pairs = pairs_of(room, staging)
    with pytest.raises(CannotCatchUp):
        _bring_or_refuse(room, staging, pairs)


def _bring_or_refuse(room: Room, staging: URL, pairs: Sequence[Pair]) -> None:
    with room.dialect.catching_up(room.target, staging) as turn:
        changed = [pair for pair in pairs if turn.find(pair)]
        turn.apply(changed)
        if words := turn.find_dangling(changed):
            raise CannotCatchUp(words)
