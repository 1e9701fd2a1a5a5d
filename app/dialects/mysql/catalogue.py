"""MySQL and MariaDB: all tables of a database, asked of its catalogue in one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import DoesNotFit, FerryError
from ..model import ForeignKey, Table
from .connect import quote
from .types import BY_NAME, Stored

Asks = Callable[..., Sequence[tuple[Any, ...]]]
"""Runs a statement with values and gives all its rows, as text."""
Catalogue = dict[str, list[tuple[Any, ...]]]
"""By the kind of fact: the table, a name, the values."""

_VALUES = 8


@dataclass(frozen=True)
class Fact:
    """What of a database is asked for: SQL expressions for its table, its name, its place among others, its values."""

    kind: str
    table: str
    name: str
    position: str
    values: tuple[str, ...]
    where: str

    def select(self, of_table: bool) -> str:
        """All is text of one collation, or a UNION cannot be had of it."""
        values = (*self.values, *["NULL"] * (_VALUES - len(self.values)))
        texts = [f"CONVERT({text} USING utf8mb4)" for text in (self.table, self.name, *values)]
        columns = ", ".join([f"'{self.kind}'", *texts[:2], self.position, *texts[2:]])
        return f"SELECT {columns} FROM information_schema.{self.where}{f' AND {self.table} = %s' * of_table}"


_COLUMN = (
    *("column_name", "lower(data_type)", "column_type", "is_nullable", "character_maximum_length", "numeric_scale"),
    *("coalesce(datetime_precision, 0)", "character_set_name"),
)
OF_THE_SERVER = (
    "({0}column_name = 'my_row_id' AND {0}extra LIKE '%%auto_increment%%' AND {0}extra LIKE '%%INVISIBLE%%' "
    "AND ({0}table_schema, {0}table_name) NOT IN (SELECT referenced_table_schema, referenced_table_name "
    "FROM information_schema.key_column_usage WHERE referenced_column_name = 'my_row_id'))"
)
"""The key that MySQL generates for a table without one (``sql_generate_invisible_primary_key``): no app knows it.

Unless a foreign key refers to it: then its values are what other rows mean. ``{0}`` is the alias of the columns.
"""
_FACTS = (
    Fact(
        *("table", "table_name", "''", "0", ()),
        "tables WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    ),
    Fact(
        *("column", "table_name", "''", "ordinal_position", _COLUMN),
        "columns WHERE table_schema = %s AND coalesce(generation_expression, '') = ''",
    ),
    # A key on a part of a column, or on an expression, says nothing about the column.
    Fact(
        *("unique", "table_name", "index_name", "seq_in_index", ("column_name", "sub_part")),
        "statistics WHERE table_schema = %s AND non_unique = 0",
    ),
    Fact(
        *("key", "table_name", "constraint_name", "ordinal_position"),
        ("column_name", "referenced_table_name", "referenced_column_name"),
        "key_column_usage WHERE table_schema = %s AND referenced_table_schema = table_schema",
    ),
)
# What MariaDB calls JSON is a text with a check.
_CHECK = Fact(*("check", "table_name", "''", "0", ("check_clause",)), "check_constraints WHERE constraint_schema = %s")
_TRIGGER = Fact(*("trigger", "event_object_table", "trigger_name", "0", ()), "triggers WHERE trigger_schema = %s")


SIZE = (
    "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE()"
)
"""The size of the tables of a session's database, and of their indexes."""


def ask_facts(ask: Asks, facts: Sequence[Fact], database: str, only: str | None = None) -> Catalogue:
    """Ask for facts of a database in one statement; of each kind in the order of tables, names and places.

    :param only: of this table alone; the server opens no other.
    """
    statement = " UNION ALL ".join(fact.select(of_table=only is not None) for fact in facts)
    arguments = (database,) if only is None else (database, only)
    catalogue: Catalogue = {fact.kind: [] for fact in facts}
    for kind, table, name, _, *values in ask(f"{statement} ORDER BY 1, 2, 3, 4", *arguments * len(facts)):
        catalogue[kind].append((table, name, *values))
    return catalogue


