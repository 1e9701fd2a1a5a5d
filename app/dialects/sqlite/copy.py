"""SQLite: tables that no revision made, copied from an attached database as they are."""

from __future__ import annotations

import sqlite3

from .names import quote
from .read import carried_virtual, reflect, reflect_virtual


def carry_table(connection: sqlite3.Connection, table: str) -> None:
    """Make a table of the database attached as ``origin`` in the main one, with its rows, indexes and triggers."""
    query = "SELECT sql FROM origin.sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL AND type = ?"
    connection.execute(f"DROP TABLE IF EXISTS main.{quote(table)}")
    connection.execute(connection.execute(query, (table, "table")).fetchone()[0])
    carried = carried_virtual(connection)
    reflected = reflect_virtual(connection, table, carried[table]) if table in carried else reflect(connection, table)
    names = ", ".join(map(quote, reflected.column_names))
    connection.execute(f"INSERT INTO main.{quote(table)} ({names}) SELECT {names} FROM origin.{quote(table)}")
    for kind in ("index", "trigger"):
        for (sql,) in connection.execute(query, (table, kind)).fetchall():
            connection.execute(sql)
