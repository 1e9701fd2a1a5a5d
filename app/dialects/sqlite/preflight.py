"""SQLite: what a database file must be before it is a target, and what a revision may not reach."""

from __future__ import annotations

import sqlite3

from sqlalchemy import URL, Engine

from ...errors import Protected
from .names import is_uri


def refuse_read_only(url: URL) -> None:
    """:raises Protected: the app opens its file for reading alone, so that it is not the app's to replace."""
    if is_uri(url) and (url.query.get("mode") == "ro" or "immutable" in url.query):
        raise Protected(
            "The app opens its SQLite file for reading only (mode=ro or immutable in SQLALCHEMY_DATABASE_URI).",
            hint="Run the command with the URL of an app that may write it.",
        )


def attach_nothing(action: int, file: str | None, *_more: object) -> int:
    """An authorizer: what a revision would attach is no staging database.

    ``VACUUM`` attaches a file whose name is empty. One that is computed, or bound, comes as None.
    """
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH and file != "" else sqlite3.SQLITE_OK


def refuse_attached(engine: Engine) -> None:
    """:raises Protected: whoever connects by such an engine has further databases in sight."""
    with engine.connect() as connection:
        databases = [name for _, name, _ in connection.exec_driver_sql("PRAGMA database_list")]
    if others := [name for name in databases if name not in ("main", "temp")]:
        raise Protected(
            f"A listener of the app attaches further databases to every connection: {', '.join(others)}.",
            hint="Attach them to the app's own engine alone: @event.listens_for(db.engine, 'connect').",
        )
