"""PostgreSQL: canonical values to what ``COPY`` is given; values that the server would change are refused by name.

The server rounds and cuts off without a word: digits beyond a column's scale, blanks beyond a length, microseconds
beyond a precision, the second of two equal keys of a ``jsonb`` object. What it refuses itself is left to it.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ..model import LogicalType, Values
from ..values import from_interval, is_json, to_date, to_time, to_timestamp, to_timestamptz, to_uuid
from .types import Declared, interval

_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


class Refused(ValueError):
    """A value that its column would not hold as it is."""


def bindable(columns: list[Declared]) -> Callable[[Values], list[Any]]:
    """A function from canonical rows to what is copied.

    The texts in place of tagged values are only what the server may take: see :func:`texts`.

    :raises Refused: by the function, for a value that would be changed.
    """
    writers = [_writer(column) for column in columns]

    def bind(row: Values) -> list[Any]:
        parameters = list(row)
        for index, value in enumerate(row):
            if value is None:
                continue
            if type(value) is dict:
                parameters[index] = _tag(columns[index], value)
            elif (write := writers[index]) is not None:
                parameters[index] = write(value)
        return parameters

    return bind


def texts(columns: list[Declared], rows: list[Values]) -> dict[int, list[tuple[int, str]]]:
    """By column: the rows' numbers and the tagged texts that the server has to be asked of whether it keeps them."""
    by_column: dict[int, list[tuple[int, str]]] = {}
    for number, row in enumerate(rows):
        if dict not in map(type, row):
            continue
        for index, value in enumerate(row):
            if type(value) is dict and "$text" in value and columns[index].type is not LogicalType.DECIMAL:
                by_column.setdefault(index, []).append((number, value["$text"]))
    return by_column


def _tag(column: Declared, value: dict[str, str]) -> str:
    match value:
        case {"$float": text} if column.type is LogicalType.FLOAT and not math.isfinite(float(text)):
            return text
        case {"$text": text} if _TAGS.get(column.type, _never)(text):
            return text
    kind = next(iter(value), "$").removeprefix("$")
    content = next(iter(value.values()), "")
    raise Refused(f"column {column.name} of type {column.spelled} cannot hold the {kind} {content[:80]!r} as it is")


def _never(_text: str) -> bool:
    return False


# A text that would be read back as an ordinary value is not what was given.
_TAGS: dict[LogicalType, Callable[[str], bool]] = {
    LogicalType.ANY: lambda _text: True,
    LogicalType.DECIMAL: lambda text: text in _NO_NUMBERS,
    LogicalType.DATE: lambda text: to_date(text) is None,
    LogicalType.TIME: lambda text: to_time(text) is None,
    LogicalType.TIMESTAMP: lambda text: to_timestamp(text) is None,
    LogicalType.TIMESTAMPTZ: lambda text: to_timestamptz(text) is None,
    LogicalType.JSON: lambda text: not is_json(text),
    LogicalType.INTERVAL: lambda text: interval(text) is None,
}


def _writer(column: Declared) -> Callable[[Any], Any] | None:
    """Canonical value (never None, never tagged) to what is copied, or None where they are the same."""
    match column.type:
        case LogicalType.TEXT:
            return _text_writer(column)
        case LogicalType.BYTES:
            return _from_base64
        case LogicalType.INT if column.base == "oid":
            return _oid_writer(column)
        case LogicalType.DECIMAL:
            return _decimal_writer(column) if column.scale is not None else None
        case LogicalType.FLOAT:
            return _single(column) if column.base == "float4" else _double(column)
        case LogicalType.TIME | LogicalType.TIMESTAMP | LogicalType.TIMESTAMPTZ if column.digits_of_second < 6:
            return _second_writer(column)
        case LogicalType.JSON if column.base == "jsonb":
            return _jsonb_writer(column)
    return _WRITERS[column.type](column) if column.type in _WRITERS else None


def _from_base64(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _oid_writer(column: Declared) -> Callable[[int], int]:
    def write(value: int) -> int:
        if not 0 <= value < 2**32:
            # The server takes -1 for 4294967295 (15, seen).
            raise Refused(f"column {column.name}: {value} is out of range for an OID")
        return value

    return write


def _text_writer(column: Declared) -> Callable[[str], str] | None:
    length, counts_bytes, pads = column.length, column.base == "name", column.base == "bpchar"
    if length is None and not pads:
        return None

    def write(text: str) -> str:
        if length is not None and (len(text.encode(errors="replace")) if counts_bytes else len(text)) > length:
            raise Refused(f"column {column.name}: {len(text)} characters are too many for {column.spelled}")
        if pads and text.endswith(" "):
            raise Refused(f"column {column.name}: {column.spelled} does not keep blanks at the end")
        return text

    return write


def _decimal_writer(column: Declared) -> Callable[[str], str]:
    scale = column.scale or 0

    def write(text: str) -> str:
        fraction = text.partition(".")[2].rstrip("0")
        if len(fraction) > scale >= 0 or (scale < 0 and Decimal(text) % Decimal(10) ** -scale):
            raise Refused(f"column {column.name}: {column.spelled} would round {text}")
        return text

    return write


def _double(column: Declared) -> Callable[[Any], Any]:
    def write(value: Any) -> Any:
        if type(value) is not float and float(value) != value:
            raise Refused(f"column {column.name}: {column.spelled} would round {value}")
        return value

    return write


def _single(column: Declared) -> Callable[[Any], Any]:
    def write(value: Any) -> Any:
        try:
            rounded = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            rounded = None
        if rounded != value:
            raise Refused(f"column {column.name}: {column.spelled} would round {value}")
        return value

    return write


def _second_writer(column: Declared) -> Callable[[str], str]:
    digits = column.digits_of_second

    def write(text: str) -> str:
        if text.partition(".")[2][digits:6].strip("0"):
            raise Refused(f"column {column.name}: {column.spelled} would round {text}")
        return text

    return write


def _jsonb_writer(column: Declared) -> Callable[[str], str]:
    def once(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Refused(f"column {column.name}: jsonb keeps only one of two equal keys")

    def write(text: str) -> str:
        if "{" in text:
            try:
                json.loads(text, object_pairs_hook=once, parse_int=str, parse_float=str)
            except RecursionError as error:
                raise Refused(f"column {column.name}: the JSON text is nested too deeply to be looked at") from error
            except json.JSONDecodeError:
                return text  # the server says what is wrong with it
        return text

    return write


def _uuid_writer(column: Declared) -> Callable[[str], str]:
    def write(text: str) -> str:
        if to_uuid(text) != text:
            raise Refused(f"column {column.name}: {text[:80]!r} is no UUID in lower case")
        return text

    return write


def _interval_writer(column: Declared) -> Callable[[str], str]:
    digits = column.digits_of_second

    def write(text: str) -> str:
        if from_interval(text) is None:
            raise Refused(f"column {column.name}: this is no length of time")
        if text.partition(".")[2][digits:].strip("0"):
            raise Refused(f"column {column.name}: {column.spelled} would round {text}")
        days, time = text.split()
        return f"{days} days +{time}"

    return write


def _untag(column: Declared) -> Callable[[Any], Any]:
    def write(value: Any) -> Any:
        raise Refused(f"column {column.name} of type {column.spelled} cannot hold {str(value)[:80]!r} as it is")

    return write


_WRITERS: dict[LogicalType, Callable[[Declared], Callable[[Any], Any]]] = {
    LogicalType.UUID: _uuid_writer,
    LogicalType.INTERVAL: _interval_writer,
    LogicalType.ANY: _untag,
}
