"""MySQL and MariaDB: columns as the server stores them, and their values read as canonical ones."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..model import Column, LogicalType
from ..values import is_json, tag, to_base64, to_date, to_decimal, to_time, to_timestamp
from .connect import quote

_LOGICAL = {
    LogicalType.INT: ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year", "bit"),
    LogicalType.DECIMAL: ("decimal",),
    LogicalType.FLOAT: ("float", "double"),
    LogicalType.TEXT: (
        "char",
        "varchar",
        "tinytext",
        "text",
        "mediumtext",
        "longtext",
        "enum",
        "set",
        "inet4",
        "inet6",
    ),
    LogicalType.BYTES: ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"),
    LogicalType.DATE: ("date",),
    LogicalType.TIME: ("time",),
    LogicalType.TIMESTAMP: ("datetime",),
    # An instant, which each session is shown in its own zone; ours are in UTC.
    LogicalType.TIMESTAMPTZ: ("timestamp",),
    LogicalType.JSON: ("json",),
    LogicalType.UUID: ("uuid",),
}
SPATIAL = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
)
BY_NAME = {name: kind for kind, names in _LOGICAL.items() for name in names} | dict.fromkeys(SPATIAL, LogicalType.BYTES)

_MEMBER = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"''|\\(.)", re.DOTALL)
_WHOLE_TIMESTAMP = len("YYYY-MM-DD HH:MM:SS.ffffff")
_CONTROLS = {"0": "\0", "n": "\n", "r": "\r"}


_SHORT = frozenset(
    {
        LogicalType.BOOL,
        LogicalType.INT,
        LogicalType.DECIMAL,
        LogicalType.FLOAT,
        LogicalType.DATE,
        LogicalType.TIME,
        LogicalType.TIMESTAMP,
        LogicalType.TIMESTAMPTZ,
    }
)


@dataclass(frozen=True)
class Stored:
    """A column as ``information_schema.columns`` describes it.

    :ivar type: the type's name alone, in small letters: ``varchar``.
    :ivar full_type: as it was declared: ``enum('a','b')``, ``tinyint(1) unsigned``.
    :ivar length: in characters, or bytes where the type holds bytes.
    :ivar digits: digits after the point of a time of day.
    :ivar is_json: MariaDB's JSON: text with ``CHECK (json_valid(...))``.
    :ivar charset: the character set of a text; None for other types.
    """

    name: str
    type: str
    full_type: str
    nullable: bool
    length: int | None
    scale: int | None
    digits: int
    is_json: bool
    charset: str | None

    @property
    def logical_type(self) -> LogicalType:
        if self.is_json:
            return LogicalType.JSON
        if self.full_type.startswith("tinyint(1)"):
            return LogicalType.BOOL
        return BY_NAME[self.type]

    @property
    def column(self) -> Column:
        """The column as the engine knows it; a BIT is the unsigned number of its bits."""
        kind = self.logical_type
        return Column(
            self.name,
            kind,
            self.nullable,
            self.length if kind is LogicalType.TEXT else None,
            self.scale if kind is LogicalType.DECIMAL else None,
        )

    @property
    def members(self) -> tuple[str, ...]:
        """The values of an ENUM or SET in their order; the server writes them escaped (seen)."""
        return tuple(_ESCAPED.sub(_unescape, text) for text in _MEMBER.findall(self.full_type))

    @property
    def summed(self) -> str:
        """An expression that is another text for every other value, and a short one; it has no ``|``."""
        if self.logical_type in _SHORT and self.type != "bit":
            return self.selected
        # The bytes of a text are those of its column's character set, and mean another text in another one.
        holds_bytes = self.logical_type is LogicalType.BYTES or self.type == "bit"
        # Converted to what it is already it would be copied, which takes longer than its hash.
        is_plain = holds_bytes or self.charset == "utf8mb4"
        data = self.selected if is_plain else f"CONVERT({self.selected} USING utf8mb4)"
        # From 9.6 on MySQL has no MD5() any more.
        return f"SHA2({data}, 256)"

    @property
    def selected(self) -> str:
        """The expression that gives the whole value: as text a FLOAT comes with 6 digits (seen).

        A FLOAT(M,D) or DOUBLE(M,D) means the digits that it shows; the bits behind them are what the server's own
        rounding made (-0.001 is kept as -0.0010000000000000009, seen).
        """
        name = quote(self.name)
        if self.type == "float" and self.scale is None:
            return f"({name} * 1e0)"
        return f"({name} + 0)" if self.type == "bit" else name


def _unescape(match: re.Match[str]) -> str:
    return _CONTROLS.get(match[1], match[1]) if match[1] else "'"


def _bool(text: str) -> Any:
    return text == "1" if text in ("0", "1") else tag(int(text))


def _decimal(scale: int | None) -> Callable[[str], str]:
    return lambda text: to_decimal(Decimal(text), scale)


def _date(text: str) -> Any:
    return to_date(text) or tag(text)


def six_digits(text: str) -> str:
    """A time of day with as many digits after the point as canonical values have."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}"


def _time(text: str) -> Any:
    text = six_digits(text)
    return to_time(text) or tag(text)


def _timestamp(text: str) -> Any:
    """What a server says is of this form; that it is a date has to be seen: it may be nought, or have no such day."""
    if len(text) == _WHOLE_TIMESTAMP:
        try:
            dt.datetime.fromisoformat(text)
        except ValueError:
            return tag(text)
        return text
    text = six_digits(text)
    return to_timestamp(text) or tag(text)


def _instant(text: str) -> Any:
    text = six_digits(text)
    return f"{text}+00:00" if to_timestamp(text) else tag(text)


def _json(text: str) -> Any:
    return text if is_json(text) else tag(text)


_READERS: dict[LogicalType, Callable[[Any], Any] | None] = {
    LogicalType.BOOL: _bool,
    LogicalType.INT: int,
    LogicalType.FLOAT: float,
    LogicalType.TEXT: None,
    LogicalType.BYTES: to_base64,
    LogicalType.DATE: _date,
    LogicalType.TIME: _time,
    LogicalType.TIMESTAMP: _timestamp,
    LogicalType.TIMESTAMPTZ: _instant,
    LogicalType.JSON: _json,
    LogicalType.UUID: None,
}


def reader_of(stored: Stored) -> Callable[[Any], Any] | None:
    """The server's text (bytes for types that hold bytes; never NULL) to the canonical value; None: they are equal."""
    if stored.type != "decimal":
        return _READERS[stored.logical_type]
    # The server pads to the scale by itself, and knows no -0; ZEROFILL puts zeros in front.
    return _decimal(stored.scale) if "zerofill" in stored.full_type else None
