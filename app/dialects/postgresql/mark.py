"""PostgreSQL: the generation mark, at the end of a schema's comment: it goes with the schema when that is renamed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection as AppConnection

from .connect import Connection
from .names import Place, literal, quote

MARK = re.compile(r" ?\[ferry ([0-9a-f]{8})\]$")

COMMENT = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = {}"
"""The comment of a schema, whose name is put in as a literal."""
LIVE_COMMENT = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = current_schema()"
"""The comment of the schema that a session works in."""
_NAMED_COMMENT = sa.text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema")


_MADE = re.compile(r" ?\[ferry made (\[.*?\"\])\]")
"""In the comment of a staging schema: the extensions that were made for it, and of which the database had none."""


def made_in(comment: str | None) -> list[str]:
    """The extensions that a staging schema's comment says were made for it."""
    match = _MADE.search(comment or "")
    return [str(name) for name in json.loads(match[1])] if match else []


def with_made(comment: str | None, names: Sequence[str]) -> str | None:
    """A schema's comment that says which extensions were made for it, or, where there is none, nothing of that."""
    text = comment or ""
    words, mark = _MADE.sub("", text), mark_in(comment)
    if text.startswith("[ferry made "):
        words = words.lstrip()
    if not names:
        return words or None
    return with_mark(f"{with_mark(words, '') or ''} [ferry made {json.dumps(list(names))}]".strip(), mark)


def mark_in(comment: str | None) -> str:
    """The generation mark in a schema's comment, or an empty text."""
    match = MARK.search(comment or "")
    return match[1] if match else ""


def live_mark(connection: AppConnection, place: Place | None) -> str:
    """The mark of the database that an app's connection works in.

    :param place: the schema that the app's models name; by default that which the connection takes for its own.
    """
    if place is None:
        return mark_in(connection.exec_driver_sql(LIVE_COMMENT).scalar())
    return mark_in(connection.execute(_NAMED_COMMENT, {"schema": place.schema}).scalar())


def with_mark(comment: str | None, mark: str) -> str | None:
    """A schema's comment with another mark; whatever else it says stays."""
    words = MARK.sub("", comment or "")
    return f"{words} [ferry {mark}]".strip() if mark else words or None


def set_mark(connection: Connection, schema: str, mark: str) -> None:
    set_comment(connection, schema, with_mark(comment_on(connection, schema), mark))


def comment_on(connection: Connection, schema: str) -> str | None:
    row = connection.execute(COMMENT.format(literal(schema)).encode()).fetchone()
    return row[0] if row else None


def set_comment(connection: Connection, schema: str, comment: str | None) -> None:
    connection.execute(comment_statement(schema, comment).encode())


def comment_statement(schema: str, comment: str | None) -> str:
    """What gives a schema a comment, or takes it away."""
    return f"COMMENT ON SCHEMA {quote(schema)} IS {'NULL' if comment is None else literal(comment)}"
