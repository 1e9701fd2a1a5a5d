"""Tables as they are described, and rows in canonical form."""

from __future__ import annotations

import math
import re
import signal
import time
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from app.dialects.reader import Reader
from app.dialects.sessions import hold_sessions
from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed, DatabaseDamaged, DoesNotFit, NotConfirmed

from .database import COLUMNS, DIALECT, TABLE, connect, reflected, rows, script


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


def test_virtual_tables_without_rows_to_read_are_objects_and_shadows_are_nothing(path: Path) -> None:
    script(path, "CREATE VIRTUAL TABLE notes USING fts5 (words, content='')", "INSERT INTO notes VALUES ('hello')")
    script(path, "CREATE TABLE t (x)")
    with DIALECT.reader(url_of(path)) as reader:
        assert set(reader.tables()) == {"t"}
        assert [(item.kind, item.name) for item in reader.objects()] == [("virtual table", "notes")]


def test_a_command_looks_at_a_schema_once_and_again_when_it_is_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(path, "CREATE TABLE t (a NOT NULL)")
    looks: list[str] = []
    for name in ("reflect_all", "inventory.list_definitions"):
        place = f"app.dialects.sqlite.read.{name}"
        look = resolve_name(place)
        monkeypatch.setattr(place, lambda connection, of=name, look=look: looks.append(of) or look(connection))
    with hold_sessions():
        for _ in range(2):
            with DIALECT.reader(url_of(path)) as reader:
                assert [len(reader.definitions()), reader.tables()["t"].column_names] == [1, ("a",)]
        assert len(looks) == 2
        script(path, "ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 1")
        with DIALECT.reader(url_of(path)) as reader:
            assert [len(reader.definitions()), reader.tables()["t"].column_names] == [3, ("a", "b")]


def test_tables_of_sqlite_itself_do_not_travel(path: Path) -> None:
    script(path, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO t VALUES (7)", "ANALYZE")
    with DIALECT.reader(url_of(path)) as reader:
        assert set(reader.tables()) == {"t"}


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


def look_at(path: Path, *_: object) -> None:
    """Read all that a reader tells of a file's schema."""
    with DIALECT.reader(url_of(path)) as reader:
        reader.objects()
        reader.tables()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        # A name: the statement is read; a mark that is none: SQLite itself quotes it in an error.
        (b"_x_", b"_\xff_"),
        (b"t (id", b"t\xa0(id"),
    ],
)
def test_a_schema_that_is_not_utf8_is_named(path: Path, good: bytes, bad: bytes) -> None:
    """Found by tests/fuzz: Python failed on SQLite's own words, or on a column that holds the statement."""
    script(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, _x_ TEXT)")
    path.write_bytes(path.read_bytes().replace(good, bad))
    with pytest.raises(DatabaseDamaged, match=re.escape(f"{path} is damaged")):
        look_at(path)
    backup = path.with_name("backup.db")
    path.rename(backup)
    with pytest.raises((BackupFailed, DatabaseDamaged), match="is damaged"):
        look_at(path, DIALECT.restore(backup, url_of(path)))


def test_text_that_is_not_utf8_is_named(path: Path) -> None:
    script(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, blob TEXT, x TEXT)")
    with connect(path) as connection:
        connection.execute("INSERT INTO t VALUES (1, x'ff', 'fine'), (2, '', CAST(x'ff41' AS TEXT))")
    with pytest.raises(DoesNotFit, match=r"t\.x .*key \[2\]"):
        rows(path, "t")


def test_a_signal_while_values_are_looked_at_is_no_text_that_is_not_utf_8(path: Path) -> None:
    """SQLite says of whatever is raised within a function of Python's that it failed."""
    script(path, "CREATE TABLE t (a TEXT)")
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i FROM n"
    script(path, f"INSERT INTO t {numbers}")

    def interrupt(_number: int, _frame: object) -> None:
        raise NotConfirmed("Interrupted.")

    former = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(NotConfirmed), DIALECT.reader(url_of(path)) as reader:
            _count_while_a_signal_comes(reader, 0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _count_while_a_signal_comes(reader: Reader, after_s: float) -> None:
    reader.tables()
    signal.setitimer(signal.ITIMER_REAL, after_s)
    assert reader.count_readable("t") == 300_000
    time.sleep(1)
