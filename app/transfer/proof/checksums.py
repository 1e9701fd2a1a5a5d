"""Checksums of databases: what proofs compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...dialects.base import Reader
from ...dialects.model import Table, TableChecksum
from ..rows.canonical import checksum


def checksums(reader: Reader, tables: Mapping[str, Table]) -> dict[str, TableChecksum]:
    """The checksum of each table, with the columns in the order given."""
    return {name: checksum(table, reader.rows(table)) for name, table in tables.items()}


def ordered(table: Table) -> Table:
    """The table with its columns by name, so that two databases whose columns come in another order agree."""
    columns = tuple(sorted(table.columns, key=lambda column: column.name))
    return Table(table.name, columns, table.primary_key, table.unique, table.foreign_keys)


def fingerprint(reader: Reader, stated: Collection[str] | None = None) -> dict[str, TableChecksum]:
    """The checksums of a whole database, for comparison with another one or a later state.

    :param stated: the tables that a manifest has; where an older version wrote it, it has no virtual ones.
    """
    tables = reader.tables()
    kept = {name: table for name, table in tables.items() if stated is None or name in stated or not table.virtual}
    return checksums(reader, {name: ordered(table) for name, table in kept.items()})
