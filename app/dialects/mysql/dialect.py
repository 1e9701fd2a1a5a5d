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
from pymysql.constants import ER
from sqlalchemy import URL, Engine
from sqlalchemy import Connection as AppConnection

from ...errors import AccessDenied, DoesNotFit, FerryError
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
    Overview,
    SchemaObject,
    Table,
    Values,
)
from ..restored import ForCopyOfSchema
from ..samples import Problem
from ..sessions import forget, remember
from ..watch import TokenWatch
from . import client, connect, copy, dump, load, lock, names, once, preflight, restore, rules, server, swap
from . import counters as counters_of
from . import engine as engines
from . import mark as mark_of
from .busy import Busy
from .catch_up import CatchingUp
from .connect import connect_to, number_of, quote
from .driver import current_of, version_of
from .names import CONTROL, GENERATION, STAGING, database_of
from .prepared import Guarded
from .read import RAW, Asks, MySqlReader, asking, reading
from .server import folds_names, read_current, spell
from .shown import find_view

_CHARSET = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
"""Of a new target: the newest collation that both servers have; a table may have its own."""


class MySqlImage:
    """A consistent read of the target, which its token and its backup are of, too."""

    def __init__(self, reader: MySqlReader, token: bytes) -> None:
        self.reader: Reader = reader
        self.token, self._own = token, reader

    def dump(self, to: Path) -> None:
        dump.dump(self._own.session, self._own.database, to)

    def begin_dump(self, to: Path) -> Callable[[], None]:
        self.dump(to)  # all of it: no other session can see this instant
        return lambda: None


