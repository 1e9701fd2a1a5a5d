"""A TIMESTAMP of a server with a time zone, where the new database keeps none: the app reads what it read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.read import asking
from app.dialects.mysql.zone import find_zone
from tests.scenarios.hosts.foreign import Foreign
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB

BERLIN = "Europe/Berlin"


def seen(db: SQLAlchemy) -> None:
    sa.Table(
        "thing",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40)),
        sa.Column("colour", sa.String(20)),
        sa.Column("at", sa.DateTime),
    )


def make(directory: Path) -> Foreign:
    directory.mkdir(exist_ok=True)
    made = Foreign(directory, models=seen)
    made.add("three", "two", "op.add_column('thing', sa.Column('at', sa.DateTime))")
    return made


@pytest.fixture
def host(tmp_path: Path) -> Foreign:
    return make(tmp_path / "host")


@pytest.fixture
def zoned(mariadb: MariaDB) -> Iterator[MariaDB]:
    mariadb.execute("SET GLOBAL time_zone = '+02:00'")
    yield mariadb
    mariadb.execute("SET GLOBAL time_zone = 'SYSTEM'")


def fill(server: MariaDB, *rows: str) -> str:
    """An old database with these rows, written as its app does; its URL."""
    name = new_name()
    for sql in (
        f"CREATE DATABASE {name}",
        f"CREATE TABLE {name}.thing (id INT PRIMARY KEY, name VARCHAR(40), colour VARCHAR(20), at TIMESTAMP NULL)",
        f"CREATE TABLE {name}.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        f"INSERT INTO {name}.alembic_version VALUES ('three')",
        *(f"INSERT INTO {name}.thing (id, at) VALUES {row}" for row in rows),
    ):
        server.execute(sql)
    return server.url(name).render_as_string(hide_password=False)


def shown(host: Foreign) -> list[str | None]:
    return [row[3] for row in sorted(host.rows())]


def test_what_was_read_in_the_servers_zone_is_read_afterwards(host: Foreign, zoned: MariaDB) -> None:
    url = fill(zoned, "(1, '2024-07-01 12:00:00')", "(2, NULL)")
    done = host.ok("db-migrate-data", url, "--yes")
    assert shown(host) == ["2024-07-01 12:00:00.000000", None]
    assert "thing.at" in done.stdout + done.stderr
    assert "+02:00" in done.stdout + done.stderr
    # The file alone says the same.
    later = make(host.directory.parent / "later")
    later.ok("db-migrate-data", str(host.directory / "data.json"), "--yes")
    assert shown(later) == ["2024-07-01 12:00:00.000000", None]


def test_the_zone_of_the_apps_own_sessions_is_said_by_a_key(host: Foreign, zoned: MariaDB) -> None:
    host.config["FERRY_SOURCE_TIME_ZONE"] = BERLIN
    # 23:30 and 00:30 UTC are both 02:30 by the clock of that night.
    url = fill(zoned, "(1, '2024-10-27 02:30:00')", "(2, '2024-10-27 03:30:00')", "(3, '2024-01-01 02:00:00')")
    done = host.ok("db-migrate-data", url, "--yes")
    assert shown(host) == ["2024-10-27 02:30:00.000000"] * 2 + ["2024-01-01 01:00:00.000000"]
    assert "thing.at: 2 rows in an hour" in " ".join((done.stdout + done.stderr).split())


def test_the_zone_of_the_servers_machine_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", BERLIN)
    server = MariaDB(tmp_path / "server")
    server.prepare()
    server.start()
    try:
        with connect_to(server.url(), None, to_database=False) as connection:
            name = find_zone(asking(connection))
    finally:
        server.stop()
    assert name.startswith("Europe/")


@pytest.mark.parametrize(
    ("command", "zone"),
    [
        ("SET time_zone = '-03:00'", "-03:00"),
        ("SET SESSION sql_mode='', time_zone=\"Europe/Berlin\"", "Europe/Berlin"),
        ("SET @@session.time_zone='+01:00'; SET time_zone='+02:00'", "+02:00"),
        ("SET NAMES utf8mb4", "+05:00"),
    ],
)
def test_a_url_that_sets_the_zone_of_its_connections_is_obeyed(command: str, zone: str) -> None:
    assert find_zone(lambda _: [("+05:00", "UTC")], command) == zone
