"""Two uids that differ in blanks at their end are two on every server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.deployment.data import make_database
from tests.support.places import Server, new_name
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
