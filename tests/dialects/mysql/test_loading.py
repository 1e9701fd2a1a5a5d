"""Staging while it is loaded: looked at once, without its triggers, which come back."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialects.model import Values
from app.dialects.mysql import load as load_of
from app.dialects.mysql.loading import Looked, look_at
from tests.dialects.rooms import Room
from tests.dialects.things import load, rows, table


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Looked]:
    """What each load was told of the tables."""
    answers: list[Looked] = []

    def look(*arguments: Any, **options: Any) -> Looked:
        answers.append(look_at(*arguments, **options))
        return answers[-1]

    monkeypatch.setattr(load_of, "look_at", look)
    return answers


def test_all_tables_are_looked_at_once_for_a_loading(room: Room, looked: list[Looked]) -> None:
    tables = [table(room, "id INT PRIMARY KEY, words TEXT", name) for name in ("things", "others")]
    with room.dialect.loading(room.target):
        assert [load(room, one, [[1, "a"]]) for one in tables] == [[], []]
    assert looked[0] is looked[1]
    assert [load(room, one, [[2, "b"]]) for one in tables] == [[], []]
    assert [set(stored) for stored, _ in looked] == [{"things", "others"}, {"things", "others"}, {"things"}, {"others"}]


def test_triggers_come_back_and_are_known_to_the_next_load(room: Room, looked: list[Looked]) -> None:
    to = table(room, "id INT PRIMARY KEY, words TEXT")
    room.execute("CREATE TRIGGER t BEFORE INSERT ON things FOR EACH ROW SET NEW.words = 'x'")
    with room.dialect.loading(room.target):
        assert load(room, to, [[1, "a"]]) == []
    assert load(room, to, [[2, "b"]]) == []
    assert rows(room) == [[1, "a"], [2, "x"]]
    assert [triggered for _, triggered in looked] == [set(), {"things"}]


def test_a_first_batch_that_is_refused_in_part_leaves_the_others(room: Room, way: str) -> None:
    to = table(room, "id INT PRIMARY KEY, words VARCHAR(3)")
    wanted: list[Values] = [[1, "abc"], [2, "abcd"], [3, "abc"], [3, "b"], [4, "d"], [5, "long"]]
    assert [number for number, _ in load(room, to, wanted, batch_rows=2)] == [2, 4, 6]
    assert rows(room) == [[1, "abc"], [3, "abc"], [4, "d"]]
