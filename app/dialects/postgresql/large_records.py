"""PostgreSQL: which large objects were made for which staging schema, in a table of the control area."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .connect import Connection
from .control import LARGE_OBJECTS, control_of
from .driver import Question
from .large import find_digests
from .names import quote
from .server import create_schema

GROUP = 200
"""Objects made or deleted in one transaction: each is locked to its end, and the server has so many locks."""

_TABLE = "CREATE TABLE IF NOT EXISTS {} (staging text NOT NULL, was oid NOT NULL, digest bytea NOT NULL, number oid)"


class Records:
    """Which large objects were made, for which staging schema, of which number elsewhere.

    :param target: whose control area it is.
    """

    def __init__(self, connection: Connection, target: str) -> None:
        self._connection = connection
        self._schema = control_of(connection, target)
        self._table = f"{quote(self._schema)}.{LARGE_OBJECTS}"

    def _run(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._connection.execute(query.format(self._table).encode(), values).fetchall()

    @property
    def existence(self) -> Question:
        """The question for the table, with one row of one value, which is NULL where there is none."""
        return "SELECT pg_catalog.to_regclass(%s)::oid", (self._table,)

    def exist(self) -> bool:
        [[(oid,)]] = self._connection.ask_at_once(self.existence)
        return oid is not None

    def create(self) -> None:
        """Make the table, and its keys: an older version made none."""
        create_schema(self._connection, self._schema)
        self._connection.execute(_TABLE.format(self._table).encode())
        for column in ("was", "staging"):
            name = f"{LARGE_OBJECTS}_{column}"
            self._connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {self._table} ({column})".encode())

    def add(self, staging: str, was: int, digest: bytes, number: int) -> None:
        self._connection.execute(
            f"INSERT INTO {self._table} VALUES (%s, %s, %s, %s)".encode(), (staging, was, digest, number)
        )

    def stagings(self) -> list[str]:
        """The staging schemas that objects were made for, whether these are there or not; the table exists."""
        return [name for (name,) in self._run("SELECT DISTINCT staging FROM {} WHERE staging <> ''")]

    def find_made(self, staging: str, was: int) -> int | None:
        """What was made last of an object's number."""
        rows = self._run(
            "SELECT number FROM {} WHERE staging = %s AND was = %s ORDER BY ctid DESC LIMIT 1", (staging, was)
        )
        return rows[0][0] if rows else None

    def find_all(self, named: Collection[tuple[int, bytes]]) -> list[tuple[str, int, bytes, int]]:
        """What was made of objects with these numbers and digests, and is there still."""
        return self._run(
            "SELECT l.staging, l.was, l.digest, l.number FROM {} l JOIN pg_catalog.pg_largeobject_metadata m "
            "ON m.oid = l.number WHERE (l.was, l.digest) IN (SELECT * FROM ROWS FROM "
            "(pg_catalog.unnest(%s::oid[]), pg_catalog.unnest(%s::bytea[]))) ORDER BY l.ctid",
            ([number for number, _ in named], [digest for _, digest in named]),
        )

    def settle(self, staging: str) -> None:
        """In the transaction in which a staging schema becomes live: what was made for it stays."""
        if self.exist():
            self._connection.execute(f"UPDATE {self._table} SET staging = '' WHERE staging = %s".encode(), (staging,))

    def discard(self, staging: str) -> None:
        """Delete the objects that were made for a staging schema.

        One with another content is not the one that was made: somebody deleted that and got its number again.
        """
        while self.exist() and (
            rows := self._run(f"SELECT number, digest FROM {{}} WHERE staging = %s LIMIT {GROUP}", (staging,))
        ):
            numbers = [number for number, _ in rows]
            with self._connection.transaction():
                digests = find_digests(self._connection, numbers)
                self._run(
                    "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata "
                    "WHERE oid = ANY (%s::oid[])",
                    ([number for number, digest in rows if digests.get(number) == digest],),
                )
                self._connection.execute(
                    f"DELETE FROM {self._table} WHERE staging = %s AND number = ANY (%s::oid[])".encode(),
                    (staging, numbers),
                )
