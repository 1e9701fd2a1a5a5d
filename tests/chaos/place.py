"""A deployed app on a database of one server, in a directory of its own that can be filled up or closed."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from app.dialects import dialect_for
from app.dialects.base import Dialect
from app.transfer.run.control import Control
from tests.scenarios.small_host import SmallHost
from tests.support.forks import Forked, Hook, start_flask
from tests.support.places import databases, definitions
from tests.support.site import MODULES, ROOT, Result

from .host import SECOND, WRITTEN, first, rows_of

LIMIT_S = 150.0
ROOM = "48m"
KEEP = "3"
OURS = (*MODULES, "tests.chaos.host", "tests.chaos.points", "tests.support.runs.hooks")


@dataclass(frozen=True)
class Look:
    """What is live: all rows but those of writers, and these by their names.

    :ivar rows: table -> rows.
    :ivar written: names of rows that writers made, each with how often the trigger noted it.
    """

    rows: Mapping[str, list[tuple[object, ...]]]
    written: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Place:
    """The app on a database.

    :ivar url: where the harness reaches the database.
    :ivar through: where commands reach it, if it is another way.
    :ivar interpreter: what the interpreter of commands finds in its environment when it starts.
    :ivar hooks: what every command calls first.
    """

    server: str
    directory: Path
    url: URL
    through: URL | None = None
    interpreter: dict[str, str] = field(default_factory=dict)
    hooks: tuple[Hook, ...] = ()
    commands: int = 0

    def prepare(self) -> None:
        """Make both histories."""
        for name, revisions in (("now", (first(self.server),)), ("next", (first(self.server), SECOND))):
            host = self.small_host(self.directory / name)
            host.directory.mkdir()
            for number, statements in enumerate(revisions, 1):
                host.revise(*statements, name=f"r{number}", down=f"r{number - 1}" if number > 1 else None)
        # A revision of the test's own goes down as well, for rows that are brought back to it.
        down = "\nop.drop_index('goods_by_stock', 'goods')\nop.drop_column('goods', 'stock')"
        path = self.directory / "next" / "migrations" / "versions" / "r2.py"
        body = "".join(f"    {line}\n" for line in down.strip().splitlines())
        head, _, _ = path.read_text().rpartition("    pass")
        path.write_text(head + body)

    def small_host(self, directory: Path) -> SmallHost:
        return SmallHost(directory, self.through or self.url)

    def environ(self, release: str) -> dict[str, str]:
        return {
            **self.small_host(self.directory / release).environ,
            **self.interpreter,
            "FLASK_APP": "tests.chaos.host:create_app",
            "FLASK_INSTANCE_PATH": str(self.directory),
            "FLASK_SKIP_DOTENV": "1",
            "FLASK_FERRY_KEEP": KEEP,
            "FLASK_FERRY_TIMEOUT": "2",
            "PYTHONFAULTHANDLER": "1",
        }

    def start(self, arguments: Iterable[str], release: str, hooks: Iterable[Hook] = ()) -> Forked:
        """Start ``flask ...``."""
        self.commands += 1
        environ = self.environ(release)
        every = [*self.hooks, *hooks]
        return start_flask(arguments, environ, self.directory, modules=OURS, root=ROOT, hooks=every)

    def run(self, arguments: Iterable[str], release: str, hooks: Iterable[Hook] = ()) -> Result:
        """Run ``flask ...`` to its end."""
        return wait(self.start(arguments, release, hooks))

    # What is there

    @functools.cached_property
    def dialect(self) -> Dialect:
        return dialect_for(self.url, directory=self.directory)

    @property
    def database(self) -> Path:
        return Path(str(self.url.database))

    def look(self) -> Look:
        """What is live now; of a file in a copy, so that a hot journal stays for the next run."""
        if self.server != "sqlite":
            return look_at(self.url)
        with tempfile.TemporaryDirectory(dir=self.directory.parent) as scratch:
            for suffix in ("", "-journal", "-wal"):
                file = Path(f"{self.database}{suffix}")
                if file.exists():
                    shutil.copyfile(file, Path(scratch) / file.name)
            copy = self.url.set(database=str(Path(scratch) / self.database.name))
            with contextlib.closing(sqlite3.connect(str(copy.database))) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return look_at(copy)

    def objects(self) -> list[tuple[str, str]]:
        """Definitions of tables, views and triggers that are live."""
        with connect(self.url) as connection:
            names = [str(name) for (name,) in connection.exec_driver_sql(TRIGGERS[self.server])]
        seen = [(name, text) for name, text in definitions(self.url) if "generation" not in name]
        return [*seen, *(("trigger", name) for name in sorted(set(names)))]

    def written_beside(self) -> set[str]:
        """Names of writers' rows in generations and in files of rows saved before they went."""
        names: set[str] = set()
        for beside in self.dialect.beside(self.url):
            if beside.is_generation:
                names |= look_beside(self, beside.url)
        for file in self.directory.rglob("writes-since.json"):
            names |= {word for word in file.read_text().split('"') if word.startswith(WRITTEN)}
        return names

    def control(self) -> Control | None:
        return Control.peek(self.dialect, self.dialect.control_area(self.url))

    def left_behind(self) -> list[str]:
        """What is there of runs that have ended: staging, scratch, unfinished files."""
        files = [
            str(path.relative_to(self.directory))
            for path in self.directory.rglob("*")
            if path.name.startswith(("staging-", ".probe-")) or ".tmp" in path.suffixes
        ]
        if self.server == "sqlite":
            return files
        return files + [name for name in databases(self.url) if "staging" in name or "__stg" in name]


TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'trigger'",
    "mariadb": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = database()",
    "postgresql": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = current_schema()",
}


def look_beside(place: Place, url: URL) -> set[str]:
    """Writers' rows of a generation; of one without tables, none."""
    with contextlib.suppress(sa.exc.DBAPIError), place.dialect.engine(url).connect() as connection:
        return written_in(connection)
    return set()


def written_in(connection: sa.Connection) -> set[str]:
    sql = sa.text("SELECT name FROM shops WHERE name LIKE :like")
    return (
        {str(name) for (name,) in connection.execute(sql, {"like": f"{WRITTEN}%"})} if has_shops(connection) else set()
    )


def has_shops(connection: sa.Connection) -> bool:
    return sa.inspect(connection).has_table("shops")


@contextlib.contextmanager
def connect(url: URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def look_at(url: URL) -> Look:
    """All rows of a database; of one that is not there, none."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return Look({})
    with connect(url) as connection:
        rows = rows_of(connection)
        if not has_shops(connection):
            return Look(rows)
        written = written_in(connection)
        notes = connection.exec_driver_sql("SELECT shop, count(*) FROM audits GROUP BY shop").all()
        counts = {str(shop): int(count) for shop, count in notes}
        return Look(rows, {name: counts.get(name, 0) for name in written})


def wait(process: Forked) -> Result:
    """The end of a command; one that does not come is an error, and the process is ended."""
    try:
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        # It says where it is.
        process.send_signal(signal.SIGABRT)
        raise AssertionError(f"it does not end: {process.communicate(timeout=30)}") from error
    return Result(process.wait(), stdout, stderr)


@contextlib.contextmanager
def make_directory(parent: Path) -> Iterator[Path]:
    """A directory of a size of its own, where this user may mount one; else a plain one."""
    directory = Path(tempfile.mkdtemp(prefix="place-", dir=parent))
    mounted = can_mount() and _mount(directory)
    try:
        yield directory
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", directory], check=True, timeout=60)
        shutil.rmtree(directory, ignore_errors=True)


def can_mount() -> bool:
    """Whether a disk of our own can be made, to be filled up."""
    return os.getuid() == 0 and shutil.which("mount") is not None


def _mount(directory: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=0755", "tmpfs", str(directory)]
    done: subprocess.CompletedProcess[bytes] = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.returncode == 0
