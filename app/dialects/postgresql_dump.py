"""PostgreSQL: backup files by ``pg_dump``, and schemas made of them.

A dump spells the name of the schema it was taken of. It is restored under that name all the same, inside one
transaction that renames whatever has the name now out of the way and back: nobody else ever sees that, as the catalogs
are read as of what is committed, and no table is locked by it (tested under readers and writers). So no text of the
dump is rewritten, and nothing is left where a restore fails.

Objects get this user as their owner; the swap gives them that of what they take the place of. Grants are kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from ..errors import BackupFailed, DatabaseUnreachable, DoesNotFit, FerryError, LockHeld
from .postgresql_connect import Connection, place_of, words_of
from .postgresql_extensions import extensions_in, oid_of
from .postgresql_names import HOLD, Place, prefix_of, quote
from .postgresql_programs import Client, ProgramFailed, ProgramMissing, Running, is_lost

MAGIC = b"PGDMP"
PIECE_BYTES = 1 << 18

EXTENSIONS_HINT = (
    "An extension that lies in the schema of the app's tables can only be moved by a superuser. Let one do so, once: "
    "ALTER EXTENSION ... SET SCHEMA extensions"
)

_ENTRY = re.compile(r"\d+; \d+ \d+ (.+)")
# What is not the schema's own content: it has a name and grants already, and default privileges are the swap's.
_LEFT_OUT = re.compile(
    r"(SCHEMA|EXTENSION|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|DEFAULT ACL|DATABASE)\b"
    r"|(COMMENT|ACL|SECURITY LABEL) - (SCHEMA|EXTENSION|PUBLICATION|EVENT TRIGGER|DATABASE) "
)
_IN_SCHEMA = re.compile(
    r"(?:TABLE DATA|TABLE ATTACH|TABLE|VIEW|MATERIALIZED VIEW DATA|MATERIALIZED VIEW|SEQUENCE SET|SEQUENCE OWNED BY"
    r"|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE|TYPE|DOMAIN) (.+)"
)
_NEWER_SETTING = b"SET transaction_timeout = 0;\n"
"""Written by version 17 and later for servers that do not know it; the only line that is ever left out."""


def dump(
    client: Client,
    schema: str,
    to: Path,
    *,
    snapshot: str | None = None,
    tables: Sequence[str] = (),
    wait_s: float = 60,
) -> None:
    """Write a schema, or some of its tables, into a file for its owner alone, flushed to disk.

    :param snapshot: an exported one; without it the dump is of an instant of its own.
    :param wait_s: for tables that others keep locked.
    """
    names = [part for name in tables for part in ("-t", f"{quote(schema)}.{quote(name)}")] or ["-n", quote(schema)]
    arguments = ["-Fc", "-Z1", "-w", f"--lock-wait-timeout={int(wait_s * 1000)}", *names, "-d", client.conninfo]
    if snapshot:
        arguments.append(f"--snapshot={snapshot}")
    try:
        with open(os.open(to, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            with client.running("pg_dump", arguments, stdout=file) as running:
                running.ended(watched=to)
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            to.unlink(missing_ok=True)
        raise
    _sync(to.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Archive:
    """A dump's table of contents.

    :ivar entries: the lines of what is restored.
    :ivar schema: the one it was taken of, or None where it holds nothing.
    """

    file: Path
    entries: list[str]
    schema: str | None


def archive_of(client: Client, file: Path, own: str) -> Archive:
    """Look at a dump.

    :param own: the schema that it probably was taken of.
    :raises ProgramFailed: it is none, or was cut off within its contents.
    :raises BackupFailed: it is of more than one schema.
    """
    listing = client.private / "contents"
    with listing.open("wb") as to, client.running("pg_restore", ["-l", str(file)], stdout=to) as running:
        running.ended(watched=listing)
    lines = [line for line in listing.read_text(errors="replace").splitlines() if _ENTRY.match(line)]
    entries = [line for line in lines if not _LEFT_OUT.match(_content(line))]
    places = [match[1] for line in entries if (match := _IN_SCHEMA.match(_content(line)))]
    if all(place.startswith(f"{own} ") for place in places):
        return Archive(file, entries, own if places else None)
    schemas = {place.split(" ", 1)[0] for place in places}
    if len(schemas) > 1:
        raise BackupFailed(
            f"{file} is a dump of more than one schema: {', '.join(sorted(schemas))}.",
            hint="Make a dump of one schema: pg_dump -Fc -n SCHEMA",
        )
    return Archive(file, entries, schemas.pop())


def _content(line: str) -> str:
    match = _ENTRY.match(line)
    return match[1] if match else ""


@dataclass(frozen=True)
class Renames:
    """What stands before and behind a dump's own statements."""

    before: list[str]
    behind: list[str]

    @property
    def header(self) -> bytes:
        settings = {
            "client_min_messages": "error",
            "default_transaction_read_only": "off",
            "lock_timeout": "'60s'",
            "statement_timeout": "0",
            "synchronous_commit": "on",
        }
        return _statements([*(f"SET {name} = {value}" for name, value in settings.items()), "BEGIN", *self.before])

    @property
    def footer(self) -> bytes:
        return _statements([*self.behind, "COMMIT"])


