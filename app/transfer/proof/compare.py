"""Databases compared row by row: differences by table, key and column."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ...dialects.model import Column, LogicalType, Table, Values
from ...dialects.reader import Reader
from ..rows.canonical import checksum, decode_row, encode_row, row_hasher, without_numbers
from ..rows.header import sort_columns
from ..rows.masking import mask
from ..rows.normal_json import normalise_json
from ..rows.scratch import Scratch
from ..schema.alembic import data_tables

SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """One row that is not the same on both sides; values of columns that look like secrets are masked."""

    table: str
    key: list[Any]
    kind: str
    columns: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        changes = "; ".join(f"{name}: {_short(old)} -> {_short(new)}" for name, (old, new) in self.columns.items())
        return f"{self.table} {self.key}: {self.kind}{': ' + changes if changes else ''}"

    def to_json(self) -> dict[str, Any]:
        columns = {name: list(pair) for name, pair in self.columns.items()}
        return {"table": self.table, "key": self.key, "kind": self.kind, "columns": columns}


def _short(value: Any) -> str:
    text = encode_row([value]).decode()[1:-1]
    return text if len(text) <= 60 else text[:57] + "..."


RowKey = tuple[bytes, int]
"""A row's key, encoded, and which of several with this key it is, from 0."""

Unequal = tuple[RowKey, Values | None, Values | None]
"""A key, the row on the left, the row on the right; None where there is no such row."""

Rest = tuple[Iterable[Values], Iterable[Values]]


def differences(table: Table, left: Iterable[Values], right: Iterable[Values], directory: Path) -> Iterator[Difference]:
    """Rows by key that are on one side only, or differ; memory is bounded by one row.

    Rows of a table without a primary key are their own key, and are compared by how often they occur.

    :param left: canonical rows as they should be, in the order of the table's columns.
    :param directory: on whose disk the rows on the left are noted meanwhile.
    """
    for _, former, row in unequal(table, left, right, directory):
        yield difference(table, former, row)


def difference(table: Table, former: Values | None, row: Values | None) -> Difference:
    """What two rows of one key differ in; None where there is no such row."""
    if former is None or row is None:
        kind = "added" if former is None else "missing"
        return Difference(table.name, describe_values(table, former or row or []), kind, {})
    return Difference(table.name, describe_values(table, row), "changed", list_changed_columns(table, former, row))


def unequal(table: Table, left: Iterable[Values], right: Iterable[Values], directory: Path) -> Iterator[Unequal]:
    """The rows in which two tables differ, nothing masked: key, the row on the left, the row on the right."""
    rest: Rest | None = (left, right)
    if table.primary_key:
        rest = yield from _in_step(table, iter(left), iter(right))
    if rest:
        yield from _in_any_order(table, *rest, directory)


def _in_step(table: Table, left: Iterator[Values], right: Iterator[Values]) -> Generator[Unequal, None, Rest | None]:
    """Compare row by row as long as both sides come in the same order, which is nearly always to the end.

    :return: the rows of both sides that are to be compared yet; None where there are none.
    """
    same, places = same_rows(table), [table.column_names.index(name) for name in table.primary_key]
    for row in left:
        line, other, key = encode_row(row), next(right, None), [row[place] for place in places]
        # NULL in a key and large objects of the same content are not one key: they are numbered, equal rows as well.
        is_plain = _is_plain(key)
        if other is not None and is_plain and line == encode_row(other):
            continue
        if other is None or not is_plain or encode_row(key) != encode_row([other[place] for place in places]):
            return chain([row], left), right if other is None else chain([other], right)
        if not same(line, other):
            yield (encode_row(key), 0), row, other
    more = next(right, None)
    return None if more is None else ((), chain([more], right))


def _is_plain(key: Values) -> bool:
    return None not in key and dict not in map(type, key)


def _in_any_order(table: Table, left: Iterable[Values], right: Iterable[Values], directory: Path) -> Iterator[Unequal]:
    """Rows of any order, by way of a file with those of the left side."""
    with _Unpaired(directory) as unpaired:
        for key, row in unpaired.number(table, left):
            unpaired.execute("INSERT INTO l VALUES (?, ?, ?)", (*key, encode_row(row)))
        yield from unpaired.pair(table, right)
        for key_bytes, number, line in unpaired.execute("SELECT key, n, line FROM l ORDER BY key, n"):
            yield (key_bytes, number), decode_row(line), None


