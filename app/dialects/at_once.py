"""What is asked of many tables, by few statements: over a network each one costs a round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from .model import Table

AT_ONCE = 100
"""Queries that are one statement: it has the time of one answer, and keeps the memory for all of them to its end."""

K = TypeVar("K")
Ask = Callable[[str], Sequence[Any]]
"""Runs a statement and gives its only row."""


def ask_all(queries: Mapping[K, str], ask: Ask, at_once: int = AT_ONCE, *, ask_last: Ask | None = None) -> dict[K, Any]:
    """Run queries of which each has one row of one value, or none; those that have none are NULL.

    :param ask: runs a statement and gives its only row.
    :param at_once: fewer where each of them looks at all rows of two tables.
    :param ask_last: runs the last statement, where that is another matter.
    """
    items, values = iter(queries.items()), dict[K, Any]()
    while some := dict(islice(items, at_once)):
        is_last = len(values) + len(some) == len(queries)
        row = (ask_last if ask_last and is_last else ask)(
            f"SELECT {', '.join(f'({query})' for query in some.values())}"
        )
        values |= zip(some, row, strict=True)
    return values


def look_over(
    tables: Mapping[str, Table],
    spell: Callable[[str], str],
    join: str,
    more: Mapping[str, str],
    ask: Ask,
    ask_last: Ask,
) -> tuple[dict[str, int], list[str], dict[str, Any]]:
    """Rows of each table but Alembic's own, what that says, and the answers to more queries.

    :param spell: how a table is named behind FROM.
    :param join: an expression over a column's values, ``{}``, that is a text with a line for each.
    :param ask_last: runs the last statement, and ends the transaction.
    """
    alembics = {name for name, table in tables.items() if table.of_alembic}
    counts = {("rows", name): f"SELECT count(*) FROM {spell(name)}" for name in tables if name not in alembics}
    revisions = {
        ("revisions", name): f"SELECT {join.format(tables[name].column_names[0])} FROM {spell(name)}"
        for name in alembics
    }
    queries = {**counts, **revisions, **{("", name): query for name, query in more.items()}}
    answers = ask_all(queries, ask, ask_last=ask_last)
    return (
        {name: int(answers[kind, name]) for kind, name in counts},
        [line for place in revisions for line in str(answers[place] or "").splitlines()],
        {name: answers["", name] for name in more},
    )


def count_all(tables: Iterable[str], spell: Callable[[str], str], ask: Ask) -> dict[str, int]:
    """Count the rows of tables.

    :param spell: how a table is named behind FROM.
    """
    counts = ask_all({name: f"SELECT count(*) FROM {spell(name)}" for name in tables}, ask)
    return {name: int(count) for name, count in counts.items()}
