"""Rows whose foreign key leads nowhere: which were so before an upgrade, and which it made so.

An old app's own delete leaves them behind. Who carries its rows may keep them as they are, and must not get new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...dialects.base import Reader
from ...dialects.model import ForeignKey, Table, Values
from ...dialects.samples import Problem, count_rows
from ..rows.canonical import encode_row
from ..rows.scratch import Scratch


@dataclass(frozen=True)
class Violation:
    """A value of a foreign key that no row of its parent has, encoded."""

    table: str
    columns: tuple[str, ...]
    parent: str
    value: bytes


def find_violations(reader: Reader, tables: Collection[str], directory: Path) -> Counter[Violation]:
    """How many rows of these tables have each value that no row of the table they refer to has.

    :param directory: on whose disk the keys of a parent are noted meanwhile.
    """
    violations: Counter[Violation] = Counter()
    known = reader.tables()
    for name in tables:
        for key in known[name].foreign_keys:
            if key.table in known and _has(known[name], key.columns) and _has(known[key.table], key.referred):
                violations += Counter(_of_key(reader, known[name], key, known[key.table], directory))
    return violations


def _has(table: Table, columns: Collection[str]) -> bool:
    """Whether rows show these columns: a generated one they do not."""
    return set(columns) <= set(table.column_names)


class _There(Scratch):
    SCHEMA = "CREATE TABLE there (value BLOB PRIMARY KEY) WITHOUT ROWID"


def _of_key(reader: Reader, child: Table, key: ForeignKey, parent: Table, directory: Path) -> Iterator[Violation]:
    with _There(directory) as there:
        for value in _values(reader, parent, key.referred):
            there.execute("INSERT OR IGNORE INTO there VALUES (?)", (value,))
        for value in _values(reader, child, key.columns):
            if not there.has_one("SELECT 1 FROM there WHERE value = ?", value):
                yield Violation(child.name, key.columns, parent.name, value)


def _values(reader: Reader, table: Table, columns: Collection[str]) -> Iterator[bytes]:
    """The values of some columns, where none of them is NULL."""
    places = [table.column_names.index(name) for name in columns]
    for row in reader.rows(table):
        value: Values = [row[place] for place in places]
        if None not in value:
            yield encode_row(value)


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
        filled = " AND ".join(f"c.{quote(name)} IS NOT NULL" for name in key.columns)
        equal = " AND ".join(
            f"p.{quote(theirs)} = c.{quote(name)}" for name, theirs in zip(key.columns, key.referred, strict=True)
        )
        yield (
            f"SELECT * FROM {quote(table.name)} c WHERE {filled} "
            f"AND NOT EXISTS (SELECT 1 FROM {quote(parent)} p WHERE {equal});"
        )
