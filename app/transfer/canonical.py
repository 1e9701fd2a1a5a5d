"""One encoding of a row, which checksums, snapshots and differences are made of.

A canonical row is a JSON array of canonical values (:mod:`..dialects.values`) in the order of the table's columns.
Its line is written by one C call; its hash is XXH3-128 of that line, with JSON columns in a normalised form, because
servers differ in key order and number spelling. A table's checksum is the sum of its rows' hashes, so it does not
depend on the order of rows and is the same for every server, snapshot and export.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
import xxhash

from ..dialects.base import Column, LogicalType, Table, TableChecksum, Values
from ..dialects.values import is_json, to_base64, to_decimal
from ..errors import DoesNotFit
from .adapters import JSON_NULL

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


def hash_line(line: bytes) -> int:
    """The 128-bit hash of a line."""
    return xxhash.xxh3_128_intdigest(line)


def row_hasher(table: Table) -> Callable[[Values, bytes], int]:
    """A function (row, its line) -> hash for the rows of a table."""
    places = [i for i, column in enumerate(table.columns) if column.type is LogicalType.JSON]
    if not places:
        return lambda _row, line: hash_line(line)

    def hash_row(row: Values, _line: bytes) -> int:
        normal = list(row)
        for place in places:
            if type(row[place]) is str:
                normal[place] = normalise_json(row[place])
        return hash_line(orjson.dumps(normal))

    return hash_row


def checksum(table: Table, rows: Iterable[Values]) -> TableChecksum:
    """Count and sum of a table's rows."""
    hash_row = row_hasher(table)
    count = total = 0
    for row in rows:
        count += 1
        total += hash_row(row, encode_row(row))
    return TableChecksum(count, total % MODULUS)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its repeated keys kept."""


@lru_cache(maxsize=4096)
def normalise_json(text: str) -> str:
    """A JSON text with its keys sorted, no blanks, and numbers by value: ``1.0``, ``1`` and ``1e0`` are one."""
    value = json.loads(text, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=_Pairs)
    return "".join(_normal(value))


def _normal(value: Any) -> Iterator[str]:
    match value:
        case _Pairs():
            yield "{"
            for index, (key, item) in enumerate(sorted(value, key=lambda pair: pair[0])):
                yield ("," if index else "") + json.dumps(key) + ":"
                yield from _normal(item)
            yield "}"
        case list():
            yield "["
            for index, item in enumerate(value):
                yield "," if index else ""
                yield from _normal(item)
            yield "]"
        case Decimal():
            yield _normal_number(value)
        case _:
            yield json.dumps(value)


def _normal_number(value: Decimal) -> str:
    if not value:
        return "0"
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    kept = text.rstrip("0")
    return f"{'-' if sign else ''}{kept}e{int(exponent) + len(text) - len(kept)}"


def json_text(value: Any) -> str:
    """A Python value as JSON text, numbers spelled as they were read (``Decimal`` keeps its digits)."""
    return orjson.dumps(value, default=_number).decode()


def _number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _timestamp(value: Any) -> str | None:
    if not isinstance(value, dt.datetime) or value.tzinfo is not None:
        return None
    return value.isoformat(sep=" ", timespec="microseconds")


def _decimal(value: Any) -> str | None:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return to_decimal(Decimal(value), None) if is_number else None


_FROM_PYTHON: dict[LogicalType, Callable[[Any], Any]] = {
    LogicalType.BOOL: lambda v: v if isinstance(v, bool) else None,
    LogicalType.INT: lambda v: v if type(v) is int and -(2**63) <= v < 2**64 else None,
    LogicalType.FLOAT: lambda v: float(v) if isinstance(v, int | float | Decimal) else None,
    LogicalType.DECIMAL: _decimal,
    LogicalType.TEXT: lambda v: v if isinstance(v, str) else None,
    LogicalType.BYTES: lambda v: to_base64(v) if isinstance(v, bytes) else None,
    LogicalType.DATE: lambda v: v.isoformat() if type(v) is dt.date else None,
    LogicalType.TIME: lambda v: v.isoformat(timespec="microseconds") if isinstance(v, dt.time) else None,
    LogicalType.TIMESTAMP: _timestamp,
}


def from_python(column: Column, value: Any) -> Any:
    """The canonical form of what an adapter gives for a column; ``None`` is the SQL NULL.

    :raises DoesNotFit: the value is not of the column's type.
    """
    if value is None:
        return None
    if column.type is LogicalType.JSON:
        return "null" if value is JSON_NULL else json_text(value)
    convert = _FROM_PYTHON.get(column.type)
    form = convert(value) if convert else None
    if form is None:
        raise DoesNotFit(f"{column.name} is of type {column.type}, not {type(value).__name__}: {str(value)[:80]!r}")
    return form


def to_json(value: Any) -> Any:
    """A canonical value of a JSON column as a Python value; any other value as it is."""
    return json.loads(value) if isinstance(value, str) and is_json(value) else value
