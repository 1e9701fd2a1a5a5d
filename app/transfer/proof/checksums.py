"""Checksums of databases: what proofs compare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ...dialects.base import Reader
from ...dialects.model import Table, TableChecksum
from ..rows.canonical import checksum
from ..rows.header import sort_columns


def checksums(reader: Reader, tables: Mapping[str, Table]) -> dict[str, TableChecksum]:
    """The checksum of each table, with the columns in the order given."""
    return {name: checksum(table, reader.rows(table)) for name, table in tables.items()}


def fingerprint(
    reader: Reader,
    stated: Collection[str] | None = None,
    proved: Callable[[Table], TableChecksum | None] = lambda _table: None,
) -> dict[str, TableChecksum]:
    """The checksums of a whole database, for comparison with another one or a later state.

    :param stated: the tables that a manifest has; where an older version wrote it, it has no virtual ones.
    :param proved: what is known of a table already, with its columns by name; it is not read again then.
    """
    tables = [
        sort_columns(table)
        for name, table in reader.tables().items()
        if stated is None or name in stated or not table.virtual
    ]
    return {table.name: proved(table) or checksum(table, reader.rows(table)) for table in tables}
