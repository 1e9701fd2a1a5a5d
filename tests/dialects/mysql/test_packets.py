"""Values that a server took are put back under the same max_allowed_packet."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dialects.mysql import dump
from app.dialects.mysql.connect import connect_to
from app.errors import BackupFailed
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB

PACKET = 1 << 20


@pytest.fixture
def narrow(mariadb: MariaDB) -> Iterator[MariaDB]:
    """A server that may be narrowed: afterwards it takes what it took."""
    [(former,)] = mariadb.execute("SELECT @@global.max_allowed_packet")
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {4 * PACKET}")
    yield mariadb
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {former}")


def put_back(server: MariaDB, directory: Path, *values: bytes, packet: int = PACKET) -> list[bytes]:
    """The values of a table after its backup was restored into another database.

    :param packet: bytes that the server takes when it is restored.
    """
    name, other = new_name(), new_name()
    server.execute(f"CREATE DATABASE {name}")
    server.execute(f"CREATE TABLE {name}.`with\nbreak` (body LONGBLOB)")
    server.execute(f"CREATE TABLE {name}.kept (id INT PRIMARY KEY, body LONGBLOB)")
    for number, value in enumerate(values):
        server.execute(f"INSERT INTO {name}.kept VALUES (%s, %s)", number, value)
    server.execute(f"INSERT INTO {name}.`with\nbreak` SELECT body FROM {name}.kept")
    server.execute(f"SET GLOBAL max_allowed_packet = {PACKET}")
    factory = functools.partial(connect_to, server.url(name), None)
    with factory(to_database=False) as connection:
        dump.dump(connection, name, directory / "dump.sql")
    server.execute(f"SET GLOBAL max_allowed_packet = {packet}")
    dump.restore(factory, directory / "dump.sql", other)
    rows = server.execute(f"SELECT body FROM {other}.kept ORDER BY id")
    assert sorted(server.execute(f"SELECT body FROM {other}.`with\nbreak`")) == sorted(rows)
    return [bytes(body) for (body,) in rows]


def test_a_value_over_half_a_packet_and_rows_over_a_packet_are_put_back(narrow: MariaDB, tmp_path: Path) -> None:
    noise = random.Random(5).randbytes
    values = [b"\xff" * 700_000, noise(900_000), *(noise(60_000) for _ in range(20)), bytes(range(256)) * 300, b""]
    # An escape doubles a quote, as hex does.
    values.append(b"'\\\0\n\r\x1a;" * 10_000)
    assert put_back(narrow, tmp_path, *values) == values


def test_where_a_row_cannot_be_put_back_the_other_backup_is_named(narrow: MariaDB, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="the server takes") as caught:
        put_back(narrow, tmp_path, b"'" * (PACKET + 1))
    assert "db-backup --portable" in str(caught.value.hint)


def test_a_value_that_a_smaller_packet_does_not_hold_is_refused_and_not_null(narrow: MariaDB, tmp_path: Path) -> None:
    """Put together there it would come to NULL, with a warning."""
    with pytest.raises(BackupFailed, match="max_allowed_packet is too small") as caught:
        put_back(narrow, tmp_path, b"'" * 600_000, packet=PACKET // 2)
    assert "db-backup --portable" in str(caught.value.hint)
