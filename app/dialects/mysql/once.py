"""MySQL and MariaDB: parts that are loaded once; see :mod:`..once`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
from pymysql.constants import ER
from sqlalchemy import URL

from ...errors import LoadError
from .. import once
from ..model import Table
from ..once import TABLE, begin_part, claim_words
from . import loading
from .connect import STRICT, connect_to, is_out_of_space, number_of, quote, words_of
from .names import database_of, refuse_live
from .read import Asks, asking
from .session import PATIENT_S, is_refusal

AS_IT_IS = ("foreign_key_checks = 0", f"sql_mode = '{STRICT},ALLOW_INVALID_DATES'")
"""Settings of a session that loads rows, whatever they refer to."""

_NOT_THERE = (ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR)
_ENDED, _LEVELS = 1094, ("READ UNCOMMITTED", "READ COMMITTED")


def patience_with(part: str) -> tuple[str, ...]:
    """Settings of a session that loads a part: it may be cut off, and another one waits for it."""
    if not part:
        return ()
    return (
        # In the middle of a file MariaDB waits twice as long (seen).
        f"net_read_timeout = {max(once.PATIENT_S // 2, 1)}",
        f"wait_timeout = {once.PATIENT_S}",
        f"innodb_lock_wait_timeout = {once.MOST_WAITED_S}",
    )


def begin(execute: Callable[[str], tuple[int, int]], part: str) -> None:
    """Begin a transaction with a part's name, if it has one; whoever has it in another one is waited for.

    :raises PartLoaded: it is in.
    """
    execute("START TRANSACTION")
    if part:
        begin_part(part, execute(f"INSERT IGNORE INTO {TABLE} VALUES ({claim_words(part)}, CONNECTION_ID())")[0])


def insist(ask: Asks, database: str, statement: str) -> None:
    """Drop what those who load parts of a database may be at; where they do not end they are ended."""
    try:
        ask(statement)
    except pymysql.Error as error:
        if number_of(error) != ER.LOCK_WAIT_TIMEOUT or not _end_sessions(ask, database):
            raise
        ask(statement)


def _end_sessions(ask: Asks, database: str) -> bool:
    """End sessions of this user, in this database, that are in the middle of a part; whether there were any."""
    names = ask("SELECT SUBSTRING_INDEX(USER(), '@', 1)")[0][0], database
    at_work = _list_at_work(ask, database)
    for number, user, _, current, *_ in ask("SHOW PROCESSLIST"):
        if (user, current) == names and int(number) in at_work:
            try:
                ask(f"KILL {int(number)}")
            except pymysql.Error as error:
                if number_of(error) != _ENDED:
                    raise
    return bool(at_work)


def _list_at_work(ask: Asks, database: str) -> set[int]:
    """The sessions that have a part which is not in yet."""
    try:
        at_work = []
        for level in _LEVELS:
            ask(f"SET TRANSACTION ISOLATION LEVEL {level}")
            at_work.append(set(ask(f"SELECT name, session FROM {quote(database)}.{TABLE}")))
    except pymysql.Error as error:
        if number_of(error) not in _NOT_THERE:
            raise
        return set()
    return {int(session) for _, session in at_work[0] - at_work[1]}


class Sharing:
    """A room in which several load, and one goes on with what another has loaded."""

    _tls_ca: Path | None
    _ask_within: Callable[..., contextlib.AbstractContextManager[Asks]]

    def loading(self, staging: URL) -> contextlib.AbstractContextManager[None]:
        return loading.loading(staging, self._tls_ca)

    @contextlib.contextmanager
    def sharing(self, staging: URL) -> Iterator[None]:
        refuse_live(database_of(staging))
        columns = "name VARCHAR(60) CHARACTER SET ascii PRIMARY KEY, session BIGINT UNSIGNED NOT NULL"
        with connect_to(staging, self._tls_ca) as connection:
            asking(connection)(f"CREATE TABLE {TABLE} ({columns}) ENGINE = InnoDB")
        yield
        patience = (f"lock_wait_timeout = {once.MOST_WAITED_S}",)
        with connect_to(staging, self._tls_ca, session=patience) as connection:
            insist(asking(connection), database_of(staging), f"DROP TABLE {TABLE}")

    def bring(self, source: URL, staging: URL, table: Table) -> int:
        names, place = ", ".join(map(quote, table.column_names)), quote(table.name)
        rows = f"SELECT {names} FROM {quote(database_of(source))}.{place}"
        refuse_live(database_of(staging))
        patient = connect_to(staging, self._tls_ca, session=AS_IT_IS, read_timeout=PATIENT_S)
        with patient as connection, connection.cursor() as cursor:
            try:
                # So that a session of the dead run's, which the server has not missed yet, is not waited for.
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                return int(cursor.execute(f"INSERT INTO {place} ({names}) {rows}"))
            except pymysql.Error as error:
                if not is_refusal(error) or is_out_of_space(error):
                    raise
                raise LoadError(f"Rows of {table.name} do not go in: {words_of(error)}") from error

    def drop(self, url: URL) -> None:
        refuse_live(database_of(url))
        with self._ask_within(url, to_database=False) as ask:
            insist(ask, database_of(url), f"DROP DATABASE IF EXISTS {quote(database_of(url))}")
