"""PostgreSQL: a "database" is a schema of the URL's database; staging and generations are schemas beside it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote as escaped

import psycopg
from sqlalchemy import URL, Engine
from sqlalchemy import Connection as AppConnection

from ...errors import BackupFailed, DoesNotFit, FerryError, ToolFailed
from ..base import Fence, Image, Watch
from ..files import make_directory
from ..model import Beside, Capabilities, ControlArea, Counter, Identity, LoadResult, SchemaObject, Table, Values
from ..samples import Problem
from ..watch import TokenWatch
from . import (
    control,
    copy,
    derived,
    dump,
    engine,
    load,
    lock,
    locks,
    names,
    objects,
    preflight,
    restore,
    rules,
    server,
    swap,
)
from . import counters as counters_of
from . import mark as mark_of
from .client import Client, client
from .connect import Connection, NoSuchDatabase, connected, connection_arguments, is_nearby, is_out_of_space, place_of
from .extensions import lent, oid_of
from .fence import PostgresqlFence
from .grants import adopt_defaults
from .names import GENERATION, STAGING, Place, own_place, with_schema
from .names import schema_named as _named
from .read import PostgresqlImage, PostgresqlReader, begin, reading


class PostgresqlDialect:
    """Schemas beside the target's: staging, generations and the control area.

    :param directory: files of runs lie below it, on this host.
    :param tls_ca: certificates that a server off this machine is verified by; by default the system's.
    """

    name = "PostgreSQL"
    backup_suffix = ".dump"
    driver_errors = (psycopg.Error,)
    capabilities = Capabilities(enforces_foreign_keys=True, swap_moves_old=True)

    def __init__(self, directory: Path, tls_ca: Path | None) -> None:
        self._directory, self._tls_ca = directory, tls_ca
        self._targets: dict[URL, str] = {}
        self._fences: list[PostgresqlFence] = []

    # Where things lie

    def _place(self, url: URL) -> Place:
        """The schema that a URL means: one of ours by its name, else what the server says is the host's."""
        own = own_place(url)
        if own is not None:
            return own
        if url not in self._targets:
            with server.connect_anyhow(url, self._tls_ca) as (connection, there):
                schema = server.schema_of_target(connection, there, _named(url))
                names.check_target(schema)
                if not there or oid_of(connection, schema) is None:
                    return Place(schema, schema)
            self._targets[url] = schema
        return Place(self._targets[url], self._targets[url])

    def _connect(self, url: URL, place: Place | None = None, **options: Any) -> AbstractContextManager[Connection]:
        path = [(place or self._place(url)).schema]
        return connected(url, self._tls_ca, search_path=path, **options)

    def check(self, url: URL) -> None:
        names.database_of(url)
        named = _named(url)
        if named is not None:
            names.check_target(named)

    def know_app(self, engine: Engine) -> None:
        """A server keeps all functions and collations itself."""

    def find_lacking(self, url: URL) -> list[str]:
        return []

    def whereabouts(self, url: URL) -> tuple[str, str] | None:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            # Until a command that writes moves it, the control area may be in the way of all sessions of this role.
            own = control.in_the_way(connection, place.target) if there else None
        return "SELECT current_schema()", own or place.schema

    def preflight(self, url: URL) -> None:
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            schema = server.schema_of_target(connection, there, _named(url))
            names.check_target(schema)
            if there:
                preflight.preflight(connection, schema)
            else:
                preflight.check_server(connection)
                preflight.check_can_create(connection, names.database_of(url))

    def keep_copies_in(self, directory: Path) -> None:
        """Nothing: a server's database is read where it is."""

    def exists(self, url: URL) -> bool:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            return there and oid_of(connection, place.schema) is not None

    def create(self, url: URL) -> bool:
        own = own_place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            if there:
                schema = own.schema if own else server.schema_of_target(connection, there, _named(url))
                return server.create_schema(connection, schema)
        made = server.create(url, self._tls_ca)
        place = self._place(url)
        with connected(url, self._tls_ca) as connection:
            return server.create_schema(connection, place.schema) or made

    def drop(self, url: URL) -> None:
        place = self._place(url)
        with contextlib.suppress(NoSuchDatabase), self._connect(url, place) as connection:
            server.drop(connection, place.schema)

    def identity(self, url: URL) -> Identity:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, _):
            server_uid, version = server.server_uid(connection), server.version_of(connection)
        database = names.database_of(url)
        # By name, and not by OID: so it stays the same when the database is created.
        uid = hashlib.sha256(repr((server_uid, database, place.schema)).encode()).hexdigest()[:32]
        name = database if place.schema == names.PUBLIC else f"{database}.{place.schema}"
        return Identity(f"PostgreSQL {version}", place_of(url), name, uid, nearby=is_nearby(url))

    def control_area(self, url: URL) -> ControlArea:
        place, database = self._place(url), names.database_of(url)
        name = database if place.schema == names.PUBLIC else f"{database}.{place.schema}"
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            control_schema = control.control_of(connection, place.target, there=there)
        area = with_schema(url, control_schema)
        return ControlArea(area, self._directory / f"{escaped(name, safe='')}.ferry")

    def settle_control(self, url: URL) -> list[str]:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            if not there:
                return []
            said = control.bring_back(connection, place.target)
            moved = control.settle_name(connection, place.target)
        # Where the live schema lies may have been decided while it was away.
        self._targets.clear()
        renamed = moved and f"The control area is the schema {moved} now: a role has its former name."
        return [sentence for sentence in (said, renamed) if sentence]

    def oddities(self, url: URL) -> list[str]:
        target = self._place(url).target
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            return control.oddities(connection, target) if there else []

    def open_control(self, area: ControlArea) -> None:
        make_directory(area.directory)
        self.create(area.url)

    def control_engine(self, area: ControlArea) -> Engine:
        return engine.control_engine(area.url, self._tls_ca, self._place(area.url).schema)

    def beside(self, url: URL) -> list[Beside]:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            return server.beside(connection, url, place.target) if there else []

    def staging_url(self, url: URL, name: str) -> URL:
        return with_schema(url, names.beside(self._place(url).target, STAGING, name))

    def generation_url(self, url: URL, name: str) -> URL:
        return with_schema(url, names.beside(self._place(url).target, GENERATION, name))

    def prepare_staging(self, staging: URL, target: URL) -> None:
        self.create(target)
        place = self._own(staging)
        with self._connect(staging, place) as connection, connection.transaction():
            server.drop(connection, place.schema)
            server.create_schema(connection, place.schema)
            adopt_defaults(connection, place.target, place.schema)

    def fit_staging(self, staging: URL, target: URL) -> None:
        place = self._own(staging)
        with self._connect(staging, place) as connection:
            if oid_of(connection, place.schema) is None:
                raise FerryError(f"There is no schema {place.schema}.")
            what = f"What was restored to {place.schema} cannot be analyzed"
            with dump.answering(staging, BackupFailed, what), restore.watching(connection, place):
                rules.analyze(connection, place.schema)

    def _own(self, url: URL) -> Place:
        """The staging schema or generation that a URL means; nothing is ever made in the place of a live one."""
        place = self._place(url)
        if not names.is_droppable(place.schema):
            raise FerryError(f"{place.schema} is neither a staging schema nor a generation; it is not replaced.")
        return place

    # Reading and writing

    def engine(self, url: URL, options: Mapping[str, Any] | None = None) -> Engine:
        return engine.alembic_engine(url, self._tls_ca, self._place(url), options)

    def read_only_engine(self, url: URL) -> Engine:
        return engine.read_only_engine(url, self._tls_ca, self._place(url))

    def reader(self, url: URL) -> AbstractContextManager[PostgresqlReader]:
        return reading(url, self._tls_ca, self._place(url).schema)

    def app_reader(self, url: URL) -> AbstractContextManager[PostgresqlReader]:
        return self.reader(url)

    def find_odd_texts(self, url: URL) -> str:
        """Nothing: server and driver agree on a session's encoding, and the server refuses what that lacks."""
        return ""

    def watch(self, url: URL, *, as_app: bool = False) -> AbstractContextManager[Watch]:
        del as_app
        return contextlib.nullcontext(TokenWatch(lambda: self.reader(url), lambda reader: reader.token()))

    def mark(self, url: URL) -> str:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            return mark_of.mark_in(mark_of.comment_on(connection, place.schema)) if there else ""

    def live_mark(self, connection: AppConnection) -> str:
        return mark_of.mark_in(connection.exec_driver_sql(mark_of.LIVE_COMMENT).scalar())

    def set_mark(self, url: URL, mark: str) -> None:
        place = self._place(url)
        with self._connect(url, place) as connection:
            comment = mark_of.comment_on(connection, place.schema)
            mark_of.set_comment(connection, place.schema, mark_of.with_mark(comment, mark))

    def set_numbers(self, staging: URL, numbers: Mapping[str, int]) -> None:
        """Such a server has none."""

    @contextlib.contextmanager
    def loading(self, staging: URL) -> Iterator[None]:
        place = self._place(staging)
        with self._connect(staging, place) as connection, rules.set_aside(connection, place.schema):
            yield

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int) -> LoadResult:
        place = self._place(url)
        with (
            self._connect(url, place) as connection,
            load.refusing(table.name),
            # Checks may call functions of extensions.
            lent(connection, place.target, place.schema),
        ):
            return load.Loader(connection, place.schema, table).load(rows, batch_rows)

    def clear(self, staging: URL, tables: Sequence[str]) -> None:
        place = self._own(staging)
        with self._connect(staging, place) as connection:
            rules.clear(connection, place.schema, tables)

    def create_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        place = self._place(staging)
        with self._connect(staging, place) as connection:
            copy.create_objects(connection, place, objects)

    def problems(self, url: URL) -> list[Problem]:
        place = self._place(url)
        with self._connect(url, place) as connection:
            begin(connection, place.schema)
            return rules.problems(connection, place.schema)

    def settle(self, staging: URL, *, keep_violations: bool = False) -> None:
        place = self._place(staging)
        with self._connect(staging, place) as connection, lent(connection, place.target, place.schema):
            rules.advance_sequences(connection, place.schema)
            rules.validate(connection, place.schema, keep_violations=keep_violations)

    def refresh_derived(self, staging: URL) -> list[str]:
        place = self._own(staging)
        with self._connect(staging, place) as connection:
            views = derived.find_populated(connection, place.schema)
            if views:
                with lent(connection, place.target, place.schema):
                    derived.refresh(connection, place, views)
        return views

    def set_counters(self, staging: URL, counters: Sequence[Counter]) -> list[Counter]:
        place = self._own(staging)
        with self._connect(staging, place) as connection:
            return counters_of.set_counters(connection, place.schema, counters)

    def is_out_of_space(self, error: BaseException) -> bool:
        return is_out_of_space(error)

    def find_refused_keys(self, url: URL, words: str) -> list[str]:
        place = self._place(url)
        with self._connect(url, place) as connection:
            return rules.find_refused_keys(connection, place.schema, words)

    def schema_fingerprint(self, url: URL) -> str:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            if not there or oid_of(connection, place.schema) is None:
                return ""
            begin(connection, place.schema)
            return objects.fingerprint(connection, place.schema)

    # Copies and backups

    @contextlib.contextmanager
    def _client(self, url: URL, failed: type[FerryError], what: str) -> Iterator[tuple[Client, Connection]]:
        """Programs for the URL's database, and a connection to it; whatever they end with as our errors."""
        with (
            connected(url, self._tls_ca) as connection,
            dump.answering(url, failed, what),
            client(connection_arguments(url, self._tls_ca), connection.info.server_version, None) as programs,
        ):
            yield programs, connection

    def copy(self, source: URL, to: URL, *, timeout_s: float) -> None:
        origin, place = self._place(source), self._own(to)
        if origin == place:
            return
        self.drop(to)
        what = f"The copy of the schema {origin.schema} failed"
        with self._client(source, ToolFailed, what) as (programs, connection):
            file = programs.private / "copy.dump"
            dump.dump(programs, origin.schema, file, wait_s=timeout_s)
            archive = dump.archive_of(programs, file, origin.schema)
            around = dump.renames(connection, place, archive.schema or origin.schema)
            comment = mark_of.comment_on(connection, origin.schema)
            around.behind.append(dump.make_comment(connection, place.schema, comment))
            restore.replay(programs, connection, archive, around, own=True)

    @contextlib.contextmanager
    def image(self, target: URL, old: URL, fence: Fence | None) -> Iterator[Image]:
        place = self._place(target)
        with self._connect(target, place) as connection:
            begin(connection, place.schema)
            token = locks.token(connection, place.schema) if fence is not None else b""

            def write(to: Path) -> None:
                snapshot: Any = connection.execute("SELECT pg_export_snapshot()").fetchone()
                with self._client(target, BackupFailed, f"The backup to {to} failed") as (programs, _):
                    dump.dump(programs, place.schema, to, snapshot=snapshot[0])

            yield PostgresqlImage(PostgresqlReader(connection, place.schema), token, write)

    def client_dump(self, url: URL, to: Path) -> None:
        raise BackupFailed(
            f"The backups of {url.database} are pg_dump's own already.", hint=f"Leave --client out (for {to})."
        )

    def is_script(self, backup: Path) -> bool:
        del backup
        return False

    def restore(self, backup: Path, url: URL) -> None:
        what = f"{backup} cannot be restored"
        with dump.answering(url, BackupFailed, what), backup.open("rb") as file:
            if file.read(len(dump.MAGIC)) != dump.MAGIC:
                raise BackupFailed(f"{backup} is not a backup of PostgreSQL.")
        place = self._own(url)
        with self._client(url, BackupFailed, what) as (programs, connection):
            archive = dump.archive_of(programs, backup.resolve(), place.target)
            self.drop(url)
            around = dump.renames(connection, place, archive.schema or place.target)
            restore.replay(programs, connection, archive, around)

    def keep(self, staging: URL, generation: URL) -> None:
        place, to = self._place(staging), self._own(generation)
        with self._connect(staging, place) as connection, connection.transaction():
            server.drop(connection, to.schema)
            copy.keep(connection, place.schema, to.schema)

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        origin, place = self._place(source), self._own(staging)
        with self._connect(source, origin) as connection:
            begin(connection, origin.schema)
            needed = copy.find_needed(connection, origin.schema, tables)
        with self._connect(staging, place) as connection:
            dropped = copy.drop_tables(connection, place, tables)
        self.create_objects(staging, needed)
        what = f"The tables {', '.join(tables)}, which no revision made, cannot be carried"
        with self._client(source, DoesNotFit, what) as (programs, connection):
            file = programs.private / "tables.dump"
            dump.dump(programs, origin.schema, file, tables=tables)
            archive = dump.archive_of(programs, file, origin.schema)
            around = dump.renames(connection, place, origin.schema, into=True)
            restore.replay(programs, connection, archive, around, own=True)
        self.create_objects(staging, dropped)

    # The cut-over

    @contextlib.contextmanager
    def fence(self, url: URL) -> Iterator[Fence]:
        place = self._place(url)
        name = self._fence_name(url)

        def reconnect() -> AbstractContextManager[Connection]:
            return self._connect(url, place, application=name)

        fence = PostgresqlFence(url, reconnect, place.schema)
        self._fences.append(fence)
        try:
            yield fence
        finally:
            self._fences.remove(fence)

    def _fence_name(self, url: URL) -> str:
        return f"ferry fence {self.identity(url).uid}"

    def swap(self, staging: URL, target: URL, old: URL, fence: Fence, token: bytes, *, timeout_s: float) -> None:
        assert isinstance(fence, PostgresqlFence)  # noqa: S101 # each room makes and gets its own
        exchange = swap.Swap(self._own(staging).schema, self._place(target).schema, self._own(old).schema)
        fence.swap(exchange, token, timeout_s)

    def recover(self, staging: URL, target: URL, old: URL) -> list[str]:
        """A swap is one transaction: it was done, or never was. A dead client's may still be open, and is ended."""
        own = [fence.held.info.backend_pid for fence in self._fences if fence.held and not fence.held.closed]
        name = self._fence_name(target)
        with server.connect_anyhow(target, self._tls_ca) as (connection, there):
            if there:
                swap.end_backends(connection, "application_name = %s", name, but=own)
        return []

    # The server

    def size_bytes(self, url: URL) -> int:
        place = self._place(url)
        with self._connect(url, place) as connection:
            return server.size_bytes(connection, place.schema)

    def free_bytes(self, url: URL) -> int | None:
        if not is_nearby(url):
            return None
        with server.connect_anyhow(url, self._tls_ca) as (connection, _):
            return server.free_bytes(connection)

    @contextlib.contextmanager
    def lock(self, url: URL, timeout_s: float) -> Iterator[None]:
        self.create(url)  # the server's locks are each database's own
        uid = self.identity(url).uid
        with (
            self._connect(url, application=lock.own_name("lock")) as connection,
            lock.locked(connection, uid, timeout_s),
        ):
            yield
