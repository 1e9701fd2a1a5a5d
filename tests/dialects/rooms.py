"""What the contract test needs of a server besides its room: databases of its own, and plain SQL on them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection
from sqlalchemy.dialects import mysql
from sqlalchemy.pool import NullPool

from app.dialects import dialect_for
from app.dialects.base import Dialect, Image
from app.dialects.model import Values
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL

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
    sa.Column("at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")),
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
    :ivar traces: something that changes when anything is written to any database.
    :ivar trigger: statements that make a trigger by which every new parent is named ``fired``.
    :ivar indexes_are_objects: an index is no part of its table's definition.
    :ivar impatient: for the driver: a writer that soon gives up where it has to wait.
    """

    dialect: Dialect
    target: URL
    alias: URL | None
    directory: Path
    traces: Callable[[], Any]
    trigger: tuple[str, ...]
    indexes_are_objects: bool = False
    impatient: dict[str, Any] = field(default_factory=dict)

    def other(self, name: str) -> URL:
        """A further database, beside the target."""
        return self.dialect.staging_url(self.target, name)

    @contextlib.contextmanager
    def connect(self, url: URL | None = None, **options: Any) -> Iterator[Connection]:
        """A connection as an application has one."""
        engine = sa.create_engine(url or self.target, poolclass=NullPool, connect_args=options)
        with engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def image(self, url: URL | None = None) -> Iterator[Image]:
        """The target at one instant, watched by no fence."""
        url = url or self.target
        with self.dialect.image(url, self.dialect.generation_url(self.target, "0000000a-old"), None) as image:
            yield image

    def dump(self, to: Path) -> Path:
        """A backup file of the target."""
        with self.image() as image:
            image.dump(to)
        return to

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

    def index_names(self, table: str, url: URL | None = None) -> list[str | None]:
        """The indexes of a table, as SQLAlchemy's inspector finds them."""
        with self.connect(url) as connection:
            return [index["name"] for index in sa.inspect(connection).get_indexes(table)]

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


@contextlib.contextmanager
def sqlite_room(_request: pytest.FixtureRequest, directory: Path) -> Iterator[Room]:
    """Files: the target and, beside it, its control area."""
    url = URL.create("sqlite", database=str(directory / "live.db"))
    (directory / "link").symlink_to(directory)
    alias = URL.create("sqlite", database=str(directory / "link" / "live.db"))

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}

    trigger = "CREATE TRIGGER renamed AFTER INSERT ON parents "
    trigger += "BEGIN UPDATE parents SET name = 'fired' WHERE id = NEW.id; END"
    room = Room(
        dialect_for(url),
        url,
        alias,
        directory,
        files,
        (trigger,),
        indexes_are_objects=True,
        impatient={"timeout": 0.05},
    )
    room.dialect.open_control(room.dialect.control_area(url))
    yield room


@contextlib.contextmanager
def mariadb_room(request: pytest.FixtureRequest, directory: Path) -> Iterator[Room]:
    """Databases of one private server, dropped after the test."""
    server: MariaDB = request.getfixturevalue("mariadb")
    url = server.url(f"t{secrets.token_hex(4)}")
    alias = url.set(drivername="mariadb+pymysql", host="localhost")

    def writes() -> list[tuple[Any, ...]]:
        done = "insert|update|delete|replace|truncate|load|create|drop|alter|rename"
        return server.execute(f"SHOW GLOBAL STATUS WHERE variable_name RLIKE 'Com_({done})'")

    trigger = "CREATE TRIGGER renamed BEFORE INSERT ON parents FOR EACH ROW SET NEW.name = 'fired'"
    room = Room(
        dialect_for(url, directory=directory),
        url,
        alias,
        directory,
        writes,
        (trigger,),
        impatient={"read_timeout": 5},
    )
    room.dialect.open_control(room.dialect.control_area(url))
    try:
        yield room
    finally:
        server.drop_all(str(url.database))


@contextlib.contextmanager
def postgresql_room(request: pytest.FixtureRequest, directory: Path) -> Iterator[Room]:
    """Schemas of a database of a private server, by a user who may create databases and nothing else."""
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.url(f"t{secrets.token_hex(4)}", "app", "app's: own\\")
    alias = url.set(drivername="postgresql", host="localhost")

    def next_transaction() -> list[tuple[Any, ...]]:
        return server.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())")

    function = "CREATE FUNCTION renaming() RETURNS trigger LANGUAGE plpgsql AS "
    function += "$$BEGIN NEW.name := 'fired'; RETURN NEW; END$$"
    trigger = "CREATE TRIGGER renamed BEFORE INSERT ON parents FOR EACH ROW EXECUTE FUNCTION renaming()"
    room = Room(
        dialect_for(url, directory=directory),
        url,
        alias,
        directory,
        next_transaction,
        (function, trigger),
        indexes_are_objects=True,
    )
    try:
        yield room
    finally:
        server.execute(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


ROOMS: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Room]]] = {
    "sqlite": sqlite_room,
    "mariadb": mariadb_room,
    "postgresql": postgresql_room,
}
"""A further server is one more line here."""
