"""SQLite: SQLAlchemy engines, for Alembic on a database file and for the control tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from .functions import Functions
from .preflight import attach_nothing


def control_engine(url: URL) -> Engine:
    """As SQLite does it: each commit durable."""
    return create_engine(url, poolclass=NullPool, hide_parameters=True)


def alembic_engine(url: URL, functions: Functions, options: Mapping[str, Any] | None = None) -> Engine:
    """Foreign keys are not enforced, nothing is attached, and what the app's connections have is there."""
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, **(options or {}))

    # An instance's listeners run after those of the Engine class, where hosts turn foreign keys on.
    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.close()
        functions.give(connection)
        connection.set_authorizer(attach_nothing)

    return engine


def read_only_engine(url: URL, functions: Functions) -> Engine:
    """The same, and SQLite refuses what would change the file."""
    engine = alembic_engine(url, functions)

    @event.listens_for(engine, "connect")
    def read_only(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    return engine
