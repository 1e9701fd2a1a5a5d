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


class ExactString(sa.types.TypeDecorator[str]):
    """A text that is compared by code point, on MySQL and MariaDB too: case, accents and blanks at its end count.

    ``utf8mb4_bin`` would not do: it pads, so that ``pad`` and ``pad `` are equal to it.
    """

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name not in ("mysql", "mariadb"):
            return super().load_dialect_impl(dialect)
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        length: int | None = getattr(self.impl, "length", None)
        # MySQL's own TEXT ends at 64 KiB.
        exact = mysql.VARCHAR(length, collation=collation) if length else mysql.MEDIUMTEXT(collation=collation)
        return dialect.type_descriptor(exact)


class ExactText(ExactString):
    impl = sa.Text
    cache_ok = True


def string(length: int) -> sa.types.TypeEngine[str]:
    """VARCHAR(length), compared by code point: two uids may differ by case, or blanks at their end, only."""
    return ExactString(length)


def text() -> sa.types.TypeEngine[str]:
    """TEXT of any length."""
    return ExactText()


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
