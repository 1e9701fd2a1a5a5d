"""SQLite: a file is written by one process at a time, so nobody loads parts of it from elsewhere."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager

from sqlalchemy import URL

from ...errors import FerryError, LoadError
from ..model import Table
from .connect import Files, explain_file_errors
from .names import path_of, quote


class Sharing:
    """A room in which one loads, and goes on with what another has loaded."""

    _files: Files

    def bring(self, source: URL, staging: URL, table: Table) -> int:
        names, place = ", ".join(map(quote, table.column_names)), quote(table.name)
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("ATTACH DATABASE ? AS origin", (str(path_of(source)),))
            try:
                rows = f"SELECT {names} FROM origin.{place}"
                return connection.execute(f"INSERT INTO main.{place} ({names}) {rows}").rowcount
            except sqlite3.Error as error:
                raise LoadError(f"Rows of {table.name} do not go in: {error}") from error

    def sharing(self, staging: URL) -> AbstractContextManager[None]:
        raise FerryError(f"{staging.database} is a file, which nobody loads from elsewhere.")
