"""Lines looked at together: what each by itself is, refused where it is refused, whatever stands beside it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.canonical import hash_line, row_hasher
from app.transfer.rows.line_batches import Batch, NotRows, batch_check
from app.transfer.rows.row_check import LONG_BYTES, NotARow, row_check

TABLE = Table(
    "t",
    (
        Column("i", LogicalType.INT),
        Column("f", LogicalType.FLOAT),
        Column("t", LogicalType.TEXT),
        Column("j", LogicalType.JSON),
    ),
    ("i",),
)
PLAIN = Table("p", (Column("a", LogicalType.INT),))
GOOD = [
    b'[1,2.5,"x","{}"]',
    b'[2,null,"],\\n[","[1, 2.0]"]',
    b"[null,null,null,null]",
    b'[3,1,"{","{\\"b\\": 1, \\"a\\": [1e0]}"]',
    b'[{"$int": "5"},1,"x",null]',
    b'[4,{"$float":"nan"},{"$large":"17 %b"},"1"]' % (b"0a" * 32),
    b'[4,1, {"$large": "18 %b"},null]' % (b"0a" * 32),
    b' [5, 1.0 , "x", null] ',
]
BAD = [
    b"",
    b"[]",
    b"1",
    b"{}",
    b"null",
    b'["1",2.5,"x","{}"]',
    b"[1,2,3,4]",
    b'[1,2.5,"x","{"]',
    b'[1,2.5,"x","{}",1]',
    b'[1,2.5,"x"]',
    b'[true,2.5,"x","{}"]',
    b'[1,[2],"x","{}"]',
    b'[1,{"a":2},"x","{}"]',
    # Together they are as many rows as lines.
    b'[1,1,"x","{}"],[1,1,"x","{}"]',
    b"[1,2.5",
    b'"x","{}"]',
    b"[1,[2.5]",
    b'["x","{}"]]',
    b'[1,2.5,"x]',
    b'[","{}"]',
    b'[[1,2.5,"x","{}"]]',
    b"]",
    b"[",
    b'[1,2.5,"x","{}"],',
    b',[1,2.5,"x","{}"]',
    b'[1,2.5,"x","\xff"]',
]


def look_at_each(table: Table, lines: list[bytes]) -> list[int] | tuple[int, str]:
    """Hashes, or the place and the words of the first line that is none."""
    check, hash_row, hashes = row_check(table), row_hasher(table), []
    for place, line in enumerate(lines):
        try:
            hashes.append(hash_row(check(line), line))
        except NotARow as error:
            return place, str(error)
    return hashes


def look_at_all(table: Table, lines: list[bytes]) -> list[int] | tuple[int, str]:
    try:
        batch = batch_check(table)(lines, b",\n".join(lines))
    except NotRows as error:
        return error.place, str(error)
    assert (batch.lines, batch.joined) == (lines, b",\n".join(lines))
    assert batch.has_tags == any(dict in map(type, orjson.loads(line)) for line in lines)
    return batch.hashes


@given(st.lists(st.sampled_from(GOOD), min_size=1, max_size=8))
def test_rows(lines: list[bytes]) -> None:
    hashes = look_at_all(TABLE, lines)
    assert hashes == look_at_each(TABLE, lines)
    assert isinstance(hashes, list)


@given(st.lists(st.sampled_from(GOOD + BAD), min_size=1, max_size=6))
def test_any_lines_are_what_each_by_itself_is(lines: list[bytes]) -> None:
    assert look_at_all(TABLE, lines) == look_at_each(TABLE, lines)


@pytest.mark.parametrize("first", GOOD + BAD)
@pytest.mark.parametrize("second", GOOD[:1] + BAD)
def test_no_line_stands_for_a_part_of_another_one(first: bytes, second: bytes) -> None:
    for lines in ([first, second], [GOOD[0], first, second], [first, second, BAD[13]]):
        assert look_at_all(TABLE, lines) == look_at_each(TABLE, lines)


@pytest.mark.parametrize(
    "lines",
    [[b"[1", b"2]", b"[3],[4]"], [b"[[1]", b"[2]]", b"[3],[4]"], [b"[1],[2]", b"[3", b"]"], [b"[1],[2],[3]", b"", b""]],
)
def test_lines_that_are_rows_together_alone(lines: list[bytes]) -> None:
    with pytest.raises(NotRows):
        batch_check(PLAIN)(lines, b",\n".join(lines))


JSON_LINES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "$int", "$x"]), inner, max_size=2)
    ),
).map(orjson.dumps)


@given(st.lists(JSON_LINES, min_size=1, max_size=6))
def test_any_json(lines: list[bytes]) -> None:
    assert look_at_all(PLAIN, lines) == look_at_each(PLAIN, lines)


def test_a_long_line_is_looked_at_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b"[1]", b"[" + b"[]," * LONG_BYTES + b"1]"]
    parsed: list[Any] = []
    inner = orjson.loads
    monkeypatch.setattr(orjson, "loads", lambda text: (parsed.append(len(text)), inner(text))[1])
    with pytest.raises(NotRows, match="more values than the 1 columns") as refusal:
        batch_check(PLAIN)(lines, b",\n".join(lines))
    assert (refusal.value.place, max(parsed)) == (1, 3)


def test_records() -> None:
    lines = [b'{"a": 1}', b"[2]"]
    assert batch_check(None)(lines, b",\n".join(lines)) == Batch(lines, b",\n".join(lines), [*map(hash_line, lines)])
