"""Changes of rows that are brought into another state of the same database: found, reconciled, applied, proved.

Between two databases (before and after what an application wrote) they are found; a third one, which is older, gets
them. A row that the third has otherwise than the first is a conflict, and never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import tee
from pathlib import Path

from sqlalchemy import URL

from ...dialects.base import Dialect
from ...dialects.model import Table, TableChecksum, Values
from ...dialects.reader import Reader
from ...errors import DoesNotFit, VerificationFailed
from ..proof.compare import SHOWN, Numbers, describe_values, unequal
from ..rows.canonical import MODULUS, decode_row, encode_row, hash_line, row_hasher
from ..rows.masking import words_without_secrets
from .load import BATCH_ROWS, describe_key

ADDED, CHANGED, DELETED = "added", "changed", "deleted"


@dataclass
class Touched:
    """One table in which rows changed.

    :ivar table: all of its columns. :ivar key: the column of a key that was generated, which any other may replace.
    :ivar compared: its columns without that.
    :ivar lossy: columns that the first database has otherwise than the third, where the keys of both are the same.
    :ivar lenient: such columns of a row keep what the third has.
    """

    table: Table
    key: str | None
    compared: Table
    counts: dict[str, int] = field(default_factory=lambda: {ADDED: 0, CHANGED: 0, DELETED: 0})
    lossy: set[str] = field(default_factory=set)
    lenient: bool = False

    @property
    def places(self) -> list[int]:
        """Where the columns that are compared stand in a row of all columns."""
        return [self.table.column_names.index(name) for name in self.compared.column_names]


class Changes(Numbers):
    """Rows that were added, changed and deleted."""

    SCHEMA = f"""{Numbers.SCHEMA};
        CREATE TABLE changes
        (tab TEXT, key BLOB, n INTEGER, was BLOB, becomes BLOB, place BLOB, PRIMARY KEY (tab, key, n))"""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.tables: dict[str, Touched] = {}
        self._directory = directory

    def find(self, touched: Touched, was: Reader, becomes: Reader) -> None:
        """Take what a table has otherwise in the second database than in the first."""
        name, table = touched.table.name, touched.compared
        for key, before, after in unequal(table, rows_as(was, table), rows_as(becomes, table), self._directory):
            lines = [None if row is None else encode_row(row) for row in (before, after)]
            touched.counts[ADDED if before is None else DELETED if after is None else CHANGED] += 1
            self.execute("INSERT INTO changes (tab, key, n, was, becomes) VALUES (?, ?, ?, ?, ?)", (name, *key, *lines))
        if any(touched.counts.values()):
            self.tables[name] = touched

    def has(self, table: str, key: bytes) -> bool:
        """Whether a row of this key changed."""
        query = "SELECT 1 FROM changes WHERE tab = ? AND key = ?"
        return self.execute(query, (table, key)).fetchone() is not None

    def reconcile(self, old: Reader, was: Reader, *, lenient: bool) -> Iterator[str]:
        """Decide for each change what it makes of the old database's row; yields the conflicts.

        :param lenient: the first database was made of the old one, row by row.
        """
        for touched in self.tables.values():
            if lenient and touched.table.primary_key and touched.key is None:
                self._find_lossy(touched, old, was)
            yield from self._reconcile(touched, old)

    def _find_lossy(self, touched: Touched, old: Reader, was: Reader) -> None:
        table = touched.compared
        touched.lenient = True
        for _, theirs, ours in unequal(table, rows_as(old, table), rows_as(was, table), self._directory):
            if theirs is None or ours is None:
                touched.lenient = False
                return
            touched.lossy.update(_differing(table, theirs, ours))

    def _reconcile(self, touched: Touched, old: Reader) -> Iterator[str]:
        name, table = touched.table.name, touched.compared
        self.execute("UPDATE changes SET place = NULL WHERE tab = ?", (name,))
        keyed = bool(table.primary_key)
        query = "SELECT was, becomes FROM changes WHERE tab = ? AND key = ? AND n = ?"
        for key, row in self.number(table, rows_as(old, table)):
            match = self.execute(query, (name, *key)).fetchone()
            if match is None or (not keyed and match[0] is None):
                continue  # of rows without a key each is one more
            was, becomes = (None if line is None else decode_row(line) for line in match)
            result, wrong = _merge(touched, row, was, becomes)
            if wrong:
                yield f"{name} {describe_values(table, row)}: {wrong}"
            place = encode_row([result])
            self.execute("UPDATE changes SET place = ? WHERE tab = ? AND key = ? AND n = ?", (place, name, *key))
        query = (
            "SELECT was FROM changes WHERE tab = ? AND place IS NULL AND was IS NOT NULL AND (becomes IS NOT NULL OR ?)"
        )
        for (line,) in self.execute(query, (name, not touched.lenient)):
            yield f"{name} {describe_values(table, decode_row(line))}: is not there any more"

    # Applying

    def apply(self, dialect: Dialect, staging: URL, old: URL, was: URL, becomes: URL) -> None:
        """Load the tables that change anew into a copy of the old database: its own rows, as the changes make them.

        :param was: the database that changes were found from. :param becomes: the one they lead to.
        :raises DoesNotFit: the server refuses rows.
        """
        refused: list[str] = []
        with dialect.reader(old) as reader, dialect.loading(staging):
            dialect.clear(staging, list(self.tables))
            for touched in self.tables.values():
                rows = self._rows(touched, reader)
                for one in dialect.load(staging, touched.table, rows, batch_rows=BATCH_ROWS).refused:
                    words = words_without_secrets(one.message, touched.table, one.row)
                    refused.append(f"{touched.table.name}: {words}; key {describe_key(touched.table, one.row)}")
            tables = [touched.table for touched in self.tables.values()]
            dialect.keep_scales(staging, tables, old)
            # Keys that were generated are others' keys there.
            known = [touched.table for touched in self.tables.values() if touched.key is None]
            dialect.keep_scales(staging, known, becomes, was)
        if refused:
            raise DoesNotFit("The older schema refuses rows that were written since.", details=refused[:SHOWN])

    def _rows(self, touched: Touched, old: Reader) -> Iterator[Values]:
        for _, result in self._outcome(touched, old):
            if result is not None:
                yield result

    def _outcome(self, touched: Touched, old: Reader) -> Iterator[tuple[Values | None, Values | None]]:
        """Each row as it was and as it becomes; None where there is none."""
        largest = 0
        for row, result in self._pairs(touched, old):
            if touched.key:
                largest = max(largest, row[touched.table.column_names.index(touched.key)])
            yield row, result
        for number, row in enumerate(self._list_added(touched), largest + 1):
            yield None, row if touched.key is None else _with_key(touched, row, number)

    def _pairs(self, touched: Touched, old: Reader) -> Iterator[tuple[Values, Values | None]]:
        """Each row of the old database, and what becomes of it; one whose key any other may replace keeps its own."""
        name, places = touched.table.name, touched.places
        query = "SELECT place FROM changes WHERE tab = ? AND key = ? AND n = ?"
        rows, again = tee(old.rows(touched.table))
        compared = ([row[place] for place in places] for row in again)
        for row, (key, _) in zip(rows, self.number(touched.compared, compared), strict=True):
            match = self.execute(query, (name, *key)).fetchone()
            result = row if match is None or match[0] is None else decode_row(match[0])[0]
            yield row, result if result is None or touched.key is None else row

    def _list_added(self, touched: Touched) -> Iterator[Values]:
        query = "SELECT becomes FROM changes WHERE tab = ? AND was IS NULL AND place IS NULL ORDER BY rowid"
        for (line,) in self.execute(query, (touched.table.name,)):
            yield decode_row(line)

    # The proof

    def expect(self, touched: Touched, old: Reader, before: TableChecksum) -> TableChecksum:
        """The checksum of a table: that of the old database, and each change."""
        by_name = sorted(touched.table.column_names)
        places = [touched.table.column_names.index(name) for name in by_name]
        ordered = Table(touched.table.name, tuple(touched.table.columns[place] for place in places))
        hash_row = row_hasher(ordered)

        def of(row: Values) -> int:
            turned = [row[place] for place in places]
            return hash_row(turned, encode_row(turned))

        rows, total = before.rows, before.total
        for row, result in self._outcome(touched, old):
            if result is not row:
                rows += (result is not None) - (row is not None)
                total += (of(result) if result else 0) - (of(row) if row else 0)
        return TableChecksum(rows, total % MODULUS)

    def prove_rows(self, touched: Touched, old: Reader, staged: Reader) -> None:
        """Each row in which staging is not the old database is a change that was to be made, and each change is there.

        :raises VerificationFailed: names the table.
        """
        table, hash_row = touched.compared, row_hasher(touched.compared)

        def of(before: Values | None, after: Values | None) -> int:
            parts = [b"" if row is None else b"%032x" % hash_row(row, encode_row(row)) for row in (before, after)]
            return hash_line(b" ".join(parts))

        total = sum(
            of(before, after)
            for _, before, after in unequal(table, rows_as(old, table), rows_as(staged, table), self._directory)
        )
        wanted = sum(of(*pair) for pair in self._effects(touched, old))
        if (total - wanted) % MODULUS:
            raise VerificationFailed(f"The rows of {table.name} are not those of before with what was written since.")

    def _effects(self, touched: Touched, old: Reader) -> Iterator[tuple[Values | None, Values | None]]:
        same = row_hasher(touched.compared)
        for pair in self._outcome(touched, old):
            before, after = ([row[place] for place in touched.places] if row else None for row in pair)
            if not (before and after) or same(before, encode_row(before)) != same(after, encode_row(after)):
                yield before, after


def rows_as(reader: Reader, table: Table) -> Iterator[Values]:
    """The rows of a table of this name, their columns in this table's order."""
    source = reader.tables()[table.name]
    places = [source.column_names.index(name) for name in table.column_names]
    for row in reader.rows(source):
        yield [row[place] for place in places]


