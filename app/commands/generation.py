"""The generation mark, for apps that issue tokens or keep caches."""

from __future__ import annotations

from sqlalchemy import Connection

from ..dialects import dialect_for
from ..errors import Protected


def generation_mark(connection: Connection) -> str:
    """Return the mark of the live database: another one after each cut-over, rollback, restore and ``flask db-init``.

    What an app hands out about rows, such as a session that names a user by his row number, is bound to it: after a
    cut-over the same number may be another row's. One short query; ask for it in each request, after the row was read,
    and keep it nowhere.

    :param connection: the app's own, to the live database: ``db.session.connection()``.
    :return: 8 hex digits; an empty text where no run of Flask-Ferry has made a cut-over, or can make one.
    """
    try:
        dialect = dialect_for(connection.engine.url)
    except Protected:  # such as SQLite in memory: no command works there
        return ""
    return dialect.live_mark(connection)
