"""A live schema with staging beside it, and engines for the app's own code by each driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Engine

from tests.dialects.rooms import Room

DRIVERS = ["psycopg", "psycopg2"]
BEFORE, AFTER = ["drei 😀", "one", "two"], ["DREI 😀", "ONE", "TWO"]


@dataclass
class Upgraded:
    """A live schema and staging beside it, both with the same rows, and an engine for the app's code."""

    room: Room
    staging: URL
    engine: Engine

    def names(self, url: URL | None = None) -> list[Any]:
        return sorted(row[1] for row in self.room.state(url)["parents"])

    def has_index(self, name: str) -> bool:
        return name in self.room.index_names("parents", self.staging)

    def spoil(self, statement: str) -> None:
        with self.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("UPDATE public.parents SET name = 'spoiled' WHERE id = 1")
            connection.exec_driver_sql(statement)
