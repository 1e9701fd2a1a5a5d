"""A private MariaDB server, or one of MySQL in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL

from . import copy_prepared, find_fetched, free_port

START_LIMIT_S = 60.0
LOG_SIZE = "--innodb-log-file-size=48M"
# Killed while it creates or renames a table's file, a server may not read its own log again, whatever its settings for
# flushing are, for a kill loses nothing that was written: MDEV-37994, MDEV-40728 and MDEV-41152 (seen with 10.11.19).
UNREADABLE_LOG = "Missing FILE_CREATE, FILE_DELETE or FILE_MODIFY before FILE_CHECKPOINT"


ON_MYSQL = find_fetched("mysql") is not None
NOT_RUN = "REPLICA_SIDE_DISABLED" if ON_MYSQL else "SLAVESIDE_DISABLED"
"""The status of an event that is of another server."""


def numbers(count: int) -> str:
    """A table ``n`` of the numbers from 1 on, in its column ``seq``, on either server."""
    return f"JSON_TABLE(CONCAT('[0', REPEAT(',0', {count - 1}), ']'), '$[*]' COLUMNS (seq FOR ORDINALITY)) AS n"


class FilesLost(Exception):
    """A killed server cannot start again on its own files, for a fault of its own."""


OF_MARIADB = (
    # A killed server's writes are in the system's cache all the same; only a power failure would lose them.
    "--innodb-flush-method=nosync",
    LOG_SIZE,
)
OF_MYSQL = (
    "--innodb-flush-method=nosync",
    "--innodb-redo-log-capacity=96M",
    "--mysqlx=OFF",
    # As MariaDB has it.
    "--disable-log-bin",
    "--secure-file-priv=",
    "--local-infile=ON",
)
"""Of a server that is not installed: where its own files are comes besides."""


class MariaDB:
    """A server in a directory of its own; it can be killed and started again on the same data and port.

    It listens on loopback; where it serves TLS, on all addresses.

    :param options: further options of ``mariadbd``.
    :param certificates: a directory with ``server.crt`` and ``server.key``, to serve TLS with.
    """

    def __init__(self, directory: Path, *options: str, certificates: Path | None = None) -> None:
        self.directory = directory
        self.options = options
        if certificates:
            files = (f"--ssl-cert={certificates / 'server.crt'}", f"--ssl-key={certificates / 'server.key'}")
            self.options = (*options, *files, "--bind-address=*")
        self.port = free_port()
        # A socket's path must be short (108 bytes); pytest's directories are not.
        self._short = Path(tempfile.mkdtemp(prefix="ferry-"))
        self.socket = self._short / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self._root = find_fetched("mysql") or find_fetched("mariadb")

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
        """Make the data directory, with ``root`` without a password."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if ON_MYSQL and any("lower-case" in option for option in self.options):
            # It asks for this once and for all.
            self._initialise(self.data)
            return
        copy_prepared("mariadb", self.data, self._install)

    def _places(self) -> list[str]:
        """Where a server that is not installed has its own files."""
        if self._root is None:
            return []
        files = self._root / "usr/share" / ("mysql" if ON_MYSQL else "mariadb")
        plugins = self._root / "usr/lib/mysql/plugin"
        return [
            f"--basedir={self._root / 'usr'}",
            f"--lc-messages-dir={files}",
            f"--character-sets-dir={files / 'charsets'}",
            f"--plugin-dir={plugins}",
        ]

    def _install(self, data: Path) -> None:
        if ON_MYSQL:
            self._initialise(data)
            return
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", *_as_user()]
        # Of the size it has later: else the first start would write another one.
        command += ["--auth-root-authentication-method=normal", "--skip-test-db", LOG_SIZE, *self._places()]
        own = {**os.environ, "TMPDIR": str(self._short)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=own)
        assert done.returncode == 0, done.stdout + done.stderr

    def _initialise(self, data: Path) -> None:
        """MySQL knows root on the socket alone; by name there is none where no names are looked up."""
        users = self._short / "users.sql"
        statements = ["CREATE USER root@127.0.0.1", "GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION"]
        statements += ["GRANT PROXY ON ''@'' TO root@127.0.0.1 WITH GRANT OPTION"]
        users.write_text("".join(f"{sql};\n" for sql in statements))
        command = ["mysqld", "--no-defaults", "--initialize-insecure", f"--datadir={data}", f"--init-file={users}"]
        command += [f"--tmpdir={self._short}", *_as_user(), *self._places(), *OF_MYSQL, *self.options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start and wait until it answers.

        :raises FilesLost: it refuses its own log.
        """
        command = [
            shutil.which("mysqld" if ON_MYSQL else "mariadbd") or "mariadbd",
            "--no-defaults",
            *self._places(),
            f"--datadir={self.data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.socket}",
            f"--pid-file={self.directory / 'pid'}",
            # A server that starts removes all temporary tables it finds there, those of other servers too, which
            # may crash of it (seen).
            f"--tmpdir={self._short}",
            "--skip-name-resolve",
            *(OF_MYSQL if ON_MYSQL else OF_MARIADB),
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=96M",
            "--max-connections=200",
            *_as_user(),
            *self.options,
        ]
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():
            ended = self._process.poll()
            words = self.log.read_bytes()[before:].decode(errors="replace")
            if ended is not None and UNREADABLE_LOG in words:
                raise FilesLost(words[-3000:])
            assert ended is None, f"the server ended with {ended}:\n{words[-3000:]}"
            assert time.monotonic() < deadline, words[-3000:]
            time.sleep(0.05)

    def _answers(self) -> bool:
        # The driver leaks a socket that it could not connect. The file of the other one is there before it answers.
        with (
            # MySQL takes connections, and drops them, before it answers.
            contextlib.suppress(OSError, pymysql.OperationalError),
            socket.create_connection(("127.0.0.1", self.port), timeout=5),
            socket.socket(socket.AF_UNIX) as own,
        ):
            own.connect(str(self.socket))
            return self.execute("SELECT 1") == [(1,)]
        return False

    def kill(self) -> None:
        """End the server as ``kill -9`` does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server at once, for nobody starts it again, and remove its socket's directory."""
        self.kill()
        shutil.rmtree(self._short, ignore_errors=True)

    def _end(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=60)

    def url(self, database: str | None = None, user: str = "root", password: str | None = None) -> URL:
        """A URL of one of its databases."""
        return URL.create(
            "mysql+pymysql", username=user, password=password, host="127.0.0.1", port=self.port, database=database
        )

    @contextlib.contextmanager
    def connect(self, database: str | None = None) -> Iterator[pymysql.Connection[Any]]:
        """A connection as root, autocommit."""
        # Without TLS, as the driver would read all certificates of the system for each connection (47 ms).
        connection = pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            ssl_disabled=True,
        )
        try:
            yield connection
        finally:
            connection.close()

    def execute(self, sql: str, *values: Any, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as root; its rows."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def drop_all(self, prefix: str) -> None:
        """Drop every database whose name begins so, as soon as nobody uses it."""
        found = self.execute("SELECT schema_name FROM information_schema.schemata")
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION foreign_key_checks = 0")
            for name in [name for (name,) in found if name.startswith(prefix)]:
                cursor.execute(f"DROP DATABASE `{name}`")


def _as_user() -> list[str]:
    return ["--user=root"] if os.getuid() == 0 else []
