"""Narrow questions to what somebody else wrote: a value of the kind that is needed, or an error that names its place.

Each reader of foreign JSON asks these one by one, and turns the one error of this module into its own, with the URL, or
the file and the line. So nothing of another type gets as far as code that would fail on it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

LARGEST = 2**63 - 1
_HEX = re.compile(r"[0-9a-f]+")


class Unexpected(Exception):
    """A value of another kind than it has to be; says its place and the kind, never the value: that may be personal."""

    def __init__(self, place: str, kind: str) -> None:
        super().__init__(f"{place} is not {kind}")


def an_object(value: Any, place: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise Unexpected(place, "an object")
    return value


def a_list(value: Any, place: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise Unexpected(place, "a list")
    return value


def a_text(value: Any, place: str) -> str:
    """A JSON string."""
    if not isinstance(value, str):
        raise Unexpected(place, "a text")
    return value


def a_text_or_null(value: Any, place: str) -> str | None:
    """A JSON string, or null."""
    return None if value is None else a_text(value, place)


def a_flag(value: Any, place: str) -> bool:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise Unexpected(place, "true or false")
    return value


def a_count(value: Any, place: str) -> int:
    """A whole number from 0 to 2^63 - 1; ``1.0`` and ``true`` are none."""
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise Unexpected(place, "a count (a whole number from 0)")
    return value


def a_count_or_null(value: Any, place: str) -> int | None:
    """A count, or null."""
    return None if value is None else a_count(value, place)


def a_digest(value: Any, place: str, digits: int) -> str:
    """A text of so many hex digits, lower case."""
    if not isinstance(value, str) or len(value) != digits or not _HEX.fullmatch(value):
        raise Unexpected(place, f"a text of {digits} hex digits")
    return value


def a_digest_or_null(value: Any, place: str, digits: int) -> str | None:
    """As :func:`a_digest`, or null."""
    return None if value is None else a_digest(value, place, digits)


def texts(value: Any, place: str) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(a_text(item, f"{place}[{index}]") for index, item in enumerate(a_list(value, place)))


def one_of(value: Any, place: str, allowed: tuple[str, ...]) -> str:
    """One of some texts."""
    if not isinstance(value, str) or value not in allowed:
        raise Unexpected(place, f"one of {', '.join(allowed)}")
    return value


def a_whole_number(value: Any, place: str, least: int, most: int) -> int:
    """A whole number in a range."""
    if type(value) is not int or not least <= value <= most:
        raise Unexpected(place, f"a whole number from {least} to {most}")
    return value


_NUMBER = re.compile(r"-?[0-9]{1,40}", re.ASCII)


def a_number_as_text(value: Any, place: str) -> int:
    """A whole number in digits, which may be larger than a program's own."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise Unexpected(place, "a whole number in a text")
    return int(value)


def an_instant(value: Any, place: str) -> str:
    """A text such as ``2026-01-31T23:59:59Z``."""
    text = a_text(value, place)
    try:
        if len(text) > 40 or dt.datetime.fromisoformat(text).tzinfo is None:
            raise Unexpected(place, "an instant such as 2026-01-31T23:59:59Z")
    except ValueError as error:
        raise Unexpected(place, "an instant such as 2026-01-31T23:59:59Z") from error
    return text


def rows_and_digest(value: Any, place: str) -> list[Any]:
    """A table's rows and the checksum of their content."""
    pair = a_list(value, place)
    if len(pair) != 2:
        raise Unexpected(place, "[rows, checksum]")
    return [a_count(pair[0], f"{place}[0]"), a_digest(pair[1], f"{place}[1]", 32)]


def rows_and_null(value: Any, place: str) -> list[Any]:
    """A table's rows, without a checksum of their content: nobody would look at one."""
    pair = a_list(value, place)
    if pair[1:] != [None]:
        raise Unexpected(place, "[rows, null]")
    return [a_count(pair[0], f"{place}[0]"), None]


def distinct(names: tuple[str, ...], place: str) -> tuple[str, ...]:
    """Names that are there once each, and none of them empty."""
    if len(set(names)) != len(names) or "" in names:
        raise Unexpected(place, "a list of names, each once")
    return names