def read_catalogue(
    ask: Asks, database: str, *, is_mariadb: bool, only: str | None = None, with_triggers: bool = False
) -> Catalogue:
    """All that :func:`stored_columns` and :func:`reflect` need.

    :param only: of this table alone; the server opens no other.
    :param with_triggers: and the triggers, by the names of their tables.
    """
    table, column, *keys = _FACTS
    if not is_mariadb:
        column = replace(column, where=f"{column.where} AND NOT {OF_THE_SERVER.format('')}")
    facts = (table, column, *keys, *([_CHECK] if is_mariadb else []), *([_TRIGGER] if with_triggers else []))
    return ask_facts(ask, facts, database, only)


def stored_columns(catalogue: Catalogue) -> dict[str, list[Stored]]:
    """The columns of every base table, generated ones left out, in their order.

    :raises DoesNotFit: a column of a type that no canonical form exists for.
    """
    tables: dict[str, list[Stored]] = {table: [] for table, *_ in catalogue["table"]}
    checks = {(table, clause) for table, _, clause, *_ in catalogue.get("check", ())}
    for table, _, name, kind, full, nullable, length, scale, digits, charset in catalogue["column"]:
        if table not in tables:
            continue
        if kind not in BY_NAME:
            raise DoesNotFit(f"{table}.{name} is of the type {kind}, which has no canonical form.")
        is_json = kind == "json" or (table, f"json_valid({quote(name)})") in checks
        sizes = _number(length), _number(scale), int(digits)
        tables[table].append(Stored(name, kind, full, nullable == "YES", *sizes, is_json, charset))
    return tables


def columns_of(stored: dict[str, list[Stored]], table: Table) -> list[Stored]:
    """A table's columns as they are stored, in its own order.

    :raises FerryError: the database has no such table, or not these columns.
    """
    columns = {item.name: item for item in stored.get(table.name, ())}
    if missing := [name for name in table.column_names if name not in columns]:
        raise FerryError(f"The database has no column {', '.join(f'{table.name}.{name}' for name in missing)}.")
    return [columns[name] for name in table.column_names]


def _number(text: Any) -> int | None:
    return None if text is None else int(text)


def reflect(catalogue: Catalogue, stored: dict[str, list[Stored]]) -> dict[str, Table]:
    """All base tables in logical types.

    Keys that a generated column is part of are left out, as the column is, and so are foreign keys to a table of
    another database.
    """
    indexes: dict[tuple[str, str], list[str | None]] = defaultdict(list)
    for table, index, column, part, *_ in catalogue["unique"]:
        indexes[table, index].append(column if part is None else None)
    keys: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for table, name, *reference in catalogue["key"]:
        keys[table, name].append((reference[0], reference[1], reference[2]))
    tables = {}
    for table, columns in stored.items():
        names = {item.name for item in columns}
        uniques = {
            index: tuple(name for name in parts if name)
            for (of, index), parts in indexes.items()
            if of == table and names.issuperset(parts)
        }
        primary_key = uniques.pop("PRIMARY", ())
        described = tuple(item.column for item in columns)
        tables[table] = Table(
            table, described, primary_key, tuple(sorted(uniques.values())), _foreign_keys(table, keys, names)
        )
    return tables


def _foreign_keys(
    table: str, keys: dict[tuple[str, str], list[tuple[str, str, str]]], names: set[str]
) -> tuple[ForeignKey, ...]:
    references = []
    for (child, _), parts in keys.items():
        if child == table:
            columns, parents, referred = zip(*parts, strict=True)
            if names.issuperset(columns):
                references.append(ForeignKey(columns, parents[0], referred))
    return tuple(sorted(references, key=lambda key: key.columns))
