"""MySQL and MariaDB: a table that others kept locked from who reads it, and who they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import pymysql
from pymysql.constants import ER

from ...errors import LockHeld
from .connect import NOT_GRANTED, number_of, quote
from .driver import list_own, version_of
from .session import WAITING, execute

Connection: TypeAlias = "pymysql.Connection[Any]"

_OF = "p.id, p.user, p.host, p.command, p.time, p.state"
# The plugin metadata_lock_info, which few servers have; what keeps a reader out are these two modes.
_BY_PLUGIN = (
    f"SELECT DISTINCT {_OF}, l.table_name, 1 FROM information_schema.metadata_lock_info l "
    "JOIN information_schema.processlist p ON p.id = l.thread_id WHERE p.id <> CONNECTION_ID() AND l.table_schema = %s "
    "AND l.lock_type = 'Table metadata lock' AND l.lock_mode IN ('MDL_SHARED_NO_READ_WRITE', 'MDL_EXCLUSIVE')"
)
# MySQL 8.4 manual, 29.12.13.3. A request that waits lets all who come later wait, too: then whoever has the table in
# use keeps them out as well. What an ALTER builds beside the table begins with #.
_KEEPS_OUT = "lock_type IN ('SHARED_NO_READ_WRITE', 'EXCLUSIVE')"
_BY_SCHEMA = (
    f"SELECT {_OF}, l.object_name, max(l.{_KEEPS_OUT}) FROM performance_schema.metadata_locks l "
    "JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id "
    "JOIN information_schema.processlist p ON p.id = t.processlist_id WHERE p.id <> CONNECTION_ID() "
    f"AND l.object_schema = %s AND l.object_type = 'TABLE' AND l.object_name NOT LIKE '#%%' AND (l.{_KEEPS_OUT} "
    "OR l.lock_status = 'GRANTED' AND EXISTS (SELECT 1 FROM performance_schema.metadata_locks w "
    f"WHERE w.object_schema = l.object_schema AND w.object_name = l.object_name AND w.{_KEEPS_OUT} "
    f"AND w.lock_status = 'PENDING')) GROUP BY {_OF}, l.object_name ORDER BY p.id"
)
_UNKNOWN = (ER.UNKNOWN_TABLE, ER.NO_SUCH_TABLE, ER.TABLEACCESS_DENIED_ERROR)
# LOCK TABLES shows in no table that every server has: what is left are those that use this database.
_CONNECTIONS = (
    f"SELECT {_OF}, '', 0 FROM information_schema.processlist p WHERE p.id <> CONNECTION_ID() AND (p.db = %s "
    f"OR p.state = '{WAITING}') AND p.command <> 'Daemon' ORDER BY p.time DESC"
)
_TRANSACTIONS = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx"


def describe_lock(connect: Callable[[], AbstractContextManager[Connection]], database: str, table: str) -> LockHeld:
    """The error for a table that stayed locked, with who keeps it so, as far as the user may see that.

    No text of a statement is told, which may hold anybody's values.

    :param connect: opens another connection.
    :param table: the one that was read, or an empty text; then those that are in use are named.
    """
    with connect() as connection:
        timeout_s = int(execute(connection, "SELECT @@lock_wait_timeout")[0][0])
        rows = _ask_holders(connection, database)
        holders = [row for row in rows if not table or row[6] in ("", table)]
        sure = all(row[6] for row in holders)
        locked = sorted({row[6] for row in holders if int(row[7])}) if sure else []
        tables = [table] if table else locked or _list_tables_in_use(connection, database)
        working = _list_transactions(connection)
    what = f"The table {tables[0]}" if len(tables) == 1 else f"A table ({', '.join(tables) or 'not shown'})"
    numbers = dict.fromkeys(row[0] for row in holders)
    ending = "; ".join(f"KILL {number}" for number in numbers) if sure else "SHOW PROCESSLIST; KILL <connection>"
    return LockHeld(
        f"{what} of {database} stayed locked by others for {timeout_s} s.",
        details=[_describe(row, working, sure=sure) for row in holders] + ([] if sure else [_UNSURE]),
        hint=f"End their transactions ({ending}), or run the command again."
        if holders
        else "They ended just now: run the command again.",
    )


_UNSURE = (
    "Which of them it is the server does not show here; it would with the privilege PROCESS and, on MariaDB, after "
    "INSTALL SONAME 'metadata_lock_info'."
)


def _ask_holders(connection: Connection, database: str) -> list[tuple[Any, ...]]:
    sql = _BY_PLUGIN if version_of(connection).is_mariadb else _BY_SCHEMA
    try:
        if rows := _ask_for_others(connection, sql, database):
            return rows
    except pymysql.Error as error:
        if number_of(error) not in (*_UNKNOWN, *NOT_GRANTED):
            raise
    return _ask_for_others(connection, _CONNECTIONS, database)


def _ask_for_others(connection: Connection, sql: str, database: str) -> list[tuple[Any, ...]]:
    here = list_own()
    return [row for row in execute(connection, sql, database) if int(row[0]) not in here]


def _list_tables_in_use(connection: Connection, database: str) -> list[str]:
    return [str(row[1]) for row in execute(connection, f"SHOW OPEN TABLES FROM {quote(database)} WHERE In_use > 0")]


def _list_transactions(connection: Connection) -> set[int]:
    """Connections with a transaction; none where the user may not see that."""
    try:
        return {int(row[0]) for row in execute(connection, _TRANSACTIONS)}
    except pymysql.Error as error:
        if number_of(error) not in NOT_GRANTED:
            raise
    return set()


def _describe(row: Sequence[Any], working: set[int], *, sure: bool) -> str:
    number, user, host, command, time_s, state, table, keeps_out = row
    doing = "idle" if command == "Sleep" else str(command).lower()
    parts = [f"connection {number} of {user} from {host}, {doing} for {time_s} s"]
    parts += ["in a transaction"] if int(number) in working else []
    parts += ["waits for a table itself, and others wait behind it"] if state == WAITING else []
    parts += [f"{'has locked' if int(keeps_out) else 'uses'} {table}"] if sure else []
    return ", ".join(parts)
