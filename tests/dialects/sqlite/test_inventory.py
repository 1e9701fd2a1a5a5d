"""Everything that a schema holds besides tables and columns, in a form in which two databases are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.sqlite.inventory import list_definitions

from .database import connect, script

KEY = "a , b references p ( a , b ) on delete cascade"


def definitions(path: Path, *statements: str) -> list[str]:
    script(path, *statements)
    with connect(path) as connection:
        return sorted(f"{item}: {item.text}" for item in list_definitions(connection))


def test_each_kind_is_listed_once_and_tables_of_sqlite_are_not(path: Path) -> None:
    listed = definitions(
        path,
        "CREATE TABLE p (a INTEGER, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT COLLATE NOCASE UNIQUE,"
        " a INTEGER NOT NULL DEFAULT ((1) + (2)) CHECK (a > 0),"
        " b TEXT DEFAULT NULL, d TEXT AS (n || 'x') STORED, CONSTRAINT named CHECK (b <> 'B'),"
        " FOREIGN KEY (a, b) REFERENCES p ON DELETE CASCADE)",
        "CREATE INDEX by_b ON t (b DESC)",
        "CREATE INDEX part ON t (a) WHERE b IS NULL",
        'CREATE VIEW "Odd View" AS SELECT "id" FROM [t] -- all',
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM p; END",
    )
    assert listed == sorted(
        [
            "table option (without rowid) on p: without rowid",
            "primary key (a , b) on p: a , b",
            "primary key (id) on t: id",
            "not null a on p: not null",
            "not null b on p: not null",
            "not null a on t: not null",
            "default a on t: ( 1 ) + ( 2 )",
            "autoincrement id on t: autoincrement",
            "check (a > 0) on t: a > 0",
            "check named on t: b <> 'B'",
            "collation n on t: nocase",
            f"foreign key ({KEY}) on t: {KEY}",
            "generated column d on t: n || 'x'",
            "index by_b on t: b desc",
            "index part on t: ( a ) where b is null",
            "trigger tr on t: create trigger tr after insert on t begin delete from p ; end",
            "unique (n collate nocase) on t: n collate nocase",
            "view Odd View: create view odd view as select id from t",
        ]
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CREATE TABLE t (a INTEGER, CHECK (a > 0))", 'CREATE TABLE t (\n `a` integer check("a">0) /* x */)'),
        ("CREATE TABLE t (a TEXT UNIQUE)", "CREATE TABLE t (a TEXT, UNIQUE (a))"),
        (
            "CREATE TABLE t (a INTEGER REFERENCES t (b), b INTEGER)",
            "CREATE TABLE t (a INTEGER, b INTEGER, FOREIGN KEY (a) REFERENCES T (b))",
        ),
    ],
)
def test_the_same_in_another_spelling(tmp_path: Path, one: str, other: str) -> None:
    def texts(name: str, sql: str) -> list[str]:
        return [line.lower() for line in definitions(tmp_path / name, sql)]

    assert texts("one", one) == texts("other", other) != []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a INTEGER CHECK (a > 0)", "a INTEGER CHECK (a > 1)"),
        ("a TEXT COLLATE NOCASE", "a TEXT COLLATE RTRIM"),
        ("a INTEGER REFERENCES t (b) ON DELETE CASCADE", "a INTEGER REFERENCES t (b)"),
        ("a TEXT UNIQUE", "a TEXT"),
        ("a TEXT CHECK (a <> 'x')", "a TEXT CHECK (a <> 'X')"),
    ],
)
def test_what_says_something_else(tmp_path: Path, one: str, other: str) -> None:
    both = [definitions(tmp_path / str(n), f"CREATE TABLE t ({sql}, b INTEGER)") for n, sql in enumerate((one, other))]
    assert both[0] != both[1]


def test_a_foreign_key_is_deferred_as_sqlite_takes_it(path: Path) -> None:
    lines = definitions(
        path,
        "CREATE TABLE p (a INTEGER PRIMARY KEY)",
        "CREATE TABLE q (a INTEGER PRIMARY KEY)",
        "CREATE TABLE t (a INT REFERENCES p DEFERRABLE INITIALLY DEFERRED REFERENCES q,"
        " b INT REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED, c INT REFERENCES p DEFERRABLE)",
    )
    assert [line.partition(": ")[2].partition(" references ")[::2] for line in lines if line[:7] == "foreign"] == [
        ("a", "p ( a ) deferrable initially deferred"),
        ("a", "q ( a )"),
        ("b", "p ( a )"),
        ("c", "p ( a )"),
    ]
