"""Rules that do not hold, and damage."""

from __future__ import annotations

from pathlib import Path

from app.dialects.sqlite.names import url_of

from .database import DIALECT, connect, script


def test_a_dangling_row_of_a_table_without_rowid_is_a_problem(path: Path) -> None:
    script(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (k TEXT PRIMARY KEY, p INTEGER REFERENCES p (id)) WITHOUT ROWID",
        "INSERT INTO c VALUES ('x', 7)",
    )
    [problem] = DIALECT.problems(url_of(path))
    assert "c: 1 row refers to a row of p" in problem.text


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
