"""Texts arrive as the old app's connections showed them, by whatever character set its URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from app.dialects.mysql.shown import View, find_view
from tests.scenarios.hosts.foreign import Foreign
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB

LATIN = {1: "x'636166c3a9'", 2: "x'626ce9'", 3: "x'c381e282ac'", 4: "x'80'", 5: "'plain?'"}
WIDE = {1: "'caf\u00c3\u00a9?'", 2: "'\u03a9 and \u00e9'", 3: "'\U0001f600'", 4: "'\u0130\u015f'"}
STORED = {
    1: ("caf\u00c3\u00a9", "caf\u00c3\u00a9?"),
    2: ("bl\u00e9", "\u03a9 and \u00e9"),
    3: ("\u00c3\x81\u00e2\u201a\u00ac", "\U0001f600"),
    4: ("\u20ac", "\u0130\u015f"),
    5: ("plain?", None),
}
BYTES = {"charset": "latin1", "use_unicode": "0"}


@pytest.fixture
def old(mariadb: MariaDB) -> sa.URL:
    """An old database with a column in latin1 and one in utf8mb4, UTF-8 as latin1 among their texts."""
    name = new_name()
    for sql in (
        f"CREATE DATABASE {name} CHARACTER SET latin1",
        f"CREATE TABLE {name}.thing (id INT PRIMARY KEY, name VARCHAR(40), colour VARCHAR(20) CHARACTER SET utf8mb4)",
        f"CREATE TABLE {name}.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        f"INSERT INTO {name}.alembic_version VALUES ('two')",
        *(f"INSERT INTO {name}.thing VALUES ({key}, {LATIN[key]}, {WIDE.get(key, 'NULL')})" for key in LATIN),
    ):
        mariadb.execute(sql)
    return mariadb.url(name)


def what_the_app_reads(url: sa.URL) -> dict[int, tuple[Any, ...]]:
    """Each value as its own driver gives it; ``UnicodeDecodeError`` where it cannot."""
    rows = {}
    for key in LATIN:
        values: list[Any] = []
        for column in ("name", "colour"):
            try:
                with sa.create_engine(url, poolclass=NullPool).connect() as connection:
                    values.append(connection.exec_driver_sql(f"SELECT {column} FROM thing WHERE id = {key}").scalar())
            # After the driver's error it cannot roll back.
            except (UnicodeDecodeError, sa.exc.InternalError):
                values.append(UnicodeDecodeError)
        rows[key] = tuple(values)
    return rows


def expect(read: Any, stored: str | None) -> str | None:
    """What is to be carried: what the app reads; what is stored where it reads no text, or question marks."""
    if isinstance(read, bytes):
        try:
            read = read.decode()
        except UnicodeDecodeError:
            return stored
    if read is UnicodeDecodeError or (read is not None and stored and read.count("?") != stored.count("?")):
        return stored
    return str(read) if read is not None else None


def migrate(directory: Path, url: sa.URL, status: int = 0) -> tuple[Foreign, str]:
    host = Foreign(directory, {"FERRY_SOURCE": url.render_as_string(hide_password=False)})
    done = host.run("db-migrate-data", "--yes")
    assert done.status == status, done.stderr
    return host, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"charset": "latin1"},
        {"charset": "utf8"},
        {"charset": "latin5"},
        {"charset": "ascii"},
        {"charset": "cp1251"},
        BYTES,
        {"use_unicode": "0"},
        {"init_command": "SET NAMES latin1"},
        {"charset": "latin1", "init_command": "SET NAMES utf8mb4"},
    ],
    ids=lambda query: ",".join(f"{name}={value}" for name, value in query.items()) or "none",
)
def test_what_the_app_read_is_what_arrives(old: sa.URL, tmp_path: Path, query: dict[str, str]) -> None:
    url = old.update_query_dict(query)
    before = what_the_app_reads(url)
    host, _ = migrate(tmp_path, url)
    wanted = [(key, *map(expect, before[key], STORED[key])) for key in LATIN]
    assert sorted(host.rows()) == wanted
    # What db-verify reads anew is the same.
    assert host.run("db-verify", "--against", str(host.directory / "data.json")).status == 0


def test_what_differs_is_named_and_counted(old: sa.URL, tmp_path: Path) -> None:
    _, words = migrate(tmp_path, old.update_query_dict(BYTES))
    assert "thing.name: 2 of 4 texts that are not ASCII are carried as the connections of SOURCE show them" in words
    assert "thing.name: 2 of 4 texts that are not ASCII cannot be read" in words
    assert "thing.colour: 3 of 4 texts that are not ASCII have characters that latin1 lacks" in words
    assert "such as that of key 2" in words
    assert "caf" not in words


@pytest.mark.parametrize("charset", ["cp1252", "utf16", "swe7", "nonsense"])
def test_a_character_set_of_no_connection_is_refused(old: sa.URL, tmp_path: Path, charset: str) -> None:
    host, words = migrate(tmp_path, old.update_query_dict({"charset": charset}), status=2)
    assert charset in words
    assert "latin1 (which is cp1252" in words
    assert not host.live.stat().st_size


def test_an_app_that_would_read_other_texts_is_told(old: sa.URL, mariadb: MariaDB, tmp_path: Path) -> None:
    """The texts of a source in characters; this app reads stored latin1 as UTF-8."""
    live = mariadb.url(new_name()).update_query_dict(BYTES)
    (tmp_path / "app").mkdir()
    host = Foreign(tmp_path / "app", {"SQLALCHEMY_DATABASE_URI": live.render_as_string(hide_password=False)})
    host.config["FERRY_SOURCE"] = old.render_as_string(hide_password=False)
    refused = host.run("db-migrate-data", "--yes")
    assert refused.status == 2, refused.stderr
    assert "would not see the texts" in refused.stderr
    # From a source whose app reads in the same way texts are carried as they are stored.
    host.config["FERRY_SOURCE"] = old.update_query_dict(BYTES).render_as_string(hide_password=False)
    host.ok("db-migrate-data", "--yes")
    host.ok("db-verify")
    host.ok("db-migrate-data", "self", "--yes", "--rerun")
    assert mariadb.execute(f"SELECT name FROM {live.database}.thing WHERE id = 1") == [("caf\u00c3\u00a9",)]
    assert what_the_app_reads(live) == what_the_app_reads(old.update_query_dict(BYTES))


@pytest.mark.parametrize(
    ("driver", "query", "results", "encoding"),
    [
        ("mysqlconnector", {"init_command": "SET NAMES latin1"}, "latin1", "utf8"),
        ("mysqlconnector", {"init_command": "set character_set_results = NULL"}, "binary", "utf8"),
        ("mysqlconnector", {"init_command": "SET NAMES binary"}, "binary", None),
        ("mysqlconnector", {"charset": "latin1"}, "latin1", "latin1"),
        ("mysqldb", {"charset": "latin1"}, "latin1", "cp1252"),
        ("pymysql", {"charset": "binary", "use_unicode": "0"}, "binary", None),
    ],
)
def test_how_other_drivers_show_texts(driver: str, query: dict[str, str], results: str, encoding: str | None) -> None:
    url = sa.URL.create(f"mysql+{driver}", host="h", database="d", query=query)
    assert find_view(url) == View(results, encoding)


def test_raw_bytes_are_utf_8_or_stay(old: sa.URL, tmp_path: Path) -> None:
    """Of a driver that is not installed here: what the server keeps is what it sends."""
    url = old.set(drivername="mysql+mysqlconnector").update_query_dict({"init_command": "SET NAMES binary"})
    host, _ = migrate(tmp_path, url)
    stored = {key: values[0] for key, values in STORED.items()} | {1: "caf\u00e9", 3: "\u00c1\u20ac"}
    assert sorted(host.rows()) == [(key, stored[key], STORED[key][1]) for key in LATIN]


def test_options_and_listeners_of_the_engine_count_as_the_url_does(
    old: sa.URL, mariadb: MariaDB, tmp_path: Path
) -> None:
    live = mariadb.url(new_name())
    host = Foreign(tmp_path, {"SQLALCHEMY_DATABASE_URI": live.render_as_string(hide_password=False)})
    host.config["FERRY_SOURCE"] = old.render_as_string(hide_password=False)
    host.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"connect_args": {"charset": "latin1", "use_unicode": False}}
    refused = host.run("db-migrate-data", "--yes")
    assert refused.status == 2, refused.stderr
    assert "would not see the texts" in refused.stderr
    assert "SQLALCHEMY_ENGINE_OPTIONS" in refused.stderr
    # An empty database will do for what only a session shows.
    mariadb.execute(f"CREATE DATABASE {live.database} CHARACTER SET utf8mb4")
    del host.config["SQLALCHEMY_ENGINE_OPTIONS"]
    host.on_connect = lambda connection, _record: connection.cursor().execute("SET NAMES latin1")
    refused = host.run("db-migrate-data", "--yes")
    assert refused.status == 2, refused.stderr
    assert "would not see the texts" in refused.stderr
    assert mariadb.execute(f"SHOW TABLES FROM {live.database}") == []
    host.on_connect = lambda connection, _record: connection.cursor().execute("SET NAMES utf8mb4")
    host.ok("db-migrate-data", "--yes")
    assert mariadb.execute(f"SELECT name FROM {live.database}.thing WHERE id = 1") == [(STORED[1][0],)]
