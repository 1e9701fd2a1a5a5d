"""The normal form of a JSON text: what two servers that spell one value differently agree on.

Keys sorted, no blanks, numbers by value: digits and a power of ten. It is made twice over: quickly, by the C code of
:mod:`json`, and exactly, for the texts that the quick way cannot do. Both give the same form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

CACHED_DIGITS, MOST_CACHED = 24, 1 << 14
CACHED_LENGTH = 200
"""Only short texts are remembered: the same ones come often, and thousands of long ones would fill the memory."""

MOST_EXPONENT_DIGITS = 15
"""What ``Decimal`` certainly holds; a number with a longer exponent may stay as it is spelled."""

_NUL = "u0000"
_ESCAPED_ASCII = re.compile(r"\\u00[0-7]")


class _Repeated(Exception):
    """An object has a key twice."""


def normalise_json(text: str) -> str:
    """A JSON text with its keys sorted, no blanks, and numbers by value: ``1.0``, ``1`` and ``1e0`` are one.

    :param text: valid JSON (:func:`..dialects.values.is_json`).
    """
    return _normalise_short(text) if len(text) <= CACHED_LENGTH else _normalise(text)


def _normalise(text: str) -> str:
    # Numbers travel as texts between two NULs, so no text may have one, nor anything that is read as one.
    if _NUL in text or _ESCAPED_ASCII.search(text):
        return normalise_exactly(text)
    try:
        marked: str = _ENCODER.encode(_DECODER.decode(text))
    except (_Repeated, RecursionError):
        return normalise_exactly(text)
    return marked.replace('"\\u0000', "").replace('\\u0000"', "")


_normalise_short = lru_cache(maxsize=4096)(_normalise)


class _Marks(dict[str, str]):
    """Numbers in their normal form, marked, by how they were spelled; looked up without a call of Python code."""

    def __missing__(self, text: str) -> str:
        mark = f"\0{normalise_number(text)}\0"
        if len(text) <= CACHED_DIGITS:
            if len(self) == MOST_CACHED:
                self.clear()
            self[text] = mark
        return mark


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise _Repeated
    return unique


_mark = _Marks().__getitem__
_DECODER = json.JSONDecoder(parse_float=_mark, parse_int=_mark, object_pairs_hook=_refuse_repeated)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


def normalise_number(text: str) -> str:
    """A JSON number as its digits without zeros around them and a power of ten: ``-1.50`` is ``-15e-1``."""
    digits, _, exponent = text.lower().partition("e")
    if len(exponent) > MOST_EXPONENT_DIGITS:
        return _spell(_exact(text))
    sign = "-" if digits[0] == "-" else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    power = int(exponent or 0) - len(fraction) + len(digits) - len(significant)
    return f"{sign}{significant}e{power}"


# The exact way


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its repeated keys kept."""


class _Spelled(str):
    """A number that stays as it is spelled, because nothing can hold its exponent: ``1e-99999999999999999999``."""


_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[-+.0-9eE]+|true|false|null')


def normalise_exactly(text: str) -> str:
    """What :func:`normalise_json` gives, whatever the text has in it."""
    try:
        value = json.loads(text, parse_float=_exact, parse_int=Decimal, object_pairs_hook=_Pairs)
        return "".join(_pieces(value))
    except RecursionError:
        return normalise_deep(text)


def _exact(text: str) -> Decimal | _Spelled:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _Spelled(text)


def normalise_deep(text: str) -> str:
    """What :func:`normalise_json` gives, without recursion: for nesting that Python's own stack is too small for."""
    open_: list[tuple[str, list[str]]] = [("", [])]
    for piece in _PIECE.findall(text):
        if piece in "[{":
            open_.append((piece, []))
            continue
        if piece in "]}":
            kind, items = open_.pop()
            piece = f"[{','.join(items)}]" if kind == "[" else _sort_object(items)
        elif piece[0] == '"':
            piece = json.dumps(json.loads(piece))
        elif piece[0] not in "tfn":
            piece = normalise_number(piece)
        open_[-1][1].append(piece)
    return open_[0][1][0]


def _sort_object(items: list[str]) -> str:
    pairs = sorted(zip(items[::2], items[1::2], strict=True), key=lambda pair: str(json.loads(pair[0])))
    return "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"


def _pieces(value: Any) -> Iterator[str]:
    match value:
        case _Pairs():
            yield "{"
            for index, (key, item) in enumerate(sorted(value, key=lambda pair: pair[0])):
                yield ("," if index else "") + json.dumps(key) + ":"
                yield from _pieces(item)
            yield "}"
        case list():
            yield "["
            for index, item in enumerate(value):
                yield "," if index else ""
                yield from _pieces(item)
            yield "]"
        case Decimal() | _Spelled():
            yield _spell(value)
        case _:
            yield json.dumps(value)


def _spell(value: Decimal | _Spelled) -> str:
    if isinstance(value, _Spelled):
        return value
    if not value:
        return "0"
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    significant = text.rstrip("0")
    return f"{'-' if sign else ''}{significant}e{int(exponent) + len(text) - len(significant)}"
