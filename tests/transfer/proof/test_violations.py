"""Rows that refer to nothing: those that did before an upgrade are told from those that it made so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from app.dialects.model import Column, ForeignKey, LogicalType, Table
from app.dialects.samples import Problem, ProblemKind, dangling
from app.dialects.sqlite.names import url_of
from app.transfer.proof.violations import Violation, find_new, find_violations, show_rows

from .databases import DIALECT, Db

SCHEMA = (
    "CREATE TABLE parents (a INTEGER, b TEXT, PRIMARY KEY (a, b))",
    "CREATE TABLE children (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, FOREIGN KEY (a, b) REFERENCES parents)",
    "INSERT INTO parents VALUES (1, 'x'), (2, 'y')",
)


def violations(path: Path) -> Counter[Violation]:
    with DIALECT.reader(url_of(path)) as reader:
        return find_violations(reader, ["children", "parents"])


def test_each_value_that_no_parent_has_is_counted_and_null_refers_to_nothing(db: Db) -> None:
    path = db(
        *SCHEMA,
        "INSERT INTO children VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 1, 'y'), (4, 9, 'x'), (5, NULL, 'z'), (6, 1, NULL)",
    )
    found = violations(path)
    assert sorted((item.value, count) for item, count in found.items()) == [(b'[1,"y"]', 2), (b'[9,"x"]', 1)]
    assert {(item.table, item.columns, item.parent) for item in found} == {("children", ("a", "b"), "parents")}
    assert violations(db(*SCHEMA)) == Counter()


def one(value: bytes) -> Violation:
    return Violation("children", ("a",), "parents", value)


def test_only_what_the_upgrade_made_is_told(db: Db) -> None:
    problems = [
        dangling("children", 3, "parents", "fk"),
        dangling("others", 1, "parents", "fk"),
        Problem(ProblemKind.RULE, "children", "children: a check does not hold"),
    ]
    before = Counter({one(b"[9]"): 2, one(b"[8]"): 1})
    assert find_new(problems[:1], before, Counter({one(b"[9]"): 1})) == []
    assert find_new(problems[:1], before, Counter({one(b"[9]"): 3, one(b"[7]"): 1})) == [
        "children: 2 rows more than before the upgrade refer to nothing of parents (a)"
    ]
    # What cannot be seen here may be new, and is told with the server's words.
    assert find_new(problems, before, before) == [str(problem) for problem in problems[1:]]


def test_statements_that_show_the_rows_find_just_them(db: Db) -> None:
    path = db(*SCHEMA, "INSERT INTO children VALUES (1, 1, 'x'), (2, 1, 'y'), (5, NULL, 'z')")
    columns = tuple(Column(name, LogicalType.INT) for name in ("id", "a", "b"))
    table = Table("children", columns, foreign_keys=(ForeignKey(("a", "b"), "parents", ("a", "b")),))
    [sql] = show_rows(table, "parents", lambda name: f'"{name}"')
    engine = DIALECT.engine(url_of(path))
    with engine.connect() as connection:
        assert connection.exec_driver_sql(sql).fetchall() == [(2, 1, "y")]
    assert list(show_rows(table, "others", str)) == []
