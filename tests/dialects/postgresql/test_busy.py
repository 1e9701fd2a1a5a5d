"""How much a server has to do, without what a run lets it do; and who may not see that."""

from __future__ import annotations

import contextlib
import threading
import time

import psycopg
import pytest

from app.dialects import dialect_for
from app.dialects.postgresql.connect import connect_to
from app.errors import NotGranted
from tests.support.places import new_name
from tests.support.servers.postgresql import PostgreSQL


def count_until(server: PostgreSQL, expected: int) -> bool:
    """Whether so many are at work soon; other tests have this server, too."""
    url = server.url("postgres")
    dialect = dialect_for(url)
    for _ in range(100):
        if dialect.count_busy(url) == expected:
            return True
        time.sleep(0.05)
    return False


def test_statements_of_others_count_and_ours_do_not(postgresql: PostgreSQL) -> None:
    assert count_until(postgresql, 0)
    with postgresql.connect() as theirs, connect_to(postgresql.url("postgres"), None, any_path=True) as ours:
        for connection, expected in ((ours, 0), (theirs, 1)):
            sleeper = threading.Thread(target=_sleep, args=(connection,), daemon=True)
            sleeper.start()
            time.sleep(0.2)
            assert count_until(postgresql, expected)
            connection.cancel()
            sleeper.join(20)


def _sleep(connection: psycopg.Connection) -> None:  # type: ignore[type-arg] # of any row
    with contextlib.suppress(psycopg.Error):
        connection.execute("SELECT pg_sleep(20)")


def test_who_does_not_see_others_is_refused(postgresql: PostgreSQL) -> None:
    user = new_name()
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
    url = postgresql.url("postgres").set(username=user, password="secret")
    with pytest.raises(NotGranted, match=user):
        dialect_for(url).count_busy(url)
    postgresql.execute(f"GRANT pg_read_all_stats TO {user}")
    assert dialect_for(url).count_busy(url) is not None


def test_a_database_that_is_not_there_yet(postgresql: PostgreSQL) -> None:
    url = postgresql.url(new_name())
    assert dialect_for(url).count_busy(url) is not None
