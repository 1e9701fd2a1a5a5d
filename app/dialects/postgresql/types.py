"""PostgreSQL: column types as logical types, and how their values are read.

A value is shaped by the server as far as that is exact (``::text`` under the session's settings), so that most reach
Python in their canonical form. Types without a logical type of their own (arrays, ranges, addresses, ...)
travel as ``{"$text": ...}``: the server's text form, which its text input restores exactly.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..model import Column, LogicalType
from ..values import is_json, tag, to_base64, to_interval
from .names import quote

_LOGICAL = {
    "bool": LogicalType.BOOL,
    "int2": LogicalType.INT,
    "int4": LogicalType.INT,
    "int8": LogicalType.INT,
    "oid": LogicalType.INT,
    "numeric": LogicalType.DECIMAL,
    "float4": LogicalType.FLOAT,
    "float8": LogicalType.FLOAT,
    "text": LogicalType.TEXT,
    "varchar": LogicalType.TEXT,
    "bpchar": LogicalType.TEXT,
    "name": LogicalType.TEXT,
    "citext": LogicalType.TEXT,
    "bytea": LogicalType.BYTES,
    "date": LogicalType.DATE,
    "time": LogicalType.TIME,
    "timestamp": LogicalType.TIMESTAMP,
    "timestamptz": LogicalType.TIMESTAMPTZ,
    "json": LogicalType.JSON,
    "jsonb": LogicalType.JSON,
    "uuid": LogicalType.UUID,
    "interval": LogicalType.INTERVAL,
}

# Without a length a bit is cut off and "char" is another type than char, so they are not among them.
_SENT = {"bool", "int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "bpchar", "bytea", "json"}
_SENT |= {"jsonb", "uuid", "date", "time", "timetz", "timestamp", "timestamptz", "interval"}

ALL_FIELDS = 0x7FFF
"""What an INTERVAL without ``DAY TO SECOND`` and the like has in the upper half of its modifier."""

NAME_BYTES = 63
_HEADER = 4
"""A length or precision is kept with the length of a value's header added (``VARHDRSZ``)."""


@dataclass(frozen=True)
class Declared:
    """A column as the catalogs know it.

    :ivar base: the type's name, of a domain that of the type beneath; empty for a type somebody made.
    :ivar kind: ``pg_type.typtype`` of that: ``b`` base, ``e`` enum, ``c`` composite, ``r`` range, ...
    :ivar modifier: ``atttypmod``; -1 where there is none.
    :ivar spelled: the type as SQL text, with length and precision.
    """

    name: str
    base: str
    kind: str
    modifier: int
    spelled: str
    not_null: bool

    @property
    def type(self) -> LogicalType:
        if self.base == "interval" and self.modifier >= 0 and self.modifier >> 16 != ALL_FIELDS:
            return LogicalType.ANY
        return LogicalType.TEXT if self.kind == "e" else _LOGICAL.get(self.base, LogicalType.ANY)

    @property
    def length(self) -> int | None:
        """Characters, or None where it is not limited."""
        if self.base == "name":
            return NAME_BYTES
        return self.modifier - _HEADER if self.base in ("varchar", "bpchar") and self.modifier >= _HEADER else None

    @property
    def scale(self) -> int | None:
        """Digits after the point, negative where even digits before it are rounded away."""
        if self.base != "numeric" or self.modifier < _HEADER:
            return None
        return (((self.modifier - _HEADER) & 0x7FF) ^ 0x400) - 0x400

    @property
    def digits_of_second(self) -> int:
        """Digits of a fraction of a second."""
        if self.base == "interval" and self.modifier >= 0:
            return min(self.modifier & 0xFFFF, 6)
        timed = self.base in ("time", "timestamp", "timestamptz")
        return self.modifier if timed and 0 <= self.modifier <= 6 else 6

    def column(self) -> Column:
        """The column in logical types."""
        scale = None if self.scale is None else max(self.scale, 0)
        return Column(self.name, self.type, not self.not_null, self.length, scale)

    def read(self) -> str:
        """The expression that gives the value in the form that :func:`converter` takes."""
        name = quote(self.name)
        if self.base in ("bool", "int2", "int4", "int8", "float8", "bytea"):
            return name
        if self.base == "oid":
            return f"{name}::int8"
        # The double of equal value.
        return f"{name}::float8" if self.base == "float4" else self.as_text(name)

    def as_text(self, value: str) -> str:
        """The expression that gives an expression's value as the server spells it."""
        # Made a text, an address gets a mask that it was not written with: ::1/128.
        return f"inet_out({value})::text" if self.base == "inet" else f"{value}::text"

    @property
    def sent(self) -> str:
        """The expression of a type of the server's own whose binary form is another one for every other value.

        The type's number is part of a row in binary form, and what somebody made has another one in each schema.
        """
        return self.sent_of(quote(self.name))

    def sent_of(self, value: str) -> str:
        """As :attr:`sent`, of an expression for the value."""
        return f"{value}::{self.base}" if self.base in _SENT else self.as_text(value)

    def order(self, table: str) -> str:
        """The expression to sort by, texts by code point as everywhere.

        :param table: its alias; without it the name would mean the value as it is read, e.g. a number's text.
        """
        path = f"{table}.{quote(self.name)}"
        return f'{path}::text COLLATE "C"' if self.type is LogicalType.TEXT else path


