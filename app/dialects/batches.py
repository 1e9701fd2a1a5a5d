"""Rows of drivers as canonical rows, many at a time: a column of a batch is looked at by one call of C code."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .model import Values

MOST_ROWS = 128
MOST_BYTES = 1 << 20
_WITHOUT_REFERENCES = 2
"""The form of :mod:`marshal` in which equal values are equal bytes, whether they are one object or two."""

ConvertColumn = Callable[[Sequence[Any]], Sequence[Any]]
"""Driver values of a column, NULL among them, to canonical values of the same number."""


def by_value(convert: Callable[[Any], Any]) -> ConvertColumn:
    """A conversion of one value, which is never NULL, for all values of a column."""

    def convert_column(values: Sequence[Any]) -> Sequence[Any]:
        if None in values:
            return [None if value is None else convert(value) for value in values]
        return list(map(convert, values))

    return convert_column


def unless_all(is_canonical: Callable[[Sequence[Any]], bool], convert: Callable[[Any], Any]) -> ConvertColumn:
    """A conversion that most columns do not need.

    :param is_canonical: whether all values, NULL aside, are what :param:`convert` would make of them.
    """
    convert_column = by_value(convert)
    return lambda values: values if is_canonical(values) else convert_column(values)


def are_all(kind: type) -> Callable[[Sequence[Any]], bool]:
    """Whether values are of one type or NULL."""
    kinds = {kind, type(None)}
    return lambda values: kinds.issuperset(map(type, values))


def convert_rows(
    batches: Iterable[Sequence[Sequence[Any]]], converters: Sequence[tuple[int, ConvertColumn]]
) -> Iterator[Values]:
    """Canonical rows of a driver's rows.

    :param converters: places of columns, with what is done to them; of the others nothing has to be.
    """
    for batch in batches:
        if not converters:
            yield from map(list, batch)
            continue
        columns: list[Sequence[Any]] = list(zip(*batch, strict=True))
        for place, convert in converters:
            columns[place] = convert(columns[place])
        yield from map(list, zip(*columns, strict=True))


def to_bytes(row: tuple[Any, ...]) -> bytes:
    """A driver's row by kind and bits of its values: of equal rows, and of no others, it is the same."""
    return marshal.dumps(row, _WITHOUT_REFERENCES)


def in_batches(
    rows: Iterable[tuple[Any, ...]], watch: Callable[[bytes], None] | None = None
) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of a driver that gives them one by one: not more bytes at a time than a bound and the last of them.

    :param rows: of numbers, texts, bytes and None, which one call of C code takes the size of.
    :param watch: is given each row as :func:`to_bytes` has it.
    """
    batch: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        batch.append(row)
        data = to_bytes(row)
        size += len(data)
        if watch:
            watch(data)
        if len(batch) >= MOST_ROWS or size >= MOST_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
