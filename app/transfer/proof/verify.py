"""Proof: counts and checksums, what an upgrade may change, and differences by row and column."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ...dialects.base import LogicalType, Reader, Table, TableChecksum, Values
from ...errors import VerificationFailed
from ..rows.canonical import MODULUS, checksum, decode_row, encode_row, hash_line, normalise_json, row_hasher
from ..rows.masking import masked
from ..schema.alembic import Declarations, data_tables

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


def checksums(reader: Reader, tables: Mapping[str, Table]) -> dict[str, TableChecksum]:
    """The checksum of each table, with the columns in the order given."""
    return {name: checksum(table, reader.rows(table)) for name, table in tables.items()}


def ordered(table: Table) -> Table:
    """The table with its columns by name, so that two databases whose columns come in another order agree."""
    columns = tuple(sorted(table.columns, key=lambda column: column.name))
    return Table(table.name, columns, table.primary_key, table.unique, table.foreign_keys)


def fingerprint(reader: Reader) -> dict[str, TableChecksum]:
    """The checksums of a whole database, for comparison with another one or a later state."""
    return checksums(reader, {name: ordered(table) for name, table in reader.tables().items()})


RowKey = tuple[bytes, int]
"""A row's key, encoded, and which of several with this key it is, from 0."""


def differences(table: Table, left: Iterable[Values], right: Iterable[Values], scratch: Path) -> Iterator[Difference]:
    """Rows by key that are on one side only, or differ; memory is bounded by one row.

    Rows of a table without a primary key are their own key, and are compared by how often they occur.

    :param left: canonical rows as they should be, in the order of the table's columns.
    :param scratch: a file for keys; it is removed.
    """
    for _, former, row in unequal(table, left, right, scratch):
        yield difference(table, former, row)


def difference(table: Table, former: Values | None, row: Values | None) -> Difference:
    """What two rows of one key differ in; None where there is no such row."""
    if former is None or row is None:
        kind = "added" if former is None else "missing"
        return Difference(table.name, shown_values(table, former or row or []), kind, {})
    return Difference(table.name, shown_values(table, row), "changed", _changed(table, former, row))


def unequal(
    table: Table, left: Iterable[Values], right: Iterable[Values], scratch: Path
) -> Iterator[tuple[RowKey, Values | None, Values | None]]:
    """The same rows themselves, nothing masked: key, the row on the left, the row on the right."""
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch, isolation_level=None)
    try:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE l (key BLOB, n INTEGER, line BLOB, PRIMARY KEY (key, n)) WITHOUT ROWID;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; BEGIN"
        )
        for key, row in numbered(connection, table, left):
            connection.execute("INSERT INTO l VALUES (?, ?, ?)", (*key, encode_row(row)))
        connection.execute("DELETE FROM seen")
        yield from _against(connection, table, right)
        for found, number, line in connection.execute("SELECT key, n, line FROM l ORDER BY key, n"):
            yield (found, number), decode_row(line), None
    finally:
        connection.close()
        scratch.unlink(missing_ok=True)


def numbered(connection: sqlite3.Connection, table: Table, rows: Iterable[Values]) -> Iterator[tuple[RowKey, Values]]:
    """Rows with their keys.

    :param connection: has an empty table ``seen (key BLOB PRIMARY KEY, n INTEGER)``.
    """
    hash_row = row_hasher(table)
    for row in rows:
        key = table.key_of(row)
        # A row without a key is its own, in the form that checksums are of; SQLite allows NULL in a key, many times.
        encoded = encode_row(key) if table.primary_key else b"%032x" % hash_row(row, encode_row(row))
        number = 0
        if not table.primary_key or None in key:
            (number,) = connection.execute(
                "INSERT INTO seen VALUES (?, 0) ON CONFLICT (key) DO UPDATE SET n = n + 1 RETURNING n", (encoded,)
            ).fetchone()
        yield (encoded, number), row


def _against(
    connection: sqlite3.Connection, table: Table, right: Iterable[Values]
) -> Iterator[tuple[RowKey, Values | None, Values | None]]:
    same = same_rows(table)
    for key, row in numbered(connection, table, right):
        found = connection.execute("DELETE FROM l WHERE key = ? AND n = ? RETURNING line", key).fetchone()
        if found is None:
            yield key, None, row
        elif not same(found[0], row):
            yield key, decode_row(found[0]), row


def same_rows(table: Table) -> Callable[[bytes, Values], bool]:
    """A function (a row's line, a row) -> whether they are equal, as checksums see it."""
    hash_row = row_hasher(table)

    def same(line: bytes, row: Values) -> bool:
        own = encode_row(row)
        return line == own or hash_row(decode_row(line), line) == hash_row(row, own)

    return same


