"""The zone in which a source's app reads instants: they are carried as instants, and shown so where no zone is kept."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])([01]?[0-9]):([0-5][0-9])")


def parse_zone(text: str) -> dt.tzinfo | None:
    """A zone by its name (``Europe/Berlin``) or its offset (``+02:00``), or None for any other text."""
    if match := _OFFSET.fullmatch(text):
        offset = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return dt.timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(text)
    # Of a name that is none it raises several: it looks for a file.
    except (LookupError, ValueError, OSError):
        return None


def show_in(zone: dt.tzinfo, instant: str) -> str | None:
    """A canonical instant as the clock of a zone showed it, or None outside the years 1 to 9999."""
    try:
        local = dt.datetime.fromisoformat(instant).astimezone(zone)
    except OverflowError:
        return None
    return local.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def is_ambiguous(zone: dt.tzinfo, instant: str) -> bool:
    """Whether the clock of a zone showed the same at another instant as well, as in an hour of autumn."""
    clock = show_in(zone, instant)
    if clock is None:
        return False
    local = dt.datetime.fromisoformat(clock).replace(tzinfo=zone)
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    # In an hour that spring left out the second is the larger one; no instant is shown so.
    return first is not None and second is not None and first > second
