"""SQLite: declared types as logical types, and how their values are read."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from ..batches import ConvertColumn, are_all, by_value, unless_all
from ..model import Column, LogicalType
from ..values import USUAL_TIMESTAMP, is_json, tag, to_base64, to_date, to_decimal, to_time, to_timestamp

_DECLARED = re.compile(r"^\s*([A-Za-z_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*$")

_EXACT_NAMES = {
    "BOOLEAN": LogicalType.BOOL,
    "BOOL": LogicalType.BOOL,
    "DATETIME": LogicalType.TIMESTAMP,
    "TIMESTAMP": LogicalType.TIMESTAMP,
    "DATE": LogicalType.DATE,
    "TIME": LogicalType.TIME,
    "JSON": LogicalType.JSON,
    "NUMERIC": LogicalType.DECIMAL,
    "DECIMAL": LogicalType.DECIMAL,
}
# In the order of SQLite's own rules for a type's affinity (sqlite.org/datatype3.html, section 3.1).
_PARTS = (
    ("INT", LogicalType.INT),
    ("CHAR", LogicalType.TEXT),
    ("CLOB", LogicalType.TEXT),
    ("TEXT", LogicalType.TEXT),
    ("BLOB", LogicalType.BYTES),
    ("BINARY", LogicalType.BYTES),
    ("REAL", LogicalType.FLOAT),
    ("FLOA", LogicalType.FLOAT),
    ("DOUB", LogicalType.FLOAT),
)


def logical_type(declared: str) -> tuple[LogicalType, int | None, int | None]:
    """Logical type, length and scale of a declared column type."""
    match = _DECLARED.match(declared)
    if match is None:
        return LogicalType.ANY, None, None
    name, first, second = match.group(1).upper(), match.group(2), match.group(3)
    logical = _EXACT_NAMES.get(name) or next((kind for part, kind in _PARTS if part in name), LogicalType.ANY)
    length = int(first) if first and logical is LogicalType.TEXT else None
    return logical, length, int(second) if second and logical is LogicalType.DECIMAL else None


def _bool(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else tag(value)


def _int(value: Any) -> Any:
    return value if type(value) is int else tag(value)


def _float(value: Any) -> Any:
    return value if type(value) is float and math.isfinite(value) else tag(value)


def _text(value: Any) -> Any:
    return value if type(value) is str else tag(value)


def _bytes(value: Any) -> Any:
    return to_base64(value) if type(value) is bytes else tag(value)


def _parse(parse: Callable[[str], str | None]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        form = parse(value) if type(value) is str else None
        return tag(value) if form is None else form

    return convert


def _decimal(scale: int | None) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if type(value) is int or (type(value) is float and math.isfinite(value)):
            return to_decimal(Decimal(repr(value)), scale)
        return tag(value)

    return convert


def _json(value: Any) -> Any:
    # A JSON column has NUMERIC affinity: SQLite keeps a JSON number as an integer or a float.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)
    return value if type(value) is str and is_json(value) else tag(value)


_CONVERTERS: dict[LogicalType, Callable[[Any], Any]] = {
    LogicalType.BOOL: _bool,
    LogicalType.INT: _int,
    LogicalType.FLOAT: _float,
    LogicalType.TEXT: _text,
    LogicalType.BYTES: _bytes,
    LogicalType.JSON: _json,
    LogicalType.DATE: _parse(to_date),
    LogicalType.TIME: _parse(to_time),
    LogicalType.TIMESTAMP: _parse(to_timestamp),
    LogicalType.ANY: tag,
}


def converter(column: Column) -> Callable[[Any], Any]:
    """Driver value (never None) to canonical value."""
    return _decimal(column.scale) if column.type is LogicalType.DECIMAL else _CONVERTERS[column.type]


def _are_finite(values: Sequence[Any]) -> bool:
    try:
        return all(map(math.isfinite, values)) and are_all(float)(values)
    except TypeError:
        return False


def _are_usual_timestamps(values: Sequence[Any]) -> bool:
    """Whether all are texts as SQLAlchemy writes them, and none NULL."""
    try:
        if not all(map(USUAL_TIMESTAMP.fullmatch, values)):
            return False
        deque(map(dt.datetime.fromisoformat, values), maxlen=0)
    except (TypeError, ValueError):
        return False
    return True


_CANONICAL: dict[LogicalType, Callable[[Sequence[Any]], bool]] = {
    LogicalType.INT: are_all(int),
    LogicalType.TEXT: are_all(str),
    LogicalType.FLOAT: _are_finite,
    LogicalType.TIMESTAMP: _are_usual_timestamps,
}
"""Whether the values of a column are all canonical as they are; what it says no to is looked at one by one."""


def column_converter(column: Column) -> ConvertColumn:
    """Driver values of a column to canonical values."""
    convert = converter(column)
    is_canonical = _CANONICAL.get(column.type)
    return unless_all(is_canonical, convert) if is_canonical else by_value(convert)


def is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
