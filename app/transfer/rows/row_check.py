"""A line of a snapshot as a row: as many values as its table has columns, each of a kind that its column can hold.

A line comes from a file that anybody may have written. It is looked at before it is parsed where it is long: a few
bytes of JSON can make an object of many, so that a line of some megabytes would fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import orjson

from ...dialects.model import Column, LogicalType, Table, Values
from ...dialects.values import is_json, untag

LONG_BYTES = 1 << 20
_BESIDES = 64
"""Bytes of one value that stand outside of its texts: a number has 25 at most."""
# Possessive: a text of 200 MB is read without a note for the way back.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_FIRST, _LAST = itemgetter(0), itemgetter(-1)
_OPEN, _SHUT = b"[]"
_KINDS: dict[LogicalType, frozenset[type]] = {
    **dict.fromkeys(LogicalType, frozenset((str, type(None)))),
    LogicalType.BOOL: frozenset((bool, type(None))),
    LogicalType.INT: frozenset((int, type(None))),
    LogicalType.FLOAT: frozenset((float, int, type(None))),
    LogicalType.ANY: frozenset((type(None),)),
}


class NotARow(Exception):
    """A line that is no row of its table; says why."""


def row_check(table: Table) -> Callable[[bytes], Values]:
    """A function line -> row for the lines of a table.

    :raises NotARow: by the function.
    """
    columns, width = table.columns, len(table.columns)
    json_places = [index for index, column in enumerate(columns) if column.type is LogicalType.JSON]
    # Rows of a table are of a few combinations of types; only a new one is looked at value by value.
    good: set[tuple[type, ...]] = set()

    def check(line: bytes) -> Values:
        row = _values(line, width, table.name)
        types = tuple(map(type, row))
        if types not in good:
            for column, value in zip(columns, row, strict=True):
                _check_value(column, value, table.name)
            if dict not in types:
                good.add(types)
        for index in json_places:
            if types[index] is str and not is_json(row[index]):
                raise NotARow(f"not a row ({table.name}.{columns[index].name} is not JSON)")
        return row

    return check


def rows_check(table: Table) -> Callable[[Sequence[bytes], bytes], list[Values] | None]:
    """A function (lines, the same with a comma and a line's end between them) -> rows.

    It gives None where not all are rows of values of their columns' types at first sight: :func:`row_check` tells.
    """
    width, kinds = len(table.columns), [_KINDS[column.type] for column in table.columns]
    json_places = [index for index, column in enumerate(table.columns) if column.type is LogicalType.JSON]

    def check(lines: Sequence[bytes], joined: bytes) -> list[Values] | None:
        rows = _parse_lines(lines, joined)
        if rows is None or set(map(type, rows)) != {list} or set(map(len, rows)) != {width}:
            return None
        columns = list(zip(*rows, strict=True))
        if not all(kind.issuperset(map(type, values)) for kind, values in zip(kinds, columns, strict=True)):
            return None
        texts = (value for index in json_places for value in columns[index] if value is not None)
        return rows if all(map(is_json, texts)) else None

    return check


def _parse_lines(lines: Sequence[bytes], joined: bytes) -> list[Values] | None:
    """What lines hold, one value each; None where that is not so, or has to be looked at.

    As no text goes over the end of a line, a line that takes in the next one has a list for a value, which no row has.
    """
    if (
        len(joined) > LONG_BYTES
        or not all(lines)
        or {*map(_FIRST, lines)} != {_OPEN}
        or {*map(_LAST, lines)} != {_SHUT}
    ):
        return None
    try:
        rows: list[Values] = orjson.loads(b"[%b]" % joined)
    except orjson.JSONDecodeError:
        return None
    return rows if len(rows) == len(lines) else None


def _values(line: bytes, width: int, name: str) -> Values:
    if len(line) > LONG_BYTES:
        _look_at_long(line, width)
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NotARow(f"not a row ({error})") from error
    if type(row) is not list:
        raise NotARow("not a row (no list)")
    if len(row) != width:
        raise NotARow(f"{len(row)} values for the {width} columns of {name}")
    return row


def _check_value(column: Column, value: Any, name: str) -> None:
    if type(value) not in _KINDS[column.type] and not _is_tagged(value):
        raise NotARow(f"not a row ({name}.{column.name} is of type {column.type}, and this is none)")


def _look_at_long(line: bytes, width: int) -> None:
    """:raises NotARow: there is more in a long line than a row of so many columns can have."""
    texts = besides = last = 0
    for match in _TEXT.finditer(line):
        texts += 1
        besides += match.start() - last
        last = match.end()
        if texts > 2 * width or besides > _BESIDES * (width + 1):
            break
    besides += len(line) - last
    if texts > 2 * width or besides > _BESIDES * (width + 1):
        raise NotARow(f"not a row (more values than the {width} columns)")


def _is_tagged(value: Any) -> bool:
    if type(value) is not dict or len(value) != 1 or not all(type(item) is str for item in value.values()):
        return False
    try:
        untag(value)
    except ValueError:
        return False
    return True
