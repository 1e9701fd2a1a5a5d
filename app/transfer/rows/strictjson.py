"""Foreign JSON, read without a loss: exact numbers, every key, no invalid text.

Python's own parser rounds numbers, lets the last of two equal keys win and accepts ``NaN``; orjson turns long integers
into floats. Here a fraction or long integer becomes a :class:`~decimal.Decimal`, and whatever JSON does not allow or
cannot keep apart is an error that says where.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

_BLANK = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class StrictJSONError(ValueError):
    """Text that is not JSON, or that cannot be kept without a loss."""


class NotKept(StrictJSONError):
    """Text that says something which cannot be kept without a loss: it would be the same if it were read again."""


class TooMany(NotKept):
    """A text of more values than may be held at once."""


MOST_VALUES = 2_000_000
"""Of one text. A value of two letters takes up to a hundred bytes: ``[[],[],...`` of 60 MB would take 1.5 GB."""
_SHORT = 1 << 20


def check_amount(text: str) -> None:
    """:raises TooMany: the text may hold more values than :data:`MOST_VALUES`; commas in its strings count as well."""
    if len(text) > _SHORT and sum(map(text.count, ",[{")) > MOST_VALUES:
        raise TooMany(f"more than {MOST_VALUES:,} values at once")


def read_integer(text: str) -> int | Decimal:
    """A whole number, exact however long it is."""
    return int(text) if len(text) < 19 else _long_integer(text)


def _long_integer(text: str) -> int | Decimal:
    # int() refuses a text of thousands of digits, Decimal() does not.
    value = Decimal(text)
    return int(value) if -(2**63) <= value < 2**64 else value


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise NotKept(f"the number {text[:40]} has an exponent that nothing can hold") from error


def _constant(name: str) -> NoReturn:
    raise NotKept(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    by_key = dict(pairs)
    if len(by_key) != len(pairs):
        twice = sorted(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise NotKept(f"the same key twice in one object: {', '.join(repr(key[:40]) for key in twice[:5])}")
    return by_key


_DECODER = json.JSONDecoder(
    parse_float=_fraction, parse_int=read_integer, parse_constant=_constant, object_pairs_hook=_object
)


def _value(text: str, start: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise StrictJSONError(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise NotKept(f"nested too deeply in {_place(text, start)}") from error
    except NotKept as error:
        raise NotKept(f"{error} in {_place(text, start)}") from error


def _place(text: str, start: int) -> str:
    """Where a value is, for people."""
    return f"the value that begins at {_line(text, start)}"


def _line(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _check_surrogates(text: str, start: int, end: int, value: Any) -> None:
    if _SURROGATE.search(text, start, end):
        try:
            json.dumps(value, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError as error:
            raise NotKept(
                f"half of a surrogate pair (\\ud800 to \\udfff), which no text can hold, in {_place(text, start)}"
            ) from error
        except RecursionError as error:
            # The encoder stands on the stack a little deeper than the parser did.
            raise NotKept(f"nested too deeply in {_place(text, start)}") from error


def loads(text: str) -> Any:
    """One JSON value, and nothing behind it.

    :raises StrictJSONError: see the module.
    """
    check_amount(text)
    start = _skip(text, 0)
    value, end = _value(text, start)
    _check_end(text, end)
    _check_surrogates(text, start, end, value)
    return value


def _check_end(text: str, end: int) -> None:
    if _skip(text, end) != len(text):
        raise StrictJSONError(f"text behind the JSON value, at {_line(text, _skip(text, end))}")


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, character: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != character:
        raise StrictJSONError(
            f"{character!r} expected at {_line(text, at)}" if at < len(text) else "the text ends too early"
        )
    return at + 1


def opens_list(text: str) -> bool:
    """Whether a text begins as an array does."""
    at = _skip(text, 0)
    return text[at : at + 1] == "["


SPOILED = "ferry:spoiled"
"""The key of a mended record that says what was wrong with it; no source may send it."""

Mend = Callable[[str, int], tuple[str, Any, int]]
"""Reads a value that cannot be kept as it is: see :func:`.mended_json.mend`."""


def _element(text: str, start: int, mend: Mend | None) -> tuple[str, Any, int]:
    """A value as it was spelled, itself, and where it ends.

    The spelling is on one line: a line break in JSON can only be blank space between tokens.
    """
    try:
        value, end = _value(text, start)
        _check_surrogates(text, start, end, value)
        if isinstance(value, dict) and SPOILED in value:
            raise NotKept(f"the key {SPOILED}, which is not a source's to use, in {_place(text, start)}")
    except NotKept:
        if mend is None:
            raise
        return mend(text, start)
    return text[start:end].replace("\n", " ").replace("\r", " "), value, end


def read_one(text: str, mend: Mend | None = None) -> tuple[str, Any]:
    """The one value of a text as it was spelled, and itself.

    :param mend: reads it where it cannot be kept as it is.
    :raises StrictJSONError: see the module.
    """
    check_amount(text)
    raw, value, end = _element(text, _skip(text, 0), mend)
    _check_end(text, end)
    return raw, value


def elements(text: str, at: int, mend: Mend | None = None) -> Iterator[tuple[str, Any, int]]:
    """The elements of the array that opens at ``at``: each as it was spelled, its value, and where it ends.

    :param mend: reads those that cannot be kept as they are.
    """
    at = _skip(text, _expect(text, at, "["))
    if text[at : at + 1] == "]":
        return
    while True:
        raw, value, end = _element(text, _skip(text, at), mend)
        yield raw, value, end
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return
        at = _expect(text, at, ",")


def whole_list(text: str, mend: Mend | None = None) -> Iterator[tuple[str, Any]]:
    """The elements of the array that the whole text is, as :func:`elements` gives them, without where they end."""
    end = _expect(text, 0, "[")
    for raw, value, end in elements(text, 0, mend):  # noqa: B007 # the last one counts
        yield raw, value
    _check_end(text, _expect(text, end, "]"))


def _walk(text: str, take: Callable[[str, int], int]) -> None:
    """Walk over the object that the text is; ``take`` is given each key and place, and returns where the value ends."""
    _check_end(text, _walk_object(text, 0, take))


def _walk_object(text: str, at: int, take: Callable[[str, int], int]) -> int:
    """Walk over the object that begins at ``at``; returns where it ends."""
    at = _skip(text, _expect(text, at, "{"))
    keys: set[str] = set()
    while text[at : at + 1] != "}":
        if keys:
            at = _expect(text, at, ",")
        key, at = _value(text, _skip(text, at))
        if not isinstance(key, str):
            raise StrictJSONError(f"a key of an object is no text at {_line(text, at)}")
        if key in keys:
            raise NotKept(f"the same key twice in one object: {key[:40]!r}")
        keys.add(key)
        at = _skip(text, take(key, _skip(text, _expect(text, at, ":"))))
    return at + 1


def members(text: str, mend: Mend | None = None) -> dict[str, int]:
    """The keys of the object that the text is, each with where its value begins.

    The values are read over one at a time, so that a large document is never held as objects.
    """
    places: dict[str, int] = {}

    def read(key: str, at: int) -> int:
        places[key] = at
        return _end_of_value(text, at, mend)

    _walk(text, read)
    return places


Place = tuple[str, ...]
"""The keys that lead to a value of an object."""
Items = list[tuple[str, Any]]
"""Values as they were spelled, and themselves."""


def envelope(
    text: str, places: Collection[Place], mend: Mend | None = None
) -> tuple[dict[Place, Items], dict[str, Any]]:
    """The elements of the arrays at some places of the object that the text is, and all that it has besides."""
    lists: dict[Place, Items] = {}

    def read_object(at: int, above: Place) -> tuple[dict[str, Any], int]:
        others: dict[str, Any] = {}

        def read(name: str, at: int) -> int:
            place = (*above, name)
            if place in places and text[at : at + 1] == "[":
                lists[place], end = _items(text, at, mend)
            elif text[at : at + 1] == "{" and any(other[: len(place)] == place for other in places):
                others[name], end = read_object(at, place)
            else:
                others[name], end = _value(text, at)
            return end

        end = _walk_object(text, at, read)
        return others, end

    others, end = read_object(0, ())
    _check_end(text, end)
    return lists, others


def _items(text: str, at: int, mend: Mend | None) -> tuple[Items, int]:
    """The elements of the array that begins at ``at``, and where it ends."""
    items, end = [], at + 1
    for raw, value, end in elements(text, at, mend):  # noqa: B007 # the last one counts
        items.append((raw, value))
    return items, _expect(text, end, "]")


def _end_of_value(text: str, at: int, mend: Mend | None) -> int:
    if text[at : at + 1] != "[":
        return _value(text, at)[1]
    ends = [at + 1]
    for _, _, end in elements(text, at, mend):
        ends[0] = end
    return _expect(text, ends[0], "]")


def value_at(text: str, at: int) -> Any:
    """The value that begins at ``at``."""
    value, end = _value(text, at)
    _check_surrogates(text, at, end, value)
    return value


def sort_text(value: Any) -> str:
    """A value that was read here as a text that is equal for equal values, whatever order the keys were in.

    :raises NotKept: it is nested too deeply.
    """
    try:
        return json.dumps(value, sort_keys=True, default=lambda number: {"number": str(number)})
    except RecursionError as error:
        raise NotKept("a value is nested too deeply") from error
