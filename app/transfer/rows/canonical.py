"""One encoding of a row, which checksums, snapshots and differences are made of.

A canonical row is a JSON array of canonical values (:mod:`..dialects.values`) in the order of the table's columns.
Its line is written by one C call; its hash is XXH3-128 of that line, with JSON columns in a normalised form, because
servers differ in key order and number spelling. A table's checksum is the sum of its rows' hashes, so it does not
depend on the order of rows and is the same for every server, snapshot and export.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson
import xxhash

from ...dialects.model import Column, LogicalType, Table, TableChecksum, Values
from ...dialects.values import is_json, tag, to_base64, to_decimal, to_interval
from ...errors import DoesNotFit
from ..adapters import JSON_NULL
from .normal_json import normalise_json

MODULUS = 1 << 128


def encode_row(row: Values) -> bytes:
    """A canonical row as one line of JSON, without the line's end."""
    return orjson.dumps(row)


def decode_row(line: bytes) -> Values:
    """The canonical row of a line that :func:`encode_row` made.

    :raises ValueError: not a JSON array.
    """
    row = orjson.loads(line)
    if not isinstance(row, list):
        raise ValueError("not a row")  # noqa: TRY004 # callers handle one kind of error: bad text
    return row


def decode_rows(lines: Sequence[bytes]) -> list[Values]:
    """The canonical rows of a snapshot's lines, their ends and commas included, by one call of C code.

    :raises ValueError: a line is not one JSON array.
    """
    rows = orjson.loads(b"[" + b"".join(lines).rstrip(b",\n") + b"]")
    if len(rows) != len(lines) or any(type(row) is not list for row in rows):
        raise ValueError("not a row")
    return rows  # type: ignore[no-any-return] # it is what was just looked at


def hash_line(line: bytes) -> int:
    """The 128-bit hash of a line."""
    return xxhash.xxh3_128_intdigest(line)


def row_hasher(table: Table) -> Callable[[Values, bytes], int]:
    """A function (row, its line) -> hash for the rows of a table."""
    normalise, dumps, digest = _normaliser(table), orjson.dumps, xxhash.xxh3_128_intdigest

    def hash_row(row: Values, line: bytes) -> int:
        # One function, as it is called for every row there is.
        if normalise:
            line = dumps(normalise(row))
        return digest(without_numbers(line) if _LARGE in line else line)

    return hash_row


def lines_hasher(table: Table) -> Callable[[Sequence[Values], Sequence[bytes]], list[int]]:
    """A function (rows, their lines) -> hashes for rows of a table: what :func:`row_hasher` says of each."""
    normalise, dumps, digest = _normaliser(table), orjson.dumps, xxhash.xxh3_128_intdigest

    def hash_lines(rows: Sequence[Values], lines: Sequence[bytes]) -> list[int]:
        if normalise:
            lines = [dumps(normalise(row)) for row in rows]
        return [digest(without_numbers(line) if _LARGE in line else line) for line in lines]

    return hash_lines


def _normaliser(table: Table) -> Callable[[Values], Values] | None:
    """A function that gives a row with its JSON columns in their normal form; None where the table has none."""
    places = [i for i, column in enumerate(table.columns) if column.type is LogicalType.JSON]

    def normalise(row: Values) -> Values:
        normal = list(row)
        for place in places:
            if type(row[place]) is str:
                normal[place] = normalise_json(row[place])
        return normal

    return normalise if places else None


# Within a text of JSON the quotes would have backslashes before them.
_LARGE = b'{"$large":"'
_NUMBER = re.compile(re.escape(_LARGE) + rb"[0-9]+ ")


def without_numbers(line: bytes) -> bytes:
    """A line in the form that is compared: of large objects the content counts, and not what number it has here."""
    return _NUMBER.sub(_LARGE, line) if _LARGE in line else line


