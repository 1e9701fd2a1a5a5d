"""One way to carry the rows: our command, or a tool of others."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.host.served import NAME, PASSWORD
from tests.support.serving import Server
from tests.support.site import ROOT

from .delay import DelayingProxy
from .process import measure
from .stores import SOURCE, MariaStore, PostgresStore, SqliteStore, Store, cpu_s_of

FORUM = "benchmarks.host.forum:create_app"
SERVED = "benchmarks.host.served:create_app()"
OURS = "Flask-Ferry"
ROUND_TRIP_S = 0.010
PEERS = ROOT / ".venv" / "peers" / "bin"


@dataclass(frozen=True)
class Job:
    """A line of shell whose end is that a database is there.

    :ivar store: where the result lies, None where it is a file that nothing counts.
    :ivar name: the database that has the rows then.
    """

    line: str
    store: Store | None
    name: str
    environ: dict[str, str]


@dataclass(frozen=True)
class Contender:
    """One way to carry the rows.

    :ivar prepare: makes what the command needs and returns it; not measured.
    :ivar program: what has to be installed for it.
    """

    name: str
    prepare: Callable[[], Job]
    program: str = "bash"

    @property
    def is_installed(self) -> bool:
        return shutil.which(self.program) is not None


@dataclass(frozen=True)
class Route:
    """What is compared with what. The first contender is ours.

    :ivar small: the source is the one of size XS.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    small: bool = False


class Places:
    """All stores, filled with a forum, and a directory for what commands write.

    :ivar sqlite: its source is of the size that was asked for, as those of the servers.
    :ivar small: its source is of size XS.
    :ivar served: a deployment of the forum on the first's source.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("files", "small", "scratch"):
            (directory / name).mkdir()
        self.sqlite, self.small = SqliteStore(directory / "files"), SqliteStore(directory / "small")
        self.maria, self.second, self.postgres = MariaStore(), MariaStore(), PostgresStore()
        self.stores: tuple[Store, ...] = (self.sqlite, self.small, self.maria, self.second, self.postgres)
        self.far_maria = DelayingProxy(self.maria.server.port, ROUND_TRIP_S)
        self.far_postgres = DelayingProxy(self.postgres.server.port, ROUND_TRIP_S)
        environ = os.environ | forum_environ(self, self.sqlite.url(SOURCE))
        self._open = contextlib.ExitStack()
        self.served = self._open.enter_context(Server(SERVED, environ, directory / "served.log"))

    def server_cpu_s(self) -> float:
        """What all servers took so far."""
        return sum(store.cpu_s() for store in self.stores) + cpu_s_of(self.served.pid)

    def clear(self) -> None:
        """Remove what a run left."""
        for store in self.stores:
            store.clear()
        shutil.rmtree(self.scratch(""), ignore_errors=True)
        self.scratch("").mkdir()

    def scratch(self, name: str) -> Path:
        """A path for what a command writes."""
        return self.directory / "scratch" / name

    def stop(self) -> None:
        """End the proxies, the deployment and the servers."""
        self._open.close()
        for proxy in (self.far_maria, self.far_postgres):
            proxy.close()
        for store in self.stores:
            store.stop()


def flask(*arguments: str) -> str:
    """A line of shell that runs one of the forum's commands."""
    return shlex.join([sys.executable, "-m", "flask", "--app", FORUM, *arguments])


def forum_environ(places: Places, url: str, **further: str) -> dict[str, str]:
    """The environment of the forum on a database."""
    path = os.pathsep.join([str(PEERS), os.environ["PATH"]])
    return {
        "FORUM_DATABASE": url,
        "FORUM_DIRECTORY": str(places.scratch("instance")),
        "FLASK_SKIP_DOTENV": "1",
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        **further,
    }


def carry(places: Places, source: str, to: Store, port: int | None = None, **further: str) -> Contender:
    """Our whole run into a new database, over another port than its server's where one is given."""

    def prepare() -> Job:
        name = to.make()
        environ = forum_environ(places, to.url(name, port), FLASK_FERRY_SOURCE=source, **further)
        return Job(flask("db-migrate-data", "--yes", "--quiet"), to, name, environ)

    return Contender(OURS, prepare)


def pull(places: Places, to: Store) -> Contender:
    """Our whole run from the deployment, over HTTP."""
    return carry(places, places.served.url, to, FLASK_FERRY_SOURCE_UID=NAME, FLASK_FERRY_SOURCE_PASSWORD=PASSWORD)


def peer(places: Places, name: str, line: Callable[[str], str], to: Store, needs: str = "bash") -> Contender:
    """A tool that fills a new database; ``line`` makes its line of shell of the database's name."""

    def prepare() -> Job:
        database = to.make()
        return Job(line(database), to, database, forum_environ(places, to.url(database)))

    return Contender(name, prepare, needs)


def upgrade_self(places: Places, store: Store) -> Contender:
    """Our run that brings the live database to its second revision."""

    def prepare() -> Job:
        name = store.copy()
        environ = forum_environ(places, store.url(name), FORUM_MIGRATIONS=str(places.directory / "second"))
        return Job(flask("db-migrate-data", "self", "--yes", "--quiet"), store, name, environ)

    return Contender(OURS, prepare)


def upgrade_copy(places: Places, store: Store, copy_line: Callable[[str], str]) -> Contender:
    """A copy on the server, and Alembic on it."""

    def prepare() -> Job:
        name = store.make()
        environ = forum_environ(places, store.url(name), FORUM_MIGRATIONS=str(places.directory / "second"))
        return Job(f"{copy_line(name)} && {flask('db', 'upgrade')}", store, name, environ)

    return Contender("copy + flask db upgrade", prepare)


def backup(places: Places, store: Store) -> Contender:
    """Our backup of a database that has the rows."""

    def prepare() -> Job:
        name = store.copy()
        return Job(flask("db-backup"), store, name, forum_environ(places, store.url(name)))

    return Contender(OURS, prepare)


def dump(places: Places, name: str, line: str) -> Contender:
    """A client's dump of the source."""
    return Contender(name, lambda: Job(line, None, SOURCE, forum_environ(places, "sqlite://")))


def status(places: Places, store: MariaStore | PostgresStore, port: int) -> Contender:
    """Our ``db-status`` of a database that was migrated."""

    def prepare() -> Job:
        name = store.make()
        environ = forum_environ(places, store.url(name), FLASK_FERRY_SOURCE=places.small.url(SOURCE))
        line = flask("db-migrate-data", "--yes", "--quiet")
        measure(line, environ, places.directory, places.server_cpu_s)
        return Job(flask("db-status"), store, name, forum_environ(places, store.url(name, port)))

    return Contender(OURS, prepare)
