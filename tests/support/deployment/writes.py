"""Rows added to and removed from the old database while somebody reads it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, String, Table

from .models import db
from .records import Raw, query


def add(table_name: str, count: int) -> None:
    """Add copies of the first row under new ids: below all others while there is room, else above.

    A row with a low id comes first in a table without ORDER BY, so every later page shifts.

    :raises ValueError: the table has no ``id``.
    """
    table = _with_id(table_name)
    for _ in range(count):
        row = query(f"SELECT * FROM {table.name} ORDER BY id LIMIT 1")[0]
        new_id = row["id"] - 1 if row["id"] > 1 else _highest(table) + 1
        _insert(table, {column.name: _fresh(column, row, new_id) for column in table.columns})


def _highest(table: Table) -> int:
    return int(query(f"SELECT max(id) AS n FROM {table.name}")[0]["n"])


def _fresh(column: Column[Any], row: Raw, new_id: int) -> Any:
    """Return the new row's value: unique texts get the id in them, the rest is copied."""
    if column.name == "id":
        return new_id
    if column.unique and isinstance(column.type, String):
        return f"added {new_id}"
    return row[column.name]


def _insert(table: Table, row: Raw) -> None:
    marks = ", ".join("?" * len(row))
    _write(f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({marks})", *row.values())


def remove(table_name: str, count: int) -> None:
    """Remove the rows with the lowest ids among those that no foreign key points at.

    :raises ValueError: the table has no ``id``.
    """
    table = _with_id(table_name)
    free = " AND ".join(["1 = 1", *(f"id NOT IN ({used})" for used in _uses(table))])
    chosen = f"SELECT id FROM {table.name} WHERE {free} ORDER BY id LIMIT ?"
    _write(f"DELETE FROM {table.name} WHERE id IN ({chosen})", count)


def _uses(table: Table) -> list[str]:
    """Return a SELECT for each foreign key that points at the table."""
    return [
        f"SELECT {key.parent.name} FROM {other.name} WHERE {key.parent.name} IS NOT NULL"
        for other in db.metadata.sorted_tables
        for key in other.foreign_keys
        if key.column.table is table
    ]


def _with_id(name: str) -> Table:
    table = db.metadata.tables[name]
    if "id" not in table.columns:
        raise ValueError(f"{name} has no id; rows_added and rows_removed work on tables with one.")
    return table


def _write(sql: str, *values: Any) -> None:
    db.session.connection().exec_driver_sql(sql, values)
    db.session.commit()
