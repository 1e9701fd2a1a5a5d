"""What a canonical value of one logical type is as another, where two servers describe a column differently.

The type of the column in staging decides (a UUID is text where a server has no such type). A change that is not exact
is not made: the value then says its own type (:func:`..dialects.values.tag`), and a server that cannot hold that in
the column refuses the row by name.

A timestamp without a zone is taken as UTC where the other side has a zone, and the other way round.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from ..dialects.base import Column, LogicalType
from ..dialects.values import is_json, tag, to_base64, to_date, to_decimal, to_time, to_timestamp, untag

Coercion = Callable[[Any], Any]

UTC = "+00:00"
UUID_DIGITS = 32
MIDNIGHT = " 00:00:00.000000"


def coercion(source: Column, target: Column) -> Coercion | None:
    """A function from canonical values (never None) of ``source`` to those of ``target``; None where they are the same.

    :return: raises nothing; what has no exact form in ``target`` comes back tagged.
    """
    if source.type is target.type and not (source.type is LogicalType.DECIMAL and source.scale != target.scale):
        return None
    convert = _digits if _is_digits_of_uuid(source, target) else _TO[target.type]

    def coerce(value: Any) -> Any:
        own = untag(value) if type(value) is dict else _own(source.type, value)
        form = convert(own, target)
        return value if form is None and type(value) is dict else tag(own) if form is None else form

    return coerce


def _own(kind: LogicalType, value: Any) -> Any:
    """A canonical value as the Python value that says the same."""
    match kind:
        case LogicalType.BYTES:
            return untag({"$bytes": value})
        case LogicalType.BOOL:
            return int(value)
        case LogicalType.TIMESTAMPTZ:
            return value.removesuffix(UTC)
    return value


def _int(value: Any, _target: Column) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def _bool(value: Any, target: Column) -> bool | None:
    number = _int(value, target)
    return bool(number) if number in (0, 1) else None


def _float(value: Any, _target: Column) -> float | None:
    number = _number(value)
    if number is None:
        return None
    try:
        near = float(number)
    except OverflowError:
        return None
    return near if Decimal(near) == number or Decimal(repr(near)) == number else None


def _decimal(value: Any, target: Column) -> str | None:
    number = _number(value)
    return None if number is None else to_decimal(number, target.scale)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bytes):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _text(value: Any, _target: Column) -> str | None:
    return value if isinstance(value, str) else None


def _is_digits_of_uuid(source: Column, target: Column) -> bool:
    """Where a server has no UUID, SQLAlchemy's is CHAR(32)."""
    return source.type is LogicalType.UUID and target.type is LogicalType.TEXT and target.length == UUID_DIGITS


def _digits(value: Any, _target: Column) -> str | None:
    return value.replace("-", "") if isinstance(value, str) else None


def _uuid(value: Any, _target: Column) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) and len(value) in (32, 36) else None
    except ValueError:
        return None


def _bytes(value: Any, _target: Column) -> str | None:
    return to_base64(value) if isinstance(value, bytes) else None


def _json(value: Any, _target: Column) -> str | None:
    return value if isinstance(value, str) and is_json(value) else None


def _date(value: Any, _target: Column) -> str | None:
    return to_date(value.removesuffix(MIDNIGHT)) if isinstance(value, str) else None


def _time(value: Any, _target: Column) -> str | None:
    return to_time(value) if isinstance(value, str) else None


def _timestamp(value: Any, _target: Column) -> str | None:
    if not isinstance(value, str):
        return None
    return to_timestamp(value) or (to_date(value) and value + MIDNIGHT) or None


def _timestamptz(value: Any, target: Column) -> str | None:
    form = _timestamp(value.removesuffix(UTC) if isinstance(value, str) else value, target)
    return None if form is None else form + UTC


def _any(value: Any, _target: Column) -> dict[str, str]:
    return tag(value)


_TO: dict[LogicalType, Callable[[Any, Column], Any]] = {
    LogicalType.BOOL: _bool,
    LogicalType.INT: _int,
    LogicalType.DECIMAL: _decimal,
    LogicalType.FLOAT: _float,
    LogicalType.TEXT: _text,
    LogicalType.BYTES: _bytes,
    LogicalType.DATE: _date,
    LogicalType.TIME: _time,
    LogicalType.TIMESTAMP: _timestamp,
    LogicalType.TIMESTAMPTZ: _timestamptz,
    LogicalType.JSON: _json,
    LogicalType.UUID: _uuid,
    LogicalType.ANY: _any,
}
