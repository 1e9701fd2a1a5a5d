"""Rows that are spelled alike are equal; others may be all the same, which a checksum says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.canonical import checksum
from app.transfer.rows.spelled import SAMPLE_ROWS, Spelled, is_worth_a_look
from tests.transfer.strategies import JSON_TEXTS

DOCUMENTS = Table("t", (Column("id", LogicalType.INT), Column("doc", LogicalType.JSON)), ("id",))
ROWS = st.lists(st.tuples(st.integers(0, 9), JSON_TEXTS).map(list), max_size=6)


def spell(rows: list[list[Any]]) -> Spelled:
    spelled = Spelled()
    for row in rows:
        spelled.add(row)
    return spelled


@given(rows=ROWS, others=ROWS)
def test_what_fits_has_the_same_checksum(rows: list[list[Any]], others: list[list[Any]]) -> None:
    assert spell(rows).fits(reversed(rows))
    assert spell(rows).fits(others) <= (checksum(DOCUMENTS, rows) == checksum(DOCUMENTS, others))


@pytest.mark.parametrize(
    "others",
    [[], [[1, "{}"]], [[1, "{}"], [2, "[1]"]], [[1, "{}"], [2, "[]"], [2, "[]"]], [[1, "{}"], [1, "{}"]]],
)
def test_other_rows_do_not_fit(others: list[list[Any]]) -> None:
    assert not spell([[1, "{}"], [2, "[]"]]).fits(others)


def test_another_spelling_is_seen_early() -> None:
    read = 0

    def respelled() -> Any:
        nonlocal read
        for number in range(10 * SAMPLE_ROWS):
            read += 1
            yield [number, '{"a":1}']

    assert not spell([[number, '{"a": 1}'] for number in range(10 * SAMPLE_ROWS)]).fits(respelled())
    assert read == SAMPLE_ROWS


def test_it_is_for_tables_with_json() -> None:
    assert is_worth_a_look(DOCUMENTS)
    assert not is_worth_a_look(Table("t", DOCUMENTS.columns[:1], ()))
