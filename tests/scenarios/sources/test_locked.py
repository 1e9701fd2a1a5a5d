"""A source of which somebody keeps a table locked cannot be read, which is no lock of another run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from app.dialects.mysql import connect as mysql
from app.dialects.postgresql import connect as postgresql
from tests.support.places import Server, fill_classic, new_name
from tests.support.runs.commands import until
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import MariaDB
from tests.support.site import Site
from tests.support.sources.sites import flask

LOCK = {"mariadb": "LOCK TABLES posts WRITE", "postgresql": "LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"}

OWN = {"mariadb": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}
WHO = {"mariadb": "connection", "postgresql": "process"}

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
"""

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
        number = other.exec_driver_sql(OWN[server]).scalar()
        refused = flask(site, "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=shown)
    assert refused.status == 3, refused.stderr
    words = " ".join(refused.stderr.split())
    assert "The table posts of" in words
    assert f"{WHO[server]} {number} " in words
    assert "End their transactions" in words
    assert flask(site, "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=shown).status == 0


@of_mariadb
@pytest.mark.usefixtures("impatient")
def test_mariadb_shows_whose_lock_it_is_with_its_plugin(
    site: Site, old: Callable[[str], URL], mariadb: MariaDB
) -> None:
    url = old("mariadb")
    mariadb.execute("INSTALL SONAME 'metadata_lock_info'")
    try:
        with sa.create_engine(url, poolclass=NullPool).connect() as other:
            other.exec_driver_sql(LOCK["mariadb"])
            number = other.exec_driver_sql(OWN["mariadb"]).scalar()
            refused = flask(
                site, "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=url.render_as_string(hide_password=False)
            )
    finally:
        mariadb.execute("UNINSTALL SONAME 'metadata_lock_info'")
    assert refused.status == 3
    words = " ".join(refused.stderr.split())
    assert "has locked posts" in words
    assert f"KILL {number})" in words


def waits(url: URL, number: int) -> bool:
    """Whether a session waits for a lock on a table."""
    sql = {
        "mysql": f"SELECT 1 FROM information_schema.processlist WHERE id = {number} AND state LIKE '%%metadata lock%%'",
        "postgresql": f"SELECT 1 FROM pg_locks WHERE pid = {number} AND NOT granted",
    }
    with sa.create_engine(url, poolclass=NullPool).connect() as connection:
        return bool(connection.exec_driver_sql(sql[url.get_backend_name()]).all())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
def test_who_waits_for_a_lock_lets_readers_wait(site: Site, old: Callable[[str], URL], server: str) -> None:
    """A reader that forgot its transaction, and an ALTER behind it: its values are told by nothing."""
    url = old(server)
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as reader, engine.connect() as other:
        reader.exec_driver_sql("SELECT count(*) FROM posts")
        numbers = [connection.exec_driver_sql(OWN[server]).scalar() for connection in (reader, other)]
        other.exec_driver_sql({"mariadb": "SET lock_wait_timeout = 60", "postgresql": "SET lock_timeout = 0"}[server])
        altering = threading.Thread(
            target=other.exec_driver_sql, args=("ALTER TABLE posts ADD secret VARCHAR(20) DEFAULT 'canary'",)
        )
        altering.start()
        until(lambda: waits(url, numbers[1]))
        refused = flask(site, "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=url.render_as_string(hide_password=False))
        reader.rollback()
        altering.join()
    assert refused.status == 3, refused.stderr
    words = " ".join(refused.stderr.split())
    for number in numbers:
        assert f"{WHO[server]} {number} " in words or f"process {number}," in words
    assert "others wait behind it" in words
    assert "canary" not in words


def test_a_file_is_named_with_the_process_that_locks_it(site: Site, small_database: Path, tmp_path: Path) -> None:
    old = shutil.copyfile(small_database, tmp_path / "old.db")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(old)], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    try:
        refused = flask(site, "db-migrate-data", "--yes", str(old))
    finally:
        holder.communicate(b"end\n")
    assert refused.status == 3, refused.stderr
    assert f"{old} stayed locked by another program" in " ".join(refused.stderr.split())
    assert f"process {holder.pid} (" in refused.stderr
