"""PostgreSQL: with how many noughts a NUMERIC without a scale is shown, carried from one schema to another.

The server keeps them with each value: 5 and 5.00 are equal, and shown as they were written. A canonical value has none,
as no other server keeps them; so where rows came by way of those, the noughts are asked of where the rows came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Table
from .names import quote
from .read import PostgresqlReader
from .types import Declared


@dataclass(frozen=True)
class Scales:
    """What gives rows the noughts that equal numbers have in another schema, where the row of the same key is.

    :ivar staging: of the schema whose rows get them. :ivar source: of the other one.
    :ivar unlike: the name of a third one, if at all: only what the other has otherwise than this is taken.
    """

    staging: PostgresqlReader
    source: PostgresqlReader
    unlike: str | None = None

    def statements(self, table: Table) -> Iterator[str]:
        """One for each column; none where rows have no key, so that nobody knows which is which."""
        columns = {column.name: column for column in self.staging.list_declared(table.name)}
        numbers = [column for column in columns.values() if column.base == "numeric" and column.scale is None]
        key = [columns[name] for name in table.primary_key if name in columns]
        if not key or len(key) < len(table.primary_key):
            return
        to, source = self.staging.place(table.name), self.source.place(table.name)
        for column in numbers:
            ours, theirs = _of(column, "s"), _of(column, "l")
            sql = (
                f"UPDATE {to} s SET {quote(column.name)} = {theirs} FROM {source} l {self._join(table.name, key)} "
                f"WHERE {_on(key, 's')} AND {ours} = {theirs} AND scale({ours}) <> scale({theirs})"
            )
            yield sql + (f" AND NOT {_is_the_same(column)}" if self.unlike else "")

    def _join(self, table: str, key: list[Declared]) -> str:
        if self.unlike is None:
            return ""
        only = "ONLY " * self.staging.place(table).startswith("ONLY ")
        return f"LEFT JOIN {only}{quote(self.unlike)}.{quote(table)} w ON {_on(key, 'w')}"


def _of(column: Declared, alias: str) -> str:
    return column.sent_of(f"{alias}.{quote(column.name)}")


def _on(key: list[Declared], alias: str) -> str:
    return " AND ".join(f"{_of(column, alias)} = {_of(column, 'l')}" for column in key)


def _is_the_same(column: Declared) -> str:
    was, now = _of(column, "w"), _of(column, "l")
    return f"coalesce({was} = {now} AND scale({was}) = scale({now}), false)"
