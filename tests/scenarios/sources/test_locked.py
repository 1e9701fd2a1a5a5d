"""A source of which somebody keeps a table locked cannot be read, which is no lock of another run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from app.dialects.mysql import connect as mysql
from app.dialects.postgresql import connect as postgresql
from tests.support.places import Server, fill_classic, new_name
from tests.support.site import Site
from tests.support.sources.sites import flask

LOCK = {"mariadb": "LOCK TABLES posts WRITE", "postgresql": "LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"}

CHARACTERS = {"mariadb": " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "postgresql": ""}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of ours wait for a second, not for a minute."""
    session = tuple(text.replace("lock_wait_timeout = 60", "lock_wait_timeout = 1") for text in mysql._SESSION)
    monkeypatch.setattr(mysql, "_SESSION", session)
    monkeypatch.setitem(postgresql.SETTINGS, "lock_timeout", "1s")


@pytest.fixture
def old(request: pytest.FixtureRequest, small_database: Path) -> Callable[[str], URL]:
    """The old deployment's database on a server."""

    def make(name: str) -> URL:
        server: Server = request.getfixturevalue(name)
        url = server.url(new_name())
        request.getfixturevalue(name).execute(f"CREATE DATABASE {url.database}{CHARACTERS[name]}")
        fill_classic(url, small_database)
        return url

    return make


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
def test_it_is_said_with_the_way_on(site: Site, old: Callable[[str], URL], server: str) -> None:
    url = old(server)
    shown = url.render_as_string(hide_password=False)
    with sa.create_engine(url, poolclass=NullPool).connect() as other:
        other.exec_driver_sql(LOCK[server])
        refused = flask(site, "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=shown)
    assert refused.status == 3, refused.stderr
    assert "locked" in refused.stderr
    assert "end their transactions" in refused.stderr
    assert flask(site, "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=shown).status == 0
