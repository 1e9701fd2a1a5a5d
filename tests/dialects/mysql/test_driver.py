"""Sessions of a command on MariaDB: used again, and each time as a new one would be."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest
from pymysql.constants import ER

from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.copy import create_objects
from app.dialects.mysql.driver import Connection, leaves_nothing, list_own, version_of
from app.dialects.mysql.objects import MySqlObject
from app.dialects.mysql.session import blockers, execute_all, one_at_a_time
from app.dialects.sessions import hold_sessions
from app.errors import DoesNotFit
from tests.dialects.rooms import Room
from tests.support.servers.mariadb import ON_MYSQL, MariaDB


@pytest.fixture
def held(room: Room) -> Iterator[Room]:
    room.fill()
    with hold_sessions():
        yield room


def number(room: Room, **options: Any) -> int:
    with connect_to(room.target, None, shared=True, **options) as connection:
        return int(connection.thread_id())


def run(connection: pymysql.Connection[Any], sql: str) -> tuple[tuple[Any, ...], ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_a_command_uses_a_session_again(held: Room) -> None:
    assert number(held) == number(held)
    with connect_to(held.target, None, shared=True) as first, connect_to(held.target, None, shared=True) as second:
        assert first.thread_id() != second.thread_id()


def test_outside_of_a_command_each_is_new_and_none_is_left(room: Room, mariadb: MariaDB) -> None:
    room.fill()
    assert number(room) != number(room)
    with hold_sessions():
        kept = number(room)
    alive = f"SELECT count(*) FROM information_schema.processlist WHERE id = {kept}"
    deadline = time.monotonic() + 20
    while mariadb.execute(alive) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_does_not_share_has_one_of_its_own(held: Room) -> None:
    with connect_to(held.target, None) as connection:
        own = connection.thread_id()
    assert number(held) != own


LEFT = [
    "SET SESSION sql_mode = '', time_zone = '+09:00', sql_select_limit = 1, foreign_key_checks = 0",
    "SET NAMES latin1",
    "SET SESSION TRANSACTION READ ONLY",
    "SET autocommit = 0",
    "START TRANSACTION",
    "CREATE TEMPORARY TABLE parents (id INT)",
    "SELECT GET_LOCK('of the former user', 0)",
    "LOCK TABLES parents READ",
    "PREPARE p FROM 'SELECT 1'",
    "SET @left = 1",
]
STATE = (
    "SELECT @@sql_mode, @@time_zone, @@sql_select_limit, @@foreign_key_checks, @@autocommit, {}, "
    "@@character_set_client, @@character_set_results, @@collation_connection, @@{}_read_only, DATABASE(), @left, "
    "@@collation_database, "
    "IS_USED_LOCK('of the former user'), (SELECT group_concat(name ORDER BY id) FROM parents)"
).format(*(("1", "transaction") if ON_MYSQL else ("@@in_transaction", "tx")))


@pytest.mark.parametrize("statement", LEFT)
def test_nothing_of_its_former_user_is_left(held: Room, statement: str) -> None:
    held.execute("ALTER DATABASE COLLATE latin1_bin")
    with connect_to(held.target, None, shared=True) as connection:
        fresh, own = run(connection, STATE), connection.thread_id()
        run(connection, statement)
    # At once, not when it is used again: others may wait for what it held.
    held.execute("ALTER TABLE parents ADD COLUMN more INTEGER")
    with connect_to(held.target, None, shared=True) as connection:
        assert connection.thread_id() == own
        assert run(connection, STATE) == fresh
        with pytest.raises(pymysql.Error):
            run(connection, "EXECUTE p")


def test_settings_are_those_of_its_new_user(held: Room) -> None:
    with connect_to(held.target, None, shared=True, session=("lock_wait_timeout = 7",)) as connection:
        assert run(connection, "SELECT @@lock_wait_timeout") == ((7,),)
        own = connection.thread_id()
    with connect_to(held.target, None, shared=True) as connection:
        assert connection.thread_id() == own
        assert run(connection, "SELECT @@lock_wait_timeout") == ((60,),)


def test_a_session_that_was_lost_meanwhile_is_left(held: Room, mariadb: MariaDB) -> None:
    lost = number(held)
    mariadb.execute(f"KILL {lost}")
    assert number(held) != lost


def raise_an_error(room: Room) -> int:
    own = number(room)
    with contextlib.suppress(pymysql.Error), connect_to(room.target, None, shared=True) as connection:
        assert connection.thread_id() == own
        run(connection, "SELECT nothing")
    return own


def leave_rows_unread(room: Room) -> int:
    with connect_to(room.target, None, shared=True) as connection:
        own = int(connection.thread_id())
        cursor = connection.cursor(pymysql.cursors.SSCursor)
        cursor.execute("SELECT 1 UNION ALL SELECT 2")
        result = cursor._result
    # Else the driver would read the rest over a connection that is closed, whenever these are forgotten.
    result.unbuffered_active, cursor.connection = False, None
    return own


@pytest.mark.parametrize("end", [raise_an_error, leave_rows_unread])
def test_one_that_may_still_be_at_work_is_closed(held: Room, end: Callable[[Room], int]) -> None:
    used = end(held)
    assert number(held) != used


def test_other_databases_and_options_have_their_own(held: Room) -> None:
    numbers = {number(held), number(held, to_database=False), number(held, autocommit=False), number(held, conv={})}
    assert len(numbers) == 4


def test_another_thread_has_its_own(held: Room) -> None:
    numbers = [number(held)]
    thread = threading.Thread(target=lambda: numbers.append(number(held)))
    thread.start()
    thread.join()
    assert len(set(numbers)) == 2


def test_the_version_is_asked_once(held: Room, mariadb: MariaDB) -> None:
    with connect_to(held.target, None, shared=True) as connection:
        questions = "SHOW SESSION STATUS LIKE 'Questions'"
        [(_, before)] = run(connection, questions)
        assert version_of(connection) == version_of(connection)
        [(_, after)] = run(connection, questions)
    assert int(after) - int(before) == 1


@pytest.mark.parametrize("to_database", [True, False])
def test_one_that_selected_another_database_is_not_used_again(held: Room, to_database: bool) -> None:
    with connect_to(held.target, None, shared=True, to_database=to_database) as connection:
        own = connection.thread_id()
        connection.select_db("mysql")
    with connect_to(held.target, None, shared=True, to_database=to_database) as connection:
        assert connection.thread_id() != own
        assert run(connection, "SELECT DATABASE()") == ((held.target.database if to_database else None,),)


def test_what_one_room_asks_leaves_no_database_to_the_next(held: Room) -> None:
    held.dialect.schema_fingerprint(held.target)
    with connect_to(held.target, None, shared=True, to_database=False) as connection:
        assert run(connection, "SELECT DATABASE()") == ((None,),)


def test_our_own_connections_are_in_nobodys_way(held: Room) -> None:
    number(held)
    with connect_to(held.target, None) as connection:
        assert blockers(connection, str(held.target.database)) == []
        assert list_own() >= {connection.thread_id()}


def test_one_that_was_only_asked_is_not_set_again(held: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[int] = []
    send = Connection._execute_command

    def count(self: Connection, command: int, sql: Any) -> None:
        commands.append(command)
        send(self, command, sql)

    number(held)
    monkeypatch.setattr(Connection, "_execute_command", count)
    with connect_to(held.target, None, shared=True) as connection:
        run(connection, "SELECT @@version")
    assert len(commands) == 1
    with connect_to(held.target, None, shared=True) as connection:
        run(connection, "SET @a = 1")
    with connect_to(held.target, None, shared=True) as connection:
        assert run(connection, "SELECT @a") == ((None,),)
    # The variable was set, the session reset, its database selected, its settings set, it was asked, and reset.
    assert len(commands) == 7


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT @a := 1",
        "SELECT 1 INTO @a",
        "SELECT GET_LOCK('a', 0)",
        "SELECT 1 /* @a */",
        "SET @a = 1",
        "CALL a()",
        "INSERT INTO parents VALUES (1)",
        "COMMIT AND CHAIN",
        "SELECT 1" + " " * 9000,
    ],
)
def test_what_may_leave_something_is_known(sql: str) -> None:
    assert not leaves_nothing(sql)


@pytest.mark.parametrize("sql", ["SELECT @@version", "\n select 1", "SHOW EVENTS FROM a", "COMMIT", "DROP DATABASE a"])
def test_what_leaves_nothing_is_known(sql: str) -> None:
    assert leaves_nothing(sql)


def test_no_session_stays_in_a_database_that_was_made_anew(held: Room) -> None:
    former = number(held)
    with connect_to(held.target, None, shared=True, to_database=False) as connection:
        run(connection, f"DROP DATABASE `{held.target.database}`")
        run(connection, f"CREATE DATABASE `{held.target.database}` COLLATE latin1_bin")
    with connect_to(held.target, None, shared=True) as connection:
        assert connection.thread_id() != former
        assert run(connection, "SELECT @@collation_database") == (("latin1_bin",),)
    kept = number(held)
    with connect_to(held.target, None, shared=True, to_database=False) as connection:
        run(connection, "CREATE DATABASE IF NOT EXISTS `another one`")
        run(connection, "DROP DATABASE `another one`")
    assert number(held) == kept


def test_a_transaction_ends_with_its_user(held: Room) -> None:
    with connect_to(held.target, None, shared=True, session=("autocommit = 0",)) as connection:
        run(connection, "SELECT * FROM parents")
    held.execute("ALTER TABLE parents ADD COLUMN more INTEGER")
    with connect_to(held.target, None, shared=True, session=("autocommit = 0",), meets_no_trigger=True) as connection:
        run(connection, "INSERT INTO parents (id, name) VALUES (77, 'a')")
    with connect_to(held.target, None) as connection:
        assert run(connection, "SELECT count(*) FROM parents WHERE id = 77") == ((0,),)


@pytest.mark.parametrize("error", [ER.UNKNOWN_COM_ERROR, ER.LOCK_WAIT_TIMEOUT])
def test_where_a_node_that_is_cut_off_refuses_to_roll_back_the_connection_ends(
    held: Room, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """With any other error nobody knows what became of it."""

    def refuse(_: Any) -> None:
        raise pymysql.OperationalError(error, "WSREP has not yet prepared node for application use")

    with connect_to(held.target, None, shared=True) as connection:
        former = connection.thread_id()
        run(connection, "START TRANSACTION")
        with monkeypatch.context() as patch:
            patch.setattr(pymysql.Connection, "rollback", refuse)
            if error == ER.UNKNOWN_COM_ERROR:
                connection.rollback()
            else:
                with pytest.raises(pymysql.OperationalError, match="WSREP"):
                    connection.rollback()
        assert connection.open == (error != ER.UNKNOWN_COM_ERROR)
    assert (number(held) == former) == (error != ER.UNKNOWN_COM_ERROR)


def test_statements_that_are_sent_together_are_as_alone(held: Room) -> None:
    statements = ["SELECT 1, NULL", "SET @a = 3", "SELECT @a UNION SELECT x'c3a9'", "SELECT 1 FROM parents WHERE false"]
    with connect_to(held.target, None, several=True) as together, connect_to(held.target, None) as alone:
        assert execute_all(together, statements) == execute_all(alone, statements)
        assert not alone.takes_several  # type: ignore[attr-defined] # of ours
        with pytest.raises(pymysql.ProgrammingError):
            run(alone, "SELECT 1; SELECT 2")


def test_the_first_that_fails_of_several_is_the_last_that_runs(held: Room) -> None:
    with connect_to(held.target, None, several=True) as connection:
        for wrong in ("SELECT nothing", "THIS IS NONE"):
            with pytest.raises(pymysql.Error):
                execute_all(connection, ["SET @a = 1", wrong, "SET @a = 2"])
            assert run(connection, "SELECT @a") == ((1,),)


def test_what_several_may_leave_is_undone(held: Room) -> None:
    options = {"shared": True, "several": True}
    with connect_to(held.target, None, **options) as connection:
        execute_all(connection, ["SELECT 1", "SET SESSION sql_select_limit = 1", "START TRANSACTION"])
        pid = connection.thread_id()
    with connect_to(held.target, None, **options) as connection:
        assert connection.thread_id() == pid
        assert len(run(connection, "SELECT 1 UNION SELECT 2")) == 2


def test_a_database_that_was_made_anew_among_several_is_known(held: Room) -> None:
    former, name = number(held), held.target.database
    with connect_to(held.target, None, several=True, to_database=False) as maker:
        execute_all(maker, ["SELECT 1", f"DROP DATABASE `{name}`", f"CREATE DATABASE `{name}`"])
    assert number(held) != former


def test_of_texts_of_others_one_statement_is_taken(held: Room) -> None:
    with connect_to(held.target, None, several=True) as connection:
        with one_at_a_time(connection):
            execute_all(connection, ["SET @a = 0", "SET @a = 1"])
            with pytest.raises(pymysql.ProgrammingError):
                run(connection, "SET @a = 2; SET @a = 3")
        assert run(connection, "SELECT @a") == ((1,),)
        execute_all(connection, ["SET @a = 4", "SET @a = 5"])
        assert run(connection, "SELECT @a") == ((5,),)


def test_objects_are_made_of_one_statement_each(held: Room) -> None:
    view = MySqlObject("view", "v", "v", "CREATE VIEW v AS SELECT 1; DELETE FROM children")
    with connect_to(held.target, None, several=True) as connection:
        with pytest.raises((DoesNotFit, pymysql.Error)):
            create_objects(connection, [view])
        assert run(connection, "SELECT count(*) > 0 FROM children") == ((1,),)
        assert connection.takes_several  # type: ignore[attr-defined] # of ours


def test_many_statements_are_not_one_text_that_is_too_long(held: Room, mariadb: MariaDB) -> None:
    former = mariadb.execute("SELECT @@GLOBAL.max_allowed_packet")[0][0]
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {1 << 20}")
    try:
        with connect_to(held.target, None, several=True) as connection:
            answers = execute_all(connection, [f"SELECT {n}, '{'x' * 60_000}'" for n in range(40)])
    finally:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {former}")
    assert [int(rows[0][0]) for rows in answers] == list(range(40))
