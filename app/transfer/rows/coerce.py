"""What a canonical value of one logical type is as another, where two servers describe a column differently.

The type of the column in staging decides (a UUID is text where a server has no such type). A change that is not exact
is not made: the value then says its own type (:func:`..dialects.values.tag`), and a server that cannot hold that in
the column refuses the row by name.

A timestamp without a zone is taken as UTC where the other side has a zone. The other way round it is what the source's
app was shown: UTC, unless a zone is given. An interval is the
time since 1970 where a server has none, as in SQLAlchemy.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from ...dialects.model import Column, LogicalType
from ...dialects.values import (
    from_interval,
    is_json,
    tag,
    to_base64,
    to_date,
    to_decimal,
    to_interval,
    to_time,
    to_timestamp,
    untag,
)
from .zones import show_in

Coercion = Callable[[Any], Any]

UTC = "+00:00"
UUID_DIGITS = 32
MIDNIGHT = " 00:00:00.000000"
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 # SQLAlchemy's, without a zone
_NUMBERS = (LogicalType.BOOL, LogicalType.INT, LogicalType.DECIMAL, LogicalType.FLOAT)


def coercion(source: Column, target: Column, zone: dt.tzinfo | None = None) -> Coercion | None:
    """A function from canonical values (never None) of ``source`` to those of ``target``; None where they are the same.

    :param zone: in which the source's app read instants; UTC when it is left out.
    :return: raises nothing; what has no exact form in ``target`` comes back tagged.
    """
    if source.type is target.type and not (source.type is LogicalType.DECIMAL and source.scale != target.scale):
        return None
    convert = _converter(source, target)
    clock = zone if is_shown(source, target) else None

    def coerce(value: Any) -> Any:
        if clock and type(value) is str:
            value = show_in(clock, value) or tag(value)
        if type(value) is dict and "$large" in value:
            return value
        content = untag(value) if type(value) is dict else _to_python(source.type, value)
        form = convert(content, target)
        return value if form is None and type(value) is dict else tag(content) if form is None else form

    return coerce


def is_shown(source: Column, target: Column) -> bool:
    """Whether instants become what a clock showed: the target keeps no zone."""
    return source.type is LogicalType.TIMESTAMPTZ and target.type is not LogicalType.TIMESTAMPTZ


def is_out_of_place(target: Column, value: Any) -> bool:
    """Whether a value is tagged, and an application could not read it from a column that only happens to take it.

    :param value: a canonical one (never None), coerced to the column's type.
    """
    if type(value) is not dict:
        return False
    match target.type, value:
        case (LogicalType.ANY, _) | (LogicalType.BOOL, {"$int": _}):
            return False
        case LogicalType.FLOAT, {"$float": text}:
            return math.isnan(float(text))
        case LogicalType.JSON, {"$text": text}:
            # What is JSON is tagged only where it was none: the text of an empty array is {}.
            return is_json(text) or not _is_json_to_python(text)
    return True


def _is_json_to_python(text: str) -> bool:
    """Half of a surrogate pair is no JSON by the standard, but to servers and to Python it is."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _converter(source: Column, target: Column) -> Callable[[Any, Column], Any]:
    match source.type, target.type:
        case LogicalType.UUID, LogicalType.TEXT if target.length == UUID_DIGITS:
            return _digits
        case LogicalType.TEXT, LogicalType.UUID:
            return _uuid_of_digits if source.length == UUID_DIGITS else _uuid
        case LogicalType.INTERVAL, LogicalType.TIMESTAMP:
            return _since_epoch
        case LogicalType.TIMESTAMP, LogicalType.INTERVAL:
            return _interval
        case LogicalType.ANY, kind if kind not in (LogicalType.TEXT, LogicalType.ANY) and not source.loose:
            return _no_text(_TO[kind])
        case ((LogicalType.ANY | LogicalType.TEXT), kind) if kind in _NUMBERS:
            return _convert_back(_TO[kind])
    return _TO[target.type]


def _no_text(convert: Callable[[Any, Column], Any]) -> Callable[[Any, Column], Any]:
    """A text of a server's own type only looks like another: the bits ``101``, the empty array ``{}``."""
    return lambda value, target: None if isinstance(value, str) else convert(value, target)


def _convert_back(convert: Callable[[Any, Column], Any]) -> Callable[[Any, Column], Any]:
    """A text is a number only where the number is spelled so: not ``007``."""

    def convert_exactly(value: Any, target: Column) -> Any:
        form = convert(value, target)
        return None if isinstance(value, str) and str(form) != value else form

    return convert_exactly


def _to_python(kind: LogicalType, value: Any) -> Any:
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
    if number is None or number != number.to_integral_value() or not -(2**63) <= number < 2**64:
        return None
    return int(number)


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
    if isinstance(value, bytes) or repr(value) == "-0.0":
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _text(value: Any, _target: Column) -> str | None:
    return value if isinstance(value, str) else None


def _digits(value: Any, _target: Column) -> str | None:
    """Where a server has no UUID, SQLAlchemy's is CHAR(32)."""
    return value.replace("-", "") if isinstance(value, str) else None


def _uuid_of_digits(value: Any, _target: Column) -> str | None:
    return str(uuid.UUID(value)) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _uuid(value: Any, _target: Column) -> str | None:
    return value if isinstance(value, str) and _UUID.fullmatch(value) else None


_DIGITS = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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


def _since_epoch(value: Any, _target: Column) -> str | None:
    length = from_interval(value) if isinstance(value, str) else None
    try:
        return None if length is None else (EPOCH + length).isoformat(sep=" ", timespec="microseconds")
    except OverflowError:
        return None


def _interval(value: Any, _target: Column) -> str | None:
    moment = to_timestamp(value) if isinstance(value, str) else None
    return to_interval(dt.datetime.fromisoformat(moment) - EPOCH) if moment else None


def _same_interval(value: Any, _target: Column) -> str | None:
    return value if isinstance(value, str) and from_interval(value) is not None else None


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
    LogicalType.INTERVAL: _same_interval,
    LogicalType.ANY: _any,
}
