"""Checksums of databases: what proofs compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ...dialects.base import Reader
from ...dialects.model import Table, TableChecksum
from ..rows.canonical import checksum
from ..rows.header import sort_columns


def checksums(reader: Reader, tables: Mapping[str, Table]) -> dict[str, TableChecksum]:
    """The checksum of each table, with the columns in the order given."""
    return {name: checksum(table, reader.rows(table)) for name, table in tables.items()}


Proved = Callable[[Table], TableChecksum | None]
"""What is known of a table, with its columns by name, without reading its rows; None where they have to be read."""


@dataclass(frozen=True)
class Contents:
    """What a database holds at one instant.

    :ivar checksums: of each table.
    :ivar digests: what its server sums each table up to, with the table; of those where it can.
    :ivar virtual: the names of the virtual tables among them.
    :ivar whole: what the database is known by as it lies.
    """

    checksums: Mapping[str, TableChecksum]
    digests: Mapping[str, tuple[Table, str]]
    virtual: Collection[str] = ()
    whole: str | None = None

    def stated_in(self, manifest: Collection[str]) -> dict[str, TableChecksum]:
        """The checksums to compare with a manifest's; where an older version wrote it, it has no virtual tables."""
        return {n: sums for n, sums in self.checksums.items() if n in manifest or n not in self.virtual}

    def known_in(self, reader: Reader) -> Proved:
        """What is known of the tables of another database of the same server, which may be a copy of this one.

        Where the server sums a table of the same columns up to the same, its checksum is the same. Of a database that
        lies there as this one does it is not asked.
        """
        if self.whole is not None and reader.whole() == self.whole:
            return lambda table: self.checksums[table.name]

        def prove(table: Table) -> TableChecksum | None:
            former, digest = self.digests.get(table.name, (None, None))
            same = former is not None and former.columns == table.columns and reader.digest(table) == digest
            return self.checksums[table.name] if same else None

        return prove


NOTHING = Contents({}, {})


def read_contents(reader: Reader, *, changes: bool = True) -> Contents:
    """Read a whole database once, and let its server sum it up.

    :param changes: whether a copy of it is to be changed before it is compared; else it is enough to know how it lies.
    """
    tables, whole = [sort_columns(table) for table in reader.tables().values()], reader.whole()
    summed = tables if changes or whole is None else []
    digests = {table.name: (table, digest) for table in summed if (digest := reader.digest(table)) is not None}
    virtual = {table.name for table in tables if table.virtual}
    return Contents(fingerprint(reader), digests, virtual, whole)


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
