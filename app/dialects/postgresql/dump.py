"""PostgreSQL: backup files by ``pg_dump``, and schemas made of them.

A dump spells the name of the schema it was taken of. It is restored under that name all the same, inside one
transaction that renames whatever has the name now out of the way and back: nobody else ever sees that, as the catalogs
are read as of what is committed, and no table is locked by it (tested under readers and writers). So no text of the
dump is rewritten, and nothing is left where a restore fails.

A dump is data, whoever wrote it: :mod:`.restore` runs it.

Objects get this user as their owner; the swap gives them that of what they take the place of. Grants are kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from ...errors import BackupFailed, DatabaseUnreachable, FerryError, LockHeld, OutOfSpace
from ..dumping import Dump
from ..files import fsync_directory, open_private
from . import locks
from .catalogue import ask_for_catalogue, sort_catalogue
from .client import Client, ProgramFailed, ProgramMissing, client, is_lost
from .connect import Connection, connect_to, connection_arguments, place_of, words_of
from .extensions import extensions_in, oid_of
from .filter import Forbidden
from .large import are_there, find_unreadable
from .names import HOLD, Place, prefix_of, quote
from .read import PostgresqlImage, PostgresqlReader, begin, export_snapshot
from .script import Script, Unreadable, printable
from .watch import Trespass

_MAGIC = b"PGDMP"

EXTENSIONS_HINT = (
    "An extension that lies in the schema of the app's tables can only be moved by a superuser. Let one do so, once: "
    "ALTER EXTENSION ... SET SCHEMA extensions"
)

MOST_CONTENTS_BYTES = 1 << 28
READER_BYTES = 2 << 30
"""Memory that ``pg_restore`` may use: it reads what strangers may have written."""

STRANGE_HINT = (
    "Nothing of it was kept. Look into it with pg_restore -f - FILE; restore another backup (flask db-backup --list)."
)

_ENTRY = re.compile(r"\d+; \d+ \d+ (.+)")
# What is not the schema's own content: it has a name and grants already, and default privileges are the swap's.
_LEFT_OUT = re.compile(
    r"(SCHEMA|EXTENSION|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|DEFAULT ACL|DATABASE|STATISTICS DATA)\b"
    r"|(COMMENT|ACL|SECURITY LABEL) - (SCHEMA|EXTENSION|PUBLICATION|EVENT TRIGGER|DATABASE) "
)
_IN_SCHEMA = re.compile(
    r"(?:(?:CHECK |FK )?CONSTRAINT|(?:FOREIGN )?TABLE(?: DATA| ATTACH)?|(?:MATERIALIZED )?VIEW(?: DATA)?"
    r"|SEQUENCE(?: SET| OWNED BY)?|INDEX(?: ATTACH)?|FUNCTION|PROCEDURE|AGGREGATE|OPERATOR(?: CLASS| FAMILY)?"
    r"|(?:SHELL )?TYPE|DOMAIN|COLLATION|CONVERSION|TEXT SEARCH (?:CONFIGURATION|DICTIONARY|PARSER|TEMPLATE)|DEFAULT"
    r"|STATISTICS|TRIGGER|RULE|POLICY|ROW SECURITY|COMMENT|ACL|SECURITY LABEL) (.+)"
)
"""The kinds of what lies in one schema; the schema's name comes next."""
# These lie in no schema: each, or (since version 17) several at once, and the contents of all of them.
_LARGE_CONTENT = re.compile(r"BLOBS - (?:BLOBS|\d+(?:\.\.\d+)?) .*")
_LARGE = re.compile(
    r"(?:BLOB - \d+|BLOB METADATA - \d+(?:\.\.\d+)?|(?:COMMENT|ACL) - LARGE OBJECTS? \d+(?:\.\.\d+)?) .*"
)
_LABELLED = "SECURITY LABEL - LARGE OBJECT"
_ONE_SCHEMA = "Make a dump of one schema: pg_dump -Fc -n SCHEMA"


def dump(
    client: Client,
    schema: str,
    to: Path,
    *,
    snapshot: str | None = None,
    tables: Sequence[str] = (),
    large_objects: bool = False,
    wait_s: float = 60,
    compressed: bool = True,
) -> None:
    """Write a schema, or some of its tables, into a file for its owner alone, flushed to disk.

    :param snapshot: an exported one; without it the dump is of an instant of its own.
    :param large_objects: all that the database has as well.
    :param wait_s: for tables that others keep locked.
    :param compressed: not where the file is read at once and goes again: that costs more than to write it whole.
    """
    names = [part for name in tables for part in ("-t", f"{quote(schema)}.{quote(name)}")] or ["-n", quote(schema)]
    arguments = [
        "-Fc",
        f"-Z{int(compressed)}",
        "-w",
        f"--lock-wait-timeout={int(wait_s * 1000)}",
        *names,
        "-d",
        client.conninfo,
    ]
    if large_objects:
        arguments.append("-b")
    if snapshot:
        arguments.append(f"--snapshot={snapshot}")
    try:
        with open_private(to) as file:
            with client.running("pg_dump", arguments, stdout=file) as running:
                running.wait_for_end(watched=to)
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            to.unlink(missing_ok=True)
        raise
    fsync_directory(to.parent)


