"""Where the forum lies: files and private servers, each with a filled source, and new databases for each run."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psutil
import psycopg

from tests.support.servers import make_directory
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL, program

TABLES = ("users", "posts", "tags", "post_tags", "follows")
ALL_TABLES = (*TABLES, "alembic_version")
SOURCE = "forum"
BATCH_ROWS = 500
_ROLE = "bench"

_numbers = itertools.count(1)


class Store(Protocol):
    """One place of databases."""

    def url(self, name: str, port: int | None = None) -> str:
        """The URL that an app has of a database; a server's may be over another port than its own."""

    def make(self) -> str:
        """Make room for a new database and return its name."""

    def copy(self) -> str:
        """A new database that is like the source."""

    def count(self, name: str) -> int:
        """The rows of the forum's tables."""

    def clear(self) -> None:
        """Remove every database but the source."""

    def cpu_s(self) -> float:
        """What the server took so far."""

    def stop(self) -> None:
        """End the server."""


def fill_tables(file: Path, server: MariaDB | PostgreSQL, name: str) -> None:
    """Write a SQLite forum's rows into the same tables on a server."""
    write = _write_mariadb if isinstance(server, MariaDB) else _write_postgresql
    with closing(sqlite3.connect(file)) as source:
        for table in TABLES:
            write(server, name, table, source.execute(f"SELECT * FROM {table}"))


def _write_mariadb(server: MariaDB | PostgreSQL, name: str, table: str, rows: sqlite3.Cursor) -> None:
    marks = ", ".join(["%s"] * len(rows.description))
    with server.connect(name) as connection, connection.cursor() as cursor:
        while batch := rows.fetchmany(BATCH_ROWS):
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)


def _write_postgresql(server: MariaDB | PostgreSQL, name: str, table: str, rows: sqlite3.Cursor) -> None:
    names = [column for column, *_ in rows.description]
    with server.connect(name) as connection, connection.cursor() as cursor:
        assert isinstance(cursor, psycopg.Cursor)
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row([bool(v) if n == "active" else v for n, v in zip(names, row, strict=True)])


class SqliteStore:
    """Files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.source = directory / f"{SOURCE}.db"

    def path(self, name: str) -> Path:
        """A database's file."""
        return self.source if name == SOURCE else self.directory / name / "live.db"

    def url(self, name: str, port: int | None = None) -> str:  # noqa: ARG002 # a file has no port
        return f"sqlite:///{self.path(name)}"

    def make(self) -> str:
        name = f"run{next(_numbers)}"
        (self.directory / name).mkdir()
        return name

    def copy(self) -> str:
        name = self.make()
        shutil.copyfile(self.source, self.path(name))
        return name

    def count(self, name: str) -> int:
        with closing(sqlite3.connect(self.path(name))) as connection:
            return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)

    def clear(self) -> None:
        for path in self.directory.glob("run*"):
            shutil.rmtree(path)

    def cpu_s(self) -> float:
        return 0.0

    def stop(self) -> None:
        """No server."""


class MariaStore:
    """A private MariaDB server."""

    def __init__(self) -> None:
        self.directory = make_directory("ferry-bench-")
        self.server = MariaDB(self.directory)
        self.server.prepare()
        self.server.start()
        self.create(SOURCE)

    def create(self, name: str) -> None:
        """Create an empty database."""
        self.server.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")

    def url(self, name: str, port: int | None = None) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{port or self.server.port}/{name}"

    def make(self) -> str:
        name = f"run{next(_numbers)}"
        self.create(name)
        return name

    def copy(self) -> str:
        name = self.make()
        subprocess.run(["bash", "-c", self.copy_line(name)], check=True)
        return name

    def client(self, program_name: str = "mariadb") -> str:
        """How a client program is called."""
        return f"{program_name} --no-defaults -h 127.0.0.1 -P {self.server.port} -u root"

    def copy_line(self, name: str) -> str:
        """A line of shell that copies the source into an empty database, in the server."""
        copies = "; ".join(f"INSERT INTO {name}.{t} SELECT * FROM {SOURCE}.{t}" for t in ALL_TABLES)
        return (
            f"{self.client('mariadb-dump')} --no-data {SOURCE} | {self.client()} {name} && "
            f"{self.client()} -e 'SET foreign_key_checks = 0; {copies}'"
        )

    def count(self, name: str) -> int:
        return sum(self.server.execute(f"SELECT count(*) FROM {name}.{table}")[0][0] for table in TABLES)

    def clear(self) -> None:
        names = self.server.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN "
            "(%s, 'mysql', 'sys', 'information_schema', 'performance_schema')",
            SOURCE,
        )
        for (name,) in names:
            self.server.execute(f"SET STATEMENT foreign_key_checks = 0 FOR DROP DATABASE `{name}`")

    def cpu_s(self) -> float:
        return cpu_s_of(self.server.pid)

    def stop(self) -> None:
        self.server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class PostgresStore:
    """A private PostgreSQL server, with a user whose password needs no escapes."""

    def __init__(self) -> None:
        self.server = PostgreSQL()
        self.server.prepare()
        self.server.start()
        self.server.execute(f"CREATE ROLE {_ROLE} SUPERUSER LOGIN PASSWORD '{_ROLE}'")
        self.server.execute(f"CREATE DATABASE {SOURCE} OWNER {_ROLE}")

    def url(self, name: str, port: int | None = None, driver: str = "+psycopg") -> str:
        return f"postgresql{driver}://{_ROLE}:{_ROLE}@127.0.0.1:{port or self.server.port}/{name}"

    def make(self, template: str = "template1") -> str:
        name = f"run{next(_numbers)}"
        self.server.execute(f"CREATE DATABASE {name} OWNER {_ROLE} TEMPLATE {template}")
        return name

    def copy(self) -> str:
        return self.make(SOURCE)

    def client(self, program_name: str) -> str:
        """How a client program is called."""
        return f"PGPASSWORD={_ROLE} {program(program_name)} -h 127.0.0.1 -p {self.server.port} -U {_ROLE}"

    def count(self, name: str) -> int:
        """The rows in the app's schema; where it has no tables, in any: pgloader makes one of the source's name."""
        schemas = self.server.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name = ANY(%s)",
            list(TABLES),
            database=name,
        )
        places = [place for place in schemas if place[0] == "public"] or schemas
        queries = [f'SELECT count(*) FROM "{schema}"."{table}"' for schema, table in places]
        return sum(self.server.execute(query, database=name)[0][0] for query in queries)

    def clear(self) -> None:
        names = self.server.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")
        for (name,) in names:
            if name not in (SOURCE, "postgres"):
                self.server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def cpu_s(self) -> float:
        return cpu_s_of(self.server.pid)

    def stop(self) -> None:
        self.server.stop()


def cpu_s_of(pid: int) -> float:
    """User and system time of a server, its children and those of them that ended."""
    server = psutil.Process(pid)
    times = server.cpu_times()
    total = sum(times[:4])
    for child in server.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile: its parent's children have it the next time
    return float(total)
