"""Rows that a revision inserts are carried as they are in the source, and are not there twice, nor again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.dialects import dialect_for
from app.transfer.proof.checksums import fingerprint
from app.transfer.run.control import Control
from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute
from tests.transfer.hosts import revision

Make = Callable[[str], SmallHost]
MADE = (
    "CREATE TABLE role (id INTEGER PRIMARY KEY, name VARCHAR(20))",
    "CREATE TABLE person (id INTEGER PRIMARY KEY, role INTEGER REFERENCES role (id))",
    "INSERT INTO role (id, name) VALUES (1, 'admin'), (2, 'guest'), (3, 'other')",
)
LATER = ("INSERT INTO role (id, name) VALUES (4, 'later')",)
KEPT = [(1, "Admin"), (2, "guest"), (4, "later"), (9, "own")]


@pytest.mark.parametrize(
    ("old", "new"),
    [("sqlite", "sqlite"), ("mariadb", "mariadb"), ("postgresql", "postgresql"), ("sqlite", "postgresql")],
)
@pytest.mark.parametrize("how", ["a database", "a snapshot"])
def test_rows_of_a_revision_are_carried_as_they_are_in_the_source(host: Make, old: str, new: str, how: str) -> None:
    source, target = host(old), host(new)
    for each in (source, target):
        each.revise(*MADE)
    source.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(source.url, "UPDATE role SET name = 'Admin' WHERE id = 1")
    execute(source.url, "DELETE FROM role WHERE id = 3")
    execute(source.url, "INSERT INTO role VALUES (9, 'own')")
    execute(source.url, "INSERT INTO person VALUES (1, 9)")
    target.revise(*LATER, name="r2", down="r1")
    if how == "a snapshot":
        file = str(source.directory / "all.json")
        source.done("db-backup", "--portable", file)
        target.done("db-migrate-data", file, "--yes")
        target.done("db-restore", file, "--yes", "--trust-file")
        target.done("db-migrate-data", "self", "--yes")
    else:
        succeeded(target.migrate_from(source))
    with connected(target.url) as connection:
        assert sorted(map(tuple, connection.exec_driver_sql("SELECT id, name FROM role"))) == KEPT
        assert list(map(tuple, connection.exec_driver_sql("SELECT id, role FROM person"))) == [(1, 9)]


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_a_table_that_is_left_out_arrives_empty(host: Make, server: str) -> None:
    source, target = host(server), host(server)
    for each in (source, target):
        each.revise(*MADE)
    source.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    succeeded(target.migrate_from(source, "--exclude", "role"))
    with connected(target.url) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM role").scalar() == 0


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_rows_that_a_revision_changes_past_sqlalchemy_are_those_of_the_ledger(host: Make, server: str) -> None:
    """By a cursor of the driver's own: nobody hears it, so after any revision staging is read again."""
    source, target = host(server), host(server)
    for each in (source, target):
        each.revise(*MADE)
    source.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    raw = "op.get_bind().connection.cursor().execute('UPDATE role SET name = upper(name)')"
    revision(target.directory / "migrations", "r2", "r1", raw)
    succeeded(target.migrate_from(source))
    with connected(target.url) as connection:
        names = [name for (name,) in connection.exec_driver_sql("SELECT name FROM role ORDER BY id").all()]
    assert names == ["ADMIN", "GUEST", "OTHER"]
    dialect = dialect_for(target.url, directory=target.directory)
    control = Control.peek(dialect, dialect.control_area(target.url))
    assert control is not None
    with dialect.reader(target.url) as reader:
        assert control.ledger()[-1].table_checksums == fingerprint(reader)
