"""How old something may be: ``90m``, ``12h``, ``7d``; and when a snapshot may stand in for a source."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import Misconfigured

_AGE = re.compile(r"([0-9]{1,9})([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Age:
    """How old something may be, in seconds, and as it was written."""

    text: str
    age_s: int


@dataclass(frozen=True)
class Fallback:
    """When a snapshot may stand in for the source: ``never``, ``only``, or up to an age in seconds."""

    text: str
    age_s: int | None

    @property
    def allowed(self) -> bool:
        return self.text != "never"

    @property
    def only(self) -> bool:
        return self.text == "only"


def parse_fallback(text: str, origin: str = "option") -> Fallback:
    """``never``, ``only``, or an age such as ``90m``, ``12h``, ``7d``.

    :param origin: where the text came from.
    :raises Misconfigured: anything else.
    """
    if text in ("never", "only"):
        return Fallback(text, None)
    if (age_s := parse_age(text)) is None:
        where = "--fallback" if origin == "option" else origin
        raise Misconfigured(
            f"FERRY_FALLBACK ({where}) is {text[:40]!r}.",
            hint="Use never, only, or an age such as 12h or 7d, of nine digits at most.",
        )
    return Fallback(text, age_s)


def parse_age(text: str) -> int | None:
    """Seconds of an age such as ``90m``, ``12h``, ``7d``; None for another text."""
    match = _AGE.fullmatch(text)
    return int(match[1]) * _UNIT_S[match[2]] if match else None
