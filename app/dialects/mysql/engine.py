"""MySQL and MariaDB: SQLAlchemy engines, for Alembic on a staging database and for the control tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import NullPool, QueuePool

from ..ahead import Answer, Question, let_ask_at_once
from ..first_look import ask_once
from .connect import READ_ONLY, STRICT, TRANSACTIONS, connect, explain_errors
from .driver import Connection, current_of, version_of
from .prepared import Guarded, GuardedConnection, WholeCursor, guard

PATIENT_S = 86400
"""For one answer to a revision: an index of a large table may well take hours."""

_ONE_SESSION = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": -1}
"""For all revisions, as a plain upgrade has it; more only where several are used at a time."""

_AS_MYSQLCLIENT: dict[str, Any] = {"client_flag": CLIENT.MULTI_STATEMENTS, "cursorclass": WholeCursor}
"""That driver sends several statements in one text unless it is told otherwise."""


def control_engine(url: URL, tls_ca: Path | None, *, each_alone: bool) -> Engine:
    """Each commit durable, the clock in UTC; nothing in it has a trigger.

    A transaction is begun in so many words: its sessions are those of statements that stand alone, and are not set
    again for it.
    """
    engine = _create(url, tls_ca, (), meets_no_trigger=True)
    if not each_alone:
        engine.dialect.do_begin = _begin  # type: ignore[assignment, method-assign] # this one only
    return engine


def _begin(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("START TRANSACTION")


def alembic_engine(url: URL, tls_ca: Path | None, options: Mapping[str, Any] | None, guarded: Guarded | None) -> Engine:
    """Foreign keys are not enforced.

    :param options: the app's own for ``create_engine``; with them, see :data:`_ONE_SESSION`.
    :param guarded: databases that nothing may name.
    """
    if options is not None:
        options = {**_ONE_SESSION, **options}
    return _create(url, tls_ca, (TRANSACTIONS, "foreign_key_checks = 0"), options, guarded)


def read_only_engine(url: URL, tls_ca: Path | None) -> Engine:
    """No statement that could change anything: each is a transaction of its own.

    One session for all that is looked at, see :data:`_ONE_SESSION`.
    """
    engine = _create(url, tls_ca, (READ_ONLY,), _ONE_SESSION, several=True)
    let_ask_at_once(engine, _ask_together)
    return engine


def _ask_together(connection: Connection, questions: Sequence[Question]) -> Sequence[Answer] | None:
    with connection.cursor() as cursor:
        statements = [cursor.mogrify(sql, values or None) for sql, values in questions]
        try:
            with connection.sending(statements):
                cursor.execute("; ".join(statements))
            answers = [(cursor.description, cursor.fetchall())]
            while cursor.nextset():
                answers.append((cursor.description, cursor.fetchall()))
        except pymysql.Error:
            return None
    return answers


def _create(
    url: URL,
    tls_ca: Path | None,
    session: Sequence[str],
    options: Mapping[str, Any] | None = None,
    guarded: Guarded | None = None,
    *,
    meets_no_trigger: bool = False,
    several: bool = False,
) -> Engine:
    def open_connection() -> pymysql.Connection[Any]:
        driver = GuardedConnection if guarded else Connection
        more = _AS_MYSQLCLIENT if guarded and url.get_driver_name() == "mysqldb" else {}
        with explain_errors(url):
            connection = connect(
                url,
                tls_ca,
                session=session,
                driver=driver,
                shared=guarded is None,
                meets_no_trigger=meets_no_trigger,
                several=several,
                read_timeout=PATIENT_S,
                **more,
            )
        if guarded:
            guard(connection, guarded)
        if not meets_no_trigger:
            connection.distrust()
        return connection

    plain = url.set(drivername=f"{url.get_backend_name()}+pymysql", query={})
    options = {"poolclass": NullPool, **(options or {})}
    engine = create_engine(plain, hide_parameters=True, creator=open_connection, **options)
    _look_once(engine.dialect, url, TRANSACTIONS in session)
    return engine


def _settings_of(connection: Connection) -> dict[str, Any]:
    """What SQLAlchemy asks for: every session of ours was set to it, or the server was asked for it."""
    return {"sql_mode": STRICT, "lower_case_table_names": version_of(connection).folds}


def _look_once(dialect: Any, url: URL, *isolated_as_server: bool) -> None:
    """Let SQLAlchemy know what this command knows of the server and of sessions that are set as these are."""
    if any(isolated_as_server):
        ask_once(dialect, (url.set(database=""), isolated_as_server), "get_default_isolation_level")
    else:
        dialect.get_default_isolation_level = lambda _connection: "REPEATABLE READ"
    dialect._fetch_setting = lambda connection, name: _settings_of(connection.connection.dbapi_connection)[name]
    if hasattr(dialect, "_parse_server_version"):
        dialect._get_server_version_info = lambda connection: dialect._parse_server_version(
            version_of(connection.connection.dbapi_connection).text
        )
    dialect._get_default_schema_name = lambda connection: current_of(connection.connection.dbapi_connection)
