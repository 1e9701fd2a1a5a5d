"""MySQL and MariaDB: the generation mark, in the comment of the table of revisions."""

from __future__ import annotations

from sqlalchemy import text

from ..model import VERSION_TABLE
from .connect import quote
from .objects import MARK
from .session import Connection, execute

_COMMENT = "SELECT table_comment FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
LIVE_COMMENT_OF = (
    "SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = {}"
)
"""As :data:`LIVE_COMMENT`, where the name is put in as a literal."""
LIVE_COMMENT = text(LIVE_COMMENT_OF.format(":name"))
"""The comment that holds the mark, for a session that works in its database; of the table of revisions, by its name."""


def mark(connection: Connection, database: str, version_table: str = VERSION_TABLE) -> str:
    """The generation mark, in the comment of Alembic's table; an empty text where there is none."""
    rows = execute(connection, _COMMENT, database, version_table)
    return mark_in(rows[0][0]) if rows else ""


def mark_in(comment: str | None) -> str:
    """The generation mark in a table's comment, or an empty text."""
    match = MARK.search(comment or "")
    return match[1] if match else ""


def set_mark(connection: Connection, database: str, mark: str, version_table: str = VERSION_TABLE) -> None:
    """Write the generation mark; a comment that somebody else wrote stays.

    Where there is no table of Alembic's, as in an empty database, it is made as Alembic makes it.

    :param mark: 8 hex digits, or an empty text for none.
    """
    table = f"{quote(database)}.{quote(version_table)}"
    rows = execute(connection, _COMMENT, database, version_table)
    if not rows:
        execute(connection, f"CREATE TABLE {table} (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num))")
    words = MARK.sub("", rows[0][0]) if rows else ""
    execute(connection, f"ALTER TABLE {table} COMMENT = %s", f"{words} ferry {mark}".strip() if mark else words)
