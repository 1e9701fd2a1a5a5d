"""What is asked of many tables, by few statements: over a network each one costs a round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

AT_ONCE = 100
"""Queries that are one statement: it has the time of one answer, and keeps the memory for all of them to its end."""

K = TypeVar("K")


def ask_all(queries: Mapping[K, str], ask: Callable[[str], Sequence[Any]], at_once: int = AT_ONCE) -> dict[K, Any]:
    """Run queries of which each has one row of one value, or none; those that have none are NULL.

    :param ask: runs a statement and gives its only row.
    :param at_once: fewer where each of them looks at all rows of two tables.
    """
    items, values = iter(queries.items()), dict[K, Any]()
    while some := dict(islice(items, at_once)):
        row = ask(f"SELECT {', '.join(f'({query})' for query in some.values())}")
        values |= zip(some, row, strict=True)
    return values


def count_all(
    tables: Iterable[str], spell: Callable[[str], str], ask: Callable[[str], Sequence[Any]]
) -> dict[str, int]:
    """Count the rows of tables.

    :param spell: how a table is named behind FROM.
    """
    counts = ask_all({name: f"SELECT count(*) FROM {spell(name)}" for name in tables}, ask)
    return {name: int(count) for name, count in counts.items()}
