"""What fixed rows come to at head: computed beside, compared with what is live, added to a copy of it.

Rows are at an older revision than the live database, and revisions may split, repair or drop them. So two databases are
brought to head, one without them and one with them. The rows that the second has more are what is to be added; a row
that it lacks, or has otherwise, would change what is live and is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from ...dialects.base import Dialect
from ...dialects.model import LogicalType, Table, TableChecksum, Values
from ...dialects.reader import Reader
from ...errors import DoesNotFit
from ..proof.compare import SHOWN, Difference, Numbers, RowKey, difference, same_rows, unequal
from ..rows.canonical import MODULUS, decode_row, encode_row, row_hasher
from ..rows.encode import hash_rows, write_snapshot
from ..rows.header import Header, now, order_parents_first, sort_columns
from ..rows.masking import words_without_secrets
from ..rows.snapshot import SnapshotReader, rows_of
from ..schema.alembic import data_tables
from ..staging.load import BATCH_ROWS, describe_key


def find_generated_key(table: Table, tables: Mapping[str, Table], former: Collection[str]) -> str | None:
    """The key column of a table whose keys a revision gave out and nothing refers to, so that any other would do.

    :param tables: all tables of head.
    :param former: the tables of head that hold rows of tables from before the upgrade: their keys mean something.
    """
    # Of a table that has nothing but its key, rows without it would have no columns.
    if table.name in former or len(table.primary_key) != 1 or len(table.columns) == 1:
        return None
    key = table.primary_key[0]
    column = next(column for column in table.columns if column.name == key)
    refers = any(key in foreign.columns for foreign in table.foreign_keys)
    referred = any(foreign.table == table.name for other in tables.values() for foreign in other.foreign_keys)
    return key if column.type is LogicalType.INT and not refers and not referred else None


def without(table: Table, column: str | None) -> Table:
    """The table without a column, which then is no key."""
    if column is None:
        return table
    return Table(table.name, tuple(item for item in table.columns if item.name != column))


@dataclass
class TableEffect:
    """What is to be added to one table.

    :ivar table: its columns as compared: without a key that was generated.
    :ivar key: the column of that key.
    :ivar rows: how many rows the fixed ones come to.
    """

    table: Table
    key: str | None
    rows: int = 0


class Effect(Numbers):
    """The rows that are to be added."""

    SCHEMA = f"""{Numbers.SCHEMA};
        CREATE TABLE rows
        (tab TEXT, key BLOB, n INTEGER, line BLOB, state INTEGER DEFAULT 0, PRIMARY KEY (tab, key, n))"""

    def __init__(self, directory: Path | None = None) -> None:
        super().__init__(directory)
        self.tables: dict[str, TableEffect] = {}

    def compute(self, less: Reader, more: Reader, former: Collection[str], directory: Path) -> Iterator[Difference]:
        """Take what ``more`` has more than ``less``; yields what it has otherwise, or not at all."""
        tables = data_tables(more.tables())
        for full in order_parents_first(tables):
            key = find_generated_key(full, tables, former)
            table = without(full, key)
            effect = self.tables[table.name] = TableEffect(table, key)
            for place, was, row in unequal(table, less.rows(table), more.rows(table), directory):
                if was is None and row is not None:
                    self._add(table.name, place, row)
                    effect.rows += 1
                else:
                    yield difference(table, was, row)

    def _add(self, table: str, key: RowKey, row: Values) -> None:
        self.execute("INSERT INTO rows (tab, key, n, line) VALUES (?, ?, ?, ?)", (table, *key, encode_row(row)))

    def compare(self, live: Reader) -> Iterator[Difference]:
        """Look which of the rows a database has; yields those that it has with other values."""
        self.execute("UPDATE rows SET state = 0")
        tables = live.tables()
        for name, effect in self.tables.items():
            if effect.rows:
                _refuse_drift(effect.table, tables.get(name))
                yield from self._compare(effect.table, live.rows(effect.table))

    def _compare(self, table: Table, rows: Iterable[Values]) -> Iterator[Difference]:
        same = same_rows(table)
        for key, row in self.number(table, rows):
            query = "UPDATE rows SET state = 1 WHERE tab = ? AND key = ? AND n = ? RETURNING line"
            match = self.execute(query, (table.name, *key)).fetchone()
            if match and not same(match[0], row):
                yield difference(table, row, decode_row(match[0]))

    def there(self, name: str) -> int:
        """How many rows of a table the database that was compared last has already."""
        query = "SELECT count(*) FROM rows WHERE tab = ? AND state = 1"
        return int(self.execute(query, (name,)).fetchone()[0])

    def _absent(self, name: str) -> Iterator[Values]:
        query = "SELECT line FROM rows WHERE tab = ? AND state = 0 ORDER BY rowid"
        for (line,) in self.execute(query, (name,)):
            yield decode_row(line)

    def rows(self, live: Reader) -> Iterator[tuple[Table, Iterator[Values]]]:
        """The tables of a database with the rows that it lacks, keys that were generated given anew above its own."""
        tables = live.tables()
        for name, effect in self.tables.items():
            if effect.rows > self.there(name):
                table = tables[name]
                yield table, _fit(table, effect, self._absent(name), _largest(live, table, effect.key))


def _refuse_drift(table: Table, live: Table | None) -> None:
    lacking = sorted(set(table.column_names) - set(live.column_names if live else ()))
    if live is None or lacking:
        raise DoesNotFit(
            f"The live database has no table {table.name}."
            if live is None
            else f"The live table {table.name} lacks columns of head: {', '.join(lacking)}.",
            hint="See the drift with: flask db-status",
        )


def _largest(live: Reader, table: Table, key: str | None) -> int:
    return max((int(value) for value in live.values(table, key)), default=0) if key else 0


def _fit(table: Table, effect: TableEffect, rows: Iterable[Values], largest: int) -> Iterator[Values]:
    """Rows in the order of the live table's columns; one that no revision made stays NULL."""
    for number, row in enumerate(rows, largest + 1):
        values = dict(zip(effect.table.column_names, row, strict=True))
        if effect.key:
            values[effect.key] = number
        yield [values.get(name) for name in table.column_names]


