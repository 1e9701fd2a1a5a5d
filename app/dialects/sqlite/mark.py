"""SQLite: the generation mark, in the text of a view; and the numbers in a file's header, which are the app's.

A view holds no rows, nothing that autogenerate compares, and goes along with every copy of the file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping

VIEW = "flask_ferry_generation"
_TEXT = re.compile(r" AS SELECT '([0-9a-f]{8})' AS mark$")

_OUR_APPLICATION_ID = 0x46455252
"""``FERR``. Older versions kept the mark in ``user_version`` and said so by this ``application_id``."""
_LEAST_OF_OURS = 1 << 16
"""A smaller ``user_version`` is the app's, which wrote over the mark: that was one of 31 random bits."""

QUERY = (
    "SELECT sql, application_id, user_version FROM pragma_application_id, pragma_user_version "
    f"LEFT JOIN sqlite_schema ON type = 'view' AND name = '{VIEW}'"
)
NUMBERS = ("application_id", "user_version")


def mark_in(text: str | None, application_id: int, user_version: int) -> str:
    """The mark by a row of :data:`QUERY`, or an empty text."""
    if match := _TEXT.search(text or ""):
        return match[1]
    return f"{user_version:08x}" if application_id == _OUR_APPLICATION_ID else ""


def set_mark(connection: sqlite3.Connection, mark: str) -> None:
    """Write the mark, and give the numbers back that an older version took."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"DROP VIEW IF EXISTS {VIEW}")
    connection.execute(f"CREATE VIEW {VIEW} AS SELECT '{int(mark, 16):08x}' AS mark")
    connection.execute("COMMIT")
    set_numbers(connection, numbers_of(connection))


def numbers_of(connection: sqlite3.Connection) -> dict[str, int]:
    """What the app keeps in the file's header."""
    numbers = {name: int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in NUMBERS}
    if numbers["application_id"] == _OUR_APPLICATION_ID:
        numbers["application_id"] = 0
        numbers["user_version"] *= numbers["user_version"] < _LEAST_OF_OURS
    return numbers


def set_numbers(connection: sqlite3.Connection, numbers: Mapping[str, int]) -> None:
    for name in NUMBERS:
        if name in numbers:
            connection.execute(f"PRAGMA {name} = {int(numbers[name])}")
