"""One encoding: lines come back as rows, checksums see every change and no order."""

from __future__ import annotations

import copy
import datetime as dt
import json
import random
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.model import Column, LogicalType, Table, TableChecksum, Values
from app.errors import DoesNotFit
from app.transfer.adapters import JSON_NULL
from app.transfer.rows.canonical import (
    checksum,
    decode_row,
    decode_rows,
    encode_row,
    from_python,
    json_text,
    to_json,
)
from app.transfer.rows.normal_json import normalise_json
from tests.transfer.strategies import JSON_VALUES, ROW, ROWS, TABLE

PLAIN = Table("t", (Column("a", LogicalType.INT), Column("b", LogicalType.TEXT)), ("a",))
DOCUMENTS = Table("d", (Column("a", LogicalType.INT), Column("doc", LogicalType.JSON)), ("a",))


@given(ROW)
def test_a_line_comes_back_as_the_row(row: Values) -> None:
    line = encode_row(row)
    assert b"\n" not in line
    back = decode_row(line)
    assert repr(back) == repr(row)
    assert encode_row(back) == line


@pytest.mark.parametrize("line", [b"", b"{}", b"1", b"[1", b"[NaN]", b"null"])
def test_what_is_no_row(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_row(line)


# Checksums


@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_a_checksum_is_free_of_order(rows: list[Values], seed: random.Random) -> None:
    mixed = rows[:]
    seed.shuffle(mixed)
    assert checksum(TABLE, mixed) == checksum(TABLE, rows)
    assert checksum(TABLE, rows).rows == len(rows)


@given(rows=ROWS.filter(bool), data=st.data())
def test_a_checksum_sees_every_change(rows: list[Values], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    place = data.draw(st.integers(0, len(TABLE.columns) - 1))
    changed = copy.deepcopy(rows)
    changed[number][place] = data.draw(ROW)[place]
    if repr(changed) == repr(rows):
        return
    same = [_normal(row) for row in changed] == [_normal(row) for row in rows]
    assert (checksum(TABLE, changed) == checksum(TABLE, rows)) is same


def _normal(row: Values) -> str:
    place = TABLE.column_names.index("json")
    return repr([normalise_json(v) if i == place and isinstance(v, str) else v for i, v in enumerate(row)])


def test_a_checksum_sees_equal_rows_and_swapped_values() -> None:
    assert checksum(PLAIN, [[1, "x"], [1, "x"]]) != checksum(PLAIN, [[1, "x"]])
    assert checksum(PLAIN, [[1, "x"], [1, "x"]]) != checksum(PLAIN, [])
    assert checksum(PLAIN, [[1, "x"], [2, "y"]]) != checksum(PLAIN, [[1, "y"], [2, "x"]])


@pytest.mark.parametrize(
    ("one", "other"),
    [(None, ""), (None, "null"), (0, False), (1, True), (1, 1.0), ("1", 1), (0.0, -0.0), ("a", "A"), ("é", "e\u0301")],
)
def test_values_that_look_alike_are_not_equal(one: Any, other: Any) -> None:
    assert checksum(PLAIN, [[1, one]]) != checksum(PLAIN, [[1, other]])


def test_json_null_and_sql_null_are_told_apart() -> None:
    assert checksum(DOCUMENTS, [[1, "null"]]) != checksum(DOCUMENTS, [[1, None]])


def test_the_checksum_of_nothing_and_its_text() -> None:
    assert checksum(PLAIN, []) == TableChecksum(0, 0)
    assert str(TableChecksum(1, 255)) == "0" * 30 + "ff"


def test_checksums_are_the_same_in_every_version() -> None:
    """These are in ledgers, manifests and snapshots that were written before."""
    assert str(checksum(PLAIN, [[1, "x"], [2, None]])) == "3678273a0d4727770fd7be3a086609d3"
    assert str(checksum(DOCUMENTS, [[1, '{"b": [1.50, null], "a": "ü"}']])) == "75715f5690deb173d71d41d7f82688c3"


@given(JSON_VALUES)
def test_python_values_as_json_text(value: Any) -> None:
    assert json.loads(json_text(value)) == value


def test_numbers_are_spelled_as_they_were_read() -> None:
    assert json_text({"a": Decimal("1.50"), "b": Decimal(12345678901234567890123)}) == (
        '{"a":1.50,"b":12345678901234567890123}'
    )
    with pytest.raises(TypeError):
        json_text(Decimal("NaN"))


# What adapters give


def column(kind: LogicalType, scale: int | None = None) -> Column:
    return Column("c", kind, scale=scale)


UTC = dt.UTC


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        (LogicalType.BOOL, True, True),
        (LogicalType.INT, 2**64 - 1, 2**64 - 1),
        (LogicalType.FLOAT, 1, 1.0),
        (LogicalType.FLOAT, Decimal("0.1"), 0.1),
        (LogicalType.FLOAT, float("inf"), {"$float": "inf"}),
        (LogicalType.DECIMAL, Decimal("12.5"), "12.50"),
        (LogicalType.DECIMAL, Decimal("12.500"), "12.50"),
        (LogicalType.DECIMAL, 3, "3.00"),
        (LogicalType.TEXT, "", ""),
        (LogicalType.BYTES, b"\x00", "AA=="),
        (LogicalType.DATE, dt.date(2024, 2, 29), "2024-02-29"),
        (LogicalType.TIME, dt.time(1, 2), "01:02:00.000000"),
        (LogicalType.TIMESTAMP, dt.datetime(2024, 1, 1, 2), "2024-01-01 02:00:00.000000"),  # noqa: DTZ001
        (LogicalType.TIMESTAMPTZ, dt.datetime(2024, 1, 1, 2, tzinfo=UTC), "2024-01-01 02:00:00.000000+00:00"),
        (LogicalType.UUID, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (LogicalType.JSON, JSON_NULL, "null"),
        (LogicalType.JSON, {"a": [Decimal("1.0")]}, '{"a":[1.0]}'),
        (LogicalType.JSON, "x", '"x"'),
        (LogicalType.JSON, 5, "5"),
        (LogicalType.ANY, "x", {"$text": "x"}),
        (LogicalType.ANY, 5, {"$int": "5"}),
    ],
)
def test_python_values_of_a_column(kind: LogicalType, value: Any, form: Any) -> None:
    found = from_python(column(kind, 2), value)
    assert (found, type(found)) == (form, type(form))
    assert from_python(column(kind), None) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (LogicalType.BOOL, 1),
        (LogicalType.INT, True),
        (LogicalType.INT, 2**64),
        (LogicalType.INT, "1"),
        (LogicalType.INT, Decimal("1.0")),
        (LogicalType.FLOAT, True),
        (LogicalType.FLOAT, Decimal("1e999")),
        (LogicalType.FLOAT, 10**400),
        (LogicalType.FLOAT, "1"),
        (LogicalType.DECIMAL, 1.5),
        (LogicalType.DECIMAL, Decimal("NaN")),
        (LogicalType.DECIMAL, Decimal("Infinity")),
        (LogicalType.DECIMAL, Decimal("1e999999999")),
        (LogicalType.DECIMAL, Decimal("1e-999999999")),
        (LogicalType.TEXT, 5),
        (LogicalType.BYTES, "x"),
        (LogicalType.DATE, "2024-01-01"),
        (LogicalType.DATE, dt.datetime(2024, 1, 1)),  # noqa: DTZ001
        (LogicalType.TIME, dt.time(1, tzinfo=UTC)),
        (LogicalType.TIMESTAMP, "2024-01-01 00:00:00"),
        (LogicalType.TIMESTAMP, dt.datetime(2024, 1, 1, tzinfo=UTC)),
        (LogicalType.TIMESTAMPTZ, dt.datetime(2024, 1, 1)),  # noqa: DTZ001
        (LogicalType.UUID, "00000000-0000-0000-0000-000000000001"),
        (LogicalType.JSON, {1, 2}),
        (LogicalType.JSON, 2**70),
        (LogicalType.JSON, {"a": [None, float("nan")]}),
        (LogicalType.JSON, float("-inf")),
        (LogicalType.ANY, [1]),
        (LogicalType.TEXT, JSON_NULL),
    ],
)
def test_python_values_that_are_not_of_the_column(kind: LogicalType, value: Any) -> None:
    with pytest.raises(DoesNotFit, match=f"c is of type {kind}"):
        from_python(column(kind), value)


def test_json_columns_as_python_values() -> None:
    assert to_json('{"a": 1}') == {"a": 1}
    assert to_json("not json") == "not json"
    assert to_json({"$text": "x"}) == {"$text": "x"}


@pytest.mark.parametrize(
    "lines", [[b"[1],[2],\n"], [b"[1]\n", b"[2],\n"], [b"{},\n"], [b"[1],\n", b"\n"], [b"[1,\n"], [b"1\n"]]
)
def test_lines_that_are_no_rows_are_refused(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"not a row|expected|unexpected"):
        decode_rows(lines)


def test_rows_are_decoded_together() -> None:
    assert decode_rows([]) == []
    assert decode_rows([b'[1,"],"],\n', b"[]\n"]) == [[1, "],"], []]
