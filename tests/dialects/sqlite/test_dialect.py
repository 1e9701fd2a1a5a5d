"""Quirks of SQLite: files, journals, pages, and values of any type in any column."""

from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, make_url

from app.dialects import dialect_for
from app.dialects.model import LateWrite, LogicalType, Table, Values
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.dialects.sqlite.types import logical_type
from app.errors import DoesNotFit, FerryError, LockHeld, Protected
from app.transfer.rows.canonical import decode_row, encode_row

DIALECT = SqliteDialect()
NO_OLD = url_of(Path("unused.db"))
"""A swap of files does not move the old one: it was copied before."""


@contextlib.contextmanager
def connect(path: Path, timeout_s: float = 5) -> Iterator[sqlite3.Connection]:
    """A connection that commits each statement."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=timeout_s)
    try:
        yield connection
    finally:
        connection.close()


def script(path: Path, *statements: str) -> Path:
    with connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def rows(path: Path, table: str) -> list[Values]:
    with DIALECT.reader(url_of(path)) as reader:
        return list(reader.rows(reader.tables()[table]))


def reflected(path: Path, name: str) -> Table:
    with DIALECT.reader(url_of(path)) as reader:
        return reader.tables()[name]


def stored(path: Path, table: str) -> list[tuple[Any, ...]]:
    """Every value with its storage class; floats bit by bit, text as bytes."""
    with connect(path) as connection:
        connection.text_factory = bytes
        names = [name for _, name, *_ in connection.execute(f'PRAGMA table_info("{table}")')]
        columns = ", ".join(f"typeof({quoted}), {quoted}" for quoted in map('"{}"'.format, (n.decode() for n in names)))
        found = connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()
    return [tuple(struct.pack(">d", v) if isinstance(v, float) else v for v in row) for row in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def area(path: Path) -> Path:
    """The control area of the database, opened."""
    DIALECT.open_control(DIALECT.control_area(url_of(path)))
    return path.with_name("a.db.ferry")


# What is refused


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(Protected, match="in-memory") as caught:
        dialect_for(make_url(url))
    assert caught.value.hint


def test_an_unknown_server_is_refused_by_name() -> None:
    with pytest.raises(Protected, match="mssql"):
        dialect_for(make_url("mssql+pyodbc://u:p@h/d"))


# Types and declarations


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("INTEGER", LogicalType.INT),
        ("BIGINT", LogicalType.INT),
        ("BOOLEAN", LogicalType.BOOL),
        ("VARCHAR(255)", LogicalType.TEXT),
        ("TEXT", LogicalType.TEXT),
        ("CHAR(32)", LogicalType.TEXT),
        ("BLOB", LogicalType.BYTES),
        ("FLOAT", LogicalType.FLOAT),
        ("DOUBLE PRECISION", LogicalType.FLOAT),
        ("NUMERIC(10, 2)", LogicalType.DECIMAL),
        ("DECIMAL", LogicalType.DECIMAL),
        ("DATETIME", LogicalType.TIMESTAMP),
        ("TIMESTAMP", LogicalType.TIMESTAMP),
        ("DATE", LogicalType.DATE),
        ("TIME", LogicalType.TIME),
        ("JSON", LogicalType.JSON),
        ("", LogicalType.ANY),
        ("STRING", LogicalType.ANY),
        ("enum('a','b')", LogicalType.ANY),
        ("POINT", LogicalType.INT),
    ],
)
def test_declared_types(declared: str, found: LogicalType) -> None:
    assert logical_type(declared)[0] is found
    assert logical_type(declared.lower())[0] is found


def test_lengths_and_scales() -> None:
    assert logical_type("VARCHAR(255)") == (LogicalType.TEXT, 255, None)
    assert logical_type("NUMERIC( 10 , 2 )") == (LogicalType.DECIMAL, None, 2)


def test_generated_columns_do_not_travel(path: Path) -> None:
    script(
        path,
        "CREATE TABLE t (a INTEGER, v INTEGER AS (a * 2), s INTEGER GENERATED ALWAYS AS (a + 1) STORED, b TEXT)",
        "INSERT INTO t (a, b) VALUES (1, 'x')",
    )
    table = reflected(path, "t")
    assert table.column_names == ("a", "b")
    assert rows(path, "t") == [[1, "x"]]
    assert DIALECT.load(url_of(path), table, [[2, "y"]], batch_rows=9).loaded == 1
    with connect(path) as connection:
        assert connection.execute("SELECT v, s FROM t ORDER BY a").fetchall() == [(2, 2), (4, 3)]


def test_tables_without_rowid(path: Path) -> None:
    script(path, "CREATE TABLE t (k TEXT, n INTEGER, PRIMARY KEY (k, n)) WITHOUT ROWID")
    script(path, "INSERT INTO t VALUES ('b', 2), ('a', 9), ('b', 1)")
    assert rows(path, "t") == [["a", 9], ["b", 1], ["b", 2]]
    assert reflected(path, "t").primary_key == ("k", "n")


def test_a_dangling_row_of_a_table_without_rowid_is_a_problem(path: Path) -> None:
    script(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (k TEXT PRIMARY KEY, p INTEGER REFERENCES p (id)) WITHOUT ROWID",
        "INSERT INTO c VALUES ('x', 7)",
    )
    [problem] = DIALECT.problems(url_of(path))
    assert "c: 1 row refers to a row of p" in problem.text


def test_virtual_tables_without_rows_to_read_are_objects_and_shadows_are_nothing(path: Path) -> None:
    script(path, "CREATE VIRTUAL TABLE notes USING fts5 (words, content='')", "INSERT INTO notes VALUES ('hello')")
    script(path, "CREATE TABLE t (x)")
    with DIALECT.reader(url_of(path)) as reader:
        assert set(reader.tables()) == {"t"}
        assert [(item.kind, item.name) for item in reader.objects()] == [("virtual table", "notes")]


def test_tables_of_sqlite_itself_do_not_travel(path: Path) -> None:
    script(path, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO t VALUES (7)", "ANALYZE")
    with DIALECT.reader(url_of(path)) as reader:
        assert set(reader.tables()) == {"t"}


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


@pytest.mark.parametrize(
    "name", ["with space", 'quo"te', "per%cent", "emoji 😀", "order", "semi;colon", "a.b", "[x]", "`tick`", "'one'"]
)
def test_names_of_any_kind(path: Path, area: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    script(
        path,
        f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY, x TEXT REFERENCES {quoted} ({quoted}) UNIQUE)",
        f"INSERT INTO {quoted} VALUES (1, NULL)",
    )
    table = reflected(path, name)
    assert (table.column_names, table.primary_key) == ((name, "x"), (name,))
    assert table.unique == (("x",),)
    assert DIALECT.load(url_of(path), table, [[2, "x"]], batch_rows=5).loaded == 1
    assert rows(path, name) == [[1, None], [2, "x"]]
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    DIALECT.carry(url_of(path), staging, [name])
    with DIALECT.reader(staging) as reader:
        assert list(reader.rows(reader.tables()[name])) == [[1, None], [2, "x"]]


def test_a_database_file_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "ünïcode #1?100%25 😀.db"
    script(path, "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    DIALECT.open_control(DIALECT.control_area(url_of(path)))
    assert rows(path, "t") == [[1]]
    DIALECT.copy(url_of(path), DIALECT.staging_url(url_of(path), "s"), timeout_s=1)
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(DIALECT.staging_url(url_of(path), "s"), url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "t") == [[1]]


def test_a_thousand_columns(path: Path) -> None:
    names = [f"c{number}" for number in range(1000)]
    script(path, f"CREATE TABLE t ({', '.join(f'{name} INTEGER' for name in names)})")
    table = reflected(path, "t")
    wide: list[Values] = [list(range(1000)), [None] * 1000]
    assert DIALECT.load(url_of(path), table, wide, batch_rows=500).loaded == 2
    assert rows(path, "t") == wide


def test_foreign_keys_that_leave_their_columns_out(path: Path) -> None:
    script(
        path,
        "CREATE TABLE p (a INTEGER, b INTEGER, PRIMARY KEY (b, a))",
        "CREATE TABLE c (x INTEGER, y INTEGER, up INTEGER REFERENCES c (x), FOREIGN KEY (x, y) REFERENCES p)",
    )
    keys = {key.columns: (key.table, key.referred) for key in reflected(path, "c").foreign_keys}
    assert keys == {("up",): ("c", ("x",)), ("x", "y"): ("p", ("b", "a"))}


def test_partial_and_expression_indexes_are_no_unique_keys(path: Path) -> None:
    script(
        path,
        "CREATE TABLE t (a INTEGER, b INTEGER UNIQUE, c TEXT)",
        "CREATE UNIQUE INDEX p ON t (a) WHERE b > 1",
        "CREATE UNIQUE INDEX e ON t (lower(c))",
    )
    assert reflected(path, "t").unique == (("b",),)


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


def test_problems_finds_broken_rules_and_damage(path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER CHECK (x > 0), y INTEGER)")
    with connect(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO t VALUES (-1, 1)")
    assert any("CHECK" in item.text for item in DIALECT.problems(url_of(path)))


def test_problems_finds_a_foreign_key_to_a_column_that_is_not_unique(path: Path) -> None:
    script(path, "CREATE TABLE p (x INTEGER)", "CREATE TABLE c (x INTEGER REFERENCES p (x))")
    script(path, "INSERT INTO c VALUES (1)")
    assert any("mismatch" in item.text for item in DIALECT.problems(url_of(path)))


# Values

COLUMNS = {
    "i": "INTEGER",
    "b": "BOOLEAN",
    "f": "FLOAT",
    "d": "NUMERIC(10, 2)",
    "t": "VARCHAR(5)",
    "r": "BLOB",
    "a": "DATE",
    "m": "TIME",
    "j": "JSON",
    "y": "",
}
TABLE = f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
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


@pytest.mark.parametrize(
    ("column", "value", "canonical"),
    [
        ("i", "x", {"$text": "x"}),
        ("i", 2.5, {"$float": "2.5"}),
        ("b", 2, {"$int": "2"}),
        ("b", 1, True),
        ("f", math.inf, {"$float": "inf"}),
        ("d", 12, "12.00"),
        ("d", 0.125, "0.125"),
        ("t", b"x", {"$bytes": "eA=="}),
        ("r", "x", {"$text": "x"}),
        ("j", 5, "5"),
        ("j", 2.5, "2.5"),
        ("j", "null", "null"),
        ("j", "not json", {"$text": "not json"}),
        ("j", '{"a": 1}', '{"a": 1}'),
        ("a", "2024-02-30", {"$text": "2024-02-30"}),
        ("m", "10:00+00", {"$text": "10:00+00"}),
        ("y", -0.0, {"$float": "-0.0"}),
        ("y", "x", {"$text": "x"}),
    ],
)
def test_canonical_forms(path: Path, column: str, value: Any, canonical: Any) -> None:
    script(path, TABLE)
    with connect(path) as connection:
        connection.execute(f"INSERT INTO t ({column}) VALUES (?)", (value,))
    [row] = rows(path, "t")
    assert row[list(COLUMNS).index(column)] == canonical
    assert type(row[list(COLUMNS).index(column)]) is type(canonical)


def test_a_value_that_the_file_cannot_hold_is_refused_by_number(path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)")
    result = DIALECT.load(url_of(path), reflected(path, "t"), [[1], [2**63], [3]], batch_rows=9)
    assert [(refusal.number, refusal.row) for refusal in result.refused] == [(2, [2**63])]
    assert (result.loaded, rows(path, "t")) == (2, [[1], [3]])


def test_text_that_is_not_utf8_is_named(path: Path) -> None:
    script(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, blob TEXT, x TEXT)")
    with connect(path) as connection:
        connection.execute("INSERT INTO t VALUES (1, x'ff', 'fine'), (2, '', CAST(x'ff41' AS TEXT))")
    with pytest.raises(DoesNotFit, match=r"t\.x .*key \[2\]"):
        rows(path, "t")


# Journals


@pytest.mark.parametrize("size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_swap_keeps_page_size_and_journal_mode(path: Path, area: Path, size: int, mode: str) -> None:
    script(path, f"PRAGMA page_size = {size}", f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    script(Path(str(staging.database)), "CREATE TABLE new (x INTEGER)", "INSERT INTO new VALUES (1)")
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "new") == [[1]]
    with connect(path) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (size,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_restored_file_is_fit_for_a_target_of_another_page_size(
    path: Path, area: Path, tmp_path: Path, mode: str
) -> None:
    script(path, "PRAGMA page_size = 8192", f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)")
    backup = script(tmp_path / "b.db", "PRAGMA page_size = 1024", "PRAGMA journal_mode = wal", "CREATE TABLE b (x)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.restore(backup, staging)
    DIALECT.fit_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "b") == []


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_the_fence_in_every_journal_mode(path: Path, area: Path, mode: str) -> None:
    script(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    script(Path(str(staging.database)), "CREATE TABLE new (x INTEGER)")
    with DIALECT.fence(url_of(path)) as fence, connect(path) as application:
        application.execute(f"PRAGMA journal_mode = {mode}")
        token = fence.token()
        application.execute("SELECT * FROM t").fetchall()
        assert fence.token() == token
        application.execute("UPDATE t SET x = 2")
        with pytest.raises(LateWrite):
            DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=2)
        assert application.execute("SELECT x FROM t").fetchall() == [(2,)]
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
        assert application.execute("SELECT count(*) FROM new").fetchall() == [(0,)]


PATIENT_S = 60.0
"""Locks that others let go of are waited for so long: how soon that is depends on who else uses the machine."""


def test_writers_during_many_swaps_lose_nothing(path: Path, area: Path) -> None:
    """Every committed write is in the old database, or in the new one after the swap; never in neither."""
    script(path, "CREATE TABLE t (x INTEGER)")
    staging = DIALECT.staging_url(url_of(path), "s")
    stop, written = threading.Event(), []

    def write() -> None:
        with connect(path) as connection:
            connection.execute(f"PRAGMA busy_timeout = {PATIENT_S * 1000:.0f}")
            while not stop.is_set():
                written.append(len(written))
                connection.execute("INSERT INTO t VALUES (?)", (written[-1],))
                # A swap needs a moment without a write, which a slow machine may not find at first.
                stop.wait(0.002 * (1 + late / 10))

    swaps = late = 0
    writer = threading.Thread(target=write)
    writer.start()
    try:
        with DIALECT.fence(url_of(path)) as fence:
            while swaps < 5 and late < 2000:
                token = fence.token()
                DIALECT.copy(url_of(path), staging, timeout_s=PATIENT_S)
                DIALECT.fit_staging(staging, url_of(path))
                try:
                    DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=PATIENT_S)
                    swaps += 1
                except LateWrite:
                    late += 1
    finally:
        stop.set()
        writer.join()
    assert swaps
    assert sorted(row[0] for row in rows(path, "t")) == written


def test_a_reader_holds_the_swap_up_in_rollback_mode(path: Path, area: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence, connect(path) as reader:
        token = fence.token()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        with pytest.raises(LockHeld):
            DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=0.3)
        assert reader.execute("SELECT * FROM t").fetchall() == [(1,)]
        timer = threading.Timer(0.3, reader.interrupt)
        reader.execute("ROLLBACK")
        timer.cancel()
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=2)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            reader.execute("SELECT * FROM t")


def test_a_reader_goes_on_with_its_view_during_a_swap_in_wal_mode(path: Path, area: Path) -> None:
    script(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence, connect(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
        assert reader.execute("SELECT * FROM t").fetchall() == [(1,)]
        reader.execute("COMMIT")
        assert reader.execute("SELECT name FROM sqlite_schema").fetchall() == []


def killed(path: Path, *statements: str) -> None:
    """Run statements in a process that dies in the middle of the last transaction."""
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for s in sys.argv[2:]: c.execute(s)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path), *statements], timeout=60, check=False)


def test_a_hot_journal_is_read_past_and_stays_as_it_is(path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER, filler TEXT)", "INSERT INTO t VALUES (1, hex(zeroblob(200000)))")
    # A cache of a few pages spills to the file, so that it is half changed.
    killed(path, "PRAGMA cache_size = 2", "BEGIN IMMEDIATE", "UPDATE t SET x = 2, filler = hex(randomblob(200000))")
    journal = path.with_name("a.db-journal")
    assert journal.stat().st_size > 0
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert rows(path, "t")[0][0] == 1
    assert DIALECT.mark(url_of(path)) == ""
    copy = path.with_name("copy.db")
    DIALECT.copy(url_of(path), url_of(copy), timeout_s=1)
    copied = rows(copy, "t")
    copy.unlink()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert copied[0][0] == 1


def test_a_wal_that_a_killed_program_left_is_read(path: Path) -> None:
    killed(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)", "BEGIN")
    wal = path.with_name("a.db-wal")
    before = (path.read_bytes(), wal.read_bytes())
    assert before[1]
    assert rows(path, "t") == [[7]]
    assert (path.read_bytes(), wal.read_bytes()) == before
    assert DIALECT.size_bytes(url_of(path)) == len(before[0]) + len(before[1])


def test_a_source_in_wal_mode_is_not_written(path: Path) -> None:
    """SQLite itself puts an empty WAL and its index beside the file of such a database; the file stays as it is."""
    script(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)")
    before = path.read_bytes()
    assert rows(path, "t") == [[7]]
    assert path.read_bytes() == before
    assert {file.name: file.stat().st_size for file in path.parent.iterdir()}.get("a.db-wal", 0) == 0


def test_no_database_at_all(path: Path) -> None:
    with pytest.raises(FerryError, match=r"a\.db"), DIALECT.reader(url_of(path)):
        pass
    assert not path.exists()


# Copies


def test_copies_are_exact_to_the_object(path: Path, tmp_path: Path) -> None:
    script(
        path,
        "PRAGMA page_size = 1024",
        "PRAGMA encoding = 'UTF-16le'",
        "PRAGMA application_id = 1179996754",
        "PRAGMA user_version = 77",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
        "INSERT INTO t (x) VALUES ('ü'), (x'00')",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
    )
    copy = tmp_path / "new" / "copy.db"
    DIALECT.copy(url_of(path), url_of(copy), timeout_s=1)

    def dump(file: Path) -> list[Any]:
        with connect(file) as connection:
            settings_ = [
                connection.execute(f"PRAGMA {name}").fetchone()
                for name in ("page_size", "encoding", "application_id", "user_version")
            ]
            return [*settings_, *connection.iterdump()]

    assert dump(copy) == dump(path)
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_copy_waits_for_a_writer_only_so_long(path: Path, tmp_path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)")
    with connect(path) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(LockHeld):
            DIALECT.copy(url_of(path), url_of(tmp_path / "copy.db"), timeout_s=0.2)
        assert time.monotonic() - began < 5


def test_drop_takes_the_journals_along(path: Path) -> None:
    script(path, "CREATE TABLE t (x)")
    for suffix in ("-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).touch()
    DIALECT.drop(url_of(path))
    assert list(path.parent.iterdir()) == []


def test_a_hard_linked_or_replaced_file_is_another_database(path: Path, tmp_path: Path) -> None:
    script(path, "CREATE TABLE t (x)")
    first = DIALECT.identity(url_of(path)).uid
    shutil.copy(path, tmp_path / "b.db")
    (tmp_path / "b.db").replace(path)
    assert DIALECT.identity(url_of(path)).uid != first


def test_control_area_that_cannot_be_made(path: Path) -> None:
    path.with_name("a.db.ferry").touch()
    with pytest.raises(OSError, match="exists"):
        DIALECT.open_control(DIALECT.control_area(url_of(path)))


def test_a_mark_of_somebody_elses_application_is_none(path: Path) -> None:
    script(path, "PRAGMA user_version = 5", "CREATE TABLE t (x)")
    assert DIALECT.mark(url_of(path)) == ""


def test_listeners_of_the_host_do_not_turn_foreign_keys_on(path: Path) -> None:
    script(path, "CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE c (p INTEGER REFERENCES p (id))")
    program = (
        "import sys; from pathlib import Path; from sqlalchemy import event, Engine\n"
        "from app.dialects.sqlite.dialect import SqliteDialect; from app.dialects.sqlite.names import url_of\n"
        "@event.listens_for(Engine, 'connect')\n"
        "def on(connection, record): connection.execute('PRAGMA foreign_keys = ON')\n"
        "with SqliteDialect().engine(url_of(Path(sys.argv[1]))).begin() as c:\n"
        "    c.exec_driver_sql('INSERT INTO c VALUES (5)')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], timeout=60, check=False)
    assert done.returncode == 0
    assert rows(path, "c") == [[5]]


def test_urls_with_a_driver_are_of_this_room() -> None:
    assert dialect_for(URL.create("sqlite+pysqlite", database="x.db")).name == "SQLite"
