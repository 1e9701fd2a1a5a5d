"""Loading a ``rows`` snapshot into staging: structure first, then rows, with an account of every one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from ...dialects.base import Column, Dialect, ForeignKey, LoadResult, Refusal, Table, TableChecksum, Values
from ...errors import DoesNotFit
from ..proof.verify import SHOWN, shown_values
from ..rows.canonical import MODULUS, encode_row, row_hasher
from ..rows.coerce import Coercion, coercion, is_out_of_place
from ..rows.masking import words_without_secrets
from ..rows.scratch import Aside
from ..rows.snapshot import Footer, SnapshotReader, check, rows_of
from ..set_aside.file import RowStore

BATCH_ROWS = 500
REFERS = "refers to a row of"
"""So begins the reason of rows that go with others."""


@dataclass
class TableLoad:
    """One table's account: rows of the source = loaded + excluded + set aside."""

    table: Table
    rows: int = 0
    loaded: TableChecksum = field(default_factory=lambda: TableChecksum(0, 0))
    excluded: int = 0
    set_aside: int = 0
    note: str = ""


def _way_out(tables: list[str]) -> str:
    """What to type next; a column is not left out by an option."""
    if not tables:
        return "Add a revision that has it, or repair the source, then run again: flask db-migrate-data"
    flags = " ".join(f"--exclude {name}" for name in tables)
    return f"Add a revision that has it, or leave it out: flask db-migrate-data {flags}"


class RowsFile:
    """A ``rows`` snapshot as rows of a given schema, without those that are excluded or set aside.

    :param schema: the tables of staging at the snapshot's revision.
    :raises DoesNotFit: a table or a column with values that the schema does not have, or one that only the schema has.
    """

    def __init__(self, path: Path, schema: Mapping[str, Table], exclude: Collection[str], aside: Aside) -> None:
        self._path, self.schema = path, schema
        self._exclude = frozenset(exclude)
        self.aside = aside
        self.mended: RowStore | None = None
        """Rows that come in the place of those of the same number."""
        with SnapshotReader(path) as reader:
            self.header = reader.header
        self._places: dict[str, list[int]] = {}
        self._coercions: dict[str, list[tuple[int, Coercion]]] = {}
        self._strict: dict[str, list[tuple[int, Column]]] = {}
        self.tables = self._fit(schema)

    def _fit(self, schema: Mapping[str, Table]) -> dict[str, Table]:
        extra: dict[str, list[str]] = {}
        fitted: dict[str, Table] = {}
        for table in self.header.tables:
            if table.name not in schema:
                extra[table.name] = []
                continue
            own = {column.name: column for column in schema[table.name].columns}
            self._places[table.name] = [i for i, column in enumerate(table.columns) if column.name in own]
            extra[table.name] = [column.name for column in table.columns if column.name not in own]
            columns = tuple(own[table.columns[i].name] for i in self._places[table.name])
            found = [coercion(table.columns[i], own[table.columns[i].name]) for i in self._places[table.name]]
            self._coercions[table.name] = [(place, change) for place, change in enumerate(found) if change]
            # What lies in such a column of such a source may be anything; of any other source it may not.
            sources = [table.columns[i] for i in self._places[table.name]]
            self._strict[table.name] = [
                (place, to)
                for place, (one, to) in enumerate(zip(sources, columns, strict=True))
                if to.loose > one.loose
            ]
            at_r = schema[table.name]
            fitted[table.name] = Table(table.name, columns, at_r.primary_key, at_r.unique, at_r.foreign_keys)
        problems = self._values_without_a_place(schema, {name: found for name, found in extra.items() if found})
        problems += [f"table {name}" for name in extra if name not in schema and name not in self._exclude]
        if problems:
            raise DoesNotFit(
                f"Revision {self.header.revision} has no place for what the source holds.",
                details=problems,
                hint=_way_out([name for name in extra if name not in schema and name not in self._exclude]),
            )
        self._refuse_lacking(schema)
        unknown = sorted(self._exclude - set(extra) - set(schema))
        if unknown:
            raise DoesNotFit(f"--exclude names tables that are not there: {', '.join(unknown)}.")
        return fitted

    def _refuse_lacking(self, schema: Mapping[str, Table]) -> None:
        """What says it is at a revision has all that the revision has; else rows would arrive empty unnoticed."""
        has = {table.name: set(table.column_names) for table in self.header.tables}
        lacking = [f"table {name}" for name in schema if name not in has and name not in self._exclude]
        for name in schema.keys() & has.keys() - self._exclude:
            lacking += [f"column {name}.{column}" for column in schema[name].column_names if column not in has[name]]
        if lacking:
            raise DoesNotFit(
                f"The source says it is at revision {self.header.revision}, and lacks what that revision has.",
                details=sorted(lacking),
                hint="Stamp it with the revision it is at, repair it, or let a whole table arrive empty: "
                "--exclude TABLE.",
            )

    def _values_without_a_place(self, schema: Mapping[str, Table], extra: Mapping[str, list[str]]) -> list[str]:
        found: dict[str, int] = {}
        if not extra:
            return []
        with SnapshotReader(self._path) as reader:
            for table, rows in rows_of(reader):
                places = [(n, table.column_names.index(n)) for n in extra.get(table.name, ())]
                if not places or table.name not in schema or table.name in self._exclude:
                    continue
                for row, _, _ in rows:
                    for name, place in places:
                        if row[place] is not None:
                            key = f"column {table.name}.{name}"
                            found[key] = found.get(key, 0) + 1
        return [f"{name} ({count} values)" for name, count in found.items()]

    def footer(self) -> Footer:
        """What the file says of itself at its end; it is read through."""
        return check(self._path)[1]

    def moved(self, path: Path) -> None:
        """The file has another name by now."""
        self._path = path

    def all_rows(self) -> Iterator[tuple[Table, Iterator[Values]]]:
        """Every table of the schema with all its rows, those left out later included."""
        with SnapshotReader(self._path) as reader:
            for table, rows in rows_of(reader):
                if table.name in self.tables:
                    places = self._places[table.name]
                    fitted: Iterator[Values] = ([row[i] for i in places] for row, _, _ in rows)
                    changes = self._coercions[table.name]
                    yield self.tables[table.name], _coerced(fitted, changes) if changes else fitted

    def rows(self, name: str) -> Iterator[Values]:
        """The rows of one table that are loaded."""
        for table, rows in self.all_rows():
            if table.name == name:
                yield from (row for _, row in self.kept(table, rows))
                return

    def kept(self, table: Table, rows: Iterable[Values]) -> Iterator[tuple[int, Values]]:
        """The rows that are neither excluded nor set aside, with their numbers from 1."""
        if table.name in self._exclude:
            return
        check = table.name in self.aside.tables()
        mended = dict.fromkeys(self.mended.counts()) if self.mended else {}
        for number, row in enumerate(rows, 1):
            if not (check and self.aside.has(table.name, number)):
                yield number, (self._mended(table, number) if table.name in mended else None) or row

    def _mended(self, table: Table, number: int) -> Values | None:
        row = self.mended.get(table.name, number) if self.mended else None
        return [row[name] for name in table.column_names] if row else None

    def bring_in(self, mended: RowStore) -> None:
        """From now on these rows are loaded, in the place of those that were set aside."""
        self.mended = self.mended or RowStore()
        for table, number, reason, row in mended.items():
            self.aside.take_back(table, number)
            self.mended.add(table, number, reason, row)

    def out_of_place(self, table: Table, row: Values) -> str:
        """Why a row must not be loaded although the server would take it, or an empty text."""
        for place, column in self._strict[table.name]:
            if type(row[place]) is dict and is_out_of_place(column, row[place]):
                return f"column {column.name}: no application could read this value from a column of type {column.type}"
        return ""

    def is_excluded(self, name: str) -> bool:
        return name in self._exclude


