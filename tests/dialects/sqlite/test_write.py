"""Canonical values as SQLite keeps them, bit by bit, or refused."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.dialects.sqlite.names import url_of
from app.transfer.rows.canonical import decode_row, encode_row

from .database import COLUMNS, DIALECT, TABLE, connect, reflected, rows, script


def stored(path: Path, table: str) -> list[tuple[Any, ...]]:
    """Every value with its storage class; floats bit by bit, text as bytes."""
    with connect(path) as connection:
        connection.text_factory = bytes
        names = [name for _, name, *_ in connection.execute(f'PRAGMA table_info("{table}")')]
        columns = ", ".join(f"typeof({quoted}), {quoted}" for quoted in map('"{}"'.format, (n.decode() for n in names)))
        found = connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()
    return [tuple(struct.pack(">d", v) if isinstance(v, float) else v for v in row) for row in found]


ODD: list[Any] = [
    None,
    0,
    1,
    2,
    -1,
    2**63 - 1,
    -(2**63),
    2**53 + 1,
    0.0,
    -0.0,
    0.1,
    2.5,
    5e-324,
    2.2250738585072009e-308,
    1.7976931348623157e308,
    -1e16,
    9007199254740993.0,
    9.2e18,
    9.3e18,
    math.inf,
    -math.inf,
    "",
    " ",
    "5",
    "5.50",
    "1e400",
    "0x10",
    "12345678901234567890123",
    "null",
    '"null"',
    "{}",
    '{"b":1,"a":1.50}',
    "[1e5]",
    "NaN",
    '"\\ud800"',
    "nul\0inside",
    "ü😀\u202e",
    "2024-01-01",
    "2024-W01-1",
    "10:00+00",
    "12:30:00",
    "12:30:00.5",
    "x" * 300,
    b"",
    b"\x00\xff",
    b"text",
    b"2024-01-01",
]


def test_every_value_in_every_column_comes_back_bit_by_bit(tmp_path: Path) -> None:
    source, copy = tmp_path / "source.db", tmp_path / "copy.db"
    script(source, TABLE)
    script(copy, TABLE)
    with connect(source) as connection:
        for value in ODD:
            connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", [value] * len(COLUMNS))
    lines = [encode_row(row) for row in rows(source, "t")]
    result = DIALECT.load(url_of(copy), reflected(copy, "t"), map(decode_row, lines), batch_rows=7)
    assert result.refused == []
    assert stored(copy, "t") == stored(source, "t") or _differing(source, copy) == []
    assert [encode_row(row) for row in rows(copy, "t")] == lines


def _differing(source: Path, copy: Path) -> list[tuple[Any, ...]]:
    """Values that changed: a time may gain its zero microseconds, nothing else."""
    found = []
    for before, after in zip(stored(source, "t"), stored(copy, "t"), strict=True):
        for old, new in zip(before, after, strict=True):
            if old != new and new != bytes(old) + b".000000":
                found.append((old, new))
    return found


@given(
    value=st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.binary(max_size=12),
        st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
        st.datetimes().map(str),
    )
)
def test_any_value_round_trips(tmp_path: Path, value: Any) -> None:
    source, copy = tmp_path / "source.db", tmp_path / "copy.db"
    for file in (source, copy):
        file.unlink(missing_ok=True)
        script(file, TABLE)
    with connect(source) as connection:
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", [value] * len(COLUMNS))
    found = [decode_row(encode_row(row)) for row in rows(source, "t")]
    DIALECT.load(url_of(copy), reflected(copy, "t"), found, batch_rows=10)
    assert _differing(source, copy) == []
    assert rows(copy, "t") == rows(source, "t")


def test_a_value_that_the_file_cannot_hold_is_refused_by_number(path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)")
    result = DIALECT.load(url_of(path), reflected(path, "t"), [[1], [2**63], [3]], batch_rows=9)
    assert [(refusal.number, refusal.row) for refusal in result.refused] == [(2, [2**63])]
    assert (result.loaded, rows(path, "t")) == (2, [[1], [3]])
