"""MySQL and MariaDB: SQLAlchemy engines, for Alembic on a staging database and for the control tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from .connect import TRANSACTIONS, connect, explain_errors
from .driver import Connection
from .prepared import Guarded, GuardedConnection, WholeCursor, guard

PATIENT_S = 86400
"""For one answer to a revision: an index of a large table may well take hours."""

_AS_MYSQLCLIENT: dict[str, Any] = {"client_flag": CLIENT.MULTI_STATEMENTS, "cursorclass": WholeCursor}
"""That driver sends several statements in one text unless it is told otherwise."""


def control_engine(url: URL, tls_ca: Path | None, *, each_alone: bool) -> Engine:
    """Each commit durable, the clock in UTC; nothing in it has a trigger."""
    return _create(url, tls_ca, () if each_alone else (TRANSACTIONS,), meets_no_trigger=True)


def alembic_engine(url: URL, tls_ca: Path | None, options: Mapping[str, Any] | None, guarded: Guarded | None) -> Engine:
    """Foreign keys are not enforced.

    :param options: the app's own for ``create_engine``.
    :param guarded: databases that nothing may name.
    """
    return _create(url, tls_ca, (TRANSACTIONS, "foreign_key_checks = 0"), options, guarded)


def read_only_engine(url: URL, tls_ca: Path | None) -> Engine:
    """No transaction that could change anything."""
    engine = _create(url, tls_ca, (TRANSACTIONS,))

    @event.listens_for(engine, "connect")
    def reading_only(connection: pymysql.Connection[Any], _record: object) -> None:
        # As a statement: the variable has two names, by server and version.
        connection.query("SET SESSION TRANSACTION READ ONLY")

    return engine


def _create(
    url: URL,
    tls_ca: Path | None,
    session: Sequence[str],
    options: Mapping[str, Any] | None = None,
    guarded: Guarded | None = None,
    *,
    meets_no_trigger: bool = False,
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
                read_timeout=PATIENT_S,
                **more,
            )
        if guarded:
            guard(connection, guarded)
        if not meets_no_trigger:
            connection.distrust()
        return connection

    plain = url.set(drivername=f"{url.get_backend_name()}+pymysql", query={})
    return create_engine(plain, poolclass=NullPool, hide_parameters=True, creator=open_connection, **(options or {}))
