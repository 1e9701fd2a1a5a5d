"""Databases of a server for tests of whole runs: made, filled with an old deployment's rows, read in plain SQL."""

from __future__ import annotations

import datetime as dt
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import URL, make_url
from sqlalchemy.pool import NullPool

from tests.support.deployment.models import db as classic_models
from tests.support.site import Result, Site
from tests.support.sources.sites import flask as in_process

Tables = dict[str, list[dict[str, Any]]]


class Server(Protocol):
    """A private server of the tests."""

    def url(self, database: str | None = None) -> URL:
        """A URL of one of its databases."""

    def kill(self) -> None:
        """End it as ``kill -9`` does."""

    def start(self) -> None:
        """Start it, again on the same data and port."""


def new_name() -> str:
    """A database's name that no other test has."""
    return f"t{secrets.token_hex(4)}"


def spell(url: URL) -> str:
    """A URL with its password, which SQLAlchemy 2.0.16 spells so that it reads another one where a % is in it."""
    if url.password is None:
        return url.render_as_string(hide_password=False)
    head, _, rest = url.set(password="PASSWORD").render_as_string(hide_password=False).partition(":PASSWORD@")
    return f"{head}:{quote(url.password, safe='')}@{rest}"


@dataclass
class ServerSite(Site):
    """A deployed reference app whose database is a server's."""

    url: URL = field(default_factory=lambda: make_url("sqlite://"))

    def env(self, **more: str) -> dict[str, str]:
        shown = spell(self.url)
        # FERRY_ENVIRONMENT stays unset: a server on loopback is for development.
        return super().env(**{"DATABASE_URL": shown, "FLASK_INSTANCE_PATH": str(self.directory), **more})

    def flask(self, *arguments: str, cwd: Path | None = None, timeout_s: float = 120, **environ: str) -> Result:
        """Run ``flask ...`` in this process, unless it is another app's: starting one takes longer than most runs."""
        if cwd is None and "FLASK_APP" not in environ:
            return in_process(self, *arguments, **environ)
        return super().flask(*arguments, cwd=cwd, timeout_s=timeout_s, **environ)

    @property
    def area(self) -> Path:
        return self.directory / f"{self.url.database}.ferry"

    def rows(self) -> Tables:
        """Every table with its rows, as plain SQL gives them, in SQLite's forms."""
        return rows_of(self.url)

    def execute(self, sql: str, *values: Any) -> None:
        """A write of the application's own."""
        execute(self.url, sql, *values)

    def scalar(self, sql: str) -> Any:
        """One value of the live database."""
        with connected(self.url) as connection:
            return connection.exec_driver_sql(sql).scalar()

    def content(self) -> str:
        """All rows and definitions of the live database; empty when it is absent or empty."""
        found = {name: sorted(map(repr, rows)) for name, rows in self.rows().items()}
        return repr((sorted(found.items()), definitions(self.url))) if found else ""


def connected(url: URL) -> Any:
    return sa.create_engine(url, poolclass=NullPool).connect()


def execute(url: URL, sql: str, *values: Any) -> None:
    """Run and commit a statement."""
    with connected(url) as connection, connection.begin():
        connection.exec_driver_sql(sql, tuple(values) or None)


def databases(url: URL) -> list[str]:
    """The names of all databases (or schemas) of a URL's server, with those that runs make beside it."""
    with connected(url) as connection:
        return sorted(sa.inspect(connection).get_schema_names())


def rows_of(url: URL) -> Tables:
    """Every base table with its rows, in the forms that SQLite's driver gives."""
    with connected(url) as connection:
        json_as_text(connection)
        names = sa.inspect(connection).get_table_names()
        quote = connection.dialect.identifier_preparer.quote
        return {
            name: [
                {column: plain(value) for column, value in row.items()}
                for row in connection.exec_driver_sql(f"SELECT * FROM {quote(name)}").mappings()
            ]
            for name in names
        }


def plain(value: Any) -> Any:
    """A driver's value as SQLite's driver gives it."""
    match value:
        case bool():
            return int(value)
        case dt.datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case dt.date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case dict() | list():
            raise AssertionError("JSON is compared as the text that was stored")
    return value


def definitions(url: URL) -> list[tuple[str, str]]:
    """What tables, indexes, constraints and views a database has, as SQLAlchemy's inspector tells."""
    with connected(url) as connection:
        inspector = sa.inspect(connection)
        found = []
        for name in sorted(inspector.get_table_names()):
            parts: Iterable[Any] = (
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
                sorted(map(repr, inspector.get_indexes(name))),
                sorted(map(repr, inspector.get_foreign_keys(name))),
                sorted(map(repr, inspector.get_check_constraints(name))),
            )
            found.append((name, repr(parts)))
        return found + [(name, inspector.get_view_definition(name)) for name in sorted(inspector.get_view_names())]


def fill_classic(url: URL, source: Path) -> None:
    """Make the old deployment's tables on a server by its own models, with the rows of its SQLite file.

    Foreign keys do not hold there either: on MySQL they were off, on PostgreSQL they are NOT VALID.
    """
    engine = sa.create_engine(url, poolclass=NullPool)
    classic_models.metadata.create_all(engine)
    with engine.begin() as connection, closing(sqlite3.connect(source)) as file:
        postgresql = connection.dialect.name == "postgresql"
        off = "SET session_replication_role = replica" if postgresql else "SET SESSION foreign_key_checks = 0"
        connection.exec_driver_sql(off)
        if not postgresql:
            connection.exec_driver_sql("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'")
        for table in classic_models.metadata.sorted_tables:
            _insert(connection, table, file)


def _insert(connection: sa.Connection, table: sa.Table, file: sqlite3.Connection) -> None:
    quote = connection.dialect.identifier_preparer.quote
    names = [column.name for column in table.columns]
    found = file.execute(f"SELECT {', '.join(f'[{name}]' for name in names)} FROM [{table.name}]")
    booleans = [index for index, column in enumerate(table.columns) if isinstance(column.type, sa.Boolean)]
    texts = [index for index, column in enumerate(table.columns) if isinstance(column.type, sa.JSON)]
    rows = []
    for row in found:
        values = list(row)
        for index in booleans:
            values[index] = None if values[index] is None else bool(values[index])
        for index in texts:
            values[index] = None if values[index] is None else str(values[index])
        rows.append(tuple(values))
    marks = ", ".join(["%s"] * len(names))
    sql = f"INSERT INTO {quote(table.name)} ({', '.join(map(quote, names))}) VALUES ({marks})"
    if rows:
        connection.exec_driver_sql(sql, rows)


def json_as_text(connection: sa.Connection) -> None:
    """Let PostgreSQL's driver give JSON as the text that is stored."""
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "postgresql":
        from psycopg.types.string import TextLoader

        driver.adapters.register_loader("json", TextLoader)
        driver.adapters.register_loader("jsonb", TextLoader)
