"""One room per database server; only here is a server's name known."""

from __future__ import annotations

import importlib
from pathlib import Path

from sqlalchemy import URL

from ..errors import Misconfigured, Protected
from .base import Dialect
from .model import VERSION_TABLE
from .redact import STRAY_AT, has_stray_at

_ROOMS = {
    "sqlite": ("sqlite", "SqliteDialect"),
    "mysql": ("mysql", "MySqlDialect"),
    "mariadb": ("mysql", "MySqlDialect"),
    "postgresql": ("postgresql", "PostgresqlDialect"),
    "postgres": ("postgresql", "PostgresqlDialect"),
}
"""Backend of a URL -> package and class; imported when it is needed, as its driver may not be installed."""
SERVERS = tuple(_ROOMS)
"""What a database URL may begin with."""
_DRIVERS = {
    "sqlite": ("pysqlite", "aiosqlite"),
    "mysql": ("pymysql", "mysqldb", "mysqlconnector", "mariadbconnector", "aiomysql", "asyncmy", "cymysql"),
    "postgresql": ("psycopg", "psycopg_async", "psycopg2", "psycopg2cffi", "asyncpg", "pg8000"),
}
"""Room -> drivers whose URLs mean the same database to ours, which makes the connections in their place."""
_ELSEWHERE = ("db", "database", "odbc_connect", "read_default_file", "read_default_group", "defaults_file")
"""In a URL's query: where its driver would look for the place, and ours would not."""


def dialect_for(
    url: URL,
    *,
    directory: Path | None = None,
    tls_ca: Path | None = None,
    version_table: str = VERSION_TABLE,
    named_schema: str | None = None,
) -> Dialect:
    """The room of a URL's server.

    :param directory: where the files of runs on a server's databases lie, on this host; by default the current one.
    :param tls_ca: the certificates that a server off this machine is verified by; by default the system's.
    :param version_table: what Alembic's own table is called in its databases.
    :param named_schema: where the app's tables lie by what its models name; a URL that names one itself means that.
    :raises Protected: no room for this server, or a driver that would open another database than ours.
    :raises Misconfigured: its driver is not installed, or its password ends too early.
    """
    if has_stray_at(url):
        raise Misconfigured(f"The database URL is wrong: {STRAY_AT}.", hint="Set DATABASE_URL, or what the app reads.")
    backend = url.get_backend_name()
    if backend not in _ROOMS:
        raise Protected(
            f"{backend} databases are not supported; supported: {', '.join(sorted(_ROOMS))}.",
            hint="See docs/guarantees.md.",
        )
    package, name = _ROOMS[backend]
    _refuse_driver(url, package)
    try:
        room = getattr(importlib.import_module(f"{__name__}.{package}.dialect"), name)
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"The driver for {backend} databases is not installed: {error}.",
            hint=f"Install it: pip install 'flask-ferry[{package}]'",
        ) from error
    dialect: Dialect = room(directory or Path.cwd(), tls_ca)
    dialect.version_table, dialect.named_schema = version_table, named_schema
    dialect.check(url)
    return dialect


def is_same_place(one: URL, other: URL) -> bool:
    """Whether two URLs lead to one database, however each is written; no server is asked."""
    rooms = {_ROOMS.get(url.get_backend_name(), ("", ""))[0] for url in (one, other)}
    room = rooms.pop()
    if rooms or not room:
        return False
    connect = importlib.import_module(f"{__name__}.{room}.connect")
    return bool(connect.locate(one) == connect.locate(other))


def _refuse_driver(url: URL, room: str) -> None:
    driver = url.drivername.partition("+")[2]
    if driver and driver not in _DRIVERS[room]:
        raise Protected(
            f"The driver {url.drivername} is not supported: what it opens, ours may not read, or not find.",
            hint=f"Supported: {', '.join(_DRIVERS[room])}.",
        )
    if named := [name for name in _ELSEWHERE if room != "sqlite" and name in url.query]:
        raise Protected(
            f"The database URL leaves to {', '.join(named)} which database it means.",
            hint="Write user, host and database into the URL itself.",
        )


__all__ = ["dialect_for", "is_same_place"]