class Numbers(Scratch):
    """Which of several rows with one key each row is."""

    SCHEMA = "CREATE TABLE seen (key BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID"

    def number(self, table: Table, rows: Iterable[Values]) -> Iterator[tuple[RowKey, Values]]:
        """All rows of a table with their keys."""
        self.execute("DELETE FROM seen")
        hash_row = row_hasher(table)
        for row in rows:
            key = table.key_of(row)
            # A row without a key is its own, in the form that checksums are of; in SQLite many may have a NULL in it.
            line = without_numbers(encode_row(key)) if table.primary_key else b"%032x" % hash_row(row, encode_row(row))
            number = 0
            # Nor are two large objects of the same content one key.
            if not table.primary_key or not _is_plain(key):
                (number,) = self.execute(
                    "INSERT INTO seen VALUES (?, 0) ON CONFLICT (key) DO UPDATE SET n = n + 1 RETURNING n", (line,)
                ).fetchone()
            yield (line, number), row


class _Unpaired(Numbers):
    """The rows on the left that no row on the right was found for yet."""

    SCHEMA = f"{Numbers.SCHEMA}; CREATE TABLE l (key BLOB, n INTEGER, line BLOB, PRIMARY KEY (key, n)) WITHOUT ROWID"

    def pair(self, table: Table, right: Iterable[Values]) -> Iterator[Unequal]:
        same = same_rows(table)
        for key, row in self.number(table, right):
            match = self.execute("DELETE FROM l WHERE key = ? AND n = ? RETURNING line", key).fetchone()
            if match is None:
                yield key, None, row
            elif not same(match[0], row):
                yield key, decode_row(match[0]), row


def same_rows(table: Table) -> Callable[[bytes, Values], bool]:
    """A function (a row's line, a row) -> whether they are equal, as checksums see it."""
    hash_row = row_hasher(table)

    def same(line: bytes, row: Values) -> bool:
        other = encode_row(row)
        return line == other or hash_row(decode_row(line), line) == hash_row(row, other)

    return same


def describe_values(table: Table, row: Values) -> list[Any]:
    """A row's key, or the whole row where its table has none; secrets masked."""
    by_name = {column.name: column for column in table.columns}
    names = table.primary_key or table.column_names
    return [mask(by_name[name], value) for name, value in zip(names, table.key_of(row), strict=True)]


def list_changed_columns(table: Table, former: Values, row: Values) -> dict[str, tuple[Any, Any]]:
    changes: dict[str, tuple[Any, Any]] = {}
    for column, old, new in zip(table.columns, former, row, strict=True):
        if old != new and not _is_same(column, old, new):
            changes[column.name] = (mask(column, old), mask(column, new))
    return changes


def _is_same(column: Column, old: Any, new: Any) -> bool:
    """Whether two values that are not spelled alike are equal, as checksums see it."""
    if type(old) is dict and type(new) is dict:
        return without_numbers(encode_row([old])) == without_numbers(encode_row([new]))
    return column.type is LogicalType.JSON and _same_json(old, new)


def _same_json(old: Any, new: Any) -> bool:
    return isinstance(old, str) and isinstance(new, str) and normalise_json(old) == normalise_json(new)


def compare_databases(left: Reader, right: Reader, directory: Path) -> Iterator[Difference]:
    """Every difference between two databases, tables and columns first.

    :param left: as it should be.
    """
    ours, theirs = data_tables(left.tables()), data_tables(right.tables())
    for name in sorted(set(ours) | set(theirs)):
        if name not in ours or name not in theirs:
            yield Difference(name, [], "table missing" if name in ours else "table added", {})
            continue
        columns, other = set(ours[name].column_names), set(theirs[name].column_names)
        for column in sorted(columns ^ other):
            kind = "column missing" if column in columns else "column added"
            yield Difference(f"{name}.{column}", [], kind, {})
        table = sort_columns(_only(ours[name], columns & other))
        if checksum(table, left.rows(table)) != checksum(table, right.rows(table)):
            yield from differences(table, left.rows(table), right.rows(table), directory)


def _only(table: Table, names: set[str]) -> Table:
    columns = tuple(column for column in table.columns if column.name in names)
    key = table.primary_key if names.issuperset(table.primary_key) else ()
    return Table(table.name, columns, key)


Keep = Callable[[Iterable[Difference]], list[str]]
