"""SQLite: canonical rows bound and inserted, those that the server refuses named."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ..model import Column, LogicalType


class Unfit(ValueError):
    """A value that its column would not hold as it is."""


def writer(column: Column) -> Callable[[Any], Any] | None:
    """Canonical value (never None) to what is bound, or None where they are the same but for tags."""
    match column.type:
        case LogicalType.FLOAT:
            return _from_float
        case LogicalType.BOOL:
            return int
        case LogicalType.BYTES:
            return _from_base64
        case LogicalType.DECIMAL:
            return _from_decimal
        case LogicalType.JSON:
            return _from_json
    return None


def _from_json(whole: str) -> int | float | str:
    """A JSON number as the number that NUMERIC affinity would make of it, but rightly rounded.

    SQLite's own conversion of text may be one unit in the last place off (3.40, seen with 5.6343716581440555e-306).
    """
    text = whole.strip(" \t\r\n")
    if text[:1] not in "-0123456789" or not text:
        return whole
    return _exactly(Decimal(text))


def _from_base64(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _from_float(value: float) -> float:
    if (value == 0 and math.copysign(1, value) < 0) or value != float(value):
        raise Unfit("SQLite keeps no sign of a zero" if not value else "SQLite would round it")
    return value


def _from_decimal(text: str) -> int | float:
    return _exactly(Decimal(text))


def _exactly(value: Decimal) -> int | float:
    """What NUMERIC affinity makes of a number: an integer, or a float that says exactly this.

    :raises Unfit: there is none; the digits as a text would be made a number by the server.
    """
    if value == value.to_integral_value() and -(2**63) <= value < 2**63:
        return int(value)
    try:
        near = float(value)
    except OverflowError:
        near = math.inf
    if not math.isfinite(near) or Decimal(repr(near)) != value:
        raise Unfit("SQLite would round it")
    return near