def check_magic(file: Path) -> None:
    """:raises BackupFailed: the file does not begin as dumps do."""
    with file.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise BackupFailed(f"{file} is not a backup of PostgreSQL.")


@dataclass(frozen=True)
class Archive:
    """A dump's table of contents.

    :ivar entries: the lines of what is restored.
    :ivar schema: the one it was taken of, or None where it holds nothing.
    :ivar large: the lines of large objects, but for their contents.
    :ivar large_contents: the lines of those.
    """

    file: Path
    entries: list[str]
    schema: str | None
    large: list[str] = field(default_factory=list)
    large_contents: list[str] = field(default_factory=list)


def archive_of(client: Client, file: Path, schema: str) -> Archive:
    """Look at a dump.

    :param schema: the schema that it probably was taken of.
    :raises ProgramFailed: it is none, or was cut off within its contents.
    :raises BackupFailed: it is of more than one schema.
    """
    listing = client.private / "contents"
    with (
        listing.open("wb") as to,
        client.running("pg_restore", ["-l", str(file)], stdout=to, memory_bytes=READER_BYTES) as running,
    ):
        running.wait_for_end(watched=listing)
    if listing.stat().st_size > MOST_CONTENTS_BYTES:
        raise BackupFailed(f"{file} lists more objects than any schema has.")
    lines = [line for line in listing.read_text(errors="replace").split("\n") if _ENTRY.match(line)]
    large = [line for line in lines if _LARGE.fullmatch(_content(line))]
    contents = [line for line in lines if _LARGE_CONTENT.fullmatch(_content(line))]
    outside = {*large, *contents}
    entries = [line for line in lines if line not in outside and not _LEFT_OUT.match(_content(line))]
    places = [_place(line, file) for line in entries]
    if all(place.startswith(f"{schema} ") for place in places):
        return Archive(file, entries, schema if places else None, large, contents)
    schemas = {place.split(" ", 1)[0] for place in places}
    if len(schemas) > 1:
        raise BackupFailed(
            f"{file} is a dump of more than one schema: {printable(', '.join(sorted(schemas)[:10]))}.", hint=_ONE_SCHEMA
        )
    return Archive(file, entries, schemas.pop(), large, contents)


def _content(line: str) -> str:
    match = _ENTRY.match(line)
    return match[1] if match else ""


def _place(line: str, file: Path) -> str:
    """The schema of an entry, and what follows it.

    :raises BackupFailed: it is of no schema, or of a kind that is not known.
    """
    content = _content(line)
    if content.startswith(_LABELLED):
        raise BackupFailed(
            f"{file} holds what no backup carries, security labels of large objects: {printable(content[:80])}.",
            hint="Take them off in the database that it is of (SECURITY LABEL ON LARGE OBJECT ... IS NULL), then make "
            "another backup.",
        )
    match = _IN_SCHEMA.match(content)
    if match is None or match[1].startswith("- "):
        raise BackupFailed(f"{file} holds what is no part of a schema: {printable(content[:80])}.", hint=_ONE_SCHEMA)
    return match[1]


@dataclass(frozen=True)
class Renames:
    """What stands before and behind a dump's own statements.

    :ivar made: the name that the dump spells.
    :ivar place: the schema that is made of it.
    :ivar hold: what the schema is called meanwhile that has this name, or None where none has it.
    """

    made: str
    place: Place
    hold: str | None
    before: list[str]
    behind: list[str]


def renames(connection: Connection, place: Place, dumped: str, *, into: bool = False) -> Renames:
    """How a schema of the dumped name becomes ``place``, or, to add ``into`` it, what is there is for a while."""
    named, staging = quote(dumped), quote(place.schema)
    hold = prefix_of(place.target) + HOLD
    before, behind = [], [f"ALTER SCHEMA {named} RENAME TO {staging}"]
    if dumped == place.schema:
        behind = []
    there = oid_of(connection, dumped) is not None and dumped != place.schema
    if there:
        before.append(f"ALTER SCHEMA {named} RENAME TO {quote(hold)}")
        behind.append(f"ALTER SCHEMA {quote(hold)} RENAME TO {named}")
    if not into:
        before.append(f"CREATE SCHEMA {named}")
    elif dumped != place.schema:
        before.append(f"ALTER SCHEMA {staging} RENAME TO {named}")
    for extension in extensions_in(connection, dumped) if there else ():
        name = quote(extension.name)
        before.append(f"ALTER EXTENSION {name} SET SCHEMA {named}")
        behind.insert(0, f"ALTER EXTENSION {name} SET SCHEMA {quote(hold)}")
    return Renames(dumped, place, hold if there else None, before, behind)