def converter(declared: Declared) -> Callable[[Any], Any] | None:
    """What is read (never None) to canonical value; None where they are the same."""
    if declared.type is LogicalType.DECIMAL:
        return _decimal if declared.scale is None else _scale
    return _CONVERTERS.get(declared.type)


def _float(value: float) -> Any:
    # Infinities, and what is not a number, are no numbers of JSON.
    return value if value - value == 0 else tag(value)


def _scale(text: str) -> Any:
    return text if text[-1].isdigit() else tag(text)


def _decimal(text: str) -> Any:
    if not text[-1].isdigit():
        return tag(text)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(text: str) -> Any:
    # The server takes escapes for characters that are none, and numbers that no float holds.
    return text if is_json(text) else tag(text)


def _date(text: str) -> Any:
    return text if len(text) == 10 else tag(text)


def _time(text: str) -> Any:
    return tag(text) if text[:2] == "24" else _fill(text, 8)


def _timestamp(text: str) -> Any:
    return _fill(text, 19) if _has_four_digits(text) else tag(text)


def _timestamptz(text: str) -> Any:
    return f"{_fill(text[:-3], 19)}+00:00" if _has_four_digits(text) else tag(text)


_NORMAL = re.compile(r"(?:(-?[0-9]+) days?)? ?(?:\+?([01][0-9]|2[0-3]):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?)?")


def interval(text: str) -> str | None:
    """The canonical form of the server's text; None for one with months, and where the server keeps hours apart from
    days: ``25:00:00`` and ``-00:00:01`` are equal to others, but not the same.
    """
    match = _NORMAL.fullmatch(text)
    if match is None or not text.strip():
        return None
    days, hours, minutes, seconds, fraction = match.groups(default="0")
    try:
        value = dt.timedelta(int(days), int(seconds), int(fraction.ljust(6, "0")), 0, int(minutes), int(hours))
    except OverflowError:
        return None
    return to_interval(value)


def _interval(text: str) -> Any:
    return interval(text) or tag(text)


def _has_four_digits(text: str) -> bool:
    return text[4] == "-" and text[-1] != "C"


def _fill(text: str, whole: int) -> str:
    return f"{text}.000000" if len(text) == whole else text.ljust(whole + 7, "0")


_CONVERTERS: dict[LogicalType, Callable[[Any], Any]] = {
    LogicalType.FLOAT: _float,
    LogicalType.BYTES: to_base64,
    LogicalType.JSON: _json,
    LogicalType.DATE: _date,
    LogicalType.TIME: _time,
    LogicalType.TIMESTAMP: _timestamp,
    LogicalType.TIMESTAMPTZ: _timestamptz,
    LogicalType.INTERVAL: _interval,
    LogicalType.ANY: tag,
}
