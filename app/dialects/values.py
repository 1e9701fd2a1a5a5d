"""Canonical values: the JSON forms of a row's values that every server, snapshot and export agrees on.

=============  =====================================================================================
logical type   form
=============  =====================================================================================
any            ``null`` is the SQL NULL, always
bool           ``true``, ``false``
int            a JSON integer
float          a JSON number with the shortest digits that give the same 64 bits back
decimal        a string, padded with zeros to the column's scale and no further: ``"12.50"``
text, enum     a string
bytes          a string, base64
date           ``"2026-01-31"``
time           ``"23:59:59.000000"``
timestamp      ``"2026-01-31 23:59:59.000000"``
timestamptz    ``"2026-01-31 23:59:59.000000+00:00"``, always in UTC
json           a string: the JSON text as the source gave it (``"null"`` is the JSON null)
uuid           ``"6fa459ea-ee8a-3ca4-894e-db77e160355e"``, lower case
interval       ``"-1 23:59:59.000000"``: days, and what is added to them, which is less than a day
=============  =====================================================================================

A value that is not of its column's type (SQLite allows it), or that JSON cannot say (infinities), is an object
with one key that names what it is: ``{"$int": "5"}``, ``{"$float": "inf"}``, ``{"$text": "x"}``,
``{"$bytes": "eA=="}``.

A number that names a large object of PostgreSQL's is ``{"$large": "16390 <SHA-256>"}``: the number, which another
database may have to change, and what its content is known by. Two such values are equal where the contents are.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from decimal import Decimal
from typing import Any

import orjson


def tag(value: Any) -> dict[str, str]:
    """Say a value by its own type, whatever the column's type is.

    :raises TypeError: the value is none of int, float, str, bytes.
    """
    match value:
        case bool() | int():
            return {"$int": str(int(value))}
        case float():
            return {"$float": repr(value)}
        case str():
            return {"$text": value}
        case bytes():
            return {"$bytes": to_base64(value)}
    raise TypeError(f"a driver gave {type(value).__name__}, which no canonical form exists for")


def untag(tagged: dict[str, str]) -> int | float | str | bytes:
    """The value that :func:`tag` was given.

    :raises ValueError: not a tagged value.
    """
    match tagged:
        case {"$int": text}:
            return int(text)
        case {"$float": text}:
            return float(text)
        case {"$text": text}:
            return text
        case {"$bytes": text}:
            return base64.b64decode(text, validate=True)
        case {"$large": text} if _LARGE.fullmatch(text):
            return text
    raise ValueError(f"not a tagged value: {sorted(tagged)}")


_LARGE = re.compile(r"([1-9][0-9]{0,9}) ([0-9a-f]{64})")


def tag_large(number: int, digest: bytes) -> dict[str, str]:
    """Say that a value names a large object.

    :param digest: SHA-256 of its content.
    """
    return {"$large": f"{number} {digest.hex()}"}


def parse_large(value: Any) -> tuple[int, bytes] | None:
    """Number and digest of a large object that a value names, or None where it names none."""
    match = _LARGE.fullmatch(value.get("$large", "")) if type(value) is dict else None
    return (int(match[1]), bytes.fromhex(match[2])) if match else None


def to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def to_decimal(value: Decimal, scale: int | None) -> str:
    """Plain digits, never an exponent: those that are needed, at least as many as the column's scale, no ``-0``."""
    whole, _, fraction = format(value, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(scale or 0, "0")
    if not value:
        whole = "0"
    return f"{whole}.{fraction}" if fraction else whole


# fromisoformat() takes more than these forms: week dates, offsets, a comma, since Python 3.14 24:00:00.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Fewer than six digits are read as a part of a second by servers and as microseconds by SQLAlchemy; noughts are nought.
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.([0-9]{6}|0{1,5}))?")
USUAL_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}")
_OFFSET = re.compile(r"(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)\Z")
_INTERVAL = re.compile(r"(0|-?[1-9][0-9]{0,9}) ([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])\.([0-9]{6})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def to_timestamp(text: str) -> str | None:
    """The canonical form of ``YYYY-MM-DD HH:MM:SS[.ffffff]``, or None for any other text.

    A fraction of fewer digits is taken where all of them are noughts.
    """
    if USUAL_TIMESTAMP.fullmatch(text):
        try:
            dt.datetime.fromisoformat(text)
        except ValueError:
            return None
        return text
    if text[10:11] != " " or not _DATE.fullmatch(text, 0, 10) or not _TIME.fullmatch(text, 11):
        return None
    try:
        dt.datetime.fromisoformat(text[:19])
    except ValueError:
        return None
    return text if len(text) == 26 else f"{text[:19]}.000000"


def to_date(text: str) -> str | None:
    """The canonical form of ``YYYY-MM-DD``, or None for any other text."""
    if not _DATE.fullmatch(text):
        return None
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return None
    return text


def to_time(text: str) -> str | None:
    """The canonical form of ``HH:MM:SS[.ffffff]``, or None for any other text; of fewer digits as for timestamps."""
    if not _TIME.fullmatch(text):
        return None
    try:
        dt.time.fromisoformat(text[:8])
    except ValueError:
        return None
    return text if len(text) == 15 else f"{text[:8]}.000000"


def to_timestamptz(text: str) -> str | None:
    """The canonical form of ``YYYY-MM-DD HH:MM:SS[.ffffff]`` with an offset ``(+|-)HH[:MM]`` or ``Z``, else None.

    None as well for an instant that in UTC lies outside the years 1 to 9999.
    """
    match = _OFFSET.search(text)
    local = match and to_timestamp(text[: match.start()])
    if not match or not local:
        return None
    sign, hours, minutes = match.group(1, 2, 3)
    offset = dt.timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        instant = dt.datetime.fromisoformat(local) - (-offset if sign == "-" else offset)
    except OverflowError:
        return None
    return f"{instant.isoformat(sep=' ', timespec='microseconds')}+00:00"


def to_uuid(text: str) -> str | None:
    """The canonical form of 32 hex digits with dashes between, or None for any other text."""
    return text.lower() if _UUID.fullmatch(text) else None


def to_interval(value: dt.timedelta) -> str:
    """The canonical form of a length of time."""
    seconds = value.seconds
    return f"{value.days} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{value.microseconds:06}"


def from_interval(text: str) -> dt.timedelta | None:
    """The length of time of a canonical form, or None for any other text and beyond Python's 999,999,999 days."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds, fraction = map(int, match.groups())
    try:
        return dt.timedelta(days, seconds, fraction, 0, minutes, hours)
    except OverflowError:
        return None


def is_json(text: str) -> bool:
    """Whether a text is one JSON value (RFC 8259: no NaN, no lone surrogates)."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