def make_comment(connection: Connection, schema: str, comment: str | None) -> str:
    """The statement that gives a schema a comment."""
    statement = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(schema), sql.Literal(comment))
    return statement.as_string(connection)


@contextlib.contextmanager
def reading(client: Client, archive: Archive, *more: str, lines: Sequence[str] = ()) -> Iterator[Script]:
    """A dump's statements and rows, as ``pg_restore`` writes them for whoever runs them.

    :param more: options.
    :param lines: of large objects, for these in place of the schema, with their owners.
    :raises ProgramFailed: at the end of the block: the file is damaged.
    """
    listing = client.private / "chosen"
    listing.write_text("".join(f"{line}\n" for line in lines or archive.entries))
    owners = [] if lines else ["--no-owner"]
    arguments = [*owners, "--exit-on-error", "-L", str(listing), *more, "-f", "-", str(archive.file)]
    with client.running("pg_restore", arguments, stdout=subprocess.PIPE, memory_bytes=READER_BYTES) as source:
        yield Script(source.read)
        # Without this, what a cut file still had would be committed.
        source.wait_for_end()


@contextlib.contextmanager
def open_client(
    url: URL, tls_ca: Path | None, failed: type[FerryError], what: str
) -> Iterator[tuple[Client, Connection]]:
    """Programs for the URL's database, and a connection to it; see :func:`answering` for what they end with."""
    with (
        connect_to(url, tls_ca) as connection,
        answering(url, failed, what),
        client(connection_arguments(url, tls_ca), connection.info.server_version, None) as programs,
    ):
        yield programs, connection


def open_image(
    connection: Connection, url: URL, tls_ca: Path | None, schema: str, version_table: str, *, with_token: bool
) -> PostgresqlImage:
    """A schema as a transaction sees it that is begun here, with the large objects of its database.

    :param with_token: read what tells whether its tables were written since.
    """
    [rows] = begin(connection, schema, ask_for_catalogue(schema))
    token = locks.token(connection, schema) if with_token else b""

    def begin_dump(to: Path) -> Dump:
        what = f"The backup to {to} failed"
        with answering(url, BackupFailed, what):
            # Where one of them may not be read, pg_dump takes none.
            large = are_there(connection) and not find_unreadable(connection)
            snapshot = export_snapshot(connection)

        def write() -> None:
            with open_client(url, tls_ca, BackupFailed, what) as (programs, _):
                dump(programs, schema, to, snapshot=snapshot, large_objects=large)

        return Dump(beside=write)

    reader = PostgresqlReader(connection, schema, version_table, sort_catalogue(rows))
    return PostgresqlImage(reader, token, begin_dump)


@contextlib.contextmanager
def answering(url: URL, failed: type[FerryError], what: str) -> Iterator[None]:
    """Turn what programs end with into our errors.

    :param what: that failed, for people; without the full stop.
    :raises DatabaseUnreachable, LockHeld, OutOfSpace: the server went away; a table stayed locked; there is no room.
    :raises FerryError: of the class ``failed``: anything else.
    """
    try:
        yield
    except ProgramMissing as error:
        raise failed(
            f"{what}: {error}.",
            hint="Install PostgreSQL's client programs of the server's version or newer, or make a backup without "
            "them: --backup-to FILE.json.zst",
        ) from error
    except (Unreadable, Forbidden, Trespass) as error:
        raise failed(f"{what}: {error}.", hint=STRANGE_HINT if failed is BackupFailed else None) from error
    except (ProgramFailed, psycopg.Error) as error:
        words = printable(_words(error))
        state = error.state if isinstance(error, ProgramFailed) else error.sqlstate
        if state == "53100":
            raise OutOfSpace(f"The database server has no room: {words}", hint="Make room, run again.") from error
        if is_lost(error):
            raise DatabaseUnreachable(f"The database server at {place_of(url)} went away: {words}") from error
        if state == "55P03" or "lock timeout" in words:
            raise LockHeld(f"{what}: others keep a table locked: {words}", hint="Run it again.") from error
        hint = EXTENSIONS_HINT if state == "42501" and "owner of" in words else None
        raise failed(f"{what}: {words}", hint=hint) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise failed(f"{what}: {getattr(error, 'strerror', None) or error}") from error


def _words(error: ProgramFailed | psycopg.Error) -> str:
    """What a program or the server said, without values of rows."""
    state = getattr(error, "sqlstate", None) or ""
    if not isinstance(error, psycopg.Error) or state[:2] not in ("22", "23"):
        return words_of(error)
    words = (error.diag.message_primary or words_of(error)).partition(': "')[0]
    place = re.match(r"COPY (.+), line (\d+)", error.diag.context or "")
    detail = error.diag.message_detail or ""
    return ": ".join(
        part
        for part in (
            words,
            f"row {place[2]} of {place[1]}" if place else "",
            detail if detail.startswith("Key (") else "",
        )
        if part
    )
