"""The nouns that the engine and the dialects share: tables, columns, identities, refused rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import URL

VERSION_TABLE = "alembic_version"
"""Alembic's own table, where an app does not call it otherwise."""

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
    TIMESTAMPTZ = "timestamptz"
    JSON = "json"
    UUID = "uuid"
    INTERVAL = "interval"
    ANY = "any"


@dataclass(frozen=True)
class KeyRange:
    """Rows whose key, or the first column of it, is a whole number above one and at most another one.

    :ivar above: None: from the first on. :ivar up_to: None: to the last.
    """

    key: str
    above: int | None = None
    up_to: int | None = None

    def write(self, quote: Callable[[str], str]) -> str:
        """Behind WHERE, for a table that is called ``own``; ranges that meet leave no row out, of whatever key."""
        name = f"own.{quote(self.key)}"
        words = "1 = 1" if self.up_to is None else f"{name} <= {self.up_to:d}"
        # SQLite has keys that are NULL, which come first.
        return f"({words} OR {name} IS NULL)" if self.above is None else f"{name} > {self.above:d} AND {words}"


@dataclass(frozen=True)
class Where:
    """Rows that a condition of SQL holds for, in which their table is called ``own``."""

    condition: str

    def write(self, _quote: Callable[[str], str]) -> str:
        """As :meth:`KeyRange.write`."""
        return self.condition


@dataclass(frozen=True)
class Column:
    """A column; ``length`` in characters, ``scale`` in digits after the point.

    :ivar loose: it may hold values of another type than its own.
    """

    name: str
    type: LogicalType
    nullable: bool = True
    length: int | None = None
    scale: int | None = None
    loose: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of one table refer to ``referred`` columns of ``table``."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table as rows travel: generated columns are not among its columns.

    :ivar virtual: its server's module keeps the rows; older versions knew no such tables.
    :ivar of_alembic: its row is the revision that the database is at.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    virtual: bool = field(default=False, compare=False)
    of_alembic: bool = field(default=False, compare=False)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def key_of(self, row: Sequence[Any]) -> list[Any]:
        """The row's primary key, or the whole row where the table has none."""
        names = self.column_names
        return [row[names.index(name)] for name in self.primary_key] or list(row)


def mark_version_table(tables: Mapping[str, Table], name: str, *, folds: bool) -> dict[str, Table]:
    """The tables of a database, that of the revision among them marked as Alembic's.

    :param name: what the app calls it.
    :param folds: the server means the same table by any spelling in upper and lower case.
    """
    alike = [other for other in tables if other.lower() == name.lower()] if folds else []
    spelled = name if name in tables or not alike else alike[0]
    return {key: replace(table, of_alembic=key == spelled) for key, table in tables.items()}


@dataclass(frozen=True)
class TableChecksum:
    """Rows and the sum of their 128-bit hashes modulo 2^128: free of the order of rows."""

    rows: int
    total: int

    def __str__(self) -> str:
        return f"{self.total:032x}"


@dataclass(frozen=True)
class SchemaObject:
    """What is not part of a table's own definition: a view, trigger, index, virtual table, routine, event, ...

    :ivar sql: the statement that creates it, which does not spell the database (or schema) it lies in.
    """

    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class Definition:
    """One thing that a schema holds besides tables and columns, in a form in which two databases can be compared.

    :ivar kind: e.g. ``view``, ``trigger``, ``index``, ``unique``, ``check``, ``collation``; see :data:`UNNAMED`.
    :ivar table: the table it is of, or an empty text.
    :ivar name: its name, or the column's; an empty text where the server gave it one.
    :ivar columns: those of the table that it needs: without one of them it cannot be.
    :ivar text: what it is, free of spelling: words in lower case without quotes, one blank between them.
    """

    kind: str
    table: str
    name: str
    columns: tuple[str, ...] = ()
    text: str = ""

    @property
    def label(self) -> str:
        """By what name a revision declares it: its own, after that of its table where it has one."""
        name = self.name or self.text
        return f"{self.table}.{name}" if self.table and self.table != self.name else name

    def __str__(self) -> str:
        of = f" on {self.table}" if self.table and self.table != self.name else ""
        name = self.name or f"({self.text})"
        return f"{self.kind} {name}{of}"


UNNAMED = frozenset(
    {
        *("unique", "check", "exclude", "foreign key", "collation"),
        *("autoincrement", "generated column", "column option", "table option", "conflict clause"),
    }
)
"""Kinds that are known by what they say: their names may be the server's, or come with one and go with another."""


