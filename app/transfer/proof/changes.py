"""Values that an upgrade changed: how many of each column, and whose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...dialects.model import Table, Values
from ...dialects.wording import count_of
from ..rows.canonical import encode_row, without_numbers
from ..rows.coerce import Coercion, coercion
from ..rows.masking import MASK, is_secret
from ..rows.scratch import Scratch
from .compare import list_changed_columns, unequal

SHOWN = 3
"""Keys that are told of each column."""


@dataclass
class Changed:
    """A column's values that are others after an upgrade.

    :ivar of: how many rows of the table there were.
    :ivar keys: of some of them; empty where the table has no key by which rows can be paired.
    """

    column: str
    of: int
    values: int = 0
    keys: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        keys = f" (key {', '.join(self.keys)}{', ...' if self.values > len(self.keys) else ''})" if self.keys else ""
        return f"{self.column}: {self.values} of {count_of(self.of, 'value')} changed{keys}"


def find_changed(
    before: Table,
    after: Table,
    rows_before: Callable[[], Iterable[Values]],
    rows_after: Callable[[], Iterable[Values]],
    directory: Path,
) -> list[Changed]:
    """Compare the columns that two states of a table have in common, and count what differs.

    Rows are paired by the key, where both have the same; else each column is compared as a whole. A value that only
    another type spells differently, exactly, is the same.
    """
    common = [name for name in before.column_names if name in after.column_names]
    if not common:
        return []

    def rows_left() -> Iterator[Values]:
        return _project(rows_before(), before, common, _converters(before, after, common))

    def rows_right() -> Iterator[Values]:
        return _project(rows_after(), after, common, [None] * len(common))

    key = before.primary_key
    if key and key == after.primary_key and set(key) <= set(common):
        return _compare_by_key(before, common, rows_left(), rows_right(), directory)
    with _Missing(directory) as missing:
        return [change for name in common if (change := missing.count(before, common, name, rows_left, rows_right))]


def _converters(before: Table, after: Table, common: list[str]) -> list[Coercion | None]:
    was, now = ({column.name: column for column in table.columns} for table in (before, after))
    return [coercion(was[name], now[name]) for name in common]


def _project(
    rows: Iterable[Values], table: Table, common: list[str], converters: list[Coercion | None]
) -> Iterator[Values]:
    places = [table.column_names.index(name) for name in common]
    for row in rows:
        values = (row[place] for place in places)
        yield [v if v is None or c is None else c(v) for v, c in zip(values, converters, strict=True)]


def _compare_by_key(
    table: Table, common: list[str], left: Iterable[Values], right: Iterable[Values], directory: Path
) -> list[Changed]:
    by_name = {column.name: column for column in table.columns}
    projected = Table(table.name, tuple(by_name[name] for name in common), table.primary_key)
    number, changes = _Count(), dict[str, Changed]()
    for _, was, now in unequal(projected, number.count(left), right, directory):
        if was is None or now is None:
            continue
        for name in list_changed_columns(projected, was, now):
            change = changes.setdefault(name, Changed(f"{table.name}.{name}", 0))
            change.values += 1
            if len(change.keys) < SHOWN:
                change.keys.append(_describe_key(projected, was))
    for change in changes.values():
        change.of = number.rows
    return list(changes.values())


class _Count:
    """Counts rows as they pass."""

    rows = 0

    def count(self, rows: Iterable[Values]) -> Iterator[Values]:
        for row in rows:
            self.rows += 1
            yield row


def _describe_key(table: Table, row: Values) -> str:
    names = table.column_names
    parts = [MASK if is_secret(name) else str(row[names.index(name)]) for name in table.primary_key]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


class _Missing(Scratch):
    """Values of a table without a key: those that a column has no more."""

    SCHEMA = "CREATE TABLE v (value BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID"

    def count(
        self,
        table: Table,
        common: list[str],
        name: str,
        left: Callable[[], Iterable[Values]],
        right: Callable[[], Iterable[Values]],
    ) -> Changed | None:
        place, rows = common.index(name), 0
        self.execute("DELETE FROM v")
        add = "INSERT INTO v VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1"
        for row in left():
            rows += 1
            self.execute(add, (without_numbers(encode_row([row[place]])),))
        for row in right():
            self.execute("UPDATE v SET n = n - 1 WHERE value = ?", (without_numbers(encode_row([row[place]])),))
        [(missing,)] = self.execute("SELECT coalesce(sum(n), 0) FROM v WHERE n > 0").fetchall()
        return Changed(f"{table.name}.{name}", rows, int(missing)) if missing else None
