"""PostgreSQL: a dump run as data: each statement looked at before, and what it did looked at after.

1. Before anything is run, ``pg_restore`` writes the script of the dump's definitions, and :mod:`.filter`
   compares each statement with those that ``pg_dump`` writes. No program takes the script as a whole (``psql`` would:
   its own commands run programs, and a COMMIT ends what the renames need): so it does not matter either whether this
   ``pg_restore`` is older than what guards ``psql`` against such texts (CVE-2025-8714, CVE-2025-8715).
2. One transaction renames, runs each statement that passes the filter once more, and renames back. A statement is sent
   in the extended protocol, in which the server refuses more than one at a time, however it reads the text
   (PostgreSQL manual, 55.2.3). COPY is sent as it was understood, and its rows through the protocol of COPY.
3. :mod:`.guard` lets a COMMIT fail that comes before the renames back, and :mod:`.watch` looks
   what the dump's own code did to anything else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL

from ...errors import BackupFailed, FerryError
from . import dump, rules, server
from .client import Client
from .connect import Connection
from .dump import Archive, Renames, reading
from .extensions import oid_of
from .filter import Act, Filter
from .guard import guard_schema
from .large import columns_of
from .large_script import LargeObjects, renumber_rows
from .large_write import Bringer
from .names import Place
from .script import Script, Statement
from .watch import Trespass, Watch

LOOK_S = 5.0
"""How often the locks are looked at: what the dump's own code locked, the application waits for."""

_LANGUAGES = "SELECT lanname::text FROM pg_catalog.pg_language WHERE lanpltrusted"
_SAME_SOURCE = (
    "SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
    "WHERE l.lanname = %s AND coalesce(p.probin, '') = %s AND p.prosrc = %s AND p.oid >= 16384 LIMIT 1"
)


def restore(backup: Path, url: URL, tls_ca: Path | None, place: Place, drop: Callable[[], None]) -> list[str]:
    """Make a schema of a backup, with its large objects; what is not as it was, in sentences.

    Large objects that were made for the schema before stay: a run brings those of its source before it has its tables.

    :param drop: removes what was begun, with all large objects that were made for the schema.
    :raises FerryError: as :func:`.dump.answering` says; nothing is left.
    """
    what = f"{backup} cannot be restored"
    with dump.answering(url, BackupFailed, what):
        dump.check_magic(backup)
    with dump.open_client(url, tls_ca, BackupFailed, what) as (programs, connection):
        archive = dump.archive_of(programs, backup.resolve(), place.target)
        server.drop(connection, place.schema)
        bringer = Bringer(connection, place)
        try:
            notes = bring_large_objects(programs, archive, bringer)
            around = dump.renames(connection, place, archive.schema or place.target)
            replay(programs, connection, archive, around, numbers=bringer.renumbered)
        except Exception:
            drop()
            raise
        return notes


def replay(
    client: Client,
    connection: Connection,
    archive: Archive,
    around: Renames,
    *,
    may_read: bool = False,
    numbers: Mapping[int, int] | None = None,
) -> None:
    """Run a dump's statements and rows between renames, all in one transaction.

    :param connection: in autocommit mode; fit for nothing else afterwards.
    :param may_read: the dump was made just now, of a schema of this database: its code may read the live one, as it
        does where it lies.
    :param numbers: those that large objects have here which the dump knows by others.
    :raises ProgramFailed, psycopg.Error: the file is damaged, or the server refused something; nothing is left.
    :raises Unreadable, Forbidden, Trespass: the dump is none that ``pg_dump`` wrote, or its code reaches further than
        its schema; nothing is left.
    """
    check(client, connection, archive, around)
    watch = Watch(connection, around.place.target, around.hold, around.made, may_read)
    with _transaction(watch), _rename_within(connection, around):
        watch.begin()
        _run(client, connection, archive, _filter(connection, around), watch, numbers or {})
        watch.check()


def analyze(connection: Connection, place: Place) -> None:
    """Analyze what was restored, whose own code may be called by that again.

    :raises FerryError: there is no such schema.
    :raises Trespass: the code reached further than its schema; nothing is left of it.
    """
    if oid_of(connection, place.schema) is None:
        raise FerryError(f"There is no schema {place.schema}.")
    watch = Watch(connection, place.target, None, place.schema, may_read=True)
    with _transaction(watch):
        watch.begin()
        rules.analyze(connection, place.schema)
        watch.check()


@contextlib.contextmanager
def _transaction(watch: Watch) -> Iterator[None]:
    """A transaction that sees catalogs as of its beginning, and at whose end nothing is left to be done."""
    watch.note_sequences()
    watch.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with watch.connection.transaction():
            yield
            watch.check_end()
    except BaseException:
        # What became of the work counts; a connection that is gone is told by whoever needs it next.
        with contextlib.suppress(psycopg.Error):
            watch.put_forward()
        raise