def shown_values(table: Table, row: Values) -> list[Any]:
    """A row's key, or the whole row where its table has none; secrets masked."""
    by_name = {column.name: column for column in table.columns}
    names = table.primary_key or table.column_names
    return [masked(by_name[name], value) for name, value in zip(names, table.key_of(row), strict=True)]


def _changed(table: Table, former: Values, row: Values) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for column, old, new in zip(table.columns, former, row, strict=True):
        if old != new and not (column.type is LogicalType.JSON and _same_json(old, new)):
            found[column.name] = (masked(column, old), masked(column, new))
    return found


def _same_json(old: Any, new: Any) -> bool:
    return isinstance(old, str) and isinstance(new, str) and normalise_json(old) == normalise_json(new)


def compare_databases(left: Reader, right: Reader, scratch: Path) -> Iterator[Difference]:
    """Every difference between two databases, tables and columns first.

    :param left: as it should be.
    """
    ours, theirs = data_tables(left.tables()), data_tables(right.tables())
    for name in sorted(set(ours) | set(theirs)):
        if name not in ours or name not in theirs:
            yield Difference(name, [], "table missing" if name in ours else "table added", {})
            continue
        own, other = set(ours[name].column_names), set(theirs[name].column_names)
        for column in sorted(own ^ other):
            kind = "column missing" if column in own else "column added"
            yield Difference(f"{name}.{column}", [], kind, {})
        table = ordered(_only(ours[name], own & other))
        if checksum(table, left.rows(table)) != checksum(table, right.rows(table)):
            yield from differences(table, left.rows(table), right.rows(table), scratch)


def _only(table: Table, names: set[str]) -> Table:
    columns = tuple(column for column in table.columns if column.name in names)
    key = table.primary_key if names.issuperset(table.primary_key) else ()
    return Table(table.name, columns, key)


Keep = Callable[[Iterable[Difference]], list[str]]


def verify_loaded(
    staging: Reader,
    tables: Mapping[str, Table],
    expected: Mapping[str, TableChecksum],
    rows_of: Callable[[str], Iterable[Values]],
    scratch: Path,
    *,
    counts_only: bool,
    keep: Keep = lambda found: list(map(str, islice(found, SHOWN))),
) -> None:
    """Compare what staging holds with what was loaded into it.

    :param rows_of: the rows of a table as they should be, read again for the differences.
    :param keep: takes all differences and gives the lines that are shown.
    :raises VerificationFailed: with the first differing rows and columns.
    """
    wrong: dict[str, str] = {}
    for name, table in tables.items():
        if counts_only:
            found = TableChecksum(staging.count(name), expected[name].total)
        else:
            found = checksum(table, staging.rows(table))
        if found != expected[name]:
            wrong[name] = f"{name}: {expected[name].rows} rows loaded, {found.rows} found"
    if wrong:
        told = chain.from_iterable(differences(tables[n], rows_of(n), staging.rows(tables[n]), scratch) for n in wrong)
        raise VerificationFailed(
            f"What staging holds is not what was loaded: {', '.join(wrong)}.",
            details=[*wrong.values(), *keep(told)],
            hint="The live database is unchanged. Nothing of the source was wrong; please report this.",
        )


# What an upgrade may change


@dataclass(frozen=True)
class Before:
    """A database before its upgrade: its tables, their rows again, and how many there were."""

    tables: Mapping[str, Table]
    counts: Mapping[str, int]
    rows_of: Callable[[Table], Iterable[Values]]


@dataclass
class Upgraded:
    """What an upgrade moved, what it dropped as declared, and the rows of each former table at head."""

    moves: list[str]
    losses: list[str]
    rows: dict[str, int]


