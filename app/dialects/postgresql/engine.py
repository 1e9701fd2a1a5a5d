"""PostgreSQL: SQLAlchemy engines, for Alembic on a staging schema and for the control tables."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import URL, Engine
from sqlalchemy.pool import NullPool, QueuePool

from ..ahead import Answer, Question, let_ask_at_once
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
from .names import Place, app_url, database_of, list_schemas, named_place
from .upgrade import Behind, Upgrade, UpgradeConnection

ALEMBIC_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "synchronous_commit": "off",
}
"""Everything else is as the host's own sessions have it: revisions may depend on it, e.g. on the time zone."""


_ISOLATION = {"default_transaction_isolation": SETTINGS["default_transaction_isolation"]}


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
        _look_once(engine.dialect, (url, CONTROL), schema, SETTINGS)
        return engine

    return remember(("control engine", url, schema, each_alone), create)


def alembic_engine(
    url: URL,
    tls_ca: Path | None,
    place: Place,
    options: Mapping[str, Any] | None = None,
    named_schema: str | None = None,
) -> Engine:
    """No table in sight but those of the place; foreign keys are enforced.

    A staging schema has the name of the live one in each transaction: see :mod:`.upgrade`.

    :param named_schema: what the app's models name: its search path is then as its own sessions have it.
    """
    sight = _look_around(url, tls_ca, place, named_schema)
    upgrade = None if place.is_target else Upgrade(place, sight.path if sight.is_apps else ())

    def begin(connection: Behind) -> None:
        if upgrade is not None:
            connection.begin(upgrade)

    return _app_engine(url, tls_ca, sight, ALEMBIC_SETTINGS, begin, options)


def read_only_engine(url: URL, tls_ca: Path | None, place: Place, named_schema: str | None = None) -> Engine:
    """No table in sight but those of the place, and no transaction that could change one."""
    sight = _look_around(url, tls_ca, place, named_schema)
    settings = {**ALEMBIC_SETTINGS, "default_transaction_read_only": "on", **_ISOLATION}
    engine = _app_engine(url, tls_ca, sight, settings, lambda connection: connection.look(place.target), {})
    if uses_psycopg2(url):
        from .upgrade_psycopg2 import asking_beside  # only where the app has it

        let_ask_at_once(engine, asking_beside(lambda: connect(url, tls_ca, search_path=sight.path, settings=settings)))
    else:
        let_ask_at_once(engine, _ask_together)
    return engine


def _ask_together(connection: Connection, questions: Sequence[Question]) -> Sequence[Answer] | None:
    """Ask in one text, which is a transaction of its own."""
    mogrify = psycopg.ClientCursor(connection).mogrify
    text = "; ".join(mogrify(sql.encode(), values) for sql, values in questions)
    cursor, answers = psycopg.Cursor(connection), list[Answer]()
    connection.autocommit = True
    try:
        cursor.execute(text.encode())
        for number in range(len(questions)):
            if number:
                cursor.nextset()
            answers.append((cursor.description, cursor.fetchall()))
    except psycopg.Error:
        return None
    finally:
        if not connection.closed:
            connection.autocommit = False
    return answers


@dataclass(frozen=True)
class Sight:
    """What sessions for the app's own code have in sight.

    :ivar path: their search path.
    :ivar schema: what they take for their schema, by its name while that code runs.
    :ivar is_apps: the path is that of the app's own sessions, as its models name the schema of their tables.
    :ivar with_hstore: the database has such a type, so that SQLAlchemy looks where it is.
    """

    path: Sequence[str]
    schema: str
    is_apps: bool
    with_hstore: bool


