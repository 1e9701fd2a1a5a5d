"""The models' base class and the column types they share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase

from ..extensions import db


class Base(DeclarativeBase):
    """A model whose table belongs to the app's database."""

    metadata = db.metadata


def string(length: int) -> sa.types.TypeEngine[str]:
    """VARCHAR(length). On MySQL compared by code point: two uids may differ by case only."""
    binary = mysql.VARCHAR(length, collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def text() -> sa.types.TypeEngine[str]:
    """TEXT of any length (MySQL's own ends at 64 KiB)."""
    return sa.Text().with_variant(mysql.MEDIUMTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def moment() -> sa.types.TypeEngine[datetime]:
    """DATETIME in microseconds, UTC without a zone."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def json() -> sa.types.TypeEngine[Any]:
    """JSON in which Python's None is SQL NULL."""
    return sa.JSON(none_as_null=True)


def now() -> datetime:
    """The time, as :func:`moment` columns hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


def linked_or_former(column: str) -> sa.CheckConstraint:
    """The rule that ``column`` refers to a row, or ``former_<column>`` remembers the id of one that is gone."""
    return sa.CheckConstraint(f"({column} IS NULL) <> (former_{column} IS NULL)", name=column)
