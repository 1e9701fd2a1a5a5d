"""Proof: counts and checksums, what an upgrade may change, and differences by row and column."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ...dialects.model import Table, TableChecksum, Values
from ...dialects.reader import Reader
from ...dialects.wording import count_of, count_rows
from ...errors import VerificationFailed
from ..rows.canonical import MODULUS, checksum, encode_row, hash_line, without_numbers
from ..rows.spelled import Spelled
from ..schema.alembic import data_tables
from ..schema.declarations import Declarations
from ..schema.listen import Heard
from .changes import Changed, find_changed
from .compare import SHOWN, Keep, differences
from .losses import Undeclared, find_revision, refuse_undeclared

NOT_KNOWN: Mapping[str, Spelled | None] = {}
NOBODY: Mapping[str, Callable[[], bool]] = {}


def verify_loaded(
    staging: Reader,
    tables: Mapping[str, Table],
    expected: Mapping[str, TableChecksum],
    rows_of: Callable[[str], Iterable[Values]],
    directory: Path,
    *,
    counts_only: bool,
    spelled: Mapping[str, Spelled | None] = NOT_KNOWN,
    by_others: Mapping[str, Callable[[], bool]] = NOBODY,
    keep: Keep = lambda items: list(map(str, islice(items, SHOWN))),
    progress: Callable[[str, int, int | None], None] = lambda _name, _count, _total: None,
) -> None:
    """Compare what staging holds with what was loaded into it.

    :param rows_of: the rows of a table as they should be, read again for the differences.
    :param spelled: the lines of tables in the snapshot that was loaded, which prove as much at less cost.
    :param by_others: waits for whoever compares a table with its lines meanwhile; whether they are these.
    :param keep: takes all differences and gives the lines that are shown.
    :param progress: takes what is counted, here tables, how many are compared, and how many there are.
    :raises VerificationFailed: with the first differing rows and columns.
    """
    wrong: dict[str, str] = {}
    counts = staging.counts(tables) if counts_only else {}
    # Those of others last: until then they go on.
    for number, (name, table) in enumerate(sorted(tables.items(), key=lambda item: item[0] in by_others)):
        progress("tables", number, len(tables))
        if counts_only:
            actual = TableChecksum(counts[name], expected[name].total)
        elif name in by_others and by_others[name]():
            continue
        else:
            actual = _sum_up(staging, table, expected[name], spelled.get(name))
        if actual != expected[name]:
            wrong[name] = f"{name}: {count_rows(expected[name].rows)} loaded, {actual.rows} found"
    if wrong:
        # No name for the lines here: the error keeps this frame, and an iterator in it would be closed by any thread.
        details = keep(
            chain.from_iterable(differences(tables[n], rows_of(n), staging.rows(tables[n]), directory) for n in wrong)
        )
        raise VerificationFailed(
            f"What staging holds is not what was loaded: {', '.join(wrong)}.",
            details=[*wrong.values(), *details],
            hint="The live database is unchanged. Nothing of the source was wrong; please report this.",
        )


def _sum_up(staging: Reader, table: Table, expected: TableChecksum, lines: Spelled | None) -> TableChecksum:
    """The checksum of a table's rows: what is expected where their lines are those, and else computed."""
    rows = staging.rows(table)
    if lines is None:
        return checksum(table, rows)
    begin, digest = lines.begin(rows)
    if digest is None:
        return checksum(table, chain(begin, rows))
    if lines.goes_on(digest, rows):
        return expected
    # Whoever closes this read frees what it reads over.
    del rows
    return checksum(table, staging.rows(table))


# What an upgrade may change


@dataclass(frozen=True)
class Before:
    """A database before its upgrade: its tables, their rows again, and their checksums."""

    tables: Mapping[str, Table]
    checksums: Mapping[str, TableChecksum]
    rows_of: Callable[[Table], Iterable[Values]]
    digest_of: Callable[[Table], str | None] = lambda _table: None
    """What the server of both sums a table of it up to, where they are on one server."""

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: total.rows for name, total in self.checksums.items()}


@dataclass
class Upgraded:
    """What an upgrade moved, what it dropped as declared, and the rows of each former table at head.

    :ivar declared: the names that declarations have for what was dropped.
    """

    moves: list[str]
    losses: list[str]
    rows: dict[str, int]
    declared: set[str] = field(default_factory=set)

    def note_loss(self, name: str, what: str, place: str, declared: Declarations) -> None:
        """Note that something is gone, and under which name it was declared."""
        self.losses.append(f"{name}: {what}: {declared.losses[place]}")
        self.declared.add(place)


