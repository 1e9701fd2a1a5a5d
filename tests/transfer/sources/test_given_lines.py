"""Lines that are given on while an export comes: of one attempt, of tables that were announced, spelled as ours are."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.header import Header
from app.transfer.rows.line_batches import Batch, batch_check
from app.transfer.sources.given_lines import GivenLines

THINGS = Table("things", (Column("id", LogicalType.INT), Column("doc", LogicalType.JSON)), ("id",))
OTHER = replace(THINGS, columns=THINGS.columns[::-1])


def header(*tables: Table) -> Header:
    return Header("rows", "s", "i", "2026-01-01T00:00:00Z", "0001", tables)


@pytest.fixture
def given() -> list[tuple[str, bytes, int]]:
    return []


def batch(joined: bytes) -> Batch:
    """Lines that were looked at."""
    return batch_check(THINGS)(joined.split(b",\n"), joined)


def begin(given: list[tuple[str, bytes, int]]) -> GivenLines:
    return GivenLines(lambda *lines: given.append(lines), {"things": THINGS})


def test_plain_lines_are_given_on(given: list[tuple[str, bytes, int]]) -> None:
    lines = begin(given)
    take = lines.begin(header(THINGS))
    assert take
    rows = [[1, '{"a": "{\\"$x\\""}'], [2, {"$text": "x"}], [3, '"ü { [,{"'], [4, None]]
    pieces = [b"[1,null]", b",\n".join(map(orjson.dumps, rows))]
    for piece in pieces:
        take("things", batch(piece))
    assert given == [("things", piece, piece.count(b"\n") + 1) for piece in pieces]
    assert lines.is_whole


@pytest.mark.parametrize("value", ['{ "$text":"x"}', '{"\\u0024text":"x"}', '{"$text" :"x"}', ' {"$text":"x"}'])
def test_a_value_that_is_spelled_otherwise_ends_it(given: list[tuple[str, bytes, int]], value: str) -> None:
    """Whoever loads it would not see that it is of another type."""
    lines = begin(given)
    take = lines.begin(header(THINGS))
    assert take
    take("things", batch(b"[1,null]"))
    take("things", batch(f"[2,{value}]".encode()))
    take("things", batch(b"[3,null]"))
    assert [piece for _, piece, _ in given] == [b"[1,null]"]
    assert not lines.is_whole


@pytest.mark.parametrize("tables", [(OTHER,), (), (THINGS, replace(THINGS, name="more"))])
def test_other_tables_than_were_announced_are_not(
    given: list[tuple[str, bytes, int]], tables: tuple[Table, ...]
) -> None:
    """Their values would go into other columns."""
    lines = begin(given)
    assert lines.begin(header(*tables)) is None
    assert not lines.is_whole


def test_a_second_attempt_is_not_given_on(given: list[tuple[str, bytes, int]]) -> None:
    lines = begin(given)
    assert lines.begin(header(THINGS))
    assert lines.is_whole
    assert lines.begin(header(THINGS)) is None
    assert not lines.is_whole
