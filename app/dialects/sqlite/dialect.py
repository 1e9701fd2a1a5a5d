"""SQLite: the embedded room."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine
from sqlalchemy import Connection as AppConnection

from ...errors import BackupFailed, DoesNotFit, FerryError, Protected
from ..base import Fence, Watch
from ..files import create_private, make_directory
from ..model import (
    THIS_HOST,
    VERSION_TABLE,
    Beside,
    Capabilities,
    ControlArea,
    Counter,
    Identity,
    LateWrite,
    LoadResult,
    OutsideObject,
    Overview,
    SchemaObject,
    Table,
    Values,
)
from ..samples import Problem
from . import busy, copy, engine, lock, names, once, restore, rules, swap, virtual
from . import counters as counters_of
from . import mark as mark_of
from .catch_up import CatchingUp
from .connect import Files, explain_file_errors, look_at, remove
from .fence import SqliteFence
from .functions import Functions, find_lacking
from .image import IMAGE_TIMEOUT_S, SqliteImage
from .load import load
from .names import path_of, quote, url_of
from .preflight import refuse_attached, refuse_read_only
from .read import SqliteReader, tables_with_sql
from .watch import SqliteWatch


class SqliteDialect(once.Sharing, busy.Busy, CatchingUp):
    """Files: staging and generations lie in the control area beside the live file."""

    name = "SQLite"
    backup_suffix = ".sqlite3"
    driver_errors = (sqlite3.Error,)
    version_table = VERSION_TABLE
    named_schema: str | None = None
    capabilities = Capabilities(enforces_foreign_keys=False, swap_moves_old=False, loaders=1, sees_commits=True)

    def __init__(self, _directory: Path | None = None, _tls_ca: Path | None = None) -> None:
        """The files of runs lie beside the database itself, and there is no server to reach."""
        self._functions = Functions()
        self._files = Files(self._functions)

    def check(self, url: URL) -> None:
        path_of(url)
        if sqlite3.sqlite_version_info < (3, 37):
            raise Protected(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 is needed.")

    def whereabouts(self, url: URL) -> tuple[str, str] | None:
        return None

    def preflight(self, url: URL) -> None:
        """Nothing is granted to anybody in a file; whether it can be written is seen by the control area beside it."""
        refuse_read_only(url)
        # A database in memory has the host's listeners on every engine, as staging will have them.
        refuse_attached(self.engine(URL.create("sqlite")))

    def keep_copies_in(self, directory: Path) -> None:
        self._files.copies = directory

    def exists(self, url: URL) -> bool:
        path = path_of(url)
        return path.exists() and path.stat().st_size > 0

    def create(self, url: URL) -> bool:
        path = path_of(url)
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        return True

    def leave_as_is(self, url: URL) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def drop(self, url: URL) -> None:
        path = path_of(url)
        remove(path)
        # A look at a database that no run has touched leaves nothing beside it.
        if names.is_area(path.parent):
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def identity(self, url: URL) -> Identity:
        path = path_of(url).resolve()
        there = path.stat() if path.exists() else None
        # The inode tells one host's file from another host's file of the same path.
        parts = (socket.gethostname(), str(path), there.st_dev if there else 0, there.st_ino if there else 0)
        uid = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        return Identity(f"SQLite {sqlite3.sqlite_version}", THIS_HOST, str(path), uid)

    def control_area(self, url: URL) -> ControlArea:
        directory = names.area_of(url)
        return ControlArea(url_of(directory / "control.db"), directory)

    def staging_url(self, url: URL, name: str) -> URL:
        return url_of(names.staging_file(url, name))

    def generation_url(self, url: URL, name: str) -> URL:
        return url_of(names.generation_file(url, name))

    def beside(self, url: URL) -> list[Beside]:
        return names.list_beside(url)

    def prepare_staging(self, staging: URL, target: URL) -> None:
        path = path_of(staging)
        self.drop(staging)
        with explain_file_errors(path.parent):
            path.parent.mkdir(mode=0o700, exist_ok=True, parents=True)
        with explain_file_errors(path), self._files.create(path) as connection:
            for pragma in ("page_size", "encoding", "auto_vacuum"):
                connection.execute(f"PRAGMA {pragma} = '{self._pragma(target, pragma)}'")
            mark_of.set_numbers(connection, self._numbers(target))
            # A table made and dropped leaves a free page: a database of one page cannot be fenced.
            connection.execute("CREATE TABLE prepared (x)")
            connection.execute("DROP TABLE prepared")

    def fit_staging(self, staging: URL, target: URL) -> None:
        path, size = path_of(staging), self._pragma(target, "page_size")
        with self._files.open(path) as connection:
            # The swap copies pages; where the target is in WAL mode they must be of its size.
            connection.execute("PRAGMA journal_mode = DELETE")
            if connection.execute("PRAGMA page_size").fetchone()[0] != size:
                connection.execute(f"PRAGMA page_size = {size}")
                connection.execute("VACUUM")
            if connection.execute("PRAGMA page_count").fetchone()[0] < 2:
                connection.execute("CREATE TABLE prepared (x)")
                connection.execute("DROP TABLE prepared")

    def _pragma(self, url: URL, pragma: str) -> Any:
        path = path_of(url)
        # A new database gets the library's own defaults.
        with self._files.read(path) if self.exists(url) else self._files.open(Path(":memory:")) as connection:
            return connection.execute(f"PRAGMA {pragma}").fetchone()[0]

    def _numbers(self, url: URL) -> dict[str, int]:
        if not self.exists(url):
            return {}
        with self._files.read(path_of(url)) as connection:
            return mark_of.numbers_of(connection)

    def engine(self, url: URL, options: Mapping[str, Any] | None = None) -> Engine:
        return engine.alembic_engine(url, self._functions, options)

    def read_only_engine(self, url: URL) -> Engine:
        return engine.read_only_engine(url, self._functions)

    def know_app(self, engine: Engine) -> None:
        self._functions.take_from(engine)
        self.capabilities = replace(self.capabilities, loaders=0 if self._functions.has_own() else 1)

    def find_lacking(self, url: URL) -> list[str]:
        with self._files.read(path_of(url)) as connection:
            return find_lacking(tables_with_sql(connection), self._functions)

    @contextlib.contextmanager
    def reader(self, url: URL) -> Iterator[SqliteReader]:
        with self._files.read(path_of(url)) as connection:
            connection.execute("BEGIN")
            look_at(connection, path_of(url))
            yield SqliteReader(connection, self.version_table)

    def look_over(self, url: URL) -> Overview | None:
        if not self.exists(url):
            return None
        with self.reader(url) as reader:
            tables = reader.tables()
            rows = reader.counts(name for name, table in tables.items() if not table.of_alembic)
            revisions = [str(row[0]) for table in tables.values() if table.of_alembic for row in reader.rows(table)]
            return Overview(rows, revisions, reader.mark(), self.size_bytes(url))

    def app_reader(self, url: URL) -> AbstractContextManager[SqliteReader]:
        return self.reader(url)

    def find_odd_texts(self, url: URL) -> str:
        """Nothing: a text in a file is what every connection reads."""
        return ""

    def watch(self, url: URL, *, as_app: bool = False) -> AbstractContextManager[Watch]:
        del as_app
        return contextlib.closing(SqliteWatch(path_of(url), lambda: self.reader(url)))

    def mark(self, url: URL) -> str:
        if not self.exists(url):
            return ""
        with explain_file_errors(path_of(url)), self._files.read(path_of(url)) as connection:
            return mark_of.mark_in(*connection.execute(mark_of.QUERY).fetchone())

    def live_mark(self, connection: AppConnection) -> str:
        return mark_of.mark_in(*connection.exec_driver_sql(mark_of.QUERY).one())

    def set_mark(self, url: URL, mark: str) -> None:
        with explain_file_errors(path_of(url)), self._files.open(path_of(url)) as connection:
            mark_of.set_mark(connection, mark)

    def set_numbers(self, staging: URL, numbers: Mapping[str, int]) -> list[str]:
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            mark_of.set_numbers(connection, numbers)
        return [name for name, number in numbers.items() if number and name not in mark_of.NUMBERS]

    @contextlib.contextmanager
    def loading(self, staging: URL) -> Iterator[None]:
        with self.reader(staging) as reader:
            triggers = [item for item in reader.objects() if item.kind == "trigger"]
        with self._files.open(path_of(staging)) as connection:
            for trigger in triggers:
                connection.execute(f"DROP TRIGGER {quote(trigger.name)}")
        yield
        self.create_objects(staging, triggers)
        self.refresh_derived(staging)

    def refresh_derived(self, staging: URL) -> list[str]:
        with self.reader(staging) as reader:
            objects = reader.objects()
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            return virtual.refresh(connection, objects)

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int, part: str = "") -> LoadResult:
        with explain_file_errors(path_of(url)), self._files.open(path_of(url)) as connection:
            return load(connection, table, rows, batch_rows)

    def clear(self, staging: URL, tables: Sequence[str]) -> None:
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            for name in tables:
                connection.execute(f"DELETE FROM {quote(name)}")

    def bring_outside(self, staging: URL, objects: Iterable[OutsideObject]) -> list[str]:
        if next(iter(objects), None) is not None:
            raise DoesNotFit(f"{self.name} has no large objects, so they cannot be brought to {staging.database}.")
        return []

    def copy(self, source: URL, to: URL, *, timeout_s: float, durable: bool = True) -> None:
        with explain_file_errors(path_of(to)):
            copy.copy_file(self._files, path_of(source), path_of(to), timeout_s=timeout_s, durable=durable)

    @contextlib.contextmanager
    def image(self, target: URL, old: URL, fence: Fence | None) -> Iterator[SqliteImage]:
        token = fence.token() if fence else b""
        # Without a fence nothing is swapped: it becomes no generation, and goes when this is over.
        self.copy(target, old, timeout_s=IMAGE_TIMEOUT_S, durable=fence is not None)
        if fence and fence.token() != token:
            raise LateWrite
        with self.reader(old) as reader:
            yield SqliteImage(self._files, path_of(old), token, reader)

    def take_for_copy(self, source: URL, staging: URL) -> bool:
        """A backup is a copy of all pages."""
        del source, staging
        return True

    def keep(self, staging: URL, generation: URL) -> None:
        path = path_of(generation)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path_of(staging).replace(path)

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            copy.carry(connection, path_of(source), tables)

    def create_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        with self._files.open(path_of(staging)) as connection:
            copy.create_objects(connection, objects)

    def problems(self, url: URL) -> list[Problem]:
        return rules.problems(self._files, path_of(url))

    def settle(self, staging: URL, *, keep_violations: bool = False) -> None:
        """Nothing is left to vouch for: SQLite keeps no rule that it was told not to look at."""

    def set_counters(self, staging: URL, counters: Sequence[Counter]) -> list[Counter]:
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            return counters_of.set_counters(connection, counters)

    def explain(self, url: URL, error: BaseException) -> FerryError | None:
        return swap.explain_file(path_of(url), error) if isinstance(error, sqlite3.Error) else None

    def find_refused_keys(self, url: URL, words: str) -> list[str]:
        return rules.find_refused_keys(self._files, path_of(url), words)

    def schema_fingerprint(self, url: URL) -> str:
        if not self.exists(url):
            return ""
        with self._files.read(path_of(url)) as connection:
            rows = connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name <> ? ORDER BY type, name",
                (mark_of.VIEW,),
            )
            return hashlib.sha256(repr(rows.fetchall()).encode()).hexdigest()

    @contextlib.contextmanager
    def fence(self, url: URL) -> Iterator[Fence]:
        fence = SqliteFence(path_of(url))
        try:
            yield fence
        finally:
            fence.close()

    def swap(
        self,
        staging: URL,
        target: URL,
        old: URL,
        fence: Fence,
        token: bytes,
        *,
        timeout_s: float,
    ) -> None:
        assert isinstance(fence, SqliteFence)  # noqa: S101 # each room makes and gets its own
        swap.swap(path_of(staging), path_of(target), fence, token, timeout_s=timeout_s)

    def recover(self, staging: URL, target: URL, old: URL) -> list[str]:
        """SQLite itself undoes a transaction that was killed, when the file is next opened to be written."""
        return []

    def size_bytes(self, url: URL) -> int:
        path = path_of(url)
        wal = path.with_name(path.name + "-wal")
        return sum(p.stat().st_size for p in (path, wal) if p.exists())

    def free_bytes(self, url: URL) -> int | None:
        directory = path_of(url).resolve().parent
        while not directory.exists():
            directory = directory.parent
        return shutil.disk_usage(directory).free

    def settle_control(self, url: URL) -> list[str]:
        """Nothing is to be done: no session is led to it by its name."""
        return []

    def oddities(self, url: URL) -> list[str]:
        return []

    def open_control(self, area: ControlArea) -> None:
        make_directory(area.directory)
        create_private(path_of(area.url))

    def control_engine(self, area: ControlArea, *, each_alone: bool = False) -> Engine:
        del each_alone  # to begin a transaction takes no time here
        return engine.control_engine(area.url)

    def lock(self, url: URL, timeout_s: float) -> contextlib.AbstractContextManager[None]:
        return lock.lock(names.area_of(url), timeout_s)

    def client_dump(self, url: URL, to: Path) -> None:
        raise BackupFailed(
            f"For {url.database} there is no other way than SQLite's own backup.",
            hint=f"Leave --client out (for {to}).",
        )

    def dump_empty(self, staging: URL, to: Path) -> None:
        self.refresh_derived(staging)
        with explain_file_errors(path_of(staging)), self._files.open(path_of(staging)) as connection:
            connection.execute("VACUUM")
        self.copy(staging, url_of(to), timeout_s=IMAGE_TIMEOUT_S)

    def is_script(self, _backup: Path) -> bool:
        return False

    def restore(self, backup: Path, url: URL) -> list[str]:
        restore.restore(self._files, backup, path_of(url))
        return []
