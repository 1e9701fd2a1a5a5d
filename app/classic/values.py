"""How values of the classic API are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from ..errors import DoesNotFit
from ..transfer.adapters import JSON_NULL, Record

# datetime.fromisoformat() alone is no check: it takes zones, week dates, 24:00 and dates without a time, drops digits.
_ISO = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,6})?", re.ASCII)


def timestamp(record: Record, key: str) -> datetime | None:
    """The ISO date and time under the key, which never has a zone.

    :raises DoesNotFit: it is neither null nor such a text, or there is no such time.
    """
    text = record[key]
    if text is None:
        return None
    if isinstance(text, str) and _ISO.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass  # the 30th of February: refused below like any other text
    raise _unreadable(record, key, text, "2024-05-31T13:45:00.123456, without a zone")


def http_date(record: Record, key: str) -> datetime | None:
    """The RFC 1123 date and time under the key, without its zone.

    The zone is always GMT and means nothing: Flask's JSON encoder writes it behind datetimes that have none.

    :raises DoesNotFit: it is neither null nor such a text, or there is no such time.
    """
    text = record[key]
    if text is None:
        return None
    if isinstance(text, str):
        try:
            moment = parsedate_to_datetime(text)
            # The parser forgives nearly everything; only what is written back as it came was read right.
            if format_datetime(moment.replace(tzinfo=UTC), usegmt=True) == text:
                return moment.replace(tzinfo=None)
        except ValueError:
            pass  # refused below like any other text
    raise _unreadable(record, key, text, "Fri, 31 May 2024 13:45:00 GMT")


def json_value(record: Record, key: str) -> Any:
    """The value for a JSON column that is NOT NULL: a null in it can only have been a JSON null."""
    value = record[key]
    return JSON_NULL if value is None else value


def nested(record: Record, key: str) -> Iterator[Record]:
    """The objects of a list that the record must have.

    ``Record.each`` takes a missing list for an empty one, which must not happen to a list that makes rows.

    :raises DoesNotFit: the key is missing, or its value is not a list.
    """
    if not isinstance(record[key], list):
        raise DoesNotFit(f"{record.name}: {key!r} is not a list.")
    return record.each(key)


def same(record: Record, key: str, value: Any, meaning: str) -> None:
    """Check that a key which only repeats something does.

    :raises DoesNotFit: it says something else.
    """
    if record[key] != value:
        raise DoesNotFit(f"{record.name}: {key!r} is {record[key]!r}, but {meaning} is {value!r}.")


def _unreadable(record: Record, key: str, value: Any, example: str) -> DoesNotFit:
    return DoesNotFit(
        f"{record.name}: {key!r} is not a date and time: {value!r}.",
        hint=f"Expected something like {example}.",
    )
