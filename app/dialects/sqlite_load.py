"""SQLite: canonical rows bound and inserted, those that the server refuses named."""

from __future__ import annotations

import base64
import math
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ..errors import LoadError
from .base import (
    Column,
    LogicalType,
    Table,
    Values,
)
from .values import untag


def _writer(column: Column) -> Callable[[Any], Any] | None:
    """Canonical value (never None) to what is bound, or None where they are the same but for tags."""
    match column.type:
        case LogicalType.BOOL:
            return int
        case LogicalType.BYTES:
            return _from_base64
        case LogicalType.DECIMAL:
            return _from_decimal
        case LogicalType.JSON:
            return _from_json
    return None


def _from_json(text: str) -> int | float | str:
    """A JSON number as the number that NUMERIC affinity would make of it, but rightly rounded.

    SQLite's own conversion of text may be one unit in the last place off (3.40, seen with 5.6343716581440555e-306).
    """
    if text[:1] not in "-0123456789" or not text:
        return text
    number = Decimal(text)
    if number == number.to_integral_value() and -(2**63) <= number < 2**63:
        return int(number)
    value = float(number)
    return value if math.isfinite(value) else text


def _from_base64(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _from_decimal(text: str) -> int | float | str:
    """What NUMERIC affinity keeps: an integer, a float that says exactly this, else the text."""
    value = Decimal(text)
    if value == value.to_integral_value() and -(2**63) <= value < 2**63:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else text


def bindable(table: Table) -> Callable[[Values], list[Any]]:
    """A function from canonical rows of a table to what the driver binds."""
    writers = [_writer(column) for column in table.columns]

    def bind(row: Values) -> list[Any]:
        bound = list(row)
        for index, value in enumerate(row):
            if value is None:
                continue
            if type(value) is dict:
                bound[index] = untag(value)
            elif (write := writers[index]) is not None:
                bound[index] = write(value)
        return bound

    return bind


_REFUSED_VALUE = (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError)
"""A constraint; an integer beyond 64 bits; half of a surrogate pair."""


def insert_batch(connection: sqlite3.Connection, sql: str, rows: list[list[Any]]) -> list[tuple[int, str]]:
    """Insert rows; when the server refuses one, insert them one by one and return (index, words) of those."""
    connection.execute("SAVEPOINT batch")
    try:
        connection.executemany(sql, rows)
    except _REFUSED_VALUE:
        connection.execute("ROLLBACK TO batch")
        refused = []
        for index, row in enumerate(rows):
            try:
                connection.execute(sql, row)
            except _REFUSED_VALUE as error:
                refused.append((index, str(error)))
        return refused
    except sqlite3.Error as error:
        raise LoadError(f"The database refused rows: {error} ({sql})") from error
    finally:
        connection.execute("RELEASE batch")
    return []
