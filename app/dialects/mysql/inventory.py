"""MySQL and MariaDB: everything that a database holds besides tables and columns, listed to be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..model import Definition
from ..spelling import normalise
from .catalogue import OF_THE_SERVER
from .driver import version_of
from .histograms import list_histograms
from .objects import MARK, objects, strip_database
from .session import Connection, execute

# Of a functional key part MySQL has the expression, and MariaDB has no such parts.
_INDEXES = """
SELECT table_name, index_name, non_unique, column_name, coalesce(sub_part, ''), coalesce(collation, ''), index_type,
    {expression} FROM information_schema.statistics
WHERE table_schema = %s ORDER BY table_name, index_name, seq_in_index
"""
_CHECKS_OF_MARIADB = """
SELECT table_name, constraint_name, check_clause FROM information_schema.check_constraints
WHERE constraint_schema = %s ORDER BY table_name, constraint_name
"""
_CHECKS_OF_MYSQL = """
SELECT t.table_name, c.constraint_name, c.check_clause FROM information_schema.check_constraints c
JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema
    AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK'
WHERE c.constraint_schema = %s ORDER BY 1, 2
"""
_FOREIGN_KEYS = """
SELECT k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name,
    r.update_rule, r.delete_rule FROM information_schema.key_column_usage k
JOIN information_schema.referential_constraints r ON r.constraint_schema = k.constraint_schema
    AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
WHERE k.table_schema = %s AND k.referenced_table_name IS NOT NULL ORDER BY 1, 2, k.ordinal_position
"""
_COLUMNS = """
SELECT c.table_name, c.column_name, lower(c.extra), coalesce(c.generation_expression, ''),
    CASE WHEN c.collation_name <> t.table_collation THEN c.collation_name END, c.column_comment, c.column_default,
    c.is_nullable, lower(c.column_type)
FROM information_schema.columns c JOIN information_schema.tables t
    ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = %s AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') {other} ORDER BY 1, 2
"""
_TABLES = """
SELECT table_name, table_comment, table_type, create_options LIKE '%%partitioned%%' FROM information_schema.tables
WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1
"""
_KEY_OF_THE_SERVER = "my_row_id"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_OPTIONS = ("invisible", "without system versioning", "compressed")
"""What else a column may be; ``MODIFY`` without the word takes it away."""


def list_definitions(connection: Connection, database: str) -> list[Definition]:
    """All definitions of a database."""
    is_mariadb = version_of(connection).is_mariadb
    other = "" if is_mariadb else f"AND NOT {OF_THE_SERVER.format('c.')}"
    columns = execute(connection, _COLUMNS.format(other=other), database)
    return [
        *_objects(connection, database),
        *_indexes(connection, database, is_mariadb=is_mariadb),
        *_checks(connection, database, columns, is_mariadb=is_mariadb),
        *_foreign_keys(connection, database),
        *_columns(columns, database, is_mariadb=is_mariadb),
        *_tables(connection, database),
        *_histograms(connection, database),
    ]


def _histograms(connection: Connection, database: str) -> Iterator[Definition]:
    for item in list_histograms(connection, database):
        yield Definition("histogram", item.table, item.column, (item.column,), item.words)


def _objects(connection: Connection, database: str) -> Iterator[Definition]:
    for item in objects(connection, database):
        table = "" if item.table == item.name else item.table
        yield Definition(item.kind, table, item.name, text=normalise(item.sql))


def _indexes(connection: Connection, database: str, *, is_mariadb: bool) -> Iterator[Definition]:
    indexes: dict[tuple[str, str], tuple[bool, list[str], list[str]]] = {}
    query = _INDEXES.format(expression="''" if is_mariadb else "coalesce(expression, '')")
    for table, name, not_unique, column, length, order, kind, expression in execute(connection, query, database):
        _, columns, parts = indexes.setdefault((table, name), (not int(not_unique), [], []))
        if column:
            columns.append(column)
        part = column.lower() if column else f"( {normalise(expression)} )"
        parts.append(f"{part}{f' ( {length} )' if length else ''}{' desc' if order == 'D' else ''}")
        if kind not in ("BTREE", "HASH"):
            parts[0] = f"{kind.lower()} {parts[0]}" if len(parts) == 1 else parts[0]
    for (table, name), (unique, columns, parts) in indexes.items():
        if columns == [_KEY_OF_THE_SERVER] and not is_mariadb and _is_of_the_server(connection, database, table):
            continue
        if name == "PRIMARY":
            yield Definition("primary key", table, "", tuple(columns), " , ".join(parts))
            continue
        yield Definition("unique" if unique else "index", table, name, tuple(columns), " , ".join(parts))


def _is_of_the_server(connection: Connection, database: str, table: str) -> bool:
    """Whether a table's key is one that the server generated, and that nobody refers to."""
    sql = "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND "
    return bool(execute(connection, sql + OF_THE_SERVER.format(""), database, table))


