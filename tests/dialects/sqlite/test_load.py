"""Rows in: every value as it was, or refused by its number."""

from __future__ import annotations

from pathlib import Path

from app.dialects.sqlite.names import url_of

from .database import DIALECT, reflected, rows, script


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