def checksum(table: Table, rows: Iterable[Values]) -> TableChecksum:
    """Count and sum of a table's rows."""
    normalise, dumps, digest = _normaliser(table), orjson.dumps, xxhash.xxh3_128_intdigest
    count = total = 0
    # As row_hasher() says of each, in one loop: these are all rows of a database.
    for row in map(normalise, rows) if normalise else rows:
        line = dumps(row)
        count += 1
        total += digest(without_numbers(line) if _LARGE in line else line)
    return TableChecksum(count, total % MODULUS)


def json_text(value: Any) -> str:
    """A Python value as JSON text, numbers spelled as they were read (``Decimal`` keeps its digits).

    :raises TypeError: a value that JSON cannot say, NaN and infinities among them.
    """
    text = orjson.dumps(value, default=_number).decode()
    # orjson writes a float that JSON cannot say as null.
    if "null" in text and _has_no_number(value):
        raise TypeError("NaN or an infinity is not a JSON value")
    return text


def _has_no_number(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(map(_has_no_number, items))


def _number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _timestamp(value: Any) -> str | None:
    if not isinstance(value, dt.datetime) or value.tzinfo is not None:
        return None
    return value.isoformat(sep=" ", timespec="microseconds")


def _timestamptz(value: Any) -> str | None:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return None
    return value.astimezone(dt.UTC).isoformat(sep=" ", timespec="microseconds")


def _time(value: Any) -> str | None:
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        return None
    return value.isoformat(timespec="microseconds")


MOST_DIGITS = 1000
"""Before or behind the point: no server has a longer DECIMAL, and ``1e999999999`` would be written out."""


def _decimal(value: Any, scale: int | None) -> str | None:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return None
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or number.adjusted() > MOST_DIGITS or -exponent > MOST_DIGITS:
        return None
    return to_decimal(number, scale)


def _float(value: Any) -> Any:
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if math.isfinite(number):
        return number
    # A number that is too large for a float is refused; an infinity that was given as one is kept.
    return tag(value) if isinstance(value, float) else None


def _json(value: Any) -> str | None:
    try:
        return "null" if value is JSON_NULL else json_text(value)
    except TypeError:
        return None


def _any(value: Any) -> Any:
    return tag(value) if isinstance(value, int | float | str | bytes) else None


_FROM_PYTHON: dict[LogicalType, Callable[[Any], Any]] = {
    LogicalType.BOOL: lambda v: v if isinstance(v, bool) else None,
    LogicalType.INT: lambda v: v if type(v) is int and -(2**63) <= v < 2**64 else None,
    LogicalType.FLOAT: _float,
    LogicalType.TEXT: lambda v: v if isinstance(v, str) else None,
    LogicalType.BYTES: lambda v: to_base64(v) if isinstance(v, bytes) else None,
    LogicalType.DATE: lambda v: v.isoformat() if type(v) is dt.date else None,
    LogicalType.TIME: _time,
    LogicalType.TIMESTAMP: _timestamp,
    LogicalType.TIMESTAMPTZ: _timestamptz,
    LogicalType.UUID: lambda v: str(v) if isinstance(v, uuid.UUID) else None,
    LogicalType.INTERVAL: lambda v: to_interval(v) if isinstance(v, dt.timedelta) else None,
    LogicalType.JSON: _json,
    LogicalType.ANY: _any,
}


def from_python(column: Column, value: Any) -> Any:
    """The canonical form of what an adapter gives for a column; ``None`` is the SQL NULL.

    :raises DoesNotFit: the value is not of the column's type.
    """
    if value is None:
        return None
    if column.type is LogicalType.DECIMAL:
        form: Any = _decimal(value, column.scale)
    else:
        form = _FROM_PYTHON[column.type](value)
    if form is None:
        raise DoesNotFit(f"{column.name} is of type {column.type}, not {type(value).__name__}: {str(value)[:80]!r}")
    return form


def to_json(value: Any) -> Any:
    """A canonical value of a JSON column as a Python value; any other value as it is."""
    return json.loads(value) if isinstance(value, str) and is_json(value) else value
