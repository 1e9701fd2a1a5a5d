"""SQLite: virtual tables, told apart by what they hold: rows of their own, or what can be made anew from others."""

from __future__ import annotations

import re
import sqlite3

from ...errors import DoesNotFit
from ..model import SchemaObject

OWN = "virtual table"
"""It holds rows that are nowhere else."""
DERIVED = "derived table"
"""It holds nothing of its own: an index over another table, or a view of what SQLite knows."""

_MODULE = re.compile(r"\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE)
_CONTENT = re.compile(r"[(,]\s*content\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s,)]*))", re.IGNORECASE)
_UNSEEN = re.compile(r"[(,]\s*(?:languageid|locale|content)\s*=", re.IGNORECASE)
_SPACE = ("rtree", "rtree_i32")
_SEARCH = ("fts3", "fts4", "fts5")
_VIEWS = ("fts4aux", "fts5vocab", "dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode")


def kind_of(sql: str) -> str:
    """What a virtual table is, by the statement that creates it."""
    return DERIVED if _has_content_elsewhere(sql) or _module(sql) in _VIEWS else OWN


def has_plain_rows(sql: str) -> bool:
    """Whether all that a virtual table holds can be read and written by its columns and its rowid."""
    if _module(sql) in _SPACE:
        return True
    # An empty content keeps no text; a language or locale is in no column.
    return _module(sql) in _SEARCH and _UNSEEN.search(sql) is None


def is_keyed_by_rowid(sql: str) -> bool:
    """Whether a row's key is in no column of its own."""
    return _module(sql) in _SEARCH


def refresh(connection: sqlite3.Connection, objects: list[SchemaObject]) -> list[str]:
    """Make search indexes over other tables anew from those; returns their names.

    :raises DoesNotFit: one of them has no such table any more, or needs what no connection has.
    """
    names = [item.name for item in objects if item.kind == DERIVED and _has_content_elsewhere(item.sql)]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        try:
            connection.execute(f"INSERT INTO {quoted} ({quoted}) VALUES ('rebuild')")
        except sqlite3.Error as error:
            raise DoesNotFit(
                f"The search index {name} cannot be made anew from the table that it is of: {error}.",
                hint="Make it anew, or drop it, in a revision; then run the command again.",
            ) from error
    return names


def _module(sql: str) -> str:
    match = _MODULE.search(sql)
    return match[1].lower() if match else ""


def _has_content_elsewhere(sql: str) -> bool:
    """Whether it is an index over another table; one whose ``content`` is empty keeps the only copy of its terms."""
    match = _CONTENT.search(sql)
    return _module(sql) in _SEARCH and match is not None and any(match.groups())
