"""PostgreSQL: a "database" is a schema of the URL's database; staging and generations are schemas beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote as escaped

import psycopg
from sqlalchemy import URL, Engine
from sqlalchemy import Connection as AppConnection

from ...errors import BackupFailed, FerryError, ToolFailed
from ..base import Fence, Image, Watch
from ..files import make_directory
from ..model import (
    VERSION_TABLE,
    Beside,
    ControlArea,
    Counter,
    Identity,
    LoadResult,
    OutsideObject,
    Overview,
    SchemaObject,
    Table,
    Values,
)
from ..samples import Problem
from ..sessions import forget, remember
from ..watch import TokenWatch
from . import (
    beside,
    busy,
    control,
    copy,
    derived,
    dump,
    engine,
    load,
    lock,
    names,
    once,
    preflight,
    restore,
    restored,
    rules,
    server,
    swap,
)
from . import counters as counters_of
from . import mark as mark_of
from .catch_up import CatchingUp
from .connect import Connection, NoSuchDatabase, connect_to, explanation
from .extensions import oid_of
from .fence import PostgresqlFence
from .large_write import bring_outside
from .lent import Lending
from .names import GENERATION, STAGING, Place, own_place, with_schema
from .read import NoSuchSchema, PostgresqlReader, begin, read_fingerprint, reading


class PostgresqlDialect(once.Sharing, busy.Busy, restored.ForCopy, CatchingUp, Lending):
    """Schemas beside the target's: staging, generations and the control area.

    :param directory: files of runs lie below it, on this host.
    :param tls_ca: certificates that a server off this machine is verified by; by default the system's.
    """

    name = "PostgreSQL"
    backup_suffix = ".dump"
    driver_errors = (psycopg.Error,)
    version_table = VERSION_TABLE
    named_schema: str | None = None
    capabilities = server.CAPABILITIES

    def __init__(self, directory: Path, tls_ca: Path | None) -> None:
        self._directory, self._tls_ca = directory, tls_ca
        self._targets: dict[URL, str] = {}
        self._fences: list[PostgresqlFence] = []
        self._only_looks = False

    # Where things lie

    def _place(self, url: URL) -> Place:
        """The schema that a URL means: what it or the app's models name, else what the server says."""
        if (place := self._named_place(url)) is not None:
            return place
        if url not in self._targets:
            schema, there = server.find_target(url, self._tls_ca)
            if not there:
                return Place(schema, schema)
            self._targets[url] = schema
        return Place(self._targets[url], self._targets[url])

    def _named_place(self, url: URL) -> Place | None:
        return own_place(url) or names.named_place(url, self.named_schema)

    def _connect(self, url: URL, place: Place | None = None, **options: Any) -> AbstractContextManager[Connection]:
        return connect_to(url, self._tls_ca, search_path=[(place or self._place(url)).schema], **options)

    def check(self, url: URL) -> None:
        names.check_url(url)
        if self.named_schema is not None:
            names.check_target(self.named_schema)

    def know_app(self, engine: Engine) -> None:
        """A server keeps all functions and collations itself."""

    def find_lacking(self, url: URL) -> list[str]:
        return []

    def whereabouts(self, url: URL) -> tuple[str, str] | None:
        return server.whereabouts(url, self._tls_ca, self._place(url), self.named_schema)

    def preflight(self, url: URL) -> None:
        with server.connect_anyhow(url, self._tls_ca) as (connection, there):
            schema = server.schema_of_target(connection, there, url, self._named_place(url))
            preflight.preflight(connection, schema, None if there else names.database_of(url))

    def keep_copies_in(self, directory: Path) -> None:
        """Nothing: a server's database is read where it is."""

    def exists(self, url: URL) -> bool:
        """Of a live schema it is asked until it is there: nothing but its own users drop that."""
        place = self._place(url)
        if self._targets.get(url) == place.schema:
            return True
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            return there and (control.is_known(connection, place) or oid_of(connection, place.schema) is not None)

    def create(self, url: URL) -> bool:
        named = self._named_place(url)
        return (named is not None or not self.exists(url)) and server.ensure(url, self._tls_ca, named)

    @contextlib.contextmanager
    def leave_as_is(self, url: URL) -> Iterator[None]:
        self._only_looks = True
        with server.leave_as_is(url, self._tls_ca, self._named_place(url), self._targets):
            yield

    def drop(self, url: URL) -> None:
        place = self._place(url)
        with contextlib.suppress(NoSuchDatabase), connect_to(url, self._tls_ca, any_path=True) as connection:
            once.insist(connection, place.schema, lambda: beside.drop(connection, place, only_looks=self._only_looks))

    def identity(self, url: URL) -> Identity:
        return remember(("identity", url), lambda: server.identify_at(url, self._tls_ca, self._place(url).schema))

    def control_area(self, url: URL) -> ControlArea:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            area = with_schema(url, control.control_of(connection, place.target, there=there))
        return ControlArea(area, self._directory / f"{escaped(names.full_name(url, place.schema), safe='')}.ferry")

    def settle_control(self, url: URL) -> list[str]:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            if not there:
                return []
            sentences = control.settle(connection, place.target)
        # Where the live schema lies may have been decided while it was away.
        self._targets.clear()
        forget(("identity", url))
        return sentences

    def oddities(self, url: URL) -> list[str]:
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            return control.oddities(connection, self._place(url).target) if there else []

    def open_control(self, area: ControlArea) -> None:
        make_directory(area.directory)
        self.create(area.url)

    def control_engine(self, area: ControlArea, *, each_alone: bool = False) -> Engine:
        return engine.control_engine(area.url, self._tls_ca, self._place(area.url).schema, each_alone=each_alone)

    def beside(self, url: URL) -> list[Beside]:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            return beside.list_beside(connection, url, place.target) if there else []

    def staging_url(self, url: URL, name: str) -> URL:
        return with_schema(url, names.beside(self._place(url).target, STAGING, name))

    def generation_url(self, url: URL, name: str) -> URL:
        return with_schema(url, names.beside(self._place(url).target, GENERATION, name))

    def prepare_staging(self, staging: URL, target: URL) -> None:
        self.create(target)
        place = self._droppable_place(staging)
        with self._connect(staging, place) as connection:
            self.capabilities = server.create_anew(connection, place)

    def fit_staging(self, staging: URL, target: URL) -> None:
        place = self._droppable_place(staging)
        failed = dump.answering(staging, BackupFailed, f"What was restored to {place.schema} cannot be analyzed")
        with self._connect(staging, place) as connection, failed:
            restore.analyze(connection, place)

    def _droppable_place(self, url: URL) -> Place:
        """The staging schema or generation that a URL means; nothing is ever made in the place of a live one."""
        return names.check_droppable(self._place(url))

    # Reading and writing

    def engine(self, url: URL, options: Mapping[str, Any] | None = None) -> Engine:
        return engine.alembic_engine(url, self._tls_ca, self._place(url), options, self.named_schema)

    def read_only_engine(self, url: URL) -> Engine:
        return engine.read_only_engine(url, self._tls_ca, self._place(url), self.named_schema)

    def reader(self, url: URL) -> AbstractContextManager[PostgresqlReader]:
        return reading(url, self._tls_ca, self._place(url).schema, self.version_table)

    def look_over(self, url: URL) -> Overview | None:
        with contextlib.suppress(NoSuchDatabase, NoSuchSchema), self.reader(url) as reader:
            return reader.look_over()
        return None

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
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            return mark_of.mark_in(mark_of.comment_on(connection, place.schema)) if there else ""

    def live_mark(self, connection: AppConnection) -> str:
        return mark_of.live_mark(connection, names.named_place(connection.engine.url, self.named_schema))

    def set_mark(self, url: URL, mark: str) -> None:
        place = self._place(url)
        with self._connect(url, place) as connection:
            mark_of.set_mark(connection, place.schema, mark)

    def set_numbers(self, staging: URL, numbers: Mapping[str, int]) -> list[str]:
        return [name for name, number in numbers.items() if number]

    @contextlib.contextmanager
    def loading(self, staging: URL) -> Iterator[None]:
        place = self._place(staging)
        with self._connect(staging, place) as connection, rules.set_aside(connection, place.schema):
            yield

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int, part: str = "") -> LoadResult:
        place = self._place(url)
        with self._connect(url, place, settings=once.settings_with(part)) as connection:
            return load.load(connection, place, table, rows, batch_rows, part)

    def bring_outside(self, staging: URL, objects: Iterable[OutsideObject]) -> list[str]:
        return bring_outside(staging, self._tls_ca, self._droppable_place(staging), objects)

    def clear(self, staging: URL, tables: Sequence[str]) -> None:
        place = self._droppable_place(staging)
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
        with self._connect(staging, place) as connection:
            rules.settle(connection, place, keep_violations=keep_violations)

    def refresh_derived(self, staging: URL) -> list[str]:
        place = self._droppable_place(staging)
        with self._connect(staging, place) as connection:
            return derived.refresh_all(connection, place)

    def set_counters(self, staging: URL, counters: Sequence[Counter]) -> list[Counter]:
        place = self._droppable_place(staging)
        with self._connect(staging, place) as connection:
            return counters_of.set_counters(connection, place.schema, counters)

    def explain(self, url: URL, error: BaseException) -> FerryError | None:
        return explanation(url, getattr(error, "orig", None) or error)

    def find_refused_keys(self, url: URL, words: str) -> list[str]:
        place = self._place(url)
        with self._connect(url, place) as connection:
            return rules.find_refused_keys(connection, place.schema, words)

    def schema_fingerprint(self, url: URL) -> str:
        place = self._place(url)
        with server.connect_anyhow(url, self._tls_ca, any_path=True) as (connection, there):
            return read_fingerprint(connection, place.schema) if there else ""

    # Copies and backups

    def copy(self, source: URL, to: URL, *, timeout_s: float) -> None:
        origin, place = self._place(source), self._droppable_place(to)
        if origin == place:
            return
        self.drop(to)
        what = f"The copy of the schema {origin.schema} failed"
        with dump.open_client(source, self._tls_ca, ToolFailed, what) as (programs, connection):
            copy.copy_schema(programs, connection, origin.schema, place, timeout_s=timeout_s)

    @contextlib.contextmanager
    def image(self, target: URL, old: URL, fence: Fence | None) -> Iterator[Image]:
        place = self._place(target)
        with self._connect(target, place) as connection:
            with_token, name = fence is not None, self.version_table
            yield dump.open_image(connection, target, self._tls_ca, place.schema, name, with_token=with_token)

    def client_dump(self, url: URL, to: Path) -> None:
        raise BackupFailed(
            f"The backups of {url.database} are pg_dump's own already.", hint=f"Leave --client out (for {to})."
        )

    def dump_empty(self, staging: URL, to: Path) -> None:
        what = f"The backup to {to} failed"
        with dump.open_client(staging, self._tls_ca, BackupFailed, what) as (programs, _):
            dump.dump(programs, self._place(staging).schema, to)

    def is_script(self, backup: Path) -> bool:
        return False

    def restore(self, backup: Path, url: URL) -> list[str]:
        return restore.restore(backup, url, self._tls_ca, self._droppable_place(url), lambda: self.drop(url))

    def keep(self, staging: URL, generation: URL) -> None:
        place, to = self._place(staging), self._droppable_place(generation)
        with self._connect(staging, place) as connection, connection.transaction():
            server.drop(connection, to.schema)
            copy.keep(connection, place.schema, to.schema)

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        copy.carry(source, staging, self._tls_ca, self._place(source).schema, self._droppable_place(staging), tables)

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
        exchange = swap.Swap(
            self._droppable_place(staging).schema, self._place(target).schema, self._droppable_place(old).schema
        )
        fence.swap(exchange, token, timeout_s)

    def recover(self, staging: URL, target: URL, old: URL) -> list[str]:
        """A swap is one transaction: it was done, or never was. A dead client's may still be open, and is ended."""
        pids = [fence.held.info.backend_pid for fence in self._fences if fence.held and not fence.held.closed]
        name = self._fence_name(target)
        with server.connect_anyhow(target, self._tls_ca) as (connection, there):
            if there:
                swap.end_backends(connection, "application_name = %s", name, but=pids)
        return []

    def size_bytes(self, url: URL) -> int:
        with connect_to(url, self._tls_ca, any_path=True) as connection:
            return server.size_bytes(connection, self._place(url).schema)

    def free_bytes(self, url: URL) -> int | None:
        return server.free_bytes(url, self._tls_ca)

    @contextlib.contextmanager
    def lock(self, url: URL, timeout_s: float) -> Iterator[None]:
        self.create(url)  # the server's locks are each database's own
        uid = self.identity(url).uid
        with self._connect(url, application=lock.own_name("lock")) as holder, lock.hold_lock(holder, uid, timeout_s):
            yield
