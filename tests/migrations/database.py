"""A SQLite file that the reference app's revisions run on, and what is in it, byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_migrate
from flask import Flask

from app import create_app

REVISIONS = (
    "0001_classic",
    "0002_plain_names",
    "0003_page_query",
    "0004_reactions",
    "0005_replies",
    "0006_links",
    "0007_unique_sids",
)
HEAD = REVISIONS[-1]

Rows = list[tuple[Any, ...]]


@dataclass
class Database:
    """One SQLite file."""

    path: Path

    @property
    def app(self) -> Flask:
        """The reference app on this file."""
        return create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{self.path}"})

    def upgrade(self, revision: str = "head", **options: Any) -> None:
        """``flask db upgrade``."""
        with self.app.app_context():
            flask_migrate.upgrade(revision=revision, **options)

    def downgrade(self, revision: str) -> None:
        """``flask db downgrade``."""
        with self.app.app_context():
            flask_migrate.downgrade(revision=revision)

    def stamp(self, revision: str) -> None:
        """``flask db stamp``."""
        with self.app.app_context():
            flask_migrate.stamp(revision=revision)

    def check(self) -> None:
        """``flask db check``: SystemExit when models and database differ."""
        with self.app.app_context():
            flask_migrate.check()

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, foreign keys off; commits at the end."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            yield connection

    def query(self, sql: str) -> Rows:
        """The rows of a statement."""
        with self.connect() as connection:
            return connection.execute(sql).fetchall()

    def tables(self) -> dict[str, list[str]]:
        """Tables with their columns."""
        names = self.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
        return {table: [row[1] for row in self.query(f"PRAGMA table_info({table})")] for (table,) in names}

    def contents(self) -> dict[str, Rows]:
        """Every value of every table with its type, in an order that only the values decide."""
        return {table: self._rows(table, columns) for table, columns in sorted(self.tables().items())}

    def _rows(self, table: str, columns: list[str]) -> Rows:
        parts = ", ".join(f"{column}, typeof({column})" for column in sorted(columns))
        return sorted(self.query(f"SELECT {parts} FROM {table}"), key=repr)

    def schema(self) -> list[str]:
        """What SQLite keeps of the schema, without layout."""
        rows = self.query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        return sorted(" ".join(sql.replace('"', "").split()) for (sql,) in rows)

    def revision(self) -> str:
        """The revision that the database says it is at."""
        return str(self.query("SELECT version_num FROM alembic_version")[0][0])
