"""What is not a row, compared across kinds of servers: by columns, as each of them spells the rest in its own words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ...dialects.model import Definition, LogicalType, Table

_ALIKE = {"materialized view": "view", "procedure": "routine", "function": "routine", "type": "", "statistics": ""}
"""Kinds that another server may have otherwise; those without a notion there are only named."""
_BY_COLUMNS = frozenset({"unique", "check", "foreign key", "generated column", "default", "not null", "primary key"})
_UNCOMPARED = frozenset({"autoincrement", "table option", "column option"})
"""What numbers a table is compared as a counter; how a table is stored is its server's own."""
_EXACT = ("bin", "c", "posix")
"""How the names of collations end that compare characters as they are, as a column without one does elsewhere."""
_NOT_COLUMNS = frozenset({"btree", "hash", "(", ")", ",", "asc", "desc", "nulls", "first", "last"})


def find_missing(
    source: Iterable[Definition], staging: Collection[Definition], tables: Mapping[str, Table]
) -> list[Definition]:
    """What a source's schema holds and one of another kind of server does not have in its own way.

    :param tables: those of staging.
    """
    items = list(source)
    stock = _Stock(items, staging, tables)
    return [item for item in items if item.kind not in _UNCOMPARED and not stock.has(item)]


class _Stock:
    def __init__(
        self, source: Iterable[Definition], staging: Collection[Definition], tables: Mapping[str, Table]
    ) -> None:
        self._names = {_key(item) for item in staging}
        self._columns = {(item.kind, *_place(item)) for item in staging}
        self._indexes = [_place(item) for item in staging if item.kind in ("index", "unique") and _is_plain(item)]
        self._texts = {(item.kind, item.table.lower(), item.name.lower(), item.text) for item in staging}
        self._tables = {name.lower(): table for name, table in tables.items()}
        self._of_foreign_keys = {
            (*_place(item), name.lower())
            for item in source
            if item.kind == "foreign key"
            for name in (item.name, *item.columns[:1])
        }

    def has(self, item: Definition) -> bool:
        """Whether staging has the like of it, or needs none."""
        if item.kind == "index":
            return self._has_index(item)
        if item.kind == "collation":
            ending = item.text.lower().rpartition("_")[2]
            return ending in _EXACT or ("collation", *_place(item)) in self._columns
        if item.kind == "comment":
            return (item.kind, item.table.lower(), item.name.lower(), item.text) in self._texts
        if item.kind in _BY_COLUMNS and item.columns:
            return (item.kind, *_place(item)) in self._columns or self._is_of_the_table(item)
        return _key(item) in self._names

    def _has_index(self, item: Definition) -> bool:
        """MySQL makes an index for a foreign key, under its name or its first column's; nobody else needs that."""
        if _key(item) in self._names or (*_place(item), item.name.lower()) in self._of_foreign_keys:
            return True
        table, columns = _place(item)
        # The primary key is an index as well.
        keys = [*self._indexes, (table, self._primary_key(table))]
        return _is_plain(item) and any(table == other and columns <= names for other, names in keys)

    def _is_of_the_table(self, item: Definition) -> bool:
        """A primary key is unique; a type for truth needs no CHECK."""
        table, columns = _place(item)
        if item.kind == "unique":
            return columns == self._primary_key(table)
        if item.kind == "not null":
            return columns <= self._primary_key(table)
        types = {column.name.lower(): column.type for column in self._tables[table].columns}
        return item.kind == "check" and all(types.get(name) == LogicalType.BOOL for name in columns)

    def _primary_key(self, table: str) -> frozenset[str]:
        known = self._tables.get(table)
        return frozenset(column.lower() for column in known.primary_key) if known else frozenset()


def _key(item: Definition) -> tuple[str, str, str]:
    """Kind, table and name; tables count only where several may have something of one name."""
    table = item.table.lower() if item.kind in ("index", "unique", "check", "foreign key", "trigger") else ""
    return _ALIKE.get(item.kind, item.kind), table, item.name.lower()


def _place(item: Definition) -> tuple[str, frozenset[str]]:
    return item.table.lower(), frozenset(column.lower() for column in item.columns)


def _is_plain(item: Definition) -> bool:
    """Whether it is over columns as they are: not over an expression or some of the rows, and of no kind of its own."""
    words = {word for word in item.text.lower().split(" ") if word not in _NOT_COLUMNS}
    return bool(item.columns) and words == {word for column in item.columns for word in column.lower().split(" ")}
