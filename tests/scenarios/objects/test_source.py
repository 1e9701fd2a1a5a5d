"""What is not a row and only a source has: named, never carried in silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.objects.conftest import HostApp
from tests.scenarios.objects.test_upgrade import sql

Make = Callable[..., HostApp]
TABLES = (
    "CREATE TABLE artist (id INTEGER PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE album (id INTEGER PRIMARY KEY, artist_id INTEGER REFERENCES artist (id), title VARCHAR(80))",
)
EXTRA = (
    "CREATE VIEW titles AS SELECT title FROM album",
    "CREATE VIEW artists_by_name AS SELECT name FROM artist ORDER BY name",
    "CREATE INDEX by_title ON album (title)",
    "CREATE UNIQUE INDEX one_name ON artist (name)",
)


@pytest.mark.parametrize(("old", "new"), [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("mariadb", "sqlite")])
def test_each_object_that_no_revision_makes_is_named(make_host: Make, old: str, new: str) -> None:
    source, host = make_host(old, "old"), make_host(new, "new")
    for app in (source, host):
        app.release(sql(*TABLES))
    source.upgrade()
    source.execute(*EXTRA, "INSERT INTO artist VALUES (1, 'Ann')", "INSERT INTO album VALUES (1, 1, 'First')")
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    named = ended.stdout[ended.stdout.index("Not migrated") :]
    for text in ("view titles", "view artists_by_name", "unique one_name on artist"):
        assert text in named
    assert ("index by_title on album" in named) == (old == new)
    assert host.query("SELECT count(*) FROM album") == [(1,)]


@pytest.mark.parametrize("server", ["sqlite", "mariadb", "postgresql"])
def test_what_its_revision_makes_is_not_named(make_host: Make, server: str) -> None:
    source, host = make_host(server, "old"), make_host(server, "new")
    for app in (source, host):
        app.release(sql(*TABLES, *EXTRA))
    source.upgrade()
    source.execute("INSERT INTO artist VALUES (1, 'Ann')")
    host.config["FERRY_SOURCE"] = source.url
    ended = host.run("db-migrate-data", "--yes")
    assert ended.status == 0, ended.stderr
    assert "Not migrated" not in ended.stdout
