"""What was written between two states of one database, as whole rows: those of an application, not of a revision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...dialects.model import Table, Values
from ...dialects.reader import Reader
from ..rows.canonical import checksum
from ..schema.alembic import data_tables
from .compare import Difference, RowKey, difference, unequal


@dataclass(frozen=True)
class Written:
    """One row that was added, changed or deleted, in canonical values; nothing is masked.

    :ivar table: with the columns that the row has.
    :ivar key: the row's key, encoded, which finds it in another state of the database.
    """

    table: Table
    key: RowKey
    before: Values | None
    after: Values | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "added"
        return "changed" if self.after is not None else "deleted"

    @property
    def difference(self) -> Difference:
        """What of it may be shown: secrets masked."""
        return difference(self.table, self.before, self.after)

    def to_json(self) -> dict[str, Any]:
        """The whole row, secrets included."""
        key = self.table.key_of(self.after or self.before or [])
        return {
            "table": self.table.name,
            "key": dict(zip(self.table.primary_key, key, strict=True)) if self.table.primary_key else None,
            "kind": self.kind,
            "before": self._by_column(self.before),
            "after": self._by_column(self.after),
        }

    def _by_column(self, row: Values | None) -> dict[str, Any] | None:
        return None if row is None else dict(zip(self.table.column_names, row, strict=True))


def find_schema_changes(was: Reader, is_now: Reader) -> list[str]:
    """Tables and columns that only one of the two has."""
    ours, theirs = data_tables(was.tables()), data_tables(is_now.tables())
    lines = [f"table {name} {'gone' if name in ours else 'new'}" for name in sorted(ours.keys() ^ theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        columns, other = set(ours[name].column_names), set(theirs[name].column_names)
        lines += [
            f"column {name}.{column} {'gone' if column in columns else 'new'}" for column in sorted(columns ^ other)
        ]
    return lines


def find_writes(was: Reader, is_now: Reader, directory: Path) -> Iterator[Written]:
    """Every row of the tables that is on one side only, or another one; memory is bounded by one row.

    A column that only one side has is NULL on the other.
    """
    ours, theirs = data_tables(was.tables()), data_tables(is_now.tables())
    for name in sorted(ours.keys() | theirs.keys()):
        table = _join_columns(ours.get(name), theirs.get(name))
        if _sum(was, ours.get(name), table) != _sum(is_now, theirs.get(name), table):
            left, right = _rows(was, ours.get(name), table), _rows(is_now, theirs.get(name), table)
            for key, before, after in unequal(table, left, right, directory):
                yield Written(table, key, before, after)


def _join_columns(was: Table | None, is_now: Table | None) -> Table:
    if is_now is None or was is None:
        return was or is_now or Table("", ())
    former = tuple(column for column in was.columns if column.name not in is_now.column_names)
    key = is_now.primary_key if was.primary_key == is_now.primary_key else ()
    return Table(is_now.name, (*is_now.columns, *former), key)


def _rows(reader: Reader, source: Table | None, table: Table) -> Iterator[Values]:
    """The rows of a table in the order of another one's columns."""
    if source is None:
        return
    places = [source.column_names.index(name) if name in source.column_names else None for name in table.column_names]
    for row in reader.rows(source):
        yield [None if place is None else row[place] for place in places]


def _sum(reader: Reader, source: Table | None, table: Table) -> object:
    return checksum(table, _rows(reader, source, table))
