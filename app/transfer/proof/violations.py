"""Rows whose foreign key leads nowhere: which were so before an upgrade, and which it made so.

An old app's own delete leaves them behind. Who carries its rows may keep them as they are, and must not get new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from ...dialects.model import Table
from ...dialects.reader import Reader
from ...dialects.samples import Problem, leads_nowhere
from ...dialects.wording import count_rows
from ..rows.canonical import encode_row


@dataclass(frozen=True)
class Violation:
    """A value of a foreign key that no row of its parent has, encoded."""

    table: str
    columns: tuple[str, ...]
    parent: str
    value: bytes


def find_violations(reader: Reader, tables: Collection[str]) -> Counter[Violation]:
    """How many rows of these tables have each value that no row of the table they refer to has."""
    violations: Counter[Violation] = Counter()
    known = reader.tables()
    for child in (known[name] for name in tables):
        for key in child.foreign_keys:
            # Of a generated column rows show nothing.
            if key.table in known and set(key.columns) <= set(child.column_names):
                places = [child.column_names.index(name) for name in key.columns]
                for row in reader.rows(child, dangling=key):
                    value = encode_row([row[place] for place in places])
                    violations[Violation(child.name, key.columns, key.table, value)] += 1
    return violations


def find_new(problems: Iterable[Problem], before: Counter[Violation], after: Counter[Violation]) -> list[str]:
    """What an upgrade made, or may have made as it cannot be seen here, of all that a server finds."""
    visible = {(item.table, item.parent) for item in after}
    lines = [str(item) for item in problems if (item.table, item.parent) not in visible]
    rows: Counter[tuple[str, str, str]] = Counter()
    for item, count in (after - before).items():
        rows[item.table, ", ".join(item.columns), item.parent] += count
    return lines + [
        f"{table}: {count_rows(count)} more than before the upgrade refer to nothing of {parent} ({columns})"
        for (table, columns, parent), count in sorted(rows.items())
    ]


def show_rows(table: Table, parent: str, quote: Callable[[str], str]) -> Iterator[str]:
    """The statements that show the rows of a table that refer to nothing of another one."""
    for key in (key for key in table.foreign_keys if key.table == parent):
        condition = leads_nowhere(key.columns, key.referred, "c", quote(parent), quote)
        yield f"SELECT * FROM {quote(table.name)} c WHERE {condition};"
