"""PostgreSQL: column types as logical types, and how their values are read.

A value is shaped by the server as far as that is exact (``::text`` under the session's settings), so that most reach
Python in their canonical form. Types without a logical type of their own (arrays, ranges, intervals, addresses, ...)
travel as ``{"$text": ...}``: the server's text form, which its text input restores exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .base import Column, LogicalType
from .postgresql_names import quote
from .values import is_json, tag, to_base64

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
}

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
        return f"{name}::float8" if self.base == "float4" else f"{name}::text"

    def order(self, table: str) -> str:
        """The expression to sort by, texts by code point as everywhere.

        :param table: its alias; without it the name would mean the value as it is read, e.g. a number's text.
        """
        own = f"{table}.{quote(self.name)}"
        return f'{own}::text COLLATE "C"' if self.type is LogicalType.TEXT else own


def converter(declared: Declared) -> Callable[[Any], Any] | None:
    """What is read (never None) to canonical value; None where they are the same."""
    if declared.type is LogicalType.DECIMAL:
        return _decimal if declared.scale is None else _scaled
    return _CONVERTERS.get(declared.type)


def _float(value: float) -> Any:
    # Infinities, and what is not a number, are no numbers of JSON.
    return value if value - value == 0 else tag(value)


def _scaled(text: str) -> Any:
    return text if text[-1].isdigit() else tag(text)


def _decimal(text: str) -> Any:
    if not text[-1].isdigit():
        return tag(text)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json(text: str) -> Any:
    # The server takes escapes for characters that are none.
    return text if "\\u" not in text or is_json(text) else tag(text)


def _date(text: str) -> Any:
    return text if len(text) == 10 else tag(text)


def _time(text: str) -> Any:
    return tag(text) if text[:2] == "24" else _filled(text, 8)


def _timestamp(text: str) -> Any:
    return _filled(text, 19) if _has_four_digits(text) else tag(text)


def _timestamptz(text: str) -> Any:
    return f"{_filled(text[:-3], 19)}+00:00" if _has_four_digits(text) else tag(text)


def _has_four_digits(text: str) -> bool:
    return text[4] == "-" and text[-1] != "C"


def _filled(text: str, whole: int) -> str:
    return f"{text}.000000" if len(text) == whole else text.ljust(whole + 7, "0")


_CONVERTERS: dict[LogicalType, Callable[[Any], Any]] = {
    LogicalType.FLOAT: _float,
    LogicalType.BYTES: to_base64,
    LogicalType.JSON: _json,
    LogicalType.DATE: _date,
    LogicalType.TIME: _time,
    LogicalType.TIMESTAMP: _timestamp,
    LogicalType.TIMESTAMPTZ: _timestamptz,
    LogicalType.ANY: tag,
}