def _coerced(rows: Iterator[Values], changes: list[tuple[int, Coercion]]) -> Iterator[Values]:
    for row in rows:
        for place, change in changes:
            if row[place] is not None:
                row[place] = change(row[place])
        yield row


def check_exclusions(rows: RowsFile) -> None:
    """Refuse to leave a table out while loaded rows refer to it.

    :raises DoesNotFit: names the referring tables and how many rows.
    """
    problems = []
    for table, values in rows.all_rows():
        keys = [key for key in table.foreign_keys if rows.is_excluded(key.table) and key.table != table.name]
        if rows.is_excluded(table.name) or not keys:
            continue
        places = [_places(table, key.columns) for key in keys]
        referring = sum(1 for row in values if any(all(row[i] is not None for i in own) for own in places))
        if referring:
            problems.append(f"{referring} rows of {table.name} refer to {', '.join(key.table for key in keys)}")
    if problems:
        raise DoesNotFit(
            "A table cannot be left out while other rows refer to it.",
            details=problems,
            hint="Exclude the referring tables as well, or neither.",
        )


def load(
    dialect: Dialect, staging: URL, rows: RowsFile, only: Collection[str] | None = None
) -> tuple[dict[str, TableLoad], list[str]]:
    """Load every row that is not excluded or set aside.

    :param only: the tables to load; all of them when it is left out.
    :return: the account per table, and a line per table with refused rows (which are then in ``rows.aside``).
    """
    accounts: dict[str, TableLoad] = {}
    refused: list[str] = []
    for table, values in rows.all_rows():
        if only is not None and table.name not in only:
            continue
        account = accounts[table.name] = TableLoad(table)
        if rows.is_excluded(table.name):
            account.rows = account.excluded = sum(1 for _ in values)
            continue
        counting = _Counting(rows, table, values)
        result = dialect.load(staging, table, counting, batch_rows=BATCH_ROWS)
        account.rows, account.set_aside = counting.seen, counting.seen - counting.passed
        account.note = result.note
        refused += _refused(rows, counting, result)
        account.loaded = counting.without(result)
    return accounts, refused


