"""Rows in: every value as it was, or refused by its number."""

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


def test_loading_continues_an_autoincrement(path: Path) -> None:
    script(path, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
    DIALECT.load(url_of(path), reflected(path, "t"), [[41, None], [7, None]], batch_rows=5)
    script(path, "DELETE FROM t", "INSERT INTO t (x) VALUES (1)")
    assert rows(path, "t")[0][0] == 42


def test_strict_tables_refuse_by_row(path: Path) -> None:
    script(path, "CREATE TABLE t (a INTEGER, b ANY) STRICT")
    table = reflected(path, "t")
    result = DIALECT.load(url_of(path), table, [[1, None], [{"$text": "x"}, None], [2, {"$text": "5"}]], batch_rows=9)
    assert [refusal.number for refusal in result.refused] == [2]
    assert rows(path, "t") == [[1, None], [2, {"$text": "5"}]]


def test_a_table_without_a_key_keeps_its_equal_rows(path: Path) -> None:
    script(path, "CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL)")
    script(path, "INSERT INTO t VALUES (NULL, NULL)")
    assert rows(path, "t") == [[1, "x"], [1, "x"], [None, None], [None, None]]


def test_references_to_itself_and_cycles_load_in_any_order(path: Path) -> None:
    script(
        path,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b (id), up INTEGER REFERENCES a (id))",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id))",
    )
    DIALECT.load(url_of(path), reflected(path, "a"), [[1, 1, 2], [2, 1, 2]], batch_rows=1)
    assert len(DIALECT.problems(url_of(path))) == 1
    DIALECT.load(url_of(path), reflected(path, "b"), [[1, 2]], batch_rows=1)
    assert DIALECT.problems(url_of(path)) == []


def test_triggers_are_dropped_and_created_again(path: Path) -> None:
    script(
        path,
        "CREATE TABLE t (x INTEGER)",
        "CREATE TABLE log (x INTEGER)",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.x); END",
    )
    with DIALECT.loading(url_of(path)):
        DIALECT.load(url_of(path), reflected(path, "t"), [[1]], batch_rows=1)
    script(path, "INSERT INTO t VALUES (2)")
    assert rows(path, "log") == [[2]]


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