def _merge(
    touched: Touched, row: Values, was: Values | None, becomes: Values | None
) -> tuple[Values | None, str | None]:
    """What a row of the old database becomes, and why it cannot."""
    table = touched.compared
    if becomes is not None and not _differing(table, row, becomes):
        return row, None
    if was is None:
        return row, "another row has this key"
    apart = _differing(table, row, was)
    if apart - (touched.lossy if touched.lenient else set()):
        return row, f"it is another one than the row that was changed ({', '.join(sorted(apart))})"
    if becomes is None:
        return None, None
    columns_written = _differing(table, was, becomes)
    if columns_written & apart:
        return (
            row,
            f"{', '.join(sorted(columns_written & apart))} was written, and the downgrade does not bring it back",
        )
    columns = zip(table.column_names, row, becomes, strict=True)
    return [new if name in columns_written else value for name, value, new in columns], None


def _differing(table: Table, one: Values, other: Values) -> set[str]:
    """The columns in which two rows are not the same, as checksums see it."""
    names = set()
    for column, here, there in zip(table.columns, one, other, strict=True):
        hash_value = row_hasher(Table(table.name, (column,)))
        if here != there and hash_value([here], encode_row([here])) != hash_value([there], encode_row([there])):
            names.add(column.name)
    return names


def _with_key(touched: Touched, row: Values, number: int) -> Values:
    values = dict(zip(touched.compared.column_names, row, strict=True))
    return [number if name == touched.key else values[name] for name in touched.table.column_names]
