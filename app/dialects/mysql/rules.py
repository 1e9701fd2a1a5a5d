"""MySQL and MariaDB: rows that break a rule, found by looking at all of them, and named by their keys."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..at_once import ask_all
from ..samples import SHOWN, Problem, dangling, leads_nowhere, name_some
from .connect import quote
from .read import Asks

_JOINS_AT_ONCE = 8
_FOREIGN_KEYS = (
    "SELECT constraint_name, table_name, column_name, referenced_table_schema, referenced_table_name, "
    "referenced_column_name FROM information_schema.key_column_usage "
    "WHERE table_schema = %s AND referenced_table_name IS NOT NULL "
    "ORDER BY table_name, constraint_name, ordinal_position"
)
_COLUMNS = (
    "SELECT c.table_name, c.column_name, c.column_key = 'PRI' FROM information_schema.columns c "
    "JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
    "WHERE c.table_schema = %s AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') "
    "ORDER BY c.table_name, c.ordinal_position"
)
_INDEXES = (
    "SELECT table_name, column_name FROM information_schema.statistics "
    "WHERE table_schema = %s AND index_name = %s AND column_name IS NOT NULL ORDER BY table_name, seq_in_index"
)

_DUPLICATE = re.compile(r"for key '([^']+)'")
_NULL = re.compile(r"Column '([^']+)' cannot be null|Data truncated for column '([^']+)'|Invalid use of NULL")
_NO_PARENT = re.compile(
    r"fails \(`[^`]+`\.`(?P<child>[^`]+)`, CONSTRAINT `[^`]*` FOREIGN KEY \((?P<own>[^)]+)\) "
    r"REFERENCES (?:`[^`]+`\.)?`(?P<parent>[^`]+)` \((?P<referred>[^)]+)\)"
)


@dataclass(frozen=True)
class _Reference:
    child: str
    own: tuple[str, ...]
    schema: str
    parent: str
    referred: tuple[str, ...]

    @property
    def dangling(self) -> str:
        """From where on a statement speaks of the rows that refer to nothing; a NULL refers to nothing and may."""
        parent = f"{quote(self.schema)}.{quote(self.parent)}"
        return f"FROM {quote(self.child)} c WHERE {leads_nowhere(self.own, self.referred, 'c', parent, quote)}"


def problems(ask: Asks, database: str) -> list[Problem]:
    """Every foreign key that does not hold, with the number of rows and some keys.

    The other rules need no look: in sessions of ours the server never lets a row pass that breaks one of them.
    """
    references, broken = _references(ask, database), []
    if not references:
        return []
    keys = _primary_keys(ask, database)
    queries = {reference: f"SELECT count(*) {reference.dangling}" for reference in references}
    for reference, count in ask_all(queries, lambda sql: ask(sql)[0], _JOINS_AT_ONCE).items():
        if int(count):
            names = keys.get(reference.child) or reference.own
            rows = _rows(ask, names, reference.dangling, "c.")
            broken.append(dangling(reference.child, int(count), reference.parent, _name_some(names, rows, int(count))))
    return broken


def _references(ask: Asks, database: str) -> list[_Reference]:
    parts: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    for name, child, *rest in ask(_FOREIGN_KEYS, database):
        parts[child, name].append(tuple(rest))
    references = []
    for (child, _), rows in parts.items():
        columns, schemas, parents, referred = zip(*rows, strict=True)
        references.append(_Reference(child, columns, schemas[0], parents[0], referred))
    return references


def _primary_keys(ask: Asks, database: str) -> dict[str, tuple[str, ...]]:
    primary: dict[str, tuple[str, ...]] = {}
    for table, column in ask(_INDEXES, database, "PRIMARY"):
        primary[table] = (*primary.get(table, ()), column)
    return primary


def _rows(ask: Asks, names: Sequence[str], rest: str, prefix: str = "") -> Sequence[tuple[Any, ...]]:
    columns = ", ".join(f"{prefix}{quote(name)}" for name in names)
    return ask(f"SELECT {columns} {rest} ORDER BY {columns} LIMIT {SHOWN}")


def _name_some(names: Sequence[str], rows: Sequence[tuple[Any, ...]], count: int) -> str:
    values = ["-".join(_text(value) for value in row) for row in rows]
    return f"{', '.join(names)} {name_some(values, more=count > len(rows))}"


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def find_refused_keys(ask: Asks, database: str, words: str) -> list[str]:
    """Which rows break the rule that the server's words name, by some of their keys; empty where that cannot be seen.

    MariaDB names the key and not its table; of one that could not be made there is only the name. So every table is
    looked at that has this key, or columns that it is likely named after; rows are told only where it is one table.
    """
    columns: dict[str, dict[str, bool]] = defaultdict(dict)
    for table, column, in_key in ask(_COLUMNS, database):
        columns[table][column] = bool(int(in_key))
    if match := _DUPLICATE.search(words):
        rules = [
            (table, _duplicates(table, names)) for table, names in _of_key(ask, database, match[1], columns).items()
        ]
    elif match := _NULL.search(words):
        name = match[1] or match[2] or ""
        rules = [
            (table, f"FROM {quote(table)} WHERE {quote(name)} IS NULL") for table in columns if name in columns[table]
        ]
    elif (match := _NO_PARENT.search(words)) and match["child"] in columns:
        reference = _Reference(
            match["child"], _names(match["own"]), database, match["parent"], _names(match["referred"])
        )
        rules = [(match["child"], reference.dangling)]
    else:
        return []
    lines = []
    for table, rest in rules:
        names = [name for name, in_key in columns[table].items() if in_key] or list(columns[table])[:1]
        [(count,)] = ask(f"SELECT count(*) {rest}")
        if int(count):
            lines.append(f"{table}: {_name_some(names, _rows(ask, names, rest), int(count))}")
    return lines if len(lines) == 1 else []


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip(" `") for name in text.split(","))


def _of_key(ask: Asks, database: str, key: str, columns: dict[str, dict[str, bool]]) -> dict[str, tuple[str, ...]]:
    """Tables with the columns of a key: those that it has, or those that its name is made of."""
    table, _, name = key.rpartition(".")
    keys: dict[str, tuple[str, ...]] = {}
    for owner, column in ask(_INDEXES, database, name):
        if not table or owner == table:
            keys[owner] = (*keys.get(owner, ()), column)
    if keys:
        return keys
    for owner in [table] if table in columns else columns:
        for column in columns[owner]:
            if name == column or name.endswith((f"{owner}_{column}", f"{owner}_{column}_key")):
                keys[owner] = (column,)
    return keys


def _duplicates(table: str, names: tuple[str, ...]) -> str:
    listed = ", ".join(map(quote, names))
    filled = " AND ".join(f"{quote(name)} IS NOT NULL" for name in names)
    twice = f"SELECT {listed} FROM {quote(table)} WHERE {filled} GROUP BY {listed} HAVING count(*) > 1"
    return f"FROM {quote(table)} WHERE ({listed}) IN ({twice})"