# Adding


def write_added(path: Path, effect: Effect, staging: Reader, label: str, revision: str) -> None:
    """Write the rows that a copy of the live database lacks as a snapshot: what is added, and the proof of it later."""
    tables = {table.name: table for table, _ in effect.rows(staging)}
    header = Header("rows", label, label, now(), revision, tuple(tables.values()))
    sections = ((table.name, hash_rows(table, rows)) for table, rows in effect.rows(staging))
    write_snapshot(path, header, sections, keep_former=False)


def load_added(dialect: Dialect, staging: URL, path: Path) -> dict[str, TableChecksum]:
    """Load such a snapshot into a copy of the live database.

    :return: rows and sums per table, the columns by name.
    :raises DoesNotFit: the server refuses rows.
    """
    sums: dict[str, TableChecksum] = {}
    refused: list[str] = []
    with dialect.loading(staging), SnapshotReader(path) as reader:
        for table, rows in rows_of(reader):
            counting = _Summing(table, (row for row, _, _ in rows))
            result = dialect.load(staging, table, counting, batch_rows=BATCH_ROWS)
            sums[table.name] = counting.sum()
            refused += [
                f"{table.name}: {words_without_secrets(one.message, table, one.row)}; "
                f"key {describe_key(table, one.row)}"
                for one in result.refused[:SHOWN]
            ]
    if refused:
        raise DoesNotFit("The live database refuses rows as they are at head.", details=refused)
    return sums


class _Summing:
    """Iterates over rows and sums them up as a fingerprint does."""

    def __init__(self, table: Table, rows: Iterable[Values]) -> None:
        self._rows = rows
        by_name = sort_columns(table)
        self._places = [table.column_names.index(name) for name in by_name.column_names]
        self._hash = row_hasher(by_name)
        self._count = self._total = 0

    def __iter__(self) -> Iterator[Values]:
        for row in self._rows:
            turned = [row[place] for place in self._places]
            self._count += 1
            self._total += self._hash(turned, encode_row(turned))
            yield row

    def sum(self) -> TableChecksum:
        return TableChecksum(self._count, self._total % MODULUS)


def plus(one: TableChecksum, other: TableChecksum) -> TableChecksum:
    """The checksum of the rows of both."""
    return TableChecksum(one.rows + other.rows, (one.total + other.total) % MODULUS)