def verify_upgrade(before: Before, after: Reader, declared: Declarations, heard: Heard, head: str) -> Upgraded:
    """Find what disappeared in an upgrade while it held values.

    A column that is gone is accounted for by a declared loss, a declared move whose destination is there, or a new
    column of its table that holds exactly its values (a rename, proved). A declared loss of a table waives its rows:
    where it stays, its columns are looked at all the same.

    :param heard: what the revisions said while they ran, to name the one that something went in.
    :raises VerificationFailed: something is not accounted for; all of it at once.
    """
    tables = data_tables(after.tables())
    counts = after.counts(tables)
    problems: list[tuple[str, str]] = []
    result = Upgraded([], [], {})
    for name, table in data_tables(before.tables).items():
        declared_as, before_rows = find_declared(name, declared), before.counts[name]
        now = follow_moves(name, declared)
        there = [place for place in now if place in tables]
        rows = sum(counts[place] for place in there)
        if rows < before_rows and declared_as is not None:
            result.note_loss(name, count_rows(before_rows - rows), declared_as, declared)
        elif rows < before_rows:
            had = (
                f" had {count_rows(before_rows)} and {' + '.join(there)} has {rows}"
                if there
                else f" ({count_rows(before_rows)}) is gone"
            )
            problems.append((name, f"table {name}{had}"))
        if not there:
            continue
        result.rows[name] = rows
        if there != [name]:
            result.moves.append(f"{name} -> {', '.join(there)}")
        problems += _check_columns(before, table, [tables[place] for place in there], tables, after, declared, result)
    if problems:
        undeclared = [Undeclared(name, text, find_revision(name, heard)) for name, text in problems]
        refuse_undeclared(undeclared, f"lose {count_of(len(undeclared), 'thing')} that no revision declares", head)
    return result


def find_changed_values(
    before: Before, after: Reader, declared: Declarations, touched: Callable[[str], bool], directory: Path
) -> list[Changed]:
    """Values of columns that an upgrade changed, of the tables that are one table still.

    :param touched: whether a table may have been changed; what no statement reached is not read again.
    """
    tables, changes = data_tables(after.tables()), list[Changed]()
    for name, table in data_tables(before.tables).items():
        places = [place for place in follow_moves(name, declared) if place in tables]
        if len(places) != 1 or not touched(name) or not before.checksums[name].rows:
            continue
        now = tables[places[0]]
        if now == table and checksum(now, after.rows(now)) == before.checksums[name]:
            continue
        if _is_summed_alike(before, after, table, now):
            continue
        rows = functools.partial(before.rows_of, table), functools.partial(after.rows, now)
        changes += find_changed(table, now, *rows, directory)
    return changes


def _is_summed_alike(before: Before, after: Reader, table: Table, now: Table) -> bool:
    """Whether the server itself says that the columns that both have hold what they held."""
    was, there = ({column.name: column for column in side.columns} for side in (table, now))
    # By name: so what was summed up before is known, and not asked of a database that goes on meanwhile.
    shared = tuple(column for name, column in sorted(was.items()) if name in there)
    if not shared or any(there[column.name] != column for column in shared):
        return False
    digest = before.digest_of(replace(table, columns=shared))
    return digest is not None and digest == after.digest(replace(now, columns=shared))


def follow_moves(name: str, declared: Declarations) -> list[str]:
    """Follow a name through all revisions' declared moves."""
    return _trail(name, declared)[-1]


def find_declared(name: str, declared: Declarations) -> str | None:
    """The name under which what had this one before is said to be dropped; None when nobody says so."""
    names = dict.fromkeys(place for places in _trail(name, declared) for place in places)
    return next((place for place in names if place in declared.losses), None)


def _trail(name: str, declared: Declarations) -> list[list[str]]:
    """Where a name is before the first revision and after each."""
    trail = [[name]]
    for moves in declared.moves:
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
    declared: Declarations,
    result: Upgraded,
) -> list[tuple[str, str]]:
    here = {column for place in now for column in place.column_names}
    missing = [column.name for column in table.columns if column.name not in here]
    sums = _column_sums(table, before.rows_of(table), missing) if missing else {}
    problems = []
    for column in missing:
        full = f"{table.name}.{column}"
        values = sums[column]
        if not values.rows:
            continue
        if (declared_as := find_declared(full, declared)) is not None:
            result.note_loss(full, count_of(values.rows, "value"), declared_as, declared)
        elif places := [place for place in follow_moves(full, declared) if _is_there(place, tables) and place != full]:
            result.moves.append(f"{full} -> {', '.join(places)}")
            problems += [(full, text) for text in _check_move(full, values, places, tables, after)]
        elif renamed := _follow_renames(values, table, now, after):
            result.moves.append(f"{full} -> {renamed} (the same values)")
        else:
            problems.append((full, f"column {full} ({count_of(values.rows, 'value')}) is gone"))
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
    present = sum(1 for _ in after.values(tables[table], column))
    return (
        [f"column {full} had {count_of(values.rows, 'value')} and {places[0]} has {present}"]
        if present < values.rows
        else []
    )


def _follow_renames(values: TableChecksum, table: Table, now: list[Table], after: Reader) -> str | None:
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
        total += hash_line(without_numbers(encode_row([value])))
    return TableChecksum(count, total % MODULUS)


def _column_sums(table: Table, rows: Iterable[Values], columns: list[str]) -> dict[str, TableChecksum]:
    places = [(name, table.column_names.index(name)) for name in columns]
    counts = dict.fromkeys(columns, 0)
    totals = dict.fromkeys(columns, 0)
    for row in rows:
        for name, place in places:
            if row[place] is not None:
                counts[name] += 1
                totals[name] += hash_line(without_numbers(encode_row([row[place]])))
    return {name: TableChecksum(counts[name], totals[name] % MODULUS) for name in columns}
