"""The errors of a control area that cannot be written or read, or is damaged: each names it."""

from __future__ import annotations

import sqlalchemy as sa

from ...dialects.base import Dialect
from ...dialects.model import ControlArea
from ...dialects.redact import redact
from ...errors import FerryError


def place_of(area: ControlArea) -> str:
    """Where a control area lies, for people."""
    return redact(area.url) if area.url.host else str(area.directory)


def unwritable(dialect: Dialect, area: ControlArea, error: BaseException) -> FerryError:
    """The error of a control area that cannot be made or written, as its server or this machine explains it."""
    reason = getattr(error, "orig", None) or error
    message = f"The control area {place_of(area)} cannot be written"
    if known := dialect.explain(area.url, reason):
        return known.with_details(f"{message}. {known.message}", known.details)
    return FerryError(f"{message}: {reason}", hint="Every run keeps its journal there: make room, or make it writable.")


def name_damage(area: ControlArea, context: sa.engine.ExceptionContext) -> None:
    """Name the control area where a table of it is missing, or is another one, or holds no text."""
    error, words = context.sqlalchemy_exception, str(context.original_exception)
    if context.statement and context.statement.split()[0].upper() not in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        return  # SQLAlchemy's own question whether there is a table
    ours = isinstance(error, sa.exc.ProgrammingError) or "no such " in words or "Could not decode" in words
    if ours and isinstance(error, sa.exc.DatabaseError) and not context.is_disconnect:
        raise explain_damage(area, error) from error


def explain_damage(area: ControlArea, error: sa.exc.DatabaseError) -> FerryError:
    """The error of a control area whose tables are not those that a run makes."""
    return FerryError(
        f"The control area {place_of(area)} is damaged: {error.orig}",
        hint="Move it away: the next run then treats the database as one it does not know.",
    )
