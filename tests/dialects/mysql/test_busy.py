"""How much a server has to do, without what this process lets it do."""

from __future__ import annotations

import contextlib
import threading
import time

import pymysql

from app.dialects import dialect_for
from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.session import execute
from tests.support.servers.mariadb import MariaDB


def count_until(server: MariaDB, expected: int) -> bool:
    """Whether so many are at work soon; other tests have this server, too."""
    url = server.url("none")
    dialect = dialect_for(url)
    for _ in range(100):
        if dialect.count_busy(url) == expected:
            return True
        time.sleep(0.05)
    return False


def test_statements_of_others_count_and_ours_do_not(mariadb: MariaDB) -> None:
    assert count_until(mariadb, 0)
    with mariadb.connect() as theirs, connect_to(mariadb.url("none"), None, to_database=False) as ours:
        for connection, expected in ((ours, 0), (theirs, 1)):
            sleeper = threading.Thread(target=_sleep, args=(connection,), daemon=True)
            sleeper.start()
            time.sleep(0.2)
            assert count_until(mariadb, expected)
            mariadb.execute(f"KILL QUERY {connection.thread_id()}")
            sleeper.join(20)


def _sleep(connection: pymysql.Connection) -> None:  # type: ignore[type-arg] # of any cursor
    with contextlib.suppress(pymysql.Error):
        execute(connection, "SELECT SLEEP(20)")
