"""A database past an old revision that no longer runs: its schema is its own, and history goes on from there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.transfer.run.evidence_files import name_unfinished
from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute
from tests.support.servers import of_mariadb

Make = Callable[[str], SmallHost]
OLD = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL)",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER REFERENCES author (id), pages INTEGER CHECK (pages>0))",
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
    [schema] = live.directory.rglob("schema.backup")
    assert b"Ann" not in schema.read_bytes()
    assert not list(live.directory.rglob("*source.backup*"))
    rest = schema.with_name(name_unfinished(schema.with_name("source.backup"), schema.parent.name))
    rest.touch()  # as a run that is killed leaves it, with all rows
    assert "holds exactly" in live.done("db-verify")
    password = former.url.password
    against = ("db-verify", "--against", former.url._replace(password=None).render_as_string())
    environ = {"FLASK_FERRY_SOURCE_PASSWORD": password} if password else {}
    assert "holds exactly" in live.done(*against, **environ)
    live.done("db-backup")
    assert not rest.exists()
    execute(live.url, "UPDATE author SET name = 'Eve' WHERE id = 1")
    schema.write_bytes(schema.read_bytes() + b" ")
    assert live.flask(*against, **environ).status == 23
    assert live.flask("db-verify").status == 22


UNCHECKED = {"sqlite": "PRAGMA ignore_check_constraints = ON", "mariadb": "SET check_constraint_checks = 0"}


def add_refused(host: SmallHost, server: str) -> None:
    """A row that the schema which it lies in does not take again."""
    with connected(host.url) as connection:
        connection.exec_driver_sql(UNCHECKED[server])
        connection.exec_driver_sql("INSERT INTO book VALUES (7, 2, -99)")
        connection.commit()


@pytest.mark.parametrize("server", [pytest.param("mariadb", marks=of_mariadb), "sqlite"])
def test_rows_set_aside_of_such_a_source(host: Make, server: str) -> None:
    former, live = old_database(host, server), host(server)
    add_refused(former, server)
    release(live, NO_LONGER)
    succeeded(live.migrate_from(former, "--set-aside"))
    [file] = live.directory.rglob("set-aside.json")
    text = file.read_text(encoding="utf-8")
    assert text.count("-99") == 1
    fixed = live.directory / "fixed.json"
    fixed.write_text(text.replace("-99", "99"))
    load = ("db-migrate-data", "--set-aside-from", str(fixed), "--yes")
    live.done(*load)
    assert (7, 2, 100) in rows_of_book(live)
    assert "holds exactly" in live.done("db-verify")
    assert "loaded before" in live.done(*load)


def test_rows_set_aside_without_that_schema_name_the_revision(host: Make) -> None:
    former, live = old_database(host, "sqlite"), host("sqlite")
    add_refused(former, "sqlite")
    release(live, *OLD)
    succeeded(live.migrate_from(former, "--set-aside"))
    release(live, NO_LONGER)
    [file] = live.directory.rglob("set-aside.json")
    refused = live.flask("db-migrate-data", "--set-aside-from", str(file), "--yes")
    assert refused.status == 22
    assert "Revision r1 (line" in refused.stderr
    assert "insert the rows in the application itself" in refused.stderr
    refused = live.flask("db-verify")
    assert refused.status == 22
    assert "Revision r1 (line" in refused.stderr
    assert "flask db-verify --against SOURCE" in refused.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_rows_written_since_are_kept(host: Make, server: str) -> None:
    live = old_database(host, server)
    release(live, NO_LONGER)
    second = live.directory / "migrations" / "versions" / "r2.py"
    down = ("DROP VIEW thick", "ALTER TABLE book DROP COLUMN price", "CREATE TABLE fee (id INTEGER PRIMARY KEY)")
    lines = "\n    ".join(f"op.execute({statement!r})" for statement in (*down, "UPDATE book SET pages = pages - 1"))
    second.write_text(second.read_text().replace("def downgrade():\n    pass", f"def downgrade():\n    {lines}"))
    live.done("db-migrate-data", "self", "--yes")
    execute(live.url, "INSERT INTO book (id, author, pages, price) VALUES (9, 1, 20, 7)")
    assert "holds exactly" not in live.flask("db-verify").stdout
    live.done("db-rollback", "--keep-writes", "--yes")
    assert [(row[0], row[2]) for row in rows_of_book(live)] == [(1, 9), (2, 10), (5, None), (9, 19)]


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
