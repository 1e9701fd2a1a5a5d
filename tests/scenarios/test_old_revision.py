"""A database past an old revision that no longer runs: its schema is its own, and history goes on from there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute

Make = Callable[[str], SmallHost]
OLD = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL)",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER REFERENCES author (id), pages INTEGER)",
    "CREATE TABLE fee (id INTEGER PRIMARY KEY)",
    "CREATE INDEX by_pages ON book (pages)",
)
NO_LONGER = "CREATE TABLE author (id NO SUCH TYPE AS THIS"
NEW = (
    "ALTER TABLE book ADD COLUMN price INTEGER DEFAULT 7",
    "UPDATE book SET pages = pages + 1",
    "DROP TABLE fee",
    "CREATE VIEW thick AS SELECT id FROM book WHERE pages > 10",
)
ROWS = (
    "INSERT INTO author VALUES (1, 'Ann'), (2, 'Bob')",
    "INSERT INTO book VALUES (1, 1, 9), (2, 2, 10), (5, NULL, NULL)",
)
SERVERS = ["sqlite", "mariadb", "postgresql"]


def release(host: SmallHost, *first: str) -> None:
    """The scripts of the new release; their first revision may not run any more."""
    for old in (host.directory / "migrations" / "versions").glob("*"):
        if old.is_file():
            old.unlink()
    host.revise(*first)
    host.revise(*NEW, name="r2", down="r1")


def old_database(make: Make, server: str) -> SmallHost:
    """One at the old revision, with rows, and something that no revision made."""
    host = make(server)
    host.revise(*OLD)
    host.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    for statement in ROWS:
        execute(host.url, statement)
    return host


def content(host: SmallHost) -> list[list[tuple[object, ...]]]:
    tables = ("author", "book", "thick", "alembic_version")
    with connected(host.url) as connection:
        return [
            sorted((tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")), key=str)
            for table in tables
        ]


@pytest.mark.parametrize("server", SERVERS)
def test_of_a_source_on_the_same_kind_of_server(host: Make, server: str) -> None:
    former, live, plain = old_database(host, server), host(server), host(server)
    release(live, NO_LONGER)
    release(plain, *OLD)
    expected = succeeded(plain.migrate_from(former))
    assert "as the source itself has it" not in expected
    said = succeeded(live.migrate_from(former))
    assert "Revision r1 (line" in said
    assert "Revision r1 is taken as the source itself has it" in said
    assert content(live) == content(plain) != []
    if server != "sqlite":
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            execute(live.url, "INSERT INTO book (id, author) VALUES (9, 99)")
    area = next(live.directory.rglob("runs"), None)
    assert area is None or not list(area.rglob("source.backup"))


def test_a_source_on_another_kind_of_server_needs_all_revisions(host: Make) -> None:
    former, live = old_database(host, "sqlite"), host("postgresql")
    release(live, NO_LONGER)
    refused = live.migrate_from(former)
    assert refused.status == 22, refused.stderr
    assert "Revision r1 (line" in refused.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_of_the_database_itself(host: Make, server: str) -> None:
    live = old_database(host, server)
    execute(live.url, "CREATE TABLE by_hand (id INTEGER PRIMARY KEY)")
    execute(live.url, "CREATE VIEW seen AS SELECT id FROM by_hand")
    release(live, NO_LONGER)
    live.done("db-status")
    live.done("db-migrate-data", "self", "--yes")
    assert [row[2] for row in content(live)[1]] == [10, 11, None]
    execute(live.url, "INSERT INTO by_hand VALUES (1)")
    with connected(live.url) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM seen").scalar() == 1
        with pytest.raises(Exception, match="fee"):
            connection.exec_driver_sql("SELECT * FROM fee")
    live.done("db-rollback", "--yes")
    assert [row[2] for row in rows_of_book(live)] == [9, 10, None]


def rows_of_book(host: SmallHost) -> list[tuple[object, ...]]:
    with connected(host.url) as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT id, author, pages FROM book ORDER BY id")]