class _Counting:
    """Iterates over the rows to load, and keeps their count and sum."""

    def __init__(self, rows: RowsFile, table: Table, values: Iterable[Values]) -> None:
        self._rows, self.table, self._values = rows, table, values
        self._hash = row_hasher(table)
        self.seen = self.passed = self._total = 0
        self.numbers: dict[int, int] = {}
        self.refused: list[Refusal] = []

    def __iter__(self) -> Iterator[Values]:
        for number, row in self._kept():
            if words := self._rows.out_of_place(self.table, row):
                self.refused.append(Refusal(number, row, words))
                continue
            self.passed += 1
            if number != self.passed:
                self.numbers[self.passed] = number
            self._total += self._hash(row, encode_row(row))
            yield row

    def _kept(self) -> Iterator[tuple[int, Values]]:
        return self._rows.kept(self.table, self._all())

    def _all(self) -> Iterator[Values]:
        for row in self._values:
            self.seen += 1
            yield row

    def without(self, result: LoadResult) -> TableChecksum:
        for refusal in result.refused:
            self._total -= self._hash(refusal.row, encode_row(refusal.row))
        return TableChecksum(result.loaded, self._total % MODULUS)


class _CountingMended(_Counting):
    """The same of mended rows alone."""

    def __init__(self, rows: RowsFile, table: Table, mended: RowStore) -> None:
        super().__init__(rows, table, ())
        self._mended = mended

    def _kept(self) -> Iterator[tuple[int, Values]]:
        for number, row in self._mended.of(self.table.name):
            if not self._rows.aside.has(self.table.name, number):
                yield number, [row[name] for name in self.table.column_names]


def load_mended(
    dialect: Dialect, staging: URL, rows: RowsFile, table: Table, mended: RowStore
) -> tuple[TableChecksum, list[str]]:
    """Load the mended rows of a table besides those that are there; those that are refused are set aside again.

    :return: what was loaded, and a line per reason for those that were not.
    """
    counting = _CountingMended(rows, table, mended)
    result = dialect.load(staging, table, counting, batch_rows=BATCH_ROWS)
    refused = _refused(rows, counting, result)
    return counting.without(result), refused


def _refused(rows: RowsFile, counting: _Counting, result: LoadResult) -> list[str]:
    table = counting.table
    reasons: dict[str, list[str]] = {}
    theirs = [replace(item, number=counting.numbers.get(item.number, item.number)) for item in result.refused]
    for refusal in sorted(counting.refused + theirs, key=lambda item: item.number):
        words = words_without_secrets(refusal.message, table, refusal.row)
        rows.aside.add(table.name, refusal.number, words, refusal.row)
        reasons.setdefault(words, []).append(shown_key(table, refusal.row))
    return [
        f"{table.name}: {len(keys)} rows: {reason}; key {', '.join(keys[:SHOWN])}" for reason, keys in reasons.items()
    ]


def shown_key(table: Table, row: Values) -> str:
    """A row's key for people; secrets masked."""
    shown = shown_values(table, row)
    return str(shown[0]) if len(shown) == 1 else str(shown)


MayGo = Callable[[str, int], bool]


def set_aside_referring(rows: RowsFile, may_go: MayGo = lambda _table, _number: True) -> int:
    """Set aside what refers to rows that are set aside, and what refers to those, until nothing does.

    :param may_go: whether a row of a table and number may be set aside at all.
    :return: how many were.
    """
    added = 0
    while found := _one_round(rows, may_go):
        added += found
    return added


def _one_round(rows: RowsFile, may_go: MayGo) -> int:
    added = 0
    aside = rows.aside.tables()
    for table in list(rows.tables.values()):
        for key in table.foreign_keys:
            if key.table in aside and key.table in rows.tables:
                _find_gone(rows, rows.tables[key.table], key.referred)
                added += _set_aside_children(rows, table, key, may_go)
    return added


def _find_gone(rows: RowsFile, parent: Table, referred: tuple[str, ...]) -> None:
    """The referred values that only rows set aside have: an equal key that was loaded still stands."""
    places = _places(parent, referred)
    rows.aside.set_gone(_key(row, places) for name, _, _, row in list(rows.aside.rows()) if name == parent.name)
    for row in rows.rows(parent.name):
        rows.aside.not_gone(_key(row, places))


def _set_aside_children(rows: RowsFile, child: Table, key: ForeignKey, may_go: MayGo) -> int:
    places = _places(child, key.columns)
    added = 0
    for table, values in rows.all_rows():
        if table.name != child.name:
            continue
        for number, row in rows.kept(table, values):
            refers = all(row[i] is not None for i in places) and rows.aside.is_gone(_key(row, places))
            if refers and may_go(child.name, number):
                added += rows.aside.add(child.name, number, f"{REFERS} {key.table} that is set aside", row)
    return added


def _places(table: Table, names: Iterable[str]) -> list[int]:
    return [table.column_names.index(name) for name in names]


def _key(row: Values, places: list[int]) -> str:
    return json.dumps([row[i] for i in places])


def aside_to_json(rows: RowsFile) -> Iterator[dict[str, Any]]:
    """The rows set aside, for the file that keeps them."""
    for name, number, reason, row in rows.aside.rows():
        columns = rows.tables[name].column_names
        yield {"table": name, "number": number, "reason": reason, "row": dict(zip(columns, row, strict=True))}
