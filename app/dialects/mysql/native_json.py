"""MySQL's own JSON: its numbers have 64 bits, and of two equal keys of an object it keeps the last (seen on 9.7)."""

from __future__ import annotations

import contextlib
import json
import math
from decimal import Decimal, InvalidOperation


class _Changed(Exception):
    """The server would keep something else, with what."""


def find_change(text: str) -> str:
    """What MySQL would not keep of a JSON text as it is, for people; an empty text where it keeps all."""
    with contextlib.suppress(RecursionError):  # which the server refuses itself
        try:
            _DECODER.decode(text)
        except _Changed as change:
            return str(change)
    return ""


def _check_number(text: str) -> None:
    # A double keeps fifteen digits, whatever they are.
    if (len(text) > 15 or "e" in text.lower()) and not _is_exact(text):
        raise _Changed(f"MySQL's JSON does not hold the number {text[:40]}")


def _is_exact(text: str) -> bool:
    """Whether a number is a whole one of 64 bits, or a double."""
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent beyond all that there are
        return False
    if text.lstrip("-").isdigit():
        return -(2**63) <= value < 2**64
    double = float(text)
    return math.isfinite(double) and Decimal(repr(double)) == value


def _check_keys(pairs: list[tuple[str, None]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _Changed("MySQL's JSON keeps only one of two equal keys")


_DECODER = json.JSONDecoder(parse_int=_check_number, parse_float=_check_number, object_pairs_hook=_check_keys)
