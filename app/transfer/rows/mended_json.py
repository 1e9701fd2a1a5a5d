"""Foreign JSON that says what cannot be kept, mended so that the rest of it can; what was wrong is said beside it.

``NaN`` and a number that nothing can hold become null, as JavaScript writes them; half of a surrogate pair becomes the
six characters it was spelled with; of two equal keys in one object the last one counts, as in most parsers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from .strictjson import SPOILED, NotKept, StrictJSONError, read_integer

SHOWN = 5
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class _Unfit:
    words: str


class _Object(dict[str, Any]):
    twice: tuple[str, ...] = ()


def _number(text: str) -> Decimal | _Unfit:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _Unfit(f"the number {text[:40]}, whose exponent nothing can hold")


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    members = _Object(pairs)
    if len(members) != len(pairs):
        members.twice = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return members


_DECODER = json.JSONDecoder(
    parse_float=_number, parse_int=read_integer, parse_constant=_Unfit, object_pairs_hook=_object
)


def mend(text: str, start: int) -> tuple[str, dict[str, Any], int]:
    """Read the object that begins at ``start``, with what cannot be kept replaced, and said under :data:`SPOILED`.

    :return: how it is spelled then, on one line; the object; where it ended in the text.
    :raises NotKept: it is no object, or nested too deeply.
    :raises StrictJSONError: it ends too early.
    """
    faults: list[str] = []
    try:
        value, end = _DECODER.raw_decode(text, start)
        record = _mend(value, "", faults)
        if not isinstance(record, dict):
            raise NotKept(f"a record is no object, but {faults[0] if faults else 'another value'}")
        if SPOILED in record:
            faults.append(f"it has the key {SPOILED}, which is not a source's to use")
        words = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else "")
        record[SPOILED] = words
        return _spell(record), record, end
    except json.JSONDecodeError as error:
        # It breaks off behind what cannot be kept: another attempt may bring the rest.
        raise StrictJSONError(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise NotKept("a value is nested too deeply") from error


def _mend(value: Any, place: str, faults: list[str]) -> Any:
    if isinstance(value, _Unfit):
        faults.append(f"{place or 'it'} is {value.words}")
        return None
    if isinstance(value, str):
        return _mend_text(value, place or "a key", faults)
    if isinstance(value, list):
        return [_mend(item, f"{place}[{index}]", faults) for index, item in enumerate(value)]
    if isinstance(value, _Object):
        faults += [f"{place or 'it'} has the key {_mend_text(key[:40], '', [])!r} twice" for key in value.twice]
        names = {key: _mend_text(key, f"a key of {place or 'it'}", faults) for key in value}
        if len(set(names.values())) != len(names):
            faults.append(f"{place or 'it'} has keys that become one when they are mended")
        dot = f"{place}." if place else ""
        return {name: _mend(value[key], f"{dot}{_show(name)}", faults) for key, name in names.items()}
    return value


def _show(name: str) -> str:
    """A key as part of a place: what would act on a terminal is spelled out."""
    return repr(name[:40])[1:-1]


def _mend_text(text: str, place: str, faults: list[str]) -> str:
    mended = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    if mended != text:
        faults.append(f"{place} has half of a surrogate pair (\\ud800 to \\udfff), which no text can hold")
    return mended


def _spell(value: Any) -> str:
    """JSON with numbers as they are: a Decimal is written by none of the usual encoders."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_spell(key)}: {_spell(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spell, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
