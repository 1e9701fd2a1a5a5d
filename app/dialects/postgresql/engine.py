"""PostgreSQL: SQLAlchemy engines, for Alembic on a staging schema and for the control tables."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Engine
from sqlalchemy.pool import NullPool

from ..first_look import ask_once
from ..sessions import remember
from .connect import (
    COMMON,
    CONTROL,
    SETTINGS,
    Connection,
    connect,
    connect_to,
    connection_arguments,
    explain_errors,
    name_error,
)
from .extensions import SCHEMAS
from .names import Place, database_of
from .upgrade import Behind, Upgrade, UpgradeConnection

ALEMBIC_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
    "synchronous_commit": "off",
}
"""Everything else is as the host's own sessions have it: revisions may depend on it, e.g. on the time zone."""


def control_engine(url: URL, tls_ca: Path | None, schema: str, *, each_alone: bool) -> Engine:
    """Each commit durable, the clock in UTC, no other schema in sight; one for a command.

    What SQLAlchemy asks a server first it keeps with the engine.
    """

    def open_connection() -> Connection:
        with explain_errors(url):
            connection = connect(url, tls_ca, search_path=[schema], settings=SETTINGS, purpose=CONTROL)
            connection.autocommit = each_alone
            return connection

    def create() -> Engine:
        engine = _create(url, "psycopg", open_connection, {"use_native_hstore": False})
        _look_once(engine.dialect, (url, CONTROL), schema)
        return engine

    return remember(("control engine", url, schema, each_alone), create)


def alembic_engine(url: URL, tls_ca: Path | None, place: Place, options: Mapping[str, Any] | None = None) -> Engine:
    """No table in sight but those of the place; foreign keys are enforced.

    A staging schema has the name of the live one in each transaction: see :mod:`.upgrade`.
    """
    upgrade = None if place.is_target else Upgrade(place)
    return _app_engine(url, tls_ca, place, ALEMBIC_SETTINGS, options, upgrade)


def read_only_engine(url: URL, tls_ca: Path | None, place: Place) -> Engine:
    """No table in sight but those of the place, and no transaction that could change one."""
    return _app_engine(url, tls_ca, place, {**ALEMBIC_SETTINGS, "default_transaction_read_only": "on"})


def _app_engine(
    url: URL,
    tls_ca: Path | None,
    place: Place,
    settings: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    upgrade: Upgrade | None = None,
) -> Engine:
    """An engine for the app's own code: by psycopg2 where that is the app's driver, by ours for all others."""
    path, with_hstore = _look_behind(url, tls_ca, place)
    is_psycopg2 = uses_psycopg2(url)
    make = _open_psycopg2 if is_psycopg2 else _open_psycopg

    def open_connection() -> Behind:
        connection = make(url, tls_ca, path, settings)
        if upgrade is not None:
            connection.begin(upgrade)
        return connection

    engine = _create(url, "psycopg2" if is_psycopg2 else "psycopg", open_connection, options)
    name, schema = (url.set(query={}), is_psycopg2), place.target if upgrade else place.schema
    _look_once(engine.dialect, name, schema, with_hstore=with_hstore)
    return engine


def _look_once(dialect: Any, name: Hashable, schema: str, *, with_hstore: bool = False) -> None:
    """Let SQLAlchemy know what this command knows of the server and of sessions that are set as these are.

    :param schema: that a session works in.
    :param with_hstore: the database has such a type, so that SQLAlchemy looks where it is.
    """
    ask_once(dialect, name, "_get_server_version_info", "get_default_isolation_level")
    dialect._get_default_schema_name = lambda _connection: schema
    if hasattr(dialect, "_set_backslash_escapes"):
        look_for_backslashes = dialect._set_backslash_escapes

        def look(connection: Any) -> bool:
            look_for_backslashes(connection)
            return bool(dialect._backslash_escapes)

        def set_backslash_escapes(connection: Any) -> None:
            dialect._backslash_escapes = remember(("backslashes", name), lambda: look(connection))

        dialect._set_backslash_escapes = set_backslash_escapes
    if hasattr(dialect, "_type_info_fetch") and not with_hstore:
        dialect._type_info_fetch = lambda _connection, _name: None


def uses_psycopg2(url: URL) -> bool:
    """Whether the app's driver is psycopg2 and is installed here."""
    return url.get_driver_name() == "psycopg2" and importlib.util.find_spec("psycopg2") is not None


def _open_psycopg(url: URL, tls_ca: Path | None, path: Sequence[str], settings: Mapping[str, str]) -> Behind:
    with explain_errors(url):
        connection = connect(url, tls_ca, search_path=path, settings=settings, kind=UpgradeConnection)
        assert isinstance(connection, UpgradeConnection)  # noqa: S101 # it was asked for
        connection.autocommit = False
        return connection


def _open_psycopg2(url: URL, tls_ca: Path | None, path: Sequence[str], settings: Mapping[str, str]) -> Behind:
    import psycopg2  # only where the app has it

    from .upgrade_psycopg2 import open_connection

    arguments = connection_arguments(url, tls_ca) | {"application_name": COMMON}
    database_of(url)
    try:
        return open_connection(arguments, settings, path)
    except psycopg2.Error as error:
        raise name_error(url, error) from error


def _create(url: URL, driver: str, creator: Callable[[], Any], options: Mapping[str, Any] | None = None) -> Engine:
    plain = url.set(drivername=f"postgresql+{driver}", query={})
    return sa.create_engine(plain, creator=creator, poolclass=NullPool, hide_parameters=True, **(options or {}))


def _look_behind(url: URL, tls_ca: Path | None, place: Place) -> tuple[list[str], bool]:
    """A place and the schemas of extensions, never the live one, even while it holds nothing else; is hstore there?"""
    hstore = "SELECT 1 FROM pg_catalog.pg_type WHERE typname = 'hstore' LIMIT 1", ()
    with connect_to(url, tls_ca, any_path=True) as connection:
        behind, types = connection.ask_at_once((SCHEMAS, (place.schema, False)), hstore)
    return [place.schema, *(schema for (schema,) in behind if schema != place.target)], bool(types)
