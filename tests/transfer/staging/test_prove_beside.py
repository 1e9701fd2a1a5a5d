"""Which tables others compare, and what they say of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dialects.model import KeyRange, Table, Values
from app.transfer.rows import spelled
from app.transfer.rows.canonical import encode_row
from app.transfer.rows.spelled import KeyedSpelling, Spelled, Spelling
from app.transfer.run.workers import Workers
from app.transfer.staging.lines import Place
from app.transfer.staging.prove_beside import _take_apart, divide, prove_beside
from tests.dialects.rooms import PARENTS, ROOMS, Room


@pytest.mark.parametrize(
    ("sizes", "hands", "theirs"),
    [
        ({}, 2, []),
        ({"a": 1}, 2, ["a"]),
        ({"a": 5, "b": 3, "c": 1}, 2, ["a"]),
        ({"a": 5, "b": 3, "c": 3}, 2, ["a"]),
        ({"a": 5, "b": 4, "c": 3, "d": 1}, 3, ["a", "b"]),
        ({"a": 5, "b": 4}, 1, []),
    ],
)
def test_all_end_at_about_the_same_time(sizes: dict[str, int], hands: int, theirs: list[str]) -> None:
    assert divide(sizes, hands) == theirs


def test_pieces_of_one_table_are_divided_as_well() -> None:
    assert divide({("a", 0): 4, ("a", 1): 4, ("a", 2): 4, ("b", 0): 1}, 3) == [("a", 0), ("a", 1), ("b", 0)]


@pytest.mark.parametrize(("size", "numbers"), [(0, [1] * 6), (8, [2, 2, 2]), (12, [3, 3]), (1 << 30, [6])])
def test_neighbours_stay_together(size: int, numbers: list[int]) -> None:
    ranges = tuple((KeyRange("id", at or None, at + 1), Spelled(((1, at),), 4)) for at in range(6))
    table = Table("t", (), ("id",))
    pieces = _take_apart(table, Spelled(((6, 1),), 24, ranges), size)
    assert [len(piece) for piece in pieces] == numbers
    assert [one for piece in pieces for one in piece] == list(ranges)


@pytest.fixture(params=sorted(ROOMS))
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    with ROOMS[request.param](request, tmp_path) as room:
        room.fill()
        room.dialect.prepare_staging(room.other("staging"), room.target)
        room.fill(room.other("staging"))
        yield room


def spell(rows: list[Values]) -> Spelled:
    spelling = Spelling()
    for row in rows:
        spelling.add(encode_row(row))
    return spelling.finish()


def test_rows_are_compared_with_their_lines(room: Room) -> None:
    place = Place(room.target, room.other("staging"), room.directory, None, "alembic_version", None)
    with room.dialect.reader(place.url) as reader:
        tables = reader.tables()
    workers = Workers(1)
    try:
        for rows, are_equal in ((PARENTS, True), ([*PARENTS[:2], [3, "other"]], False), (PARENTS[:2], False)):
            answers = prove_beside(workers, place, tables, {"parents": spell(rows), "children": None})
            assert {name: answer() for name, answer in answers.items()} == {"parents": are_equal}
        gone = {"parents": tables["parents"], "nowhere": tables["children"]}
        away = Place(room.target, room.other("away"), room.directory, None, "alembic_version", None)
        assert [answer() for answer in prove_beside(workers, away, gone, {"parents": spell(PARENTS)}).values()] == [
            False
        ]
    finally:
        workers.close()


@pytest.mark.parametrize("hands", [1, 3])
def test_ranges_of_one_table_are_compared_by_several(room: Room, hands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelled, "RANGE_BYTES", 1)
    place = Place(room.target, room.other("staging"), room.directory, None, "alembic_version", None)
    with room.dialect.reader(place.url) as reader:
        tables = reader.tables()
    lines = KeyedSpelling(tables["parents"])
    for row in PARENTS:
        lines.add(encode_row(row), 1, encode_row(row))
    whole = {"parents": lines.finish(), "children": None}
    assert len(whole["parents"].parts) == len(PARENTS) + 1
    workers = Workers(1)
    workers.most = hands
    try:
        assert [answer() for answer in prove_beside(workers, place, tables, whole).values()] == [True]
        for change in ("UPDATE parents SET name = 'x' WHERE id = 1", "INSERT INTO parents VALUES (99, 'more')"):
            room.execute(change, url=place.url)
            assert [answer() for answer in prove_beside(workers, place, tables, whole).values()] == [False]
            room.execute("UPDATE parents SET name = 'one' WHERE id = 1", url=place.url)
    finally:
        workers.close()
