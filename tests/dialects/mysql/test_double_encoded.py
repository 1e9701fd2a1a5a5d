"""Texts that a connection of another charset left encoded twice are pointed out, never shown."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.hosts.foreign import Foreign
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB


def test_a_column_of_texts_encoded_twice_is_named(mariadb: MariaDB, tmp_path: Path) -> None:
    name = new_name()
    for sql in (
        f"CREATE DATABASE {name} CHARACTER SET latin1",
        f"CREATE TABLE {name}.thing (id INT PRIMARY KEY, name VARCHAR(40), colour VARCHAR(20))",
        f"CREATE TABLE {name}.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
        f"INSERT INTO {name}.alembic_version VALUES ('two')",
        f"INSERT INTO {name}.thing VALUES (7, x'636166c3a9', x'626ce9'), (8, 'plain', NULL)",
    ):
        mariadb.execute(sql)
    url = mariadb.url(name).render_as_string(hide_password=False)
    done = Foreign(tmp_path).ok("db-migrate-data", url, "--yes")
    said = " ".join((done.stdout + done.stderr).split())
    assert "thing.name: 1 of 1 texts" in said
    assert "key 7" in said
    assert "thing.colour" not in said
    assert "caf" not in said
