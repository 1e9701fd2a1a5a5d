"""MySQL and MariaDB: the zone in which an app's sessions read a TIMESTAMP, where they do not say one themselves."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

_FIRST, _LAST, _STEP = dt.datetime(1970, 1, 8, 12), dt.datetime(2037, 12, 24, 12), dt.timedelta(days=7)  # noqa: DTZ001 # UTC


_SET_ZONE = re.compile(r"""\btime_zone\s*=\s*(['"])([^'"]+)\1""", re.IGNORECASE)
"""What an ``init_command`` may say of the sessions of an app."""


def find_zone(ask: Callable[[str], Sequence[tuple[Any, ...]]], init_command: str = "") -> str:
    """An offset, or the name of a zone; ``SYSTEM`` where the server's machine keeps one that has no name here.

    :param init_command: what the app's URL lets each connection begin with.
    """
    [(zone, system)] = ask("SELECT @@global.time_zone, @@system_time_zone")
    zone = next((match[2] for match in reversed([*_SET_ZONE.finditer(init_command)])), zone)
    if zone.upper() != "SYSTEM":
        return str(zone)
    return "UTC" if system == "UTC" else _name_system(ask, str(system))


def _name_system(ask: Callable[[str], Sequence[tuple[Any, ...]]], short: str) -> str:
    """The zone whose clock shows what the server's does, each week of all the years that a TIMESTAMP has.

    The server itself knows only what its zone is called at the time, such as CET, which says nothing of summers.
    """
    instants = [_FIRST + _STEP * week for week in range((_LAST - _FIRST) // _STEP + 1)]
    [texts] = ask("SELECT " + ", ".join(f"CONVERT_TZ('{one}', '+00:00', 'SYSTEM')" for one in instants))
    offsets = [
        (one.replace(tzinfo=dt.UTC), dt.datetime.fromisoformat(str(text)) - one)
        for one, text in zip(instants, texts, strict=True)
        if text is not None
    ]
    alike = [name for name in sorted(zoneinfo.available_timezones()) if _is_alike(name, offsets)]
    return min(alike, key=lambda name: _rank(name, short), default="SYSTEM")


def _is_alike(name: str, offsets: list[tuple[dt.datetime, dt.timedelta]]) -> bool:
    zone = zoneinfo.ZoneInfo(name)
    return bool(offsets) and all(one.astimezone(zone).utcoffset() == offset for one, offset in offsets)


_KNOWN = ("Europe/", "America/", "Asia/", "Africa/", "Australia/", "Etc/")


def _rank(name: str, short: str) -> tuple[bool, bool]:
    """Zones with the server's short name come first, then those that most people know."""
    names = {dt.datetime(2024, month, 1, tzinfo=zoneinfo.ZoneInfo(name)).tzname() for month in (1, 7)}
    return short not in names, not name.startswith(_KNOWN)
