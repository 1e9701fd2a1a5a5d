"""The real engine, in-process: a database to a snapshot, a snapshot into a staging database, and that read again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.base import Dialect
from app.dialects.model import Table
from app.transfer.rows.header import header_of, order_parents_first
from app.transfer.rows.scratch import Aside
from app.transfer.rows.snapshot import SnapshotReader, check_file
from app.transfer.sources.snapshot_writing import write_rows
from app.transfer.staging.load import load
from app.transfer.staging.rows_file import RowsFile
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL

Sections = dict[str, list[bytes]]
"""By table the lines of a snapshot's section."""


@dataclass
class Place:
    """A server with a database of the test's own."""

    name: str
    dialect: Dialect
    target: URL
    directory: Path

    def other(self, name: str) -> URL:
        """A staging database beside the target."""
        return self.dialect.staging_url(self.target, name)

    def tables(self, url: URL) -> dict[str, Table]:
        with self.dialect.reader(url) as reader:
            return reader.tables()


def place(name: str, url: URL, directory: Path) -> Place:
    """A server by the URL of a database that need not exist yet; it is made."""
    made = Place(name, dialect_for(url, directory=directory), url, directory)
    made.dialect.open_control(made.dialect.control_area(url))
    made.dialect.create(url)
    return made


def snapshot(at: Place, url: URL, to: Path) -> Path:
    """Write a snapshot of all tables of a database, with their columns in the order in which they were declared."""
    tables = at.tables(url)
    header = replace(header_of("a test", "a test", "0001", tables), tables=tuple(order_parents_first(tables)))
    with at.dialect.reader(url) as reader:
        write_rows(reader, to, header, lambda *_: None)
    return to


def sections(path: Path) -> Sections:
    """The sections of a snapshot, every line checked against its hashes."""
    with SnapshotReader(path) as reader:
        return {name: [line for line, _ in lines] for name, lines in reader.sections()}


def header_tables(path: Path) -> Mapping[str, Table]:
    with SnapshotReader(path) as reader:
        return {table.name: table for table in reader.header.tables}


@dataclass
class Loaded:
    """What a load made of a snapshot: by table the refused rows' lines and reasons, by number."""

    refused: dict[str, dict[int, str]] = field(default_factory=dict)
    rows: int = 0


def load_snapshot(at: Place, staging: URL, path: Path, exclude: Iterable[str] = ()) -> Loaded:
    """Load a snapshot into the tables that a staging database has."""
    with Aside() as aside:
        rows = RowsFile(check_file(path), at.tables(staging), set(exclude), aside)
        with at.dialect.loading(staging):
            accounts, _ = load(at.dialect, staging, rows)
        done = Loaded()
        for table, number, reason, _ in aside.rows():
            done.refused.setdefault(table, {})[number] = reason
        done.rows = sum(account.loaded.rows for account in accounts.values())
        return done


def without(lines: list[bytes], refused: Mapping[int, Any]) -> list[bytes]:
    """The lines of the rows that were not refused."""
    return [line for number, line in enumerate(lines, 1) if number not in refused]


def places_on(mariadb: MariaDB, postgresql: PostgreSQL, directory: Path) -> dict[str, Place]:
    """A database with a new name on each server."""
    name = f"t{secrets.token_hex(4)}"
    urls = {
        "sqlite": URL.create("sqlite", database=str(directory / "sqlite" / "live.db")),
        "mariadb": mariadb.url(name),
        "postgresql": postgresql.url(name),
    }
    found = {}
    for server, url in urls.items():
        (directory / server).mkdir(parents=True)
        found[server] = place(server, url, directory / server)
    return found
