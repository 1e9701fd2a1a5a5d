"""What the engine asks of a database server: the Dialect protocol and the words it is spoken in.

Rooms are dumb: each method does one thing, says how it fails, and decides nothing. Differences between servers
are capabilities, asked by name; no other package knows a server's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Engine

Values = list[Any]
"""One row as canonical values (see :mod:`.values`), in the order of its table's columns."""


class LogicalType(StrEnum):
    """The small set of types that every server's columns are described in."""

    BOOL = "bool"
    INT = "int"
    DECIMAL = "decimal"
    FLOAT = "float"
    TEXT = "text"
    BYTES = "bytes"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    JSON = "json"
    ANY = "any"


@dataclass(frozen=True)
class Column:
    """A column; ``length`` in characters, ``scale`` in digits after the point."""

    name: str
    type: LogicalType
    nullable: bool = True
    length: int | None = None
    scale: int | None = None


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of one table refer to ``referred`` columns of ``table``."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table as rows travel: generated columns are not among its columns."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def key_of(self, row: Sequence[Any]) -> list[Any]:
        """The row's primary key, or the whole row where the table has none."""
        names = self.column_names
        return [row[names.index(name)] for name in self.primary_key] or list(row)


@dataclass(frozen=True)
class TableChecksum:
    """Rows and the sum of their 128-bit hashes modulo 2^128: free of the order of rows."""

    rows: int
    total: int

    def __str__(self) -> str:
        return f"{self.total:032x}"


@dataclass(frozen=True)
class SchemaObject:
    """A view, trigger, index or virtual table that is not part of a table's own definition."""

    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class Identity:
    """A database as its server names it; ``uid`` is equal for two URLs of the same database."""

    server: str
    host: str
    database: str
    uid: str


@dataclass(frozen=True)
class ControlArea:
    """Where the control tables and the files of runs lie, beside the database."""

    url: URL
    directory: Path


@dataclass(frozen=True)
class Refusal:
    """A row that the server refused; ``number`` counts the table's rows from 1."""

    number: int
    row: Values
    message: str


@dataclass(frozen=True)
class LoadResult:
    """Rows that went into a table, and those that did not."""

    loaded: int
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class Capabilities:
    """What this server does; every difference the engine asks about."""

    transactional_ddl: bool
    """A failed upgrade leaves nothing behind."""
    enforces_length: bool
    """VARCHAR(n) refuses longer text."""
    holds_foreign_types: bool
    """A column may hold a value of another type than its own."""
    swap_moves_old: bool
    """The swap itself leaves the old database beside the new one; else a copy is kept before it."""


class LateWrite(Exception):  # an event, caught by the engine and answered with another pass
    """The target was written after the token was taken; nothing was changed."""


class Fence(Protocol):
    """Tells whether a database was written, for as long as it is open."""

    def token(self) -> bytes:
        """A value that differs after any committed write by anybody else."""

    def hold(self, timeout_s: float) -> AbstractContextManager[None]:
        """Let writers wait while this is held; readers go on. A swap that is called meanwhile ends it.

        :raises LockHeld: another connection kept writing for ``timeout_s``.
        """


class Reader(Protocol):
    """One consistent read of a database."""

    def tables(self) -> dict[str, Table]:
        """All base tables by name, the engine's own and the server's left out."""

    def objects(self) -> list[SchemaObject]:
        """Views, triggers, indexes on their own and virtual tables, in an order that creates them."""

    def count(self, table: str) -> int:
        """Rows of a table."""

    def rows(self, table: Table) -> Iterator[Values]:
        """Canonical rows in the order of the primary key.

        :raises DoesNotFit: a value that no canonical form exists for, with table, column and key.
        """

    def values(self, table: Table, column: str) -> Iterator[Any]:
        """The canonical values of one column that are not NULL, in no order."""


