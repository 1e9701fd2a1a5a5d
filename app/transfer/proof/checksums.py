"""Checksums of databases: what proofs compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ...dialects.model import Table, TableChecksum
from ...dialects.reader import Reader
from ..rows.canonical import checksum
from ..rows.header import sort_columns


def checksums(reader: Reader, tables: Mapping[str, Table]) -> dict[str, TableChecksum]:
    """The checksum of each table, with the columns in the order given."""
    return {name: checksum(table, reader.rows(table)) for name, table in tables.items()}


Proved = Callable[[Table], TableChecksum | None]
"""What is known of a table, with its columns by name, without reading its rows; None where they have to be read."""


@dataclass(frozen=True)
class Summed:
    """What a server says of a database without giving a row of it.

    :ivar tables: with their columns by name.
    :ivar whole: what it is known by as it lies; where there is such a thing, its tables need not be summed up.
    :ivar digests: what each table sums up to, with the table; of those where the server can say that.
    """

    tables: list[Table]
    whole: str | None
    digests: Mapping[str, tuple[Table, str]]

    def digest_of(self, table: Table) -> str | None:
        """Of one of its tables."""
        _, digest = self.digests.get(table.name, (None, None))
        return digest


def sum_up(reader: Reader, *, changes: bool = False) -> Summed:
    """Let a server sum a database up.

    :param changes: sum its tables up in any case, as a copy of it is to be changed before it is compared.
    """
    tables, whole = [sort_columns(table) for table in reader.tables().values()], reader.whole()
    summed = tables if changes or whole is None else []
    digests = {table.name: (table, digest) for table in summed if (digest := reader.digest(table)) is not None}
    return Summed(tables, whole, digests)


@dataclass(frozen=True)
class Contents:
    """What a database holds at one instant.

    :ivar checksums: of each table; of none where how the database lies is enough.
    :ivar digests: what its server sums each table up to, with the table; of those where it can.
    :ivar virtual: the names of the virtual tables among them.
    :ivar whole: what the database is known by as it lies.
    :ivar counts: the rows of each table, where there are no checksums.
    """

    checksums: Mapping[str, TableChecksum]
    digests: Mapping[str, tuple[Table, str]]
    virtual: Collection[str] = ()
    whole: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def lies_known(self) -> bool:
        """Whether its rows were not read, as how it lies is enough to know a copy of it by."""
        return self.whole is not None and not self.checksums

    def are_in(self, reader: Reader) -> bool:
        """Whether another database of the same server, which may be a copy of this one, holds the same."""
        if self.lies_known:
            return reader.whole() == self.whole
        return fingerprint(reader, proved=self.known_in(reader)) == self.checksums

    def stated_in(self, manifest: Collection[str]) -> dict[str, TableChecksum]:
        """The checksums to compare with a manifest's; where an older version wrote it, it has no virtual tables."""
        return {n: sums for n, sums in self.checksums.items() if n in manifest or n not in self.virtual}

    def known_in(self, reader: Reader) -> Proved:
        """What is known of the tables of another database of the same server, which may be a copy of this one.

        Where the server sums a table of the same columns up to the same, its checksum is the same. Of a database that
        lies there as this one does it is not asked.
        """
        return self._compare(reader.whole, reader.digest)

    def known_of(self, summed: Summed) -> Proved:
        """As :meth:`known_in`, of a database that was asked before."""
        return self._compare(lambda: summed.whole, summed.digest_of)

    def _compare(self, whole: Callable[[], str | None], digest_of: Callable[[Table], str | None]) -> Proved:
        if self.whole is not None and whole() == self.whole:
            return lambda table: self.checksums.get(table.name)

        def prove(table: Table) -> TableChecksum | None:
            former, digest = self.digests.get(table.name, (None, None))
            same = former is not None and former.columns == table.columns and digest_of(table) == digest
            return self.checksums[table.name] if same else None

        return prove


NOTHING = Contents({}, {})


def read_contents(
    reader: Reader,
    *,
    changes: bool = True,
    between: Callable[[int, Table], None] = lambda _rows, _table: None,
) -> Contents:
    """Read a whole database once, and let its server sum it up.

    :param changes: whether a copy of it is to be changed before it is compared; else it is enough to know how it lies,
        and where there is such a thing no row of it is read.
    :param between: is told of each table, and how many rows it has, when it was read; it may use the reader's session.
    """
    if not changes and (whole := reader.whole()) is not None:
        return _count(reader, whole, between)
    sums: dict[str, TableChecksum] = {}
    read_rows = reader.rows_to_digest if changes else reader.rows
    for table in map(sort_columns, reader.tables().values()):
        sums[table.name] = checksum(table, read_rows(table))
        between(sums[table.name].rows, table)
    summed = sum_up(reader, changes=changes)
    return Contents(sums, summed.digests, {table.name for table in summed.tables if table.virtual}, summed.whole)


def _count(reader: Reader, whole: str, between: Callable[[int, Table], None]) -> Contents:
    tables = reader.tables()
    counts: dict[str, int] = {}
    for name, table in tables.items():
        counts[name] = reader.count_readable(name)
        between(counts[name], table)
    return Contents({}, {}, {name for name, table in tables.items() if table.virtual}, whole, counts)


def fingerprint(
    reader: Reader, stated: Collection[str] | None = None, proved: Proved = lambda _table: None
) -> dict[str, TableChecksum]:
    """The checksums of a whole database, for comparison with another one or a later state.

    :param stated: the tables that a manifest has; where an older version wrote it, it has no virtual ones.
    :param proved: what is known already; it is not read again.
    """
    tables = [
        sort_columns(table)
        for name, table in reader.tables().items()
        if stated is None or name in stated or not table.virtual
    ]
    return {table.name: proved(table) or checksum(table, reader.rows(table)) for table in tables}
