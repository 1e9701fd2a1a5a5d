"""Proof: counts and checksums, what an upgrade may change, and differences by row and column."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dialects.base import LogicalType, Reader, Table, TableChecksum, Values
from ..errors import VerificationFailed
from .canonical import MODULUS, checksum, decode_row, encode_row, hash_line, normalise_json, row_hasher
from .schema import Declarations, data_tables

SECRET_PARTS = ("password", "hash", "token", "secret", "api_key")
SHOWN = 10
MASK = "***"


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


def is_secret(column: str) -> bool:
    """Whether a column's name says that its values must not be shown."""
    return any(part in column.lower() for part in SECRET_PARTS)


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


def differences(table: Table, left: Iterable[Values], right: Iterable[Values], scratch: Path) -> Iterator[Difference]:
    """Rows by key that are on one side only, or differ; memory is bounded by one row.

    Rows of a table without a primary key are their own key, and are compared by how often they occur.

    :param left: canonical rows as they should be, in the order of the table's columns.
    :param scratch: a file for keys; it is removed.
    """
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch, isolation_level=None)
    try:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE l (key BLOB, n INTEGER, line BLOB, PRIMARY KEY (key, n)) WITHOUT ROWID;"
            "CREATE TABLE seen (key BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; BEGIN"
        )
        for key, row in _numbered(connection, table, left):
            connection.execute("INSERT INTO l VALUES (?, ?, ?)", (*key, encode_row(row)))
        connection.execute("DELETE FROM seen")
        yield from _against(connection, table, right)
        for (line,) in connection.execute("SELECT line FROM l ORDER BY key, n"):
            row = decode_row(line)
            yield Difference(table.name, _shown_key(table, row), "missing", {})
    finally:
        connection.close()
        scratch.unlink(missing_ok=True)


def _numbered(
    connection: sqlite3.Connection, table: Table, rows: Iterable[Values]
) -> Iterator[tuple[tuple[bytes, int], Values]]:
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


def _against(connection: sqlite3.Connection, table: Table, right: Iterable[Values]) -> Iterator[Difference]:
    hash_row = row_hasher(table)
    for key, row in _numbered(connection, table, right):
        found = connection.execute("DELETE FROM l WHERE key = ? AND n = ? RETURNING line", key).fetchone()
        if found is None:
            yield Difference(table.name, _shown_key(table, row), "added", {})
            continue
        (line,) = found
        own = encode_row(row)
        if line != own:
            former = decode_row(line)
            if hash_row(former, line) != hash_row(row, own):
                yield Difference(table.name, _shown_key(table, row), "changed", _changed(table, former, row))


def _shown_key(table: Table, row: Values) -> list[Any]:
    names = table.primary_key or table.column_names
    return [MASK if is_secret(name) else value for name, value in zip(names, table.key_of(row), strict=True)]


def _changed(table: Table, former: Values, row: Values) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for column, old, new in zip(table.columns, former, row, strict=True):
        if old != new and not (column.type is LogicalType.JSON and _same_json(old, new)):
            found[column.name] = (MASK, MASK) if is_secret(column.name) else (old, new)
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


def verify_loaded(
    staging: Reader,
    tables: Mapping[str, Table],
    expected: Mapping[str, TableChecksum],
    rows_of: Callable[[str], Iterable[Values]],
    scratch: Path,
    *,
    counts_only: bool,
) -> None:
    """Compare what staging holds with what was loaded into it.

    :param rows_of: the rows of a table as they should be, read again for the differences.
    :raises VerificationFailed: with the first differing rows and columns.
    """
    wrong, details = [], []
    for name, table in tables.items():
        if counts_only:
            found = TableChecksum(staging.count(name), expected[name].total)
        else:
            found = checksum(table, staging.rows(table))
        if found != expected[name]:
            wrong.append(name)
            details.append(f"{name}: {expected[name].rows} rows loaded, {found.rows} found")
            rest = SHOWN - len(details)
            for difference in differences(table, rows_of(name), staging.rows(table), scratch):
                if rest <= 0:
                    break
                details.append(str(difference))
                rest -= 1
    if wrong:
        raise VerificationFailed(
            f"What staging holds is not what was loaded: {', '.join(wrong)}.",
            details=details,
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
        now = _moved(name, said)
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


def _moved(name: str, said: Declarations) -> list[str]:
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
        elif places := [place for place in _moved(full, said) if _is_there(place, tables) and place != full]:
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
