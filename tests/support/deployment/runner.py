"""Start and stop an old deployment as a process of its own."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from requests import Response

from . import misbehaviour, requestlog, rules, words
from .data import Shape, make_database
from .gunicorn_conf import LIFELINE
from .models import db
from .settings import COUNTERS, DATABASE, LOG, REQUESTS, Settings

ROOT = Path(__file__).resolve().parents[3]
START_LIMIT_S = 120.0
STOP_LIMIT_S = 4.0
CLIENT_TIMEOUT_S = 30.0


class DeploymentFailed(RuntimeError):
    """The process did not come up; the message ends with the last lines of its log."""


class Deployment:
    """An old deployment, running while the ``with`` block lasts.

    :param directory: where its database, log and control file go; made if absent. A database that is already
        there is served as it is.
    :param settings: how it answers; see ``Settings``. Default: the newer style.
    :param shape: how much data to make.
    :param database: a SQLite file to copy in place of making data.
    :param host: the loopback address to listen on.
    :param port: 0 for a free one; kept when the deployment is stopped and started again.
    """

    uid, password = words.ADMIN_UID, words.ADMIN_PASSWORD
    teacher_uid, teacher_password = words.TEACHER_UID, words.TEACHER_PASSWORD
    plain_uid, plain_password = words.PLAIN_UID, words.PLAIN_PASSWORD

    def __init__(
        self,
        directory: Path | str,
        settings: Settings | None = None,
        *,
        shape: Shape | None = None,
        database: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 1,
        threads: int = 4,
    ) -> None:
        self.directory = Path(directory).resolve()
        self.settings = settings or Settings()
        self.database = self.directory / DATABASE
        self.log = self.directory / LOG
        self.host, self.port = host, port
        self._workers, self._threads = workers, threads
        self._shape, self._copy_of = shape, database
        self._rules: list[rules.Rule] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id of the server while it runs."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def prepare(self) -> None:
        """Write the settings and, unless there is one, the database."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings.save(self.directory)
        if self.database.exists():
            return
        if self._copy_of is not None:
            shutil.copyfile(self._copy_of, self.database)
        else:
            make_database(self.database, self._shape)

    def start(self) -> None:
        """Start the server and wait until it answers.

        :raises DeploymentFailed: it did not within two minutes; nothing is left running.
        """
        if self._process is not None:
            raise DeploymentFailed("It runs already; stop() it first.")
        with socket.create_server((self.host, self.port)) as listener:
            self.port = listener.getsockname()[1]
            self._spawn(listener)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def _spawn(self, listener: socket.socket) -> None:
        """Hand the bound socket over, so that nobody else can take the port in between."""
        reading, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "gunicorn", "-c", "python:tests.support.deployment.gunicorn_conf"]
        command += ["--bind", f"fd://{listener.fileno()}", "--no-control-socket"]
        command += ["--workers", str(self._workers), "--threads", str(self._threads)]
        command += [f"tests.support.deployment.api:create_app({str(self.directory)!r})"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GUNICORN")}
        try:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment | {LIFELINE: str(reading), "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(reading, listener.fileno()),
                    start_new_session=True,
                )
        finally:
            os.close(reading)

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.02)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise DeploymentFailed(f"The old deployment in {self.directory} did not start. Its log ends:\n{tail}")

    def _answers(self) -> bool:
        client = http.client.HTTPConnection(self.host, self.port, timeout=2)
        with closing(client), suppress(OSError, http.client.HTTPException):
            client.request("GET", "/")
            return client.getresponse().status == 200
        return False

    def stop(self) -> None:
        """Stop the server and all its workers; kill what does not stop within 4 seconds."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    @property
    def running(self) -> bool:
        """Whether the server is there."""
        return self._process is not None and self._process.poll() is None

    def misbehave(
        self,
        kind: str,
        *,
        path: str | None = None,
        page: int | None = None,
        times: int | None = None,
        after: int = 0,
        every: int = 1,
        **parameters: Any,
    ) -> str:
        """Do something wrong from the next request on, beside what is wrong already; return the rule's id.

        :param path: a shell pattern for paths; each kind has a default.
        :param page: only requests for this page.
        :param times: this often; ``None`` for always.
        :param after: let this many matching requests pass first.
        :param every: of the rest, at each n-th only.
        :raises ValueError: no such kind, or no such parameter of it.
        """
        new = misbehaviour.rule(kind, path=path, page=page, times=times, after=after, every=every, **parameters)
        self._rules.append(new)
        rules.write_rules(self.directory, self._rules)
        return new.id

    def behave(self) -> None:
        """Do nothing wrong any more."""
        self._rules = []
        rules.write_rules(self.directory, self._rules)
        shutil.rmtree(self.directory / COUNTERS, ignore_errors=True)

    def matched(self, rule_id: str) -> int:
        """Return how many requests a rule has matched, those it let pass included."""
        return rules.count(self.directory, rule_id)

    def requests(self, path: str | None = None) -> list[requestlog.LoggedRequest]:
        """Return the requests so far, oldest first; of one path only when it is given."""
        return [r for r in requestlog.read(self.directory / REQUESTS) if path in (None, r.path)]

    def forget_requests(self) -> None:
        """Empty the log of requests."""
        (self.directory / REQUESTS).unlink(missing_ok=True)

    def execute(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement on the old database, commit, and return its rows."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each of the fifteen tables."""
        return {name: int(self.execute(f"SELECT count(*) FROM {name}")[0][0]) for name in sorted(db.metadata.tables)}

    def log_in(self, uid: str | None = None, password: str | None = None) -> dict[str, str]:
        """Log in, as the admin by default, and return the headers that carry the token."""
        credentials = {
            "uid": self.uid if uid is None else uid,
            "password": self.password if password is None else password,
        }
        answer = requests.post(f"{self.url}/api/authenticate", json=credentials, timeout=CLIENT_TIMEOUT_S)
        answer.raise_for_status()
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Response:
        """GET a path with these headers, by default those of the admin; redirects are not followed."""
        return requests.get(
            f"{self.url}{path}",
            headers=self.log_in() if headers is None else headers,
            params=query,
            timeout=CLIENT_TIMEOUT_S,
            allow_redirects=False,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group; the group has the process's id."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGQUIT)  # gunicorn: at once, without grace
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(START_LIMIT_S)
