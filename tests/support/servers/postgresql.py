"""A private PostgreSQL server."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
from sqlalchemy import URL

from . import copy_prepared, find_fetched, free_port, make_directory

START_LIMIT_S = 60.0
SUPERUSER = "postgres"
PASSWORD = "super: secret\\"
"""Of the superuser over TCP; its characters are those that a password file has to escape."""


class PostgreSQL:
    """A server in a directory of its own; it can be killed and started again on the same data and port.

    It listens on loopback, where passwords are asked for, and on a socket for :meth:`execute`; where it serves TLS, on
    every address.

    :param options: further settings, ``name=value``.
    :param certificates: a directory with ``server.crt`` and ``server.key``, to serve TLS with.
    """

    def __init__(self, *options: str, certificates: Path | None = None) -> None:
        # PostgreSQL refuses root, and no other user can look into pytest's directories.
        self.directory = make_directory("ferry-pg-")
        self.options = options
        self.port = free_port()
        self._certificates = certificates
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process, "the server was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def prepare(self) -> None:
        """Make the data directory."""
        secret = self.directory / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        for path in (self.directory, secret):
            _give(path)
        copy_prepared("postgresql", self.data, self._initialise)
        if self._certificates:
            for name in ("server.crt", "server.key"):
                shutil.copyfile(self._certificates / name, self.data / name)
                (self.data / name).chmod(0o600)
                _give(self.data / name)
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all all scram-sha-256\n")

    def _initialise(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        _give(data)
        done = subprocess.run(
            [
                program("initdb"),
                f"--pgdata={data}",
                f"--username={SUPERUSER}",
                f"--pwfile={self.directory / 'password'}",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self.directory,
            **_as_user(),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.directory}",
            "fsync=off",
            "shared_buffers=64MB",
            "max_connections=120",
            "max_wal_size=256MB",
            "lc_messages=C",
            *(["ssl=on", "listen_addresses=*"] if self._certificates else []),
            *self.options,
        ]
        command = [program("postgres"), "-D", str(self.data)]
        for setting in settings:
            command += ["-c", setting]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory, **_as_user()
            )
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                ended = self._process.poll()
                assert ended is None, f"the server ended with {ended}:\n{self.log.read_text()[-3000:]}"
                assert time.monotonic() < deadline, self.log.read_text()[-3000:]
                time.sleep(0.02)

    def kill(self) -> None:
        """End the postmaster and its children as ``kill -9`` does."""
        if self._process and self._process.poll() is None:
            children = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            self._process.wait(timeout=60)
            deadline = time.monotonic() + 60
            while any(map(_is_alive, children)):
                assert time.monotonic() < deadline, children
                time.sleep(0.005)

    def stop(self) -> None:
        """Shut the server down, and remove its directory."""
        if self._process and self._process.poll() is None:
            # At once, without a last checkpoint: nobody starts it again.
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str | None = None, user: str = SUPERUSER, password: str | None = PASSWORD) -> URL:
        """A URL of one of its databases."""
        return URL.create(
            "postgresql+psycopg", username=user, password=password, host="127.0.0.1", port=self.port, database=database
        )

    @contextlib.contextmanager
    def connect(self, database: str = "postgres") -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A connection as superuser, autocommit."""
        with contextlib.closing(
            psycopg.connect(
                host=str(self.directory),
                port=self.port,
                user=SUPERUSER,
                dbname=database,
                autocommit=True,
                connect_timeout=10,
            )
        ) as connection:
            yield connection

    def execute(self, sql: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as superuser; its rows."""
        statement: LiteralString = sql  # type: ignore[assignment]
        with self.connect(database) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that ended may be left as a zombie for a while."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def program(name: str) -> str:
    """A program of the server's, which distributions do not put on the path."""
    if fetched := find_fetched("postgresql"):
        return str(fetched / "programs" / name)
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/pgsql/bin")]
    found = next((str(place / name) for place in places if (place / name).exists()), None)
    return found or shutil.which(name) or name


@functools.cache
def find_version() -> int:
    """The version that tests run on: 18; 0 where none is installed, as for ``make test-fast``."""
    try:
        done = subprocess.run(
            [program("postgres"), "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except FileNotFoundError:
        return 0
    # postgres (PostgreSQL) 18.6 (Debian 18.6-3)
    return int(done.stdout.split()[2].partition(".")[0])


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as_user() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    user = _user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, _user().pw_uid, _user().pw_gid)