class MySqlDialect(once.Sharing, Busy, ForCopyOfSchema, CatchingUp):
    """Databases beside the target's: staging, generations and the control area.

    :param directory: files of runs lie below it, on this host.
    :param tls_ca: certificates that a server off this machine is verified by; by default the system's.
    """

    name = "MySQL/MariaDB"
    backup_suffix = ".sql"
    driver_errors: tuple[type[Exception], ...] = (pymysql.Error,)
    version_table = VERSION_TABLE
    named_schema: str | None = None
    capabilities = server.CAPABILITIES

    def __init__(self, directory: Path, tls_ca: Path | None) -> None:
        self._directory, self._tls_ca = directory, tls_ca

    def _connect(self, url: URL, **options: Any) -> contextlib.AbstractContextManager[pymysql.Connection[Any]]:
        return connect_to(url, self._tls_ca, shared=True, **{"several": True, "conv": RAW, **options})

    def _factory(self, url: URL) -> Callable[..., contextlib.AbstractContextManager[pymysql.Connection[Any]]]:
        """Connections for those who need several."""
        return functools.partial(connect_to, url, self._tls_ca)

    @contextlib.contextmanager
    def _ask_within(self, url: URL, *, to_database: bool = True) -> Iterator[Asks]:
        with self._connect(url, to_database=to_database) as connection:
            yield asking(connection)

    def _ask_if_there(self, url: URL, ask: Callable[[pymysql.Connection[Any]], str]) -> str:
        """What is asked within a database; an empty text where it is not there, or is not shown to the user."""
        try:
            with self._connect(url) as connection:
                return ask(connection)
        except (connect.NoSuchDatabase, AccessDenied):
            if self.exists(url):
                raise
            return ""

    def _spell(self, url: URL) -> str:
        """The name of a URL's database as the server spells it, or as the URL does where it is not there."""
        return self._recall_spelled(url) or database_of(url)

    def _recall_spelled(self, url: URL) -> str | None:
        """As :meth:`_ask_spelled`, but that a database which was there is not asked for again."""
        name, place = database_of(url), ("databases", url.set(database=""))
        listed, folds = remember(place, lambda: (list[str](), False))
        if (known := spell(listed, name, folds=folds)) is None:
            forget(place)
            listed, folds = remember(place, lambda: self._list(url))
            known = spell(listed, name, folds=folds)
        return known

    def _ask_spelled(self, url: URL) -> str | None:
        listed, folds = self._list(url)
        return spell(listed, database_of(url), folds=folds)

    def _list(self, url: URL) -> tuple[list[str], bool]:
        with self._connect(url, to_database=False) as connection:
            return server.list_databases(asking(connection)), bool(version_of(connection).folds)

    def _control(self, url: URL) -> str:
        return database_of(self.control_area(url).url)

    def check(self, url: URL) -> None:
        names.check(url)

    def know_app(self, engine: Engine) -> None:
        """A server keeps all functions and collations itself."""

    def find_lacking(self, url: URL) -> list[str]:
        return []

    def whereabouts(self, url: URL) -> tuple[str, str] | None:
        return "SELECT DATABASE()", self._spell(url)

    def preflight(self, url: URL) -> None:
        with self._connect(url, to_database=False, session=("lock_wait_timeout = 10",)) as connection:
            preflight.preflight(connection, url, self._spell(url))

    def keep_copies_in(self, directory: Path) -> None:
        """Nothing: a server's database is read where it is."""

    def exists(self, url: URL) -> bool:
        """Of a live database it is asked until it is there: nothing but its own users drop that."""
        spelled = self._recall_spelled if names.target_of(database_of(url)) is None else self._ask_spelled
        return spelled(url) is not None

    def create(self, url: URL) -> bool:
        if self.exists(url):
            return False
        with self._ask_within(url, to_database=False) as ask:
            try:
                ask(f"CREATE DATABASE {quote(database_of(url))} {_CHARSET}")
            except pymysql.ProgrammingError as error:
                if number_of(error) != ER.DB_CREATE_EXISTS:
                    raise
                return False
        return True

    def leave_as_is(self, url: URL) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def identity(self, url: URL) -> Identity:
        return remember(("identity", url), lambda: self._ask_identity(url))

    def _ask_identity(self, url: URL) -> Identity:
        name = self._spell(url)  # it may take a session itself
        with self._connect(url, to_database=False) as connection:
            ask = asking(connection)
            version, folds = version_of(connection), folds_names(ask)
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
            ask(f"CREATE DATABASE IF NOT EXISTS {quote(database_of(area.url))} CHARSET utf8mb4 COLLATE utf8mb4_bin")

    def control_engine(self, area: ControlArea, *, each_alone: bool = False) -> Engine:
        # What SQLAlchemy asks a server first it keeps with the engine.
        return remember(
            ("control engine", area.url, each_alone),
            lambda: engines.control_engine(area.url, self._tls_ca, each_alone=each_alone),
        )

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
            charset = server.read_charset(ask, self._spell(target)) or _CHARSET
            ask(f"CREATE DATABASE {quote(database_of(staging))} {charset}")

    def fit_staging(self, staging: URL, target: URL) -> None:
        with self._connect(staging) as connection:
            preflight.check_engines(asking(connection), current_of(connection))

    def engine(self, url: URL, options: Mapping[str, Any] | None = None) -> Engine:
        database = database_of(url)
        target = names.target_of(database)
        guarded = None
        if target is not None:
            with self._ask_within(url, to_database=False) as ask:
                folds, live = folds_names(ask), self._spell(url.set(database=target))
                schemas = [str(name) for (name,) in ask("SELECT schema_name FROM information_schema.schemata")]
            beside = [name for name in schemas if names.target_of(name) == target and name != database]
            guarded = Guarded(frozenset({live, target, target + CONTROL, *beside} - {database}), folds)
        return engines.alembic_engine(url, self._tls_ca, options, guarded)

    def read_only_engine(self, url: URL) -> Engine:
        return engines.read_only_engine(url, self._tls_ca)

    def reader(self, url: URL) -> contextlib.AbstractContextManager[MySqlReader]:
        return reading(url, self._tls_ca, self.version_table)

    def look_over(self, url: URL) -> Overview | None:
        try:
            with self.reader(url) as reader:
                return reader.look_over()
        except (connect.NoSuchDatabase, AccessDenied):
            if self.exists(url):
                raise
            return None

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
        return self._ask_if_there(url, lambda c: mark_of.mark(c, current_of(c), self.version_table))

    def live_mark(self, connection: AppConnection) -> str:
        return mark_of.mark_in(connection.execute(mark_of.LIVE_COMMENT, {"name": self.version_table}).scalar())

    def set_mark(self, url: URL, mark: str) -> None:
        with self._connect(url) as connection:
            mark_of.set_mark(connection, current_of(connection), mark, self.version_table)

    def set_numbers(self, staging: URL, numbers: Mapping[str, int]) -> list[str]:
        return [name for name, number in numbers.items() if number]

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int, part: str = "") -> LoadResult:
        return load.load(url, self._tls_ca, table, rows, batch_rows=batch_rows, part=part)

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
        self.copy(staging, generation, timeout_s=copy.COPY_TIMEOUT_S)

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        copy.carry(self._factory(staging), self._spell(source), database_of(staging), tables)

    def create_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        with self._connect(staging, several=False) as connection:
            copy.create_objects(connection, objects)

    def problems(self, url: URL) -> list[Problem]:
        with self._connect(url) as connection:
            return rules.problems(asking(connection), current_of(connection))

    def settle(self, staging: URL, *, keep_violations: bool = False) -> None:
        """Nothing: to this server a foreign key is no less valid for the rows that it did not look at."""

    def refresh_derived(self, staging: URL) -> list[str]:
        """Nothing: these servers keep nothing of rows besides their tables."""
        return []

    def set_counters(self, staging: URL, counters: Sequence[Counter]) -> list[Counter]:
        names.refuse_live(database_of(staging))
        with self._connect(staging) as connection:
            return counters_of.set_counters(asking(connection), current_of(connection), counters)

    def explain(self, url: URL, error: BaseException) -> FerryError | None:
        return connect.explanation(url, error) if isinstance(error, pymysql.Error) else None

    def find_refused_keys(self, url: URL, words: str) -> list[str]:
        # After the failure the columns may have the names of an earlier revision; then the words alone must do.
        with self._ask_within(url) as ask, contextlib.suppress(pymysql.ProgrammingError):
            return rules.find_refused_keys(ask, read_current(ask), words)
        return []

    def schema_fingerprint(self, url: URL) -> str:
        return self._ask_if_there(url, lambda c: copy.schema_fingerprint(c, current_of(c)))

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
            return server.size_bytes(ask, self._spell(url))

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
