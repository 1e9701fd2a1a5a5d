"""What the contract test needs of a server besides its room: databases of its own, and plain SQL on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Connection
from sqlalchemy.pool import NullPool

from app.dialects import dialect_for
from app.dialects.base import Dialect, Values

metadata = sa.MetaData()

parents = sa.Table(
    "parents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), nullable=False, unique=True),
)
children = sa.Table(
    "children",
    metadata,
    sa.Column("a", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("b", sa.String(20), primary_key=True),
    sa.Column("parent_id", sa.ForeignKey("parents.id")),
    sa.Column("yes", sa.Boolean),
    sa.Column("big", sa.BigInteger),
    sa.Column("price", sa.Numeric(12, 2)),
    sa.Column("ratio", sa.Float(53)),
    sa.Column("long", sa.Text),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("day", sa.Date),
    sa.Column("at", sa.DateTime),
    sa.Column("doc", sa.JSON),
)

PARENTS: list[Values] = [[1, "one"], [2, "two"], [3, "drei 😀"]]
CHILDREN: list[Values] = [
    [1, "a", 1, True, 2**63 - 1, "12.50", 0.1, "x\ny", "AP8=", "2024-02-29", "2024-02-29 23:59:59.000001", '{"a": 1}'],
    [1, "b", None, None, None, None, None, None, None, None, None, None],
    [2, "", 3, False, -(2**63), "-0.01", -2.5e-300, "", "", "0001-01-01", "9999-12-31 00:00:00.000000", "null"],
    [2, "a", 3, True, 0, "1234567890.00", 1e16, "ü '\"\\%", "AA==", "1999-12-31", "2000-01-01 00:00:00.000000", "[1]"],
]


@dataclass
class Room:
    """A server with a target database of the test's own, which does not exist yet.

    :ivar alias: a second URL of the same database, or None where the server has no such thing.
    """

    dialect: Dialect
    target: URL
    alias: URL | None
    directory: Path

    def other(self, name: str) -> URL:
        """A further database, beside the target."""
        return self.dialect.staging_url(self.target, name)

    @contextlib.contextmanager
    def connect(self, url: URL | None = None) -> Iterator[Connection]:
        """A connection as an application has one."""
        engine = sa.create_engine(url or self.target, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection

    def execute(self, sql: str, *, url: URL | None = None) -> None:
        """Run a statement and commit it."""
        with self.connect(url) as connection, connection.begin():
            connection.exec_driver_sql(sql)

    def fill(self, url: URL | None = None) -> URL:
        """Make the two tables with their rows, a view and an index."""
        url = url or self.target
        self.dialect.create(url)
        engine = sa.create_engine(url, poolclass=NullPool)
        metadata.create_all(engine)
        self.execute("CREATE VIEW names AS SELECT name FROM parents", url=url)
        self.execute("CREATE INDEX by_day ON children (day)", url=url)
        with self.dialect.reader(url) as reader:
            tables = reader.tables()
        for name, rows in (("parents", PARENTS), ("children", CHILDREN)):
            result = self.dialect.load(url, tables[name], rows, batch_rows=100)
            assert result.refused == []
        return url

    def staged(self, name: str = "one", *, more: int = 1) -> URL:
        """A staging database with the two tables and further parents."""
        staging = self.other(name)
        self.dialect.prepare_staging(staging, self.target)
        self.fill(staging)
        for number in range(more):
            self.execute(f"INSERT INTO parents VALUES ({100 + number}, 'new {number}')", url=staging)
        return staging

    def state(self, url: URL | None = None) -> dict[str, list[Values]]:
        """All rows of all tables."""
        with self.dialect.reader(url or self.target) as reader:
            return {name: list(reader.rows(table)) for name, table in reader.tables().items()}

    def everything(self, url: URL | None = None) -> Any:
        """Rows, objects, mark and schema of a database, for comparison."""
        url = url or self.target
        with self.dialect.reader(url) as reader:
            objects, tables = reader.objects(), reader.tables()
        return self.state(url), objects, tables, self.dialect.mark(url), self.dialect.schema_fingerprint(url)


def sqlite_room(directory: Path) -> Room:
    """Files: the target and, beside it, its control area."""
    path = directory / "live.db"
    url = URL.create("sqlite", database=str(path))
    (directory / "link").symlink_to(directory)
    room = Room(dialect_for(url), url, URL.create("sqlite", database=str(directory / "link" / "live.db")), directory)
    room.dialect.open_control(room.dialect.control_area(url))
    return room


ROOMS = {"sqlite": sqlite_room}
"""A further server is one more line here; it skips, and says why, where it cannot be reached."""
