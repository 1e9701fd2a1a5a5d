"""Two uids that differ in blanks at their end are two on every server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.deployment.data import make_database
from tests.support.places import Server, new_name
from tests.support.servers.mariadb import MariaDB
from tests.support.site import Site
from tests.support.sources.sites import SMALL, flask

UIDS = ("pad", "pad  ", "PAD", "päd")


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_the_reference_app_keeps_them(site: Site, tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
    source = tmp_path / "old.db"
    make_database(source, SMALL)
    with closing(sqlite3.connect(source)) as connection, connection:
        for number, uid in enumerate(UIDS, 9001):
            connection.execute(
                "INSERT INTO users (id, _name, _uid, _email, _password, _role) VALUES (?, 'p', ?, 'e', 'x', 'User')",
                (number, uid),
            )
    server: Server = request.getfixturevalue(name)
    url = server.url(new_name()).render_as_string(hide_password=False)
    done = flask(site, "db-migrate-data", "--yes", str(source), DATABASE_URL=url)
    assert done.status == 0, done.stderr
    for command in (("db-verify",), ("db-status",), ("db", "check")):
        looked = flask(site, *command, DATABASE_URL=url)
        assert looked.status == 0, looked.stderr + looked.stdout
    assert flask(site, "db-verify", "--against", str(source), DATABASE_URL=url).status == 0


def test_texts_of_an_older_version_are_no_drift(site: Site, mariadb: MariaDB) -> None:
    url = mariadb.url(new_name())
    environ = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    mariadb.execute(f"CREATE DATABASE {url.database}")
    assert flask(site, "db", "upgrade", **environ).status == 0
    for change in ("uid VARCHAR(255) COLLATE utf8mb4_bin NOT NULL", "former_sid VARCHAR(255) COLLATE utf8mb4_bin"):
        mariadb.execute(f"ALTER TABLE {url.database}.users MODIFY {change}")
    assert flask(site, "db", "check", **environ).status == 0
    mariadb.execute(f"ALTER TABLE {url.database}.users MODIFY uid VARCHAR(200) COLLATE utf8mb4_bin NOT NULL")
    assert flask(site, "db", "check", **environ).status != 0
