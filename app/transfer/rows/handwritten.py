"""Values as somebody wrote them into a JSON file by hand, brought to their canonical form or refused."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ...dialects.model import Column, LogicalType, Table
from ...dialects.values import (
    from_interval,
    is_json,
    to_base64,
    to_date,
    to_decimal,
    to_time,
    to_timestamp,
    to_timestamptz,
    to_uuid,
    untag,
)
from .canonical import MOST_DIGITS


def _number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _float(value: Any) -> float | None:
    number = float(value) if _number(value) else math.inf
    return number if math.isfinite(number) else None


def _decimal(column: Column, value: Any) -> str | None:
    try:
        number = Decimal(value) if isinstance(value, str) or _number(value) else Decimal("NaN")
    except InvalidOperation:
        return None
    # An exponent would be written out: 1e999999999.
    fits = number.is_finite() and abs(number.adjusted()) <= MOST_DIGITS and len(number.as_tuple().digits) <= MOST_DIGITS
    return to_decimal(number, column.scale) if fits else None


def _bytes(value: str) -> str | None:
    try:
        return to_base64(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return None


_TEXTS: Mapping[LogicalType, Callable[[str], str | None]] = {
    LogicalType.TEXT: lambda text: text,
    LogicalType.BYTES: _bytes,
    LogicalType.DATE: to_date,
    LogicalType.TIME: to_time,
    LogicalType.TIMESTAMP: to_timestamp,
    LogicalType.TIMESTAMPTZ: to_timestamptz,
    LogicalType.INTERVAL: lambda text: None if from_interval(text) is None else text,
    LogicalType.UUID: to_uuid,
    LogicalType.JSON: lambda text: text if is_json(text) else None,
}
_EXAMPLES: Mapping[LogicalType, str] = {
    LogicalType.BOOL: "true or false",
    LogicalType.INT: "a number such as 5",
    LogicalType.DECIMAL: 'a text of digits such as "12.50"',
    LogicalType.FLOAT: "a number such as 1.5",
    LogicalType.TEXT: "a text",
    LogicalType.BYTES: "a text of base64",
    LogicalType.DATE: 'a text such as "2026-01-31"',
    LogicalType.TIME: 'a text such as "23:59:59"',
    LogicalType.TIMESTAMP: 'a text such as "2026-01-31 23:59:59"',
    LogicalType.TIMESTAMPTZ: 'a text such as "2026-01-31 23:59:59+00:00"',
    LogicalType.INTERVAL: 'a text such as "1 02:03:04.000000"',
    LogicalType.JSON: r'a text that is JSON, such as "{\"a\": 1}"',
    LogicalType.UUID: 'a text such as "00010203-0405-0607-0809-0a0b0c0d0e0f"',
    LogicalType.ANY: 'an object such as {"$text": "x"}',
}


def _tag(value: dict[str, Any]) -> dict[str, Any] | None:
    try:
        untag(value)
    except (ValueError, TypeError):
        return None
    return value if all(isinstance(item, str) for item in value.values()) else None


def _form(column: Column, value: Any) -> Any:
    """The canonical form, or None where the value has none."""
    if isinstance(value, dict):
        return _tag(value)
    match column.type:
        case LogicalType.BOOL:
            return value if isinstance(value, bool) else None
        case LogicalType.INT:
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case LogicalType.FLOAT:
            return _float(value)
        case LogicalType.DECIMAL:
            return _decimal(column, value)
    parse = _TEXTS.get(column.type)
    return parse(value) if parse and isinstance(value, str) else None


def canonical_row(table: Table, row: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A row by column in canonical form, and what is wrong with it, each with its column; values are never told.

    :param row: as :mod:`.strictjson` reads it: fractions are ``Decimal``.
    """
    values: dict[str, Any] = {}
    names = set(table.column_names)
    wrong = [f"there is no column {name}" for name in row if name not in names]
    wrong += [f"column {name} is missing" for name in table.column_names if name not in row]
    for column in table.columns:
        value = row.get(column.name)
        values[column.name] = None if value is None else _form(column, value)
        if value is not None and values[column.name] is None:
            wrong.append(f"column {column.name} takes {_EXAMPLES[column.type]}, or null")
    return values, wrong
