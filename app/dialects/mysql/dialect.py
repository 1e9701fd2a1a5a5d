"""MySQL and MariaDB: the room of both, by PyMySQL."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote as escaped

import pymysql
from pymysql.constants import CLIENT, ER
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy import Connection as AppConnection
from sqlalchemy.pool import NullPool

from ...errors import DoesNotFit
from ..base import Fence, Image, Reader, Watch
from ..files import make_directory
from ..model import (
    VERSION_TABLE,
    Beside,
    ControlArea,
    Counter,
    Identity,
    LoadResult,
    OutsideObject,
    SchemaObject,
    Table,
    Values,
)
from ..samples import Problem
from ..watch import TokenWatch
from . import client, connect, copy, dump, load, lock, names, preflight, restore, rules, server, swap
from . import counters as counters_of
from . import mark as mark_of
from .connect import connect_to, number_of, quote
from .driver import Connection, version_of
from .names import CONTROL, GENERATION, STAGING, database_of
from .prepared import Guarded, GuardedConnection, WholeCursor, guard
from .read import Asks, MySqlReader, asking, reading
from .server import folds_names, read_current, spell
from .shown import find_view

COPY_TIMEOUT_S = 60.0
PATIENT_S = 86400
"""For one answer to a revision: an index of a large table may well take hours."""

_CHARSET = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
"""Of a new target: the newest collation that both servers have; a table may have its own."""


class MySqlImage:
    """A consistent read of the target, which its token and its backup are of, too."""

    def __init__(self, reader: MySqlReader, token: bytes) -> None:
        self.reader: Reader = reader
        self.token, self._own = token, reader

    def dump(self, to: Path) -> None:
        dump.dump(self._own.session, self._own.database, to)


_AS_MYSQLCLIENT: dict[str, Any] = {"client_flag": CLIENT.MULTI_STATEMENTS, "cursorclass": WholeCursor}
"""That driver sends several statements in one text unless it is told otherwise."""


class MySqlDialect:
    """Databases beside the target's: staging, generations and the control area.

    :param directory: files of runs lie below it, on this host.
    :param tls_ca: certificates that a server off this machine is verified by; by default the system's.
    """

    name = "MySQL/MariaDB"
    backup_suffix = ".sql"
    driver_errors: tuple[type[Exception], ...] = (pymysql.Error,)
    version_table = VERSION_TABLE
    capabilities = server.CAPABILITIES

    def __init__(self, directory: Path, tls_ca: Path | None) -> None:
        self._directory, self._tls_ca = directory, tls_ca

    def _connect(self, url: URL, **options: Any) -> contextlib.AbstractContextManager[pymysql.Connection[Any]]:
        return connect_to(url, self._tls_ca, shared=True, **options)

    def _factory(self, url: URL) -> Callable[..., contextlib.AbstractContextManager[pymysql.Connection[Any]]]:
        """Connections for those who need several."""
        return functools.partial(connect_to, url, self._tls_ca)

    @contextlib.contextmanager
    def _ask_within(self, url: URL, *, to_database: bool = True) -> Iterator[Asks]:
        with self._connect(url, to_database=to_database) as connection:
            yield asking(connection)

    def _spell(self, url: URL) -> str:
        """The name of a URL's database as the server spells it, or as the URL does where it is not there."""
        with self._ask_within(url, to_database=False) as ask:
            return spell(ask, database_of(url)) or database_of(url)

    def _control(self, url: URL) -> str:
        return database_of(self.control_area(url).url)

    def check(self, url: URL) -> None:
        names.check(url)

    def know_app(self, engine: Engine) -> None:
        """A server keeps all functions and collations itself."""

    def find_lacking(self, url: URL) -> list[str]:
        return []

    def whereabouts(self, url: URL) -> tuple[str, str] | None:
        with self._ask_within(url, to_database=False) as ask:
            return "SELECT DATABASE()", spell(ask, database_of(url)) or database_of(url)

    def preflight(self, url: URL) -> None:
        with self._connect(url, to_database=False, session=("lock_wait_timeout = 10",)) as connection:
            database = spell(asking(connection), database_of(url)) or database_of(url)
            preflight.preflight(connection, url, database)

    def keep_copies_in(self, directory: Path) -> None:
        """Nothing: a server's database is read where it is."""

    def exists(self, url: URL) -> bool:
        with self._ask_within(url, to_database=False) as ask:
            return spell(ask, database_of(url)) is not None

    def create(self, url: URL) -> bool:
        with self._ask_within(url, to_database=False) as ask:
            try:
                ask(f"CREATE DATABASE {quote(database_of(url))} {_CHARSET}")
            except pymysql.ProgrammingError as error:
                if number_of(error) != ER.DB_CREATE_EXISTS:
                    raise
                return False
        return True

    def drop(self, url: URL) -> None:
        name = database_of(url)
        names.refuse_live(name)
        with self._ask_within(url, to_database=False) as ask:
            ask(f"DROP DATABASE IF EXISTS {quote(name)}")

    def identity(self, url: URL) -> Identity:
        with self._connect(url, to_database=False) as connection:
            ask = asking(connection)
            version, folds = version_of(connection), folds_names(ask)
            name = spell(ask, database_of(url)) or database_of(url)
            parts = (*lock.server_uid(ask, is_mariadb=version.is_mariadb), name.lower() if folds else name)
        return Identity(
            str(version),
            connect.place_of(url),
            name,
            hashlib.sha256(repr(parts).encode()).hexdigest()[:32],
            nearby=connect.is_nearby(url),
        )

    def control_area(self, url: URL) -> ControlArea:
        name = database_of(url)
        return ControlArea(url.set(database=name + CONTROL), self._directory / f"{escaped(name, safe='')}.ferry")

    def settle_control(self, url: URL) -> list[str]:
        """Nothing is to be done: no session is led to it by its name."""
        return []

    def oddities(self, url: URL) -> list[str]:
        return []

    def open_control(self, area: ControlArea) -> None:
        make_directory(area.directory)
        with self._ask_within(area.url, to_database=False) as ask:
            name = quote(database_of(area.url))
            ask(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")

    def control_engine(self, area: ControlArea) -> Engine:
        return self._engine(area.url)

    def beside(self, url: URL) -> list[Beside]:
        with self._ask_within(url, to_database=False) as ask:
            schemas = sorted(name for (name,) in ask("SELECT schema_name FROM information_schema.schemata"))
            folds = folds_names(ask)
        return names.list_beside(url, schemas, folds=folds)

    def staging_url(self, url: URL, name: str) -> URL:
        return names.beside(url, STAGING, name)

    def generation_url(self, url: URL, name: str) -> URL:
        return names.beside(url, GENERATION, name)

    def prepare_staging(self, staging: URL, target: URL) -> None:
        self.drop(staging)
        with self._ask_within(target, to_database=False) as ask:
            charset = server.read_charset(ask, database_of(target)) or _CHARSET
            ask(f"CREATE DATABASE {quote(database_of(staging))} {charset}")

    def fit_staging(self, staging: URL, target: URL) -> None:
        with self._ask_within(staging) as ask:
            preflight.check_engines(ask, read_current(ask))

    def engine(self, url: URL, options: Mapping[str, Any] | None = None) -> Engine:
        database = database_of(url)
        target = names.target_of(database)
        if target is None:
            return self._engine(url, "foreign_key_checks = 0", options=options)
        with self._ask_within(url, to_database=False) as ask:
            folds, live = folds_names(ask), spell(ask, target) or target
            schemas = [str(name) for (name,) in ask("SELECT schema_name FROM information_schema.schemata")]
        beside = [name for name in schemas if names.target_of(name) == target and name != database]
        guarded = Guarded(frozenset({live, target, target + CONTROL, *beside} - {database}), folds)
        return self._engine(url, "foreign_key_checks = 0", options=options, guarded=guarded)

    def read_only_engine(self, url: URL) -> Engine:
        engine = self._engine(url)

        @event.listens_for(engine, "connect")
        def reading_only(connection: pymysql.Connection[Any], _record: object) -> None:
            # As a statement: the variable has two names, by server and version.
            connection.query("SET SESSION TRANSACTION READ ONLY")

        return engine

    def _engine(
        self, url: URL, *session: str, options: Mapping[str, Any] | None = None, guarded: Guarded | None = None
    ) -> Engine:
        def open_connection() -> pymysql.Connection[Any]:
            driver = GuardedConnection if guarded else Connection
            more = _AS_MYSQLCLIENT if guarded and url.get_driver_name() == "mysqldb" else {}
            with connect.explain_errors(url):
                connection = connect.connect(
                    url,
                    self._tls_ca,
                    session=("autocommit = 0", *session),
                    driver=driver,
                    shared=guarded is None,
                    autocommit=False,
                    read_timeout=PATIENT_S,
                    **more,
                )
            if guarded:
                guard(connection, guarded)
            return connection

        plain = url.set(drivername=f"{url.get_backend_name()}+pymysql", query={})
        return create_engine(
            plain, poolclass=NullPool, hide_parameters=True, creator=open_connection, **(options or {})
        )

    def reader(self, url: URL) -> contextlib.AbstractContextManager[MySqlReader]:
        return reading(url, self._tls_ca, self.version_table)

    def app_reader(self, url: URL) -> contextlib.AbstractContextManager[MySqlReader]:
        return reading(url, self._tls_ca, self.version_table, find_view(url))

    def find_odd_texts(self, url: URL) -> str:
        view = find_view(url)
        return str(view) if view and view.is_odd else ""

    def watch(self, url: URL, *, as_app: bool = False) -> contextlib.AbstractContextManager[Watch]:
        open_reader = functools.partial(self.app_reader if as_app else self.reader, url)
        return contextlib.nullcontext(
            TokenWatch(open_reader, lambda reader: swap.token(reader.session, reader.database))
        )

    def mark(self, url: URL) -> str:
        if not self.exists(url):
            return ""
        with self._connect(url) as connection:
            return mark_of.mark(connection, read_current(asking(connection)), self.version_table)

    def live_mark(self, connection: AppConnection) -> str:
        return mark_of.mark_in(connection.execute(mark_of.LIVE_COMMENT, {"name": self.version_table}).scalar())

    def set_mark(self, url: URL, mark: str) -> None:
        with self._connect(url) as connection:
            mark_of.set_mark(connection, read_current(asking(connection)), mark, self.version_table)

    def set_numbers(self, staging: URL, numbers: Mapping[str, int]) -> list[str]:
        return [name for name, number in numbers.items() if number]

    def loading(self, staging: URL) -> contextlib.AbstractContextManager[None]:
        return load.loading(staging, self._tls_ca)

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int) -> LoadResult:
        return load.load(url, self._tls_ca, self._directory, table, rows, batch_rows=batch_rows)

    def clear(self, staging: URL, tables: Sequence[str]) -> None:
        names.refuse_live(database_of(staging))
        load.clear(staging, self._tls_ca, tables)

    def bring_outside(self, staging: URL, objects: Iterable[OutsideObject]) -> list[str]:
        if next(iter(objects), None) is not None:
            raise DoesNotFit(f"{self.name} has no large objects, so they cannot be brought to {staging.database}.")
        return []

    def copy(self, source: URL, to: URL, *, timeout_s: float) -> None:
        names.refuse_live(database_of(to))
        copy.copy_database(self._factory(source), self._spell(source), database_of(to), timeout_s)

    @contextlib.contextmanager
    def image(self, target: URL, old: URL, fence: Fence | None) -> Iterator[Image]:
        """``old`` is made by the swap itself."""
        with self.reader(target) as reader:
            token = swap.token(reader.session, reader.database) if fence else b""
            yield MySqlImage(reader, token)

    def keep(self, staging: URL, generation: URL) -> None:
        self.copy(staging, generation, timeout_s=COPY_TIMEOUT_S)

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        copy.carry(self._factory(staging), self._spell(source), database_of(staging), tables)

    def create_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        with self._connect(staging) as connection:
            copy.create_objects(connection, objects)

    def problems(self, url: URL) -> list[Problem]:
        with self._ask_within(url) as ask:
            return rules.problems(ask, read_current(ask))

    def settle(self, staging: URL, *, keep_violations: bool = False) -> None:
        """Nothing: to this server a foreign key is no less valid for the rows that it did not look at."""

    def refresh_derived(self, staging: URL) -> list[str]:
        """Nothing: these servers keep nothing of rows besides their tables."""
        return []

    def set_counters(self, staging: URL, counters: Sequence[Counter]) -> list[Counter]:
        names.refuse_live(database_of(staging))
        with self._ask_within(staging) as ask:
            return counters_of.set_counters(ask, read_current(ask), counters)

    def is_out_of_space(self, error: BaseException) -> bool:
        return connect.is_out_of_space(error)

    def find_refused_keys(self, url: URL, words: str) -> list[str]:
        # After the failure the columns may have the names of an earlier revision; then the words alone must do.
        with self._ask_within(url) as ask, contextlib.suppress(pymysql.ProgrammingError):
            return rules.find_refused_keys(ask, read_current(ask), words)
        return []

    def schema_fingerprint(self, url: URL) -> str:
        with self._connect(url, to_database=False) as connection:
            return copy.schema_fingerprint(connection, self._spell(url))

    @contextlib.contextmanager
    def fence(self, url: URL) -> Iterator[Fence]:
        fence = swap.MySqlFence(self._factory(url), self._spell(url))
        try:
            yield fence
        finally:
            fence.close()

    def swap(self, staging: URL, target: URL, old: URL, fence: Fence, token: bytes, *, timeout_s: float) -> None:
        assert isinstance(fence, swap.MySqlFence)  # noqa: S101 # each room makes and gets its own
        databases = (database_of(staging), self._spell(target), database_of(old), self._control(target))
        swap.swap(self._factory(target), *databases, fence, token, timeout_s)

    def recover(self, staging: URL, target: URL, old: URL) -> list[str]:
        databases = (database_of(staging), self._spell(target), database_of(old), self._control(target))
        return swap.recover(self._factory(target), *databases)

    def size_bytes(self, url: URL) -> int:
        with self._ask_within(url, to_database=False) as ask:
            return server.size_bytes(ask, database_of(url))

    def free_bytes(self, url: URL) -> int | None:
        if not connect.is_nearby(url):
            return None
        with self._ask_within(url, to_database=False) as ask:
            return server.free_bytes(ask)

    def lock(self, url: URL, timeout_s: float) -> contextlib.AbstractContextManager[None]:
        return lock.lock(url, self._tls_ca, self.identity(url).uid, timeout_s)

    def client_dump(self, url: URL, to: Path) -> None:
        client.dump(url, self._tls_ca, to)

    def dump_empty(self, staging: URL, to: Path) -> None:
        with self.reader(staging) as reader:
            dump.dump(reader.session, reader.database, to)

    def is_script(self, backup: Path) -> bool:
        return client.is_client_dump(backup)

    def restore(self, backup: Path, url: URL) -> list[str]:
        names.refuse_live(database_of(url))
        if client.is_client_dump(backup):
            self.drop(url)
            self.create(url)
            client.restore(url, self._tls_ca, backup)
        else:
            restore.restore(self._factory(url), backup, database_of(url))
        return []