def _statements(lines: Sequence[str]) -> bytes:
    return "".join(f"{line};\n" for line in lines).encode()


def renames(connection: Connection, place: Place, dumped: str, *, into: bool = False) -> Renames:
    """How a schema of the dumped name becomes ``place``, or, to add ``into`` it, what is there is for a while."""
    named, staging = quote(dumped), quote(place.schema)
    hold = quote(prefix_of(place.target) + HOLD)
    before, behind = [], [f"ALTER SCHEMA {named} RENAME TO {staging}"]
    if dumped == place.schema:
        behind = []
    there = oid_of(connection, dumped) is not None and dumped != place.schema
    if there:
        before.append(f"ALTER SCHEMA {named} RENAME TO {hold}")
        behind.append(f"ALTER SCHEMA {hold} RENAME TO {named}")
    if not into:
        before.append(f"CREATE SCHEMA {named}")
    elif dumped != place.schema:
        before.append(f"ALTER SCHEMA {staging} RENAME TO {named}")
    for extension in extensions_in(connection, dumped) if there else ():
        name = quote(extension.name)
        before.append(f"ALTER EXTENSION {name} SET SCHEMA {named}")
        behind.insert(0, f"ALTER EXTENSION {name} SET SCHEMA {hold}")
    return Renames(before, behind)


def commented(connection: Connection, schema: str, comment: str | None) -> str:
    """The statement that gives a schema a comment."""
    statement = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(schema), sql.Literal(comment))
    return statement.as_string(connection)


def replay(client: Client, archive: Archive, around: Renames, *, server_version: int) -> None:
    """Run a dump's statements and rows between others, all in one transaction.

    :raises ProgramFailed: the file is damaged, or the server refused something; nothing is left.
    """
    chosen = client.private / "chosen"
    chosen.write_text("".join(f"{line}\n" for line in archive.entries))
    arguments = ["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", client.conninfo]
    with client.running("psql", arguments, stdin=subprocess.PIPE) as psql:
        try:
            psql.feed(around.header)
            _pump(client, archive.file, chosen, psql, server_version)
            psql.feed(around.footer)
        except BrokenPipeError as error:
            raise psql.stopped() from error
        assert psql.process.stdin  # noqa: S101 # it was started with one
        psql.process.stdin.close()
        psql.ended()


def _pump(client: Client, file: Path, chosen: Path, psql: Running, server_version: int) -> None:
    arguments = ["--no-owner", "--exit-on-error", "-L", str(chosen), "-f", "-", str(file)]
    with client.running("pg_restore", arguments, stdout=subprocess.PIPE) as source:
        assert source.process.stdout  # noqa: S101 # it was started with one
        first = True
        while piece := source.process.stdout.read(PIECE_BYTES):
            if first and server_version < 170000:
                piece = piece.replace(_NEWER_SETTING, b"", 1)
            psql.feed(piece)
            first = False
        # Without this, what a cut file still had would be committed.
        source.ended()


@contextlib.contextmanager
def answering(url: URL, failed: type[FerryError], what: str) -> Iterator[None]:
    """Turn what programs end with into our errors.

    :param what: that failed, for people; without the full stop.
    :raises DatabaseUnreachable, LockHeld, DoesNotFit: the server went away; a table stayed locked; there is no room.
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
    except (ProgramFailed, psycopg.Error) as error:
        words = words_of(error)
        state = error.state if isinstance(error, ProgramFailed) else error.sqlstate
        if is_lost(error):
            raise DatabaseUnreachable(f"The database server at {place_of(url)} went away: {words}") from error
        if state == "53100":
            raise DoesNotFit(f"The database server has no room: {words}", hint="Make room, run again.") from error
        if state == "55P03" or "lock timeout" in words:
            raise LockHeld(f"{what}: others keep a table locked: {words}", hint="Run it again.") from error
        hint = EXTENSIONS_HINT if state == "42501" and "owner of" in words else None
        raise failed(f"{what}: {words}", hint=hint) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise failed(f"{what}: {getattr(error, 'strerror', None) or error}") from error
