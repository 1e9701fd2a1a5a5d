"""An app that calls Alembic's own table otherwise: every command looks for it there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.commands.generation import generation_mark
from tests.scenarios.small_host import SmallHost, create_app, succeeded
from tests.support.places import connected, execute

Make = Callable[[str], SmallHost]
SERVERS = ["sqlite", "mariadb", "postgresql"]
NAME = "shop_revision"
FIRST = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL)",
    # Of another app in this database, which uses Alembic's name.
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
)
SECOND = ("ALTER TABLE author ADD COLUMN born INTEGER",)
ROWS = ("INSERT INTO author VALUES (1, 'Ann'), (2, 'Bob')", "INSERT INTO alembic_version VALUES ('of another app')")


def rows(host: SmallHost, table: str) -> list[tuple[object, ...]]:
    with connected(host.url) as connection:
        return sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))


def names(host: SmallHost) -> set[str]:
    with connected(host.url) as connection:
        return set(sa.inspect(connection).get_table_names())


def named(make: Make, server: str, name: str | None = NAME) -> SmallHost:
    host = make(server)
    host.version_table = name
    host.revise(*FIRST[: 2 if name else 1])
    host.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    for statement in ROWS[: 2 if name else 1]:
        execute(host.url, statement)
    return host


def assert_holds(host: SmallHost, revision: str, *authors: tuple[object, ...]) -> None:
    assert rows(host, NAME) == [(revision,)]
    assert rows(host, "author") == sorted(authors)
    assert rows(host, "alembic_version") == [("of another app",)]


@pytest.mark.parametrize("server", SERVERS)
def test_all_commands(host: Make, server: str) -> None:
    shop = named(host, server)
    assert "r1" in shop.done("db-status")
    before = ((1, "Ann"), (2, "Bob"))
    shop.done("db-backup")
    shop.revise(*SECOND, name="r2", down="r1")
    shop.done("db-migrate-data", "self", "--yes")
    assert_holds(shop, "r2", (1, "Ann", None), (2, "Bob", None))
    assert "r2 (head r2)" in shop.done("db-status")
    assert "holds exactly" in shop.done("db-verify")
    assert "3 rows" in shop.done("db-backup")
    assert "already" in shop.done("db-migrate-data", "self", "--yes").lower()
    shop.done("db-rollback", "--yes")
    assert_holds(shop, "r1", *before)
    execute(shop.url, "DELETE FROM author")
    shop.done("db-restore", "--yes")
    assert_holds(shop, "r2", (1, "Ann", None), (2, "Bob", None))
    assert "holds exactly" in shop.done("db-verify")
    shop.revise("UPDATE author SET born = 1", name="r3", down="r2")
    shop.done("db-migrate-data", "self", "--yes")
    execute(shop.url, "INSERT INTO author VALUES (3, 'Cy', 5)")
    shop.done("db-rollback", "--keep-writes", "--yes")
    assert_holds(shop, "r2", (1, "Ann", None), (2, "Bob", None), (3, "Cy", 5))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(("theirs", "ours"), [(None, NAME), (NAME, None), ("their_revision", NAME), (NAME, NAME)])
def test_a_source_may_have_another_name(host: Make, server: str, theirs: str | None, ours: str | None) -> None:
    former, live = host(server), host(server)
    for shop, name in ((former, theirs), (live, ours)):
        shop.version_table = name
        shop.revise(FIRST[0])
    former.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(former.url, ROWS[0])
    live.revise(*SECOND, name="r2", down="r1")
    said = succeeded(live.migrate_from(former))
    assert "not migrated" not in said.lower()
    assert rows(live, ours or "alembic_version") == [("r2",)]
    assert rows(live, "author") == [(1, "Ann", None), (2, "Bob", None)]
    assert {"alembic_version", NAME, "their_revision"} & names(live) == {ours or "alembic_version"}


@pytest.mark.parametrize("server", SERVERS)
def test_past_a_revision_that_no_longer_runs(host: Make, server: str) -> None:
    """Staging is a copy of the source's schema then, and its table of revisions with it."""
    former, live = named(host, server, None), host(server)
    live.version_table = NAME
    live.revise("CREATE TABLE author (id NO SUCH TYPE AS THIS")
    live.revise(*SECOND, name="r2", down="r1")
    assert "as the source itself has it" in succeeded(live.migrate_from(former))
    assert (rows(live, NAME), rows(live, "author")) == ([("r2",)], [(1, "Ann", None), (2, "Bob", None)])
    assert "alembic_version" not in names(live)


def test_env_py_may_say_it(host: Make) -> None:
    shop = host("sqlite")
    shop.revise(FIRST[0])
    env = Path(shop.directory / "migrations" / "env.py")
    text = env.read_text()
    assert "            **conf_args\n" in text
    env.write_text(text.replace("            **conf_args\n", f"            **conf_args, version_table={NAME!r}\n"))
    shop.done("db-init", "--schema", "migrations", "--no-seed", "--yes")
    execute(shop.url, ROWS[0])
    shop.revise(*SECOND, name="r2", down="r1")
    shop.done("db-migrate-data", "self", "--yes")
    assert rows(shop, NAME) == [("r2",)]
    assert rows(shop, "author") == [(1, "Ann", None), (2, "Bob", None)]


def test_the_mark_that_the_app_asks_for(host: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = named(host, "mariadb")
    for name, value in shop.environ.items():
        monkeypatch.setenv(name, value)
    app = create_app()
    with app.app_context():
        mark = generation_mark(app.extensions["sqlalchemy"].session.connection())
        app.extensions["sqlalchemy"].engine.dispose()
    assert len(mark) == 8
