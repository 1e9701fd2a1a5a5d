"""Rules that do not hold, and damage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.dialects.sqlite import rules
from app.dialects.sqlite.functions import Functions
from app.dialects.sqlite.names import url_of
from app.errors import DatabaseDamaged

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


@pytest.mark.parametrize("has_own", [False, True])
def test_broken_rules_and_rows_that_refer_to_nothing_are_found_together(
    path: Path, monkeypatch: pytest.MonkeyPatch, has_own: bool
) -> None:
    """At once, or one after the other where an app's own functions may be called."""
    threads: list[threading.Thread] = []
    inner = rules._find_dangling
    monkeypatch.setattr(
        rules, "_find_dangling", lambda conn: (threads.append(threading.current_thread()), inner(conn))[1]
    )
    monkeypatch.setattr(Functions, "has_own", lambda self: has_own)
    script(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (x INTEGER CHECK (x > 0), p INTEGER REFERENCES p (id))",
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO c VALUES (-1, 7)",
    )
    check, dangling = DIALECT.problems(url_of(path))
    assert ("CHECK" in check.text, "c: 1 row refers to a row of p" in dangling.text) == (True, True)
    assert [thread is threading.main_thread() for thread in threads] == [has_own]


def test_a_file_that_is_damaged_is_named_by_whoever_meets_it_first(path: Path) -> None:
    script(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY, t TEXT)",
        "CREATE TABLE c (p INTEGER REFERENCES p (id))",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
        "INSERT INTO p SELECT i, hex(zeroblob(100)) FROM n",
        "INSERT INTO c SELECT id FROM p",
    )
    data = bytearray(path.read_bytes())
    data[8192:-4096] = bytes(len(data) - 12288)
    path.write_bytes(data)
    with pytest.raises(DatabaseDamaged, match=str(path)):
        DIALECT.problems(url_of(path))
