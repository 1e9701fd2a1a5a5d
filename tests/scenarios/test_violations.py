"""Rows whose foreign key leads nowhere: refused, or kept as they are; what an upgrade makes so is always refused."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import connected, execute
from tests.support.site import Result

Make = Callable[[str], SmallHost]
SERVERS = ("sqlite", "mariadb", "postgresql")
MADE = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY)",
    "CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER REFERENCES author (id), name VARCHAR(20))",
)
KEPT = [(1, 1), (2, 7), (3, 7), (4, None)]


def fill(host: SmallHost) -> None:
    """An author with a book, and two books whose author somebody deleted in a session that looked away."""
    aside = {"mariadb": "SET foreign_key_checks = 0", "sqlite": "PRAGMA foreign_keys = OFF"}
    with connected(host.url) as connection, connection.begin():
        if server_of(host) == "postgresql":
            connection.exec_driver_sql("ALTER TABLE book DROP CONSTRAINT book_author_fkey")
        else:
            connection.exec_driver_sql(aside[server_of(host)])
        connection.exec_driver_sql("INSERT INTO author VALUES (1)")
        connection.exec_driver_sql("INSERT INTO book (id, author) VALUES (1, 1), (2, 7), (3, 7), (4, NULL)")
        if server_of(host) == "postgresql":
            again = "ADD CONSTRAINT book_author_fkey FOREIGN KEY (author) REFERENCES author (id) NOT VALID"
            connection.exec_driver_sql(f"ALTER TABLE book {again}")


def server_of(host: SmallHost) -> str:
    name = host.url.get_backend_name()
    return "mariadb" if name == "mysql" else name


def old(make: Make, server: str) -> SmallHost:
    host = make(server)
    host.revise(*MADE)
    host.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    fill(host)
    return host


def books(host: SmallHost) -> list[tuple[object, ...]]:
    with connected(host.url) as connection:
        return sorted(map(tuple, connection.exec_driver_sql("SELECT id, author FROM book")))


def assert_refused(result: Result, *words: str) -> None:
    assert result.status == 23, result.stderr + result.stdout
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_of_a_database_itself(host: Make, server: str) -> None:
    live = old(host, server)
    live.revise("CREATE TABLE more (id INTEGER PRIMARY KEY)", name="r2", down="r1")
    refused = live.flask("db-migrate-data", "self", "--yes")
    assert_refused(refused, "book: 2 rows refer to rows of author", "--keep-violations")
    statement = next(line.strip() for line in refused.stderr.splitlines() if "NOT EXISTS" in line)
    with connected(live.url) as connection:
        assert sorted(row[0] for row in connection.exec_driver_sql(statement.rstrip(";"))) == [2, 3]
    said = live.done("db-migrate-data", "self", "--yes", "--keep-violations")
    assert "Kept as they were: book: 2 rows refer to rows of author" in said
    assert books(live) == KEPT
    live.done("db-verify")
    live.done("db-backup")
    live.done("db-rollback", "--yes")
    assert books(live) == KEPT


@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "postgresql"), ("postgresql", "mariadb"), ("mariadb", "sqlite")]
)
def test_of_another_database(host: Make, source: str, target: str) -> None:
    former, live = old(host, source), host(target)
    live.revise(*MADE)
    assert_refused(live.migrate_from(former), "book: 2 rows refer to rows of author")
    assert "Kept as they were" in succeeded(live.migrate_from(former, "--keep-violations"))
    assert books(live) == KEPT
    entry = json.loads(live.done("db-status", "--json").splitlines()[-1])
    assert entry["target"]["last_run"]["in_force"]


LENT = "CREATE TABLE loan (id INTEGER PRIMARY KEY, book INTEGER REFERENCES book (id))"


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("mariadb", "sqlite")])
def test_they_go_to_a_file(host: Make, source: str, target: str) -> None:
    """With all that refers to them; proved again, and loaded when they are fixed."""
    former, live = host(source), host(target)
    for each in (former, live):
        each.revise(*MADE, LENT)
    former.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    fill(former)
    execute(former.url, "INSERT INTO loan VALUES (1, 1), (2, 3)")
    live.revise("CREATE TABLE more (id INTEGER PRIMARY KEY)", name="r2", down="r1")
    assert_refused(live.migrate_from(former), "book: 2 rows refer to rows of author", "--set-aside")
    said = live.migrate_from(former, "--set-aside").stdout
    assert "3 set aside" in said
    assert said.count("The source was read from") <= 1, "the receipt is that of the second time alone"
    assert books(live) == [(1, 1), (4, None)]
    live.done("db-verify")
    file = Path(said.partition(" 3 rows in ")[2].split()[0])
    content = json.loads(file.read_text())
    assert {row["reason"] for row in content["rows"]} == {
        "the row of author that it refers to is not there",
        "refers to a row of book that is set aside",
    }
    for row in content["rows"]:
        row["row"] |= {"author": 1} if row["table"] == "book" else {}
    file.write_text(json.dumps(content))
    live.done("db-migrate-data", "--set-aside-from", str(file), "--yes")
    assert books(live) == [(1, 1), (2, 1), (3, 1), (4, None)]
    with connected(live.url) as connection:
        assert sorted(map(tuple, connection.exec_driver_sql("SELECT * FROM loan"))) == [(1, 1), (2, 3)]
    live.done("db-verify")


def test_what_a_revision_repairs_stays(host: Make) -> None:
    former, live = old(host, "sqlite"), host("sqlite")
    live.revise(*MADE)
    live.revise("UPDATE book SET author = 1 WHERE author = 7", name="r2", down="r1")
    assert "Set aside" not in succeeded(live.migrate_from(former, "--set-aside"))
    assert books(live) == [(1, 1), (2, 1), (3, 1), (4, None)]


def test_what_the_upgrade_makes_so_goes_to_no_file(host: Make) -> None:
    former, live = old(host, "sqlite"), host("sqlite")
    live.revise(*MADE)
    live.revise("UPDATE book SET author = 8 WHERE id = 4", name="r2", down="r1")
    assert_refused(live.migrate_from(former, "--set-aside"), "rules do not hold")


def test_of_a_database_itself_by_way_of_a_snapshot(host: Make) -> None:
    """As the message says it."""
    live = old(host, "sqlite")
    live.revise("CREATE TABLE more (id INTEGER PRIMARY KEY)", name="r2", down="r1")
    refused = live.flask("db-migrate-data", "self", "--yes").stderr
    lines = [line.partition(": ")[2] for line in refused.splitlines() if "./all.json" in line]
    for line in lines:
        words = shlex.split(line)
        live.done(*words[words.index("flask") + 1 :])
    assert len(lines) == 2
    assert books(live) == [(1, 1), (4, None)]


# PostgreSQL refuses such a revision itself, as MariaDB does all but the first.
DELETED = "DELETE FROM author WHERE id = 1"


@pytest.mark.parametrize(
    ("server", "change"),
    [
        ("sqlite", DELETED),
        ("mariadb", DELETED),
        ("sqlite", "UPDATE book SET author = 7 WHERE id = 4"),
        ("sqlite", "UPDATE book SET author = 8 WHERE id = 3"),
    ],
)
def test_what_the_upgrade_makes_so_is_not_kept(host: Make, server: str, change: str) -> None:
    live = old(host, server)
    live.revise(*(["SET foreign_key_checks = 0"] if server == "mariadb" else []), change, name="r2", down="r1")
    refused = live.flask("db-migrate-data", "self", "--yes", "--keep-violations", "--accept-loss", "author")
    assert_refused(refused, "book: 1 row more than before the upgrade refer to nothing of author (author)")
    assert books(live) == KEPT


def test_other_rules_are_not_kept(host: Make) -> None:
    live = old(host, "sqlite")
    execute(live.url, "PRAGMA ignore_check_constraints = ON")
    live.revise(
        "CREATE TABLE odd (x INTEGER CHECK (x > 0))",
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO odd VALUES (0)",
        name="r2",
        down="r1",
    )
    refused = live.flask("db-migrate-data", "self", "--yes", "--keep-violations")
    assert_refused(refused, "odd")
    assert "book: 2" not in refused.stderr.split("Error:")[1]


@pytest.mark.parametrize("server", SERVERS)
def test_what_was_kept_is_in_the_way_of_no_later_run(host: Make, server: str) -> None:
    live = old(host, server)
    live.revise("CREATE TABLE more (id INTEGER PRIMARY KEY)", name="r2", down="r1")
    file = live.directory / "migrations" / "versions" / "r2.py"
    file.write_text(file.read_text().replace("    pass", "    op.drop_table('more')"))
    live.done("db-migrate-data", "self", "--yes", "--keep-violations")
    execute(live.url, "INSERT INTO book (id, author) VALUES (9, 1)")
    live.done("db-rollback", "--yes", "--keep-writes")
    assert books(live) == [*KEPT, (9, 1)]
