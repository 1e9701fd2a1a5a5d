"""PostgreSQL: the generation mark, at the end of a schema's comment: it goes with the schema when that is renamed."""

from __future__ import annotations

import re

from psycopg import sql

from .connect import Connection

MARK = re.compile(r" ?\[ferry ([0-9a-f]{8})\]$")

LIVE_COMMENT = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = current_schema()"
"""The comment of the schema that a session works in."""


def mark_in(comment: str | None) -> str:
    """The generation mark in a schema's comment, or an empty text."""
    match = MARK.search(comment or "")
    return match[1] if match else ""


def with_mark(comment: str | None, mark: str) -> str | None:
    """A schema's comment with another mark; whatever else it says stays."""
    words = MARK.sub("", comment or "")
    return f"{words} [ferry {mark}]".strip() if mark else words or None


def set_mark(connection: Connection, schema: str, mark: str) -> None:
    set_comment(connection, schema, with_mark(comment_on(connection, schema), mark))


def comment_on(connection: Connection, schema: str) -> str | None:
    row = connection.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (schema,)
    ).fetchone()
    return row[0] if row else None


def set_comment(connection: Connection, schema: str, comment: str | None) -> None:
    connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(schema), sql.Literal(comment)))
