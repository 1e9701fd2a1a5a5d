"""What the server says of a database: its identity, its character set, its room on disk."""

from __future__ import annotations

import re

import pymysql
import pytest

from app.dialects.mysql.dialect import MySqlDialect
from app.errors import DoesNotFit
from tests.dialects.rooms import Room
from tests.dialects.things import load
from tests.support.servers.mariadb import ON_MYSQL, MariaDB


def test_staging_has_the_character_set_of_its_target(room: Room, mariadb: MariaDB) -> None:
    mariadb.execute(f"CREATE DATABASE {room.target.database} CHARACTER SET latin2 COLLATE latin2_croatian_ci")
    staging = room.other("one")
    room.dialect.prepare_staging(staging, room.target)
    query = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
    assert mariadb.execute(query, staging.database) == [("latin2_croatian_ci",)]


def test_one_database_has_one_identity_by_whatever_address(room: Room, mariadb: MariaDB) -> None:
    urls = [
        room.target,
        room.target.set(host="localhost"),
        room.target.set(drivername="mysql" if ON_MYSQL else "mariadb", query={"charset": "utf8mb4"}),
        room.target.set(host=None, port=None, query={"unix_socket": str(mariadb.socket)}),
    ]
    found = [room.dialect.identity(url) for url in urls]
    assert len({identity.uid for identity in found}) == 1
    assert {identity.server for identity in found} == {found[0].server}
    assert re.match(r"(MariaDB|MySQL) \d+\.", found[0].server)
    assert all(identity.nearby for identity in found)
    room.dialect.create(room.target)
    assert room.dialect.identity(room.target).uid == found[0].uid
    assert room.dialect.identity(mariadb.url("another")).uid != found[0].uid


def test_room_on_disk_is_seen_where_the_server_is_here(room: Room) -> None:
    assert room.dialect.free_bytes(room.target)
    assert isinstance(room.dialect, MySqlDialect)
    error = pymysql.OperationalError
    for number, words, full in (
        (1114, "The table 't' is full", True),
        (1021, "Disk full (/tmp/x); waiting for someone to free some space... (errno: 28)", True),
        (1030, "Got error 28 \"No space left on device\" from storage engine InnoDB", True),
        (1030, "Got error 139 \"Too big row\" from storage engine InnoDB", False),
        (1026, "Error writing file 'x' (errno: 28 \"No space left on device\")", True),
        (1062, "Duplicate entry 'No space left' for key 'PRIMARY'", False),
    ):  # fmt: skip
        assert isinstance(room.dialect.explain(room.target, error(number, words)), DoesNotFit) is full


def test_a_full_table_is_said_to_be_full(room: Room, way: str, mariadb: MariaDB) -> None:
    # A full disk ends the whole server (seen); a table in memory says the same of itself alone.
    room.dialect.create(room.target)
    name = f"{room.target.database}.things"
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION max_heap_table_size = 16384")
        cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, words VARCHAR(1000)) ENGINE=MEMORY")
    with room.dialect.reader(room.target) as reader:
        to = reader.tables()["things"]
    with pytest.raises(DoesNotFit, match="no room"):
        load(room, to, [[n, "x"] for n in range(1000)], batch_rows=10)