class Dialect(Protocol):
    """One database server's room."""

    name: str
    capabilities: Capabilities
    backup_suffix: str

    def check(self, url: URL) -> None:
        """Refuse what the promises do not hold for.

        :raises Protected: e.g. an in-memory database, a server too old.
        """

    def exists(self, url: URL) -> bool:
        """Whether the database is there; a file without a byte is not."""

    def create(self, url: URL) -> bool:
        """Create an empty database if absent; return whether it was."""

    def drop(self, url: URL) -> None:
        """Remove a staging database or generation, if it is there. Never called with a live one."""

    def identity(self, url: URL) -> Identity:
        """Which database this is, asked of the server where there is one."""

    def control_area(self, url: URL) -> ControlArea:
        """Where the control area of this target lies; nothing is created."""

    def open_control(self, area: ControlArea) -> None:
        """Make the place of the control area, for its owner alone, if it is not there.

        :raises OSError: it cannot be made.
        """

    def staging_url(self, url: URL, name: str) -> URL:
        """Where a staging database of this target lies."""

    def generation_url(self, url: URL, mark: str) -> URL:
        """Where a generation of this target is kept."""

    def prepare_staging(self, staging: URL, target: URL) -> None:
        """Create an empty staging database that can later be swapped with the target."""

    def fit_staging(self, staging: URL, target: URL) -> None:
        """Make a staging database that came from a file fit for a swap with the target."""

    def engine(self, url: URL) -> Engine:
        """An engine for Alembic on a staging database: foreign keys not enforced."""

    def reader(self, url: URL) -> AbstractContextManager[Reader]:
        """A consistent read, which writes nothing to the database."""

    def mark(self, url: URL) -> str:
        """The generation mark, or an empty text."""

    def foreign_mark(self, url: URL) -> str:
        """What an app keeps of its own where the mark goes, in words, or an empty text."""

    def set_mark(self, url: URL, mark: str) -> None:
        """Write the generation mark of a staging database."""

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int) -> LoadResult:
        """Load rows in one transaction; those the server refuses are in the result, with its words."""

    def copy(self, source: URL, to: URL, *, timeout_s: float) -> None:
        """Make ``to`` an exact copy of ``source``, all objects included, at one instant."""

    def keep(self, staging: URL, generation: URL) -> None:
        """Keep what was swapped in, as it was then, where the swap left a copy of it in staging."""

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        """Create tables of another database in staging as they are, with their rows and indexes."""

    def create_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        """Create views, triggers and indexes.

        :raises DoesNotFit: one of them does not fit the schema, with the server's words.
        """

    def drop_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        """Drop triggers, so that loading does not fire them."""

    def problems(self, url: URL) -> list[str]:
        """Every foreign key, NOT NULL, CHECK and UNIQUE that does not hold, and every damage found."""

    def is_out_of_space(self, error: BaseException) -> bool:
        """Whether the server says that there is no room."""

    def refused_keys(self, url: URL, words: str) -> list[str]:
        """For a constraint that the server's words name: which rows break it, by some of their keys."""

    def schema_fingerprint(self, url: URL) -> str:
        """A digest of all schema objects; equal as long as no DDL was done."""

    def fence(self, url: URL) -> AbstractContextManager[Fence]:
        """Watch the target from now on."""

    def swap(self, staging: URL, target: URL, fence: Fence, token: bytes, *, timeout_s: float) -> None:
        """Make the target what staging is, atomically, unless it was written since ``token``.

        :raises LateWrite: it was; nothing is changed.
        :raises LockHeld: others kept the target locked for ``timeout_s``; nothing is changed.
        """

    def size_bytes(self, url: URL) -> int:
        """Size of the database."""

    def free_bytes(self, url: URL) -> int | None:
        """Free space where the database lies, or None where it cannot be seen."""

    def lock(self, url: URL, timeout_s: float) -> AbstractContextManager[None]:
        """The session lock of this target.

        :raises LockHeld: somebody else holds it.
        """

    def dump(self, url: URL, to: Path) -> None:
        """Write a backup file of the whole database at one instant, flushed to disk."""

    def restore(self, dump: Path, url: URL) -> None:
        """Make a staging database of a backup file.

        :raises BackupFailed: the file is damaged or not a backup.
        """
