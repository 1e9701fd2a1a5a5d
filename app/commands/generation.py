"""The generation mark, for apps that issue tokens or keep caches."""

from __future__ import annotations

from pathlib import Path

from flask import current_app
from sqlalchemy import Connection

from ..dialects import dialect_for
from ..dialects.model import VERSION_TABLE
from ..errors import Protected
from ..transfer.schema.named_schema import find_named_schema
from ..transfer.schema.version_table import version_table_of


def generation_mark(connection: Connection) -> str:
    """Return the mark of the live database: another one after each cut-over, rollback, restore and ``flask db-init``.

    What an app hands out about rows, such as a session that names a user by his row number, is bound to it: after a
    cut-over the same number may be another row's. One short query; ask for it in each request, after the row was read,
    and keep it nowhere.

    :param connection: the app's own, to the live database: ``db.session.connection()``.
    :return: 8 hex digits; an empty text where no run of Flask-Ferry has made a cut-over, or can make one.
    """
    try:
        dialect = dialect_for(connection.engine.url, version_table=_version_table())
    except Protected:  # such as SQLite in memory: no command works there
        return ""
    if dialect.capabilities.named_live:
        dialect.named_schema = _named_schema(connection)
    return dialect.live_mark(connection)


def _version_table() -> str:
    """Where MySQL and MariaDB have the mark; outside of an app nobody knows that it has another name."""
    if not current_app:
        return VERSION_TABLE
    return version_table_of(current_app.extensions.get("migrate"), Path(current_app.root_path))


def _named_schema(connection: Connection) -> str | None:
    """Where PostgreSQL has the mark, if it is not where the app's sessions begin to look for tables."""
    db = current_app.extensions.get("sqlalchemy") if current_app else None
    if db is None:
        return None
    bind = next((key for key, engine in db.engines.items() if engine.url == connection.engine.url), None)
    return find_named_schema(db, current_app.extensions.get("migrate"), Path(current_app.root_path), bind)
