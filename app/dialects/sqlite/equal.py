"""SQLite: rows that a unique key takes for equal, because the collation of a column does, such as NOCASE."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from ..model import Refusal, Table
from .names import quote

_FAILED = re.compile(r"UNIQUE constraint failed: (.+)", re.DOTALL)
_LOOKED_UP = 100
"""So many refused rows are looked after: each takes a query."""
_INDEX = (
    "SELECT i.name, x.name, x.coll FROM pragma_index_list(?) i, pragma_index_xinfo(i.name) x "
    'WHERE i."unique" AND x.key ORDER BY i.name, x.seqno'
)


def name_equal_rows(connection: sqlite3.Connection, table: Table, refused: Sequence[Refusal]) -> list[Refusal]:
    """Refusals of duplicates with the key of the row that was there, and the collation that takes both for equal."""
    collations: dict[str, dict[str, str]] = {}
    for index, column, collation in connection.execute(_INDEX, (table.name,)) if refused else ():
        collations.setdefault(index, {})[column] = collation
    by_columns = {tuple(columns): columns for columns in collations.values()}
    named = [_name(connection, table, by_columns, one) for one in refused[:_LOOKED_UP]]
    return named + list(refused[_LOOKED_UP:])


def _name(
    connection: sqlite3.Connection, table: Table, indexes: dict[tuple[str, ...], dict[str, str]], refusal: Refusal
) -> Refusal:
    match = _FAILED.fullmatch(refusal.message)
    names = tuple(part.removeprefix(f"{table.name}.") for part in match[1].split(", ")) if match else ()
    values = dict(zip(table.column_names, refusal.row, strict=True))
    if names not in indexes or not table.primary_key or any(type(values.get(name)) not in (str, int) for name in names):
        return refusal
    conditions = " AND ".join(f"{quote(name)} = ? COLLATE {quote(indexes[names][name])}" for name in names)
    wanted = ", ".join(map(quote, (*table.primary_key, *names)))
    sql = f"SELECT {wanted} FROM {quote(table.name)} WHERE {conditions} LIMIT 1"
    row = connection.execute(sql, [values[name] for name in names]).fetchone()
    if row is None:
        return refusal
    places = len(table.primary_key)
    texts = [(name, value) for name, value in zip(names, row[places:], strict=True) if type(value) is str]
    unlike = [name for name, value in texts if type(values[name]) is str and value != values[name]]
    if not unlike:
        return refusal
    words = "; ".join(
        f"{table.name}.{name} has the collation {indexes[names][name]}, to which both texts are equal; both stay "
        "without it in the revision that makes the column"
        for name in unlike
    )
    return replace(refusal, message=words, equal_to=list(row[:places]))
