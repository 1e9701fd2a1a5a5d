"""A revision's id that Alembic's own table cannot hold: the server's words would not say that it is the id."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.exc import StatementError

from ...errors import DoesNotFit

LONGEST_ID = 32
"""As Alembic makes the column; a host may widen it."""


def explain_long_id(error: BaseException, ids: Iterable[str], version_table: str) -> DoesNotFit | None:
    """The error for an id that was refused, where it was Alembic's table that was written to.

    :param version_table: what that is called.
    """
    statement = (error.statement or "") if isinstance(error, StatementError) else ""
    long = [name for name in ids if len(name) > LONGEST_ID]
    if not long or version_table not in statement or not statement.startswith(("INSERT", "UPDATE")):
        return None
    return DoesNotFit(
        f"A revision id is longer than {version_table}.version_num takes ({LONGEST_ID} characters, as Alembic makes "
        f"it): {getattr(error, 'orig', error)}",
        details=long,
        hint="Shorten it (revision in its file, down_revision in the next one), or let an earlier revision, or this "
        f"one, begin with: op.alter_column({version_table!r}, 'version_num', type_=sa.String(255), "
        "existing_nullable=False)",
    )