def bring_large_objects(client: Client, archive: Archive, bringer: Bringer) -> list[str]:
    """Bring the large objects of a dump, before its rows; what is not as it was, in sentences.

    :raises ProgramFailed: the file is damaged.
    :raises Unreadable, Forbidden: the dump is none that ``pg_dump`` wrote.
    """
    known = LargeObjects()
    if archive.large:
        with reading(client, archive, lines=archive.large) as script:
            known.read(script)
    if not archive.large_contents:
        return bringer.bring(known.objects(Script(lambda _: b"")))
    with reading(client, archive, lines=archive.large_contents) as script:
        return bringer.bring(known.objects(script))


def check(client: Client, connection: Connection, archive: Archive, around: Renames) -> None:
    """Look at all of a dump's definitions.

    :raises Unreadable, Forbidden: one is none that ``pg_dump`` writes.
    """
    allowed = _filter(connection, around)
    with reading(client, archive, "--schema-only") as script:
        for statement in script.statements():
            allowed.decide(statement)


def _filter(connection: Connection, around: Renames) -> Filter:
    languages = {name for (name,) in connection.execute(_LANGUAGES)}

    def is_known(*function: str) -> bool:
        return connection.execute(_SAME_SOURCE, function).fetchone() is not None

    return Filter(around.made, [around.hold] if around.hold else [], languages, is_known)


@contextlib.contextmanager
def _rename_within(connection: Connection, around: Renames) -> Iterator[None]:
    """The renames, and no COMMIT in between."""
    live = oid_of(connection, around.made) if around.hold else None
    for statement in around.before:
        connection.execute(statement.encode())
    created = oid_of(connection, around.made)
    with contextlib.ExitStack() as guards:
        if live is not None:
            guards.enter_context(guard_schema(connection, live, around.made))
        if created is not None:
            guards.enter_context(guard_schema(connection, created, around.place.schema))
        yield
        for statement in around.behind:
            connection.execute(statement.encode())


def _run(
    client: Client,
    connection: Connection,
    archive: Archive,
    allowed: Filter,
    watch: Watch,
    numbers: Mapping[int, int],
) -> None:
    # Of these, a dump is in the form that its own session had: the role's or the database's.
    connection.execute("SET LOCAL lc_monetary TO DEFAULT")
    connection.execute("SELECT pg_catalog.set_config('search_path', '', true)")
    looked = time.monotonic()
    with reading(client, archive) as script:
        for statement in script.statements():
            act = allowed.decide(statement)
            if act is Act.RUN:
                connection.execute(statement.text, binary=True)
            elif act is Act.COPY:
                _copy(connection, statement, _renumber(connection, allowed.schema, statement, script.rows(), numbers))
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise Trespass(f"statement {statement.number} ended the transaction")
            if time.monotonic() - looked > LOOK_S:
                _look(connection, watch)
                looked = time.monotonic()
    connection.execute("SET client_encoding TO 'UTF8'")


def _renumber(
    connection: Connection, schema: str, statement: Statement, pieces: Iterator[bytes], numbers: Mapping[int, int]
) -> Iterator[bytes]:
    """The rows of a COPY, with the numbers of large objects that these have here."""
    if not numbers:
        return pieces
    encoding = connection.info.encoding
    words = [word.name.decode(encoding) for word in statement.words if word.kind in ("word", "identifier")]
    # COPY schema.table (column, ...) FROM stdin
    table, columns = words[2], words[3:-2]
    named = columns_of(connection, schema, partitions=True).get(table, ())
    places = [columns.index(column) for column in named if column in columns]
    return renumber_rows(pieces, places, numbers) if places else pieces


def _copy(connection: Connection, statement: Statement, pieces: Iterator[bytes]) -> None:
    """:raises psycopg.Error, Unreadable: whichever came first."""
    text = b" ".join(word.raw for word in statement.words)
    failed: BaseException | None = None
    try:
        with connection.cursor() as cursor, cursor.copy(text) as copy:
            try:
                for piece in pieces:
                    copy.write(piece)
            # The driver would log what the server says to a COPY that is given up, with a row.
            except BaseException as error:  # noqa: BLE001 # it is raised below
                failed = error
    except psycopg.Error:
        if failed is None:
            raise
    if failed is not None:
        raise failed


def _look(connection: Connection, watch: Watch) -> None:
    watch.check_locks()
    connection.execute("SELECT pg_catalog.set_config('search_path', '', true)")
