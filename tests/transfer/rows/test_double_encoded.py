"""Texts that look like UTF-8 read as Latin-1 are counted by column; no value is shown, none is changed."""

from __future__ import annotations

import pytest

from app.dialects.model import Column, LogicalType, Table, Values
from app.transfer.rows.double_encoded import DoubleEncoded, is_double_encoded

USERS = Table("users", (Column("id", LogicalType.INT), Column("name", LogicalType.TEXT), Column("n", LogicalType.INT)))
KEYED = Table("users", USERS.columns, ("id",))


@pytest.mark.parametrize("text", ["Ã©", "MÃ¼ller", "â‚¬ 5", "ðŸ˜€", "Ã\x81", "Ã\xa0 la"])
def test_such_a_text(text: str) -> None:
    assert is_double_encoded(text)


@pytest.mark.parametrize("text", ["", "abc", "é", "Müller", "Ã", "©Ã", "Ã© und é", "Ãa", "日本", "Â", "Ã©日"])
def test_none(text: str) -> None:
    assert not is_double_encoded(text)


def warnings(rows: list[Values], table: Table = KEYED, query: str = "") -> list[str]:
    counter = DoubleEncoded(query)
    assert list(counter.watch(table, rows)) == rows
    return counter.warnings()


def test_a_column_is_named_when_most_of_its_texts_are_such_ones() -> None:
    rows: list[Values] = [[1, "é", 1], [7, "Ã©", 1], [8, "Ã¼", None], [9, "plain", 1], [10, None, 1]]
    [line] = warnings(rows, query="charset=latin1")
    assert line.startswith("users.name: 2 of 3 texts")
    assert "key 7;" in line
    assert "?charset=latin1" in line
    assert "Ã" not in line
    assert warnings([*rows, [11, "ö", 1]]) == []


def test_a_key_that_may_be_personal_is_not_shown() -> None:
    by_name = Table("users", USERS.columns, ("name",))
    for table in (by_name, USERS):
        [line] = warnings([[1, "Ã©", 1]], table)
        assert "key" not in line
        assert "Where the old app" not in line