def _app_engine(
    url: URL,
    tls_ca: Path | None,
    sight: Sight,
    settings: Mapping[str, str],
    begin: Callable[[Behind], None],
    options: Mapping[str, Any] | None = None,
) -> Engine:
    """An engine for the app's own code: by psycopg2 where that is the app's driver, by ours for all others.

    :param begin: is given each new connection.
    """
    is_psycopg2 = uses_psycopg2(url)
    make = _open_psycopg2 if is_psycopg2 else _open_psycopg

    def open_connection() -> Behind:
        connection = make(url, tls_ca, sight.path, settings)
        begin(connection)
        return connection

    if options is not None:
        # One session for all revisions, as a plain upgrade has it; more only where several are used at a time.
        options = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": -1, **options}
    engine = _create(url, "psycopg2" if is_psycopg2 else "psycopg", open_connection, options)
    # Settings of sessions are no other server; where it is may stand among them.
    place = {key: url.query[key] for key in ("host", "hostaddr", "port", "service") if key in url.query}
    name = url.set(query=place), is_psycopg2
    _look_once(engine.dialect, name, sight.schema, settings, with_hstore=sight.with_hstore)
    return engine


def _look_once(
    dialect: Any, name: Hashable, schema: str, settings: Mapping[str, str], *, with_hstore: bool = False
) -> None:
    """Let SQLAlchemy know what this command knows of the server and of sessions that are set as these are.

    :param schema: that a session works in.
    :param settings: of a session.
    :param with_hstore: the database has such a type, so that SQLAlchemy looks where it is.
    """
    isolation = settings.get("default_transaction_isolation")
    if isolation is None:
        ask_once(dialect, name, "get_default_isolation_level")
    else:
        dialect.get_default_isolation_level = lambda _connection: isolation.upper()
    dialect._get_server_version_info = lambda connection: _version_of(connection.connection.dbapi_connection)
    dialect._get_default_schema_name = lambda _connection: schema
    if hasattr(dialect, "_set_backslash_escapes"):
        look_for_backslashes = dialect._set_backslash_escapes

        def set_backslash_escapes(connection: Any) -> None:
            if _setting_of(connection.connection.dbapi_connection, "standard_conforming_strings") == "on":
                dialect._backslash_escapes = False
            else:
                look_for_backslashes(connection)

        dialect._set_backslash_escapes = set_backslash_escapes
    for method in ("_type_info_fetch", "_hstore_oids"):
        if hasattr(dialect, method) and not with_hstore:
            setattr(dialect, method, lambda *_: None)


def _version_of(connection: Any) -> tuple[int, ...]:
    """What SQLAlchemy reads out of the server's words, in the numbers that it gave when the session began."""
    number = connection.info.server_version
    return number // 10000, number % 10000


def _setting_of(connection: Any, setting: str) -> str | None:
    """A setting that the server tells whenever it changes."""
    value: str | None = connection.info.parameter_status(setting)
    return value


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
    return sa.create_engine(plain, creator=creator, hide_parameters=True, **{"poolclass": NullPool, **(options or {})})


def _look_around(url: URL, tls_ca: Path | None, place: Place, named_schema: str | None) -> Sight:
    """A place and the schemas of extensions, never the live one, even while it holds nothing else.

    Where the app's models name their schema, and its sessions look into another one first: what these look into. What a
    revision or seed does not name is then looked for, and made, where a plain upgrade would: elsewhere, and refused.
    """
    hstore = "SELECT 1 FROM pg_catalog.pg_type WHERE typname = 'hstore' LIMIT 1", ()
    with connect_to(url, tls_ca, any_path=True) as connection:
        behind, types = connection.ask_at_once((SCHEMAS, (place.schema, False)), hstore)
    path = [place.schema, *(schema for (schema,) in behind if schema != place.target)]
    live = app_url(url)
    if named_place(live, named_schema) is not None:
        with connect_to(live, tls_ca) as connection:
            row: Any = connection.execute("SELECT current_schema()::text, current_setting('search_path')").fetchone()
        if row[0] != place.target:
            return Sight(list_schemas(row[1]) or path, row[0] or "", is_apps=True, with_hstore=bool(types))
    return Sight(path, place.target, is_apps=False, with_hstore=bool(types))