def _checks(
    connection: Connection, database: str, rows: list[tuple[Any, ...]], *, is_mariadb: bool
) -> Iterator[Definition]:
    columns: dict[str, set[str]] = {}
    for table, column, *_ in rows:
        columns.setdefault(table, set()).add(column)
    query = _CHECKS_OF_MARIADB if is_mariadb else _CHECKS_OF_MYSQL
    for table, name, clause in execute(connection, query, database):
        text = normalise(clause)
        words = set(text.split(" "))
        if not text.startswith("json_valid ("):  # MariaDB's way of having the type JSON
            yield Definition("check", table, name, tuple(c for c in columns.get(table, ()) if c.lower() in words), text)


def _foreign_keys(connection: Connection, database: str) -> Iterator[Definition]:
    keys: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for table, name, *rest in execute(connection, _FOREIGN_KEYS, database):
        keys.setdefault((table, name), []).append(tuple(map(str, rest)))
    for (table, name), parts in keys.items():
        columns, referred = tuple(part[0] for part in parts), " , ".join(part[2] for part in parts)
        _, parent, _, updated, deleted = parts[0]
        actions = "".join(
            f" on {event} {action.lower()}"
            for event, action in (("update", updated), ("delete", deleted))
            if action not in ("NO ACTION", "RESTRICT")
        )
        text = f"{' , '.join(columns)} references {parent} ( {referred} ){actions}".lower()
        yield Definition("foreign key", table, name, columns, text)


def _columns(rows: list[tuple[Any, ...]], database: str, *, is_mariadb: bool) -> Iterator[Definition]:
    for table, column, extra, generated, collation, comment, default, nullable, kind in rows:
        # MariaDB spells that there is none; of MySQL it would be the text.
        has_default = default is not None and not (is_mariadb and default == "NULL")
        if has_default and not is_mariadb and "DEFAULT_GENERATED" not in extra.upper():
            default = _quote_default(default)
        facts = {
            "autoincrement": "autoincrement" if "auto_increment" in extra else "",
            "on update": "current_timestamp" if "on update" in extra else "",
            "generated column": normalise(generated),
            "collation": collation,
            "comment": comment,
            "default": normalise(strip_database(default, database)) if has_default else "",
            "not null": "not null" if nullable == "NO" else "",
        }
        for what, text in facts.items():
            if text:
                yield Definition(what, table, column, (column,), text)
        for option in _OPTIONS:
            if option in extra or option in kind.partition("/*")[2]:
                yield Definition("column option", table, column, (column,), option)


def _quote_default(text: str) -> str:
    """A default of MySQL's, which gives it without quotes, as MariaDB spells it."""
    return text if _NUMBER.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def _tables(connection: Connection, database: str) -> Iterator[Definition]:
    for table, comment, kind, partitioned in execute(connection, _TABLES, database):
        if text := MARK.sub("", comment).strip():
            yield Definition("comment", table, table, (), text)
        if kind == "SYSTEM VERSIONED":
            yield Definition("table option", table, "", (), "system versioning")
        if int(partitioned or 0):
            yield Definition("table option", table, "", (), "partitioned")
