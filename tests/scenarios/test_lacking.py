"""Old databases that lack tables and columns of the revision that they are nearest to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute

Make = Callable[[str], SmallHost]
MADE = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20))",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER, pages INTEGER, price INTEGER NOT NULL, "
    "language VARCHAR(2) DEFAULT 'en')",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, words VARCHAR(20))",
    "INSERT INTO audit VALUES (1, 'of a revision')",
)
FORMER = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20))",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER, price INTEGER NOT NULL)",
    "INSERT INTO author VALUES (1, 'Ann')",
    "INSERT INTO book VALUES (1, 1, 5)",
)


def source_of(make: Make, server: str, *statements: str) -> SmallHost:
    """A database that Alembic never saw."""
    host = make(server)
    if server != "sqlite":
        execute(host.url.set(database="postgres" if server == "postgresql" else "mysql"), "SELECT 1")
    host.revise("SELECT 1")
    host.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    for statement in (*statements, "DROP TABLE alembic_version"):
        execute(host.url, statement)
    return host


@pytest.mark.parametrize(
    ("old", "new"),
    [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("mariadb", "mariadb"), ("postgresql", "postgresql")],
)
def test_what_may_be_null_or_empty_arrives_so_and_is_named(host: Make, old: str, new: str) -> None:
    former, live = source_of(host, old, *FORMER), host(new)
    live.revise(*MADE)
    refused = live.migrate_from(former)
    assert refused.status == 22, refused.stderr
    for words in ("audit", "book.pages", "book.language", "--accept-missing"):
        assert words in refused.stderr
    said = succeeded(live.migrate_from(former, "--accept-missing"))
    for words in ("table audit", "column book.pages", "column book.language", "--accept-missing"):
        assert words in said
    with connected(live.url) as connection:
        assert [tuple(row) for row in connection.exec_driver_sql("SELECT id, pages, price FROM book")] == [(1, None, 5)]
        assert connection.exec_driver_sql("SELECT count(*) FROM audit").scalar() == 0
    live.done("db-verify")


def test_a_column_that_cannot_be_null_is_refused(host: Make) -> None:
    former, live = source_of(host, "sqlite", FORMER[0], "CREATE TABLE book (id INTEGER PRIMARY KEY)"), host("sqlite")
    live.revise(*MADE)
    refused = live.migrate_from(former, "--accept-missing")
    assert refused.status == 22, refused.stderr
    assert "column book.price, which cannot be NULL" in refused.stderr
    assert "--accept-missing" not in refused.stderr.splitlines()[-1]


def test_of_a_database_that_says_its_revision(host: Make) -> None:
    former, live = host("sqlite"), host("sqlite")
    for each in (former, live):
        each.revise(*MADE)
    former.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(former.url, "ALTER TABLE book DROP COLUMN pages")
    refused = live.migrate_from(former)
    assert refused.status == 22
    assert "column book.pages" in refused.stderr
    assert "column book.pages" in succeeded(live.migrate_from(former, "--accept-missing"))