def verify_upgrade(before: Before, after: Reader, said: Declarations) -> Upgraded:
    """Find what disappeared in an upgrade while it held values.

    A column that is gone is accounted for by a declared loss, a declared move whose destination is there, or a new
    column of its table that holds exactly its values (a rename, proved).

    :raises VerificationFailed: something is not accounted for; all of it at once.
    """
    tables = data_tables(after.tables())
    problems: list[str] = []
    result = Upgraded([], [], {})
    for name, table in data_tables(before.tables).items():
        if (reason := _lost(name, said)) is not None:
            if before.counts[name]:
                result.losses.append(f"{name}: {before.counts[name]} rows: {reason}")
            continue
        now = moved(name, said)
        there = [place for place in now if place in tables]
        if not there:
            if before.counts[name]:
                problems.append(f"table {name} ({before.counts[name]} rows) is gone")
            continue
        rows = result.rows[name] = sum(after.count(place) for place in there)
        if rows < before.counts[name]:
            problems.append(f"table {name} had {before.counts[name]} rows and {' + '.join(there)} has {rows}")
        if there != [name]:
            result.moves.append(f"{name} -> {', '.join(there)}")
        problems += _check_columns(before, table, [tables[place] for place in there], tables, after, said, result)
    if problems:
        raise VerificationFailed(
            f"The upgrade would lose {len(problems)} things that no revision declares.",
            details=problems,
            hint="Declare them in the revision: ferry_moves = {...} for what went elsewhere, "
            "ferry_losses = {...} for what is dropped on purpose.",
        )
    return result


def moved(name: str, said: Declarations) -> list[str]:
    """Follow a name through all revisions' declared moves."""
    return _trail(name, said)[-1]


def _lost(name: str, said: Declarations) -> str | None:
    """Why what had this name before is dropped, under whatever name it had by then; None when no revision says so."""
    names = dict.fromkeys(place for places in _trail(name, said) for place in places)
    return next((said.losses[place] for place in names if place in said.losses), None)


def _trail(name: str, said: Declarations) -> list[list[str]]:
    """Where a name is before the first revision and after each."""
    trail = [[name]]
    for moves in said.moves:
        followed: list[str] = []
        for place in trail[-1]:
            table, _, column = place.partition(".")
            # A column of a table that moves goes with it unless it is declared to go elsewhere.
            elsewhere = [f"{new}.{column}" for new in moves.get(table, ()) if "." not in new] if column else []
            followed += moves.get(place, tuple(elsewhere) or (place,))
        trail.append(followed)
    return trail


def _check_columns(
    before: Before,
    table: Table,
    now: list[Table],
    tables: Mapping[str, Table],
    after: Reader,
    said: Declarations,
    result: Upgraded,
) -> list[str]:
    here = {column for place in now for column in place.column_names}
    gone = [column.name for column in table.columns if column.name not in here]
    sums = _column_sums(table, before.rows_of(table), gone) if gone else {}
    problems = []
    for column in gone:
        full = f"{table.name}.{column}"
        values = sums[column]
        if not values.rows:
            continue
        if (reason := _lost(full, said)) is not None:
            result.losses.append(f"{full}: {values.rows} values: {reason}")
        elif places := [place for place in moved(full, said) if _is_there(place, tables) and place != full]:
            result.moves.append(f"{full} -> {', '.join(places)}")
            problems += _check_move(full, values, places, tables, after)
        elif renamed := _renamed(values, table, now, after):
            result.moves.append(f"{full} -> {renamed} (the same values)")
        else:
            problems.append(f"column {full} ({values.rows} values) is gone")
    return problems


def _is_there(place: str, tables: Mapping[str, Table]) -> bool:
    table, _, column = place.partition(".")
    return table in tables and (not column or column in tables[table].column_names)


def _check_move(
    full: str, values: TableChecksum, places: list[str], tables: Mapping[str, Table], after: Reader
) -> list[str]:
    """A column that moved to a single column must have as many values there."""
    table, _, column = places[0].partition(".")
    if len(places) > 1 or not column:
        return []
    found = sum(1 for _ in after.values(tables[table], column))
    return [f"column {full} had {values.rows} values and {places[0]} has {found}"] if found < values.rows else []


def _renamed(values: TableChecksum, table: Table, now: list[Table], after: Reader) -> str | None:
    known = set(table.column_names)
    for place in now:
        for column in place.column_names:
            if column not in known and _values_sum(after.values(place, column)) == values:
                return f"{place.name}.{column}"
    return None


def _values_sum(values: Iterable[Any]) -> TableChecksum:
    count = total = 0
    for value in values:
        count += 1
        total += hash_line(encode_row([value]))
    return TableChecksum(count, total % MODULUS)


def _column_sums(table: Table, rows: Iterable[Values], columns: list[str]) -> dict[str, TableChecksum]:
    places = [(name, table.column_names.index(name)) for name in columns]
    counts = dict.fromkeys(columns, 0)
    totals = dict.fromkeys(columns, 0)
    for row in rows:
        for name, place in places:
            if row[place] is not None:
                counts[name] += 1
                totals[name] += hash_line(encode_row([row[place]]))
    return {name: TableChecksum(counts[name], totals[name] % MODULUS) for name in columns}