@dataclass(frozen=True)
class Counter:
    """What gives out numbers: a sequence, an identity, AUTO_INCREMENT.

    :ivar name: a sequence's own, else ``table.column``.
    :ivar next: what it would give out next; beyond its end where it has nothing left.
    :ivar table: the one that it fills a column of; else an empty text, as ``column`` is then.
    :ivar cycles: it begins again at its end, so that what it gave out says nothing of what it may.
    """

    name: str
    next: int
    table: str = ""
    column: str = ""
    step: int = 1
    cycles: bool = False

    @property
    def ascends(self) -> bool:
        return self.step > 0


THIS_HOST = "this host"


@dataclass(frozen=True)
class Identity:
    """A database as its server names it.

    :ivar server: the server's name and version.
    :ivar host: ``this host`` for a file, else host and port of the URL.
    :ivar database: the database's own name; for a file its path.
    :ivar uid: equal for two URLs of the same database.
    :ivar nearby: a file, or a server on this machine (loopback or a socket).
    """

    server: str
    host: str
    database: str
    uid: str
    nearby: bool = True

    @property
    def is_file(self) -> bool:
        """Whether the database is a file of this host; else it is a server's."""
        return self.host == THIS_HOST

    @property
    def full_name(self) -> str:
        """The name that backups are listed under: a server's databases with their host."""
        return self.database if self.is_file else f"{self.host}/{self.database}"


@dataclass(frozen=True)
class ControlArea:
    """Where the control tables lie, beside the database, and the files of runs, on this host."""

    url: URL
    directory: Path


@dataclass(frozen=True)
class Refusal:
    """A row that the server refused; ``number`` counts the table's rows from 1.

    :ivar equal_to: the primary key of the row that it is equal to, where that is known.
    """

    number: int
    row: Values
    message: str
    equal_to: Values = field(default_factory=list)


@dataclass(frozen=True)
class LoadResult:
    """Rows that went into a table, and those that did not.

    :ivar note: why a slower way than the fastest was taken, or an empty text.
    """

    loaded: int
    refused: list[Refusal] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True)
class Beside:
    """A staging database or a generation that lies beside a target.

    :ivar name: what :meth:`Dialect.staging_url` or :meth:`Dialect.generation_url` was given.
    """

    name: str
    url: URL
    is_generation: bool


@dataclass(frozen=True)
class Capabilities:
    """What this server does; every difference the engine asks about."""

    enforces_foreign_keys: bool
    """An engine for Alembic refuses rows that refer to nothing."""
    swap_moves_old: bool
    """The swap itself leaves the old database beside the new one; else a copy is kept before it."""
    outside_objects: bool = False
    """Values may name what lies outside of all tables, and that can be brought along."""
    loaders: int = 64
    """How many other processes, which know nothing of the app, may load rows at once. With one alone nobody else may
    meanwhile."""
    sees_commits: bool = False
    """The token of a watch is another one after any commit, whatever that wrote, and asking for it reads no row."""
    named_live: bool = False
    """While the app's own code works on staging, the name of the live schema means staging."""
    beside_names: str = ""
    """A regular expression for the names of what lies beside a target, where the app's sessions have it in sight."""
    query_for_bytes: str = ""
    """What a URL's query says where the app decodes UTF-8 itself that lies in columns of another character set."""
    query_for_text: str = ""
    """A query for the text of U+00C3 and U+00A9, where a session may show other characters than there are.

    Sent as latin1 these two characters are UTF-8 for another one: no driver fails on them.
    """


@dataclass(frozen=True)
class Grant:
    """A privilege on an object: the role's name, empty for everybody, and whether it may grant it on."""

    role: str
    privilege: str
    grantable: bool


@dataclass(frozen=True)
class OutsideObject:
    """Bytes that lie on a server outside of all tables, and that values name by a number.

    :ivar grants: None where they are those of every new object.
    :ivar parts: the content, read once, and before that of the next object.
    """

    number: int
    owner: str
    comment: str | None
    grants: frozenset[Grant] | None
    parts: Iterator[bytes]


@dataclass(frozen=True)
class Overview:
    """A database at a glance.

    :ivar rows: rows per table, without those of Alembic's own.
    :ivar revisions: what Alembic's own table says.
    :ivar mark: the generation mark, or an empty text.
    """

    rows: dict[str, int]
    revisions: list[str]
    mark: str
    size_bytes: int


@dataclass(frozen=True)
class Look:
    """What a fence sees at one instant; each part differs after what it is of was changed by a committed statement.

    :ivar token: of the whole database.
    :ivar schema: of all that is no row.
    :ivar tables: of rows, by the table's name; of none where the server cannot tell tables apart.
    """

    token: bytes
    schema: str
    tables: Mapping[str, str]


class LateWrite(Exception):  # an event, caught by the engine and answered with another pass
    """The target was written after the token was taken; nothing was changed."""
