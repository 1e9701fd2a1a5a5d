"""Sessions of a command: used again, and each time as a new one would be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import make_url

from app.dialects.postgresql.connect import Connection, connect_to, explanation
from app.dialects.sessions import hold_sessions
from app.errors import AccessDenied
from tests.dialects.rooms import Room


@pytest.fixture
def held(room: Room) -> Iterator[Room]:
    room.fill()
    with hold_sessions():
        yield room


def pid(room: Room, **options: str) -> int:
    with connect_to(room.target, None, **options) as connection:
        return connection.info.backend_pid


def test_a_command_uses_a_session_again(held: Room) -> None:
    assert pid(held) == pid(held)
    with connect_to(held.target, None) as first, connect_to(held.target, None) as second:
        assert first.info.backend_pid != second.info.backend_pid


def test_outside_of_a_command_each_is_new_and_none_is_left(room: Room) -> None:
    room.fill()
    assert pid(room) != pid(room)
    with hold_sessions():
        kept = pid(room)
    with connect_to(room.target, None) as connection:
        gone = "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)"
        assert any(connection.execute(gone, (kept,)).fetchone() == (True,) for _ in range(2000))


def leave_settings(connection: Connection) -> None:
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    connection.execute("SET search_path = pg_catalog")
    connection.execute("SET default_transaction_read_only = on")


def leave_a_transaction(connection: Connection) -> None:
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    connection.execute("UPDATE parents SET name = 'other' WHERE id = 1")


def leave_a_failed_transaction(connection: Connection) -> None:
    connection.autocommit = False
    with pytest.raises(psycopg.Error):
        connection.execute("SELECT nothing")


def leave_a_table(connection: Connection) -> None:
    connection.execute("CREATE TEMPORARY TABLE parents (id text)")


def leave_a_lock(connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_lock(4711)")


def leave_a_cursor(connection: Connection) -> None:
    connection.execute("DECLARE c CURSOR WITH HOLD FOR SELECT 1")


def leave_a_role(connection: Connection) -> None:
    connection.execute("SET ROLE NONE")
    connection.execute("PREPARE p AS SELECT 1")


LEFT = [
    leave_settings,
    leave_a_transaction,
    leave_a_failed_transaction,
    leave_a_table,
    leave_a_lock,
    leave_a_cursor,
    leave_a_role,
]
STATE = """
SELECT (SELECT array_agg(name || '=' || setting ORDER BY name) FROM pg_settings),
    (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_prepared_statements), current_user,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
    (SELECT array_agg(name::text ORDER BY id) FROM parents)
"""


@pytest.mark.parametrize("leave", LEFT)
def test_nothing_of_its_former_user_is_left(held: Room, leave: object) -> None:
    assert callable(leave)
    schema = {"search_path": ["public"]}
    with connect_to(held.target, None, **schema) as connection:
        fresh, number = connection.execute(STATE).fetchone(), connection.info.backend_pid
        leave(connection)
    with connect_to(held.target, None, **schema) as connection:
        assert connection.info.backend_pid == number
        assert connection.execute(STATE).fetchone() == fresh
        assert (connection.autocommit, connection.isolation_level, connection.read_only) == (True, None, None)


def test_one_that_was_only_asked_is_not_set_again(held: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    pid(held)
    resets: list[Connection] = []
    reset = Connection.reset

    def count(self: Connection, *arguments: Any) -> None:
        resets.append(self)
        reset(self, *arguments)

    monkeypatch.setattr(Connection, "reset", count)
    for statement, expected in (
        ("SELECT 1", 0),
        ("DECLARE c CURSOR FOR SELECT 1", 0),
        ("SELECT pg_catalog.set_config('jit', 'on', false)", 1),
        ("SET LOCAL jit = on", 1),
        ("SET jit = on", 2),
        ("SELECT pg_advisory_lock_shared(1)", 3),
        ("CREATE TEMPORARY TABLE t (a int)", 4),
    ):
        with connect_to(held.target, None) as connection, connection.transaction():
            connection.execute(statement.encode())
        assert len(resets) == expected, statement


def test_a_reset_undoes_all_and_sets_a_session_again(held: Room) -> None:
    with connect_to(held.target, None, search_path=["pg_catalog"]) as connection:
        begun = connection.info.backend_pid
        for statement in (
            "SET jit = on",
            "SET ROLE NONE",
            "LISTEN something",
            "PREPARE one AS SELECT 1",
            "SELECT pg_advisory_lock(7)",
            "CREATE TEMPORARY TABLE t (a int)",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        ):
            connection.execute(statement.encode())
    left = (
        "SELECT current_setting('jit'), current_user = session_user, current_setting('search_path'), "
        "(SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_prepared_statements), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
        "to_regclass('pg_temp.t'), (SELECT count(*) FROM pg_cursors)"
    )
    with connect_to(held.target, None, search_path=["pg_catalog"]) as connection:
        assert connection.info.backend_pid == begun
        assert connection.execute(left.encode()).fetchone() == ("off", True, '"pg_catalog"', 0, 0, 0, None, 0)


def test_what_is_committed_at_the_end_is_sent_with_the_reset(held: Room) -> None:
    with connect_to(held.target, None) as connection:
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE ended (a int)")
        connection.end()
        assert connection.info.transaction_status is TransactionStatus.IDLE
    with connect_to(held.target, None) as connection:
        assert connection.execute("SELECT to_regclass('ended') IS NOT NULL").fetchone() == (True,)
        connection.execute("DROP TABLE ended")


def test_a_session_that_was_lost_meanwhile_is_left(held: Room) -> None:
    lost = pid(held)
    with hold_sessions(), connect_to(held.target, None) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (lost,)).fetchone() == (True,)
    assert pid(held) != lost


def test_one_that_is_still_at_work_is_closed(held: Room) -> None:
    with connect_to(held.target, None) as connection:
        number = connection.info.backend_pid
        connection.pgconn.send_query(b"SELECT pg_sleep(60)")
    assert pid(held) != number


def test_other_users_and_purposes_have_their_own(held: Room) -> None:
    numbers = {pid(held), pid(held, application="ferry lock"), pid(held, purpose="control")}
    assert len(numbers) == 3
    assert pid(held, application="ferry lock") not in numbers


def test_another_thread_has_its_own(held: Room) -> None:
    found = [pid(held)]
    thread = threading.Thread(target=lambda: found.append(pid(held)))
    thread.start()
    thread.join()
    assert len(set(found)) == 2


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("SSL error: certificate verify failed", "FERRY_TLS_CA"),
        ("server does not support SSL, but SSL was required", "FERRY_TLS_CA"),
        # The server's own is in order: it asks for one of the user's.
        ("FATAL:  connection requires a valid client certificate", "user, password"),
        ('FATAL:  certificate authentication failed for user "app"', "user, password"),
    ],
)
def test_whose_certificate_is_wrong(words: str, hint: str) -> None:
    url = make_url("postgresql://app:hunter2@db/shop")
    explained = explanation(url, psycopg.OperationalError(words))
    assert isinstance(explained, AccessDenied)
    assert hint in str(explained.hint)
