"""Rows converted by column: as each value by itself would be, whatever stands beside it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.batches import (
    MOST_BYTES,
    MOST_ROWS,
    are_all,
    by_value,
    convert_rows,
    in_batches,
    unless_all,
)
from app.dialects.model import Column, LogicalType
from app.dialects.sqlite.types import column_converter, converter

VALUES: list[Any] = [
    *(None, 0, 1, 2**62, True, 1.5, math.inf, math.nan, -0.0, "", "x", b"\xff", "1999-12-31 23:59:59.000000"),
    *("1999-12-31 23:59:59", "1999-02-30 00:00:00.000000", '{"a": 1}', "{", "12:00:00"),
]


@given(rows=st.lists(st.tuples(*[st.sampled_from(VALUES)] * 2), max_size=300))
@pytest.mark.parametrize("kind", list(LogicalType))
def test_a_column_of_sqlite_is_converted_as_its_values_are(kind: LogicalType, rows: list[tuple[Any, ...]]) -> None:
    column = Column("x", kind if kind in _OF_SQLITE else LogicalType.ANY, scale=2)
    convert = converter(column)
    expected = [[row[0], None if row[1] is None else convert(row[1])] for row in rows]
    converted = list(convert_rows(in_batches(rows), [(1, column_converter(column))]))
    assert list(map(repr, converted)) == list(map(repr, expected))


_OF_SQLITE = {
    *(LogicalType.BOOL, LogicalType.INT, LogicalType.FLOAT, LogicalType.TEXT, LogicalType.BYTES, LogicalType.JSON),
    *(LogicalType.DATE, LogicalType.TIME, LogicalType.TIMESTAMP, LogicalType.DECIMAL, LogicalType.ANY),
}


def test_rows_without_columns_or_conversions_are_rows() -> None:
    assert list(convert_rows([[(), ()], [()]], [])) == [[], [], []]
    assert list(convert_rows([[(1, "a")]], [])) == [[1, "a"]]


def test_null_is_never_converted() -> None:
    assert list(by_value(int)(["1", None])) == [1, None]
    assert list(by_value(int)(["1", "2"])) == [1, 2]
    values = [1, None]
    assert unless_all(are_all(int), str)(values) is values
    assert unless_all(are_all(int), str)([1, True]) == ["1", "True"]


def test_a_batch_is_bounded_in_rows_and_bytes() -> None:
    sizes = [len(batch) for batch in in_batches([("x",)] * 1000)]
    assert (sum(sizes), max(sizes)) == (1000, MOST_ROWS)
    # Also where the rows before them were small.
    rows = [("x", None, 1)] * 300 + [(b"x" * (MOST_BYTES // 2), None, 1)] * 10
    batches = [sum(len(row[0]) for row in batch) for batch in in_batches(rows)]
    assert sum(batches) == 300 + 5 * MOST_BYTES
    assert max(batches) <= 1.5 * MOST_BYTES
