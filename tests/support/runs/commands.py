"""What the tests of runs share: starting commands, looking at databases, making releases."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.site import ROOT, Result, Site, content

from .host import HOST, MIGRATIONS

LIMIT_S = 120.0
Hook = tuple[str, dict[str, Any]]


class ForkServer:
    """The program of :mod:`.forkserver`, running."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.runs.forkserver"],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", "FLASK_SKIP_DOTENV": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate(timeout=120)

    def ask(self, request: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(
        self, arguments: Iterable[str], environ: dict[str, str], hooks: Iterable[Hook], cwd: Path, terminal: str = ""
    ) -> Started:
        self._count += 1
        files = {name: str(self._directory / f"{self._count}.{name}") for name in ("stdout", "stderr")}
        asked = {"arguments": list(arguments), "environ": environ, "hooks": list(hooks), "cwd": str(cwd)}
        return Started(self, self.ask({**asked, **files, "terminal": terminal}), **files)


@dataclass
class Started:
    """A command that was started."""

    server: ForkServer
    pid: int
    stdout: str
    stderr: str
    ended: Result | None = None

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, limit_s: float = LIMIT_S) -> Result:
        """Its end; what takes longer is killed."""
        if self.ended is None:
            alarm = threading.Timer(limit_s, self.signal, [signal.SIGKILL])
            alarm.start()
            try:
                status = self.server.ask({"wait": self.pid})
            finally:
                alarm.cancel()
            texts = [Path(name).read_text() if Path(name).exists() else "" for name in (self.stdout, self.stderr)]
            self.ended = Result(status, *texts)
        return self.ended


@dataclass
class Place(Site):
    """A deployed reference app whose commands are forks of a program that has imported the app."""

    server: ForkServer | None = None
    waiting: list[Started] = field(default_factory=list)

    def launch(self, *arguments: str, hooks: Iterable[Hook] = (), **environ: str) -> Started:
        """Start a command; whatever still runs at the end of the test is killed."""
        assert self.server
        started = self.server.start(arguments, self.env(**environ), hooks, ROOT)
        self.waiting.append(started)
        return started

    def run(self, *arguments: str, hooks: Iterable[Hook] = (), **environ: str) -> Result:
        """Run a command to its end. An error that nobody explains fails the test."""
        result = self.launch(*arguments, hooks=hooks, **environ).wait()
        assert "Traceback" not in result.stderr, result.stderr
        return result

    def migrate(self, source: Path | str, *options: str, **environ: Any) -> Result:
        return self.run("db-migrate-data", str(source), "--yes", *options, **environ)

    def end_all(self) -> None:
        for started in self.waiting:
            if started.ended is None:
                with contextlib.suppress(ProcessLookupError):
                    started.signal(signal.SIGKILL)
                started.wait()

    def release(self, migrations: Path) -> None:
        """Deploy code with another Alembic history."""
        self.environ |= {"FLASK_APP": HOST, MIGRATIONS: str(migrations)}

    def staging(self) -> list[str]:
        """Staging databases, and temporary files beside live data, that somebody left."""
        return sorted(
            path.name
            for path in self.directory.rglob("*")
            if path.name.startswith(("staging-", ".probe-"))
            or (path.parent != self.backups and ".tmp" in path.suffixes)
        )

    def generations(self) -> set[str]:
        return {path.name for path in (self.area / "generations").glob("*")}

    def control(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the control area."""
        with contextlib.closing(sqlite3.connect(self.area / "control.db", timeout=10)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def lease(self) -> list[tuple[Any, ...]]:
        return self.control("SELECT run_id FROM lease")

    def write(self, sql: str, *values: Any) -> None:
        """Write to the live database as an application would."""
        write(self.database, sql, *values)

    def look(self) -> str:
        """The content of the live database, seen in a copy, so that a hot journal stays for the next run."""
        with tempfile.TemporaryDirectory() as scratch:
            for suffix in ("", "-journal", "-wal"):
                file = Path(f"{self.database}{suffix}")
                if file.exists():
                    shutil.copyfile(file, Path(scratch) / file.name)
            copy = Path(scratch) / self.database.name
            found = content(copy)
            if found:
                assert integrity(copy) == "ok"
            return found


def write(database: Path, sql: str, *values: Any) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute(sql, values)


def integrity(database: Path) -> str:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def tree(directory: Path) -> dict[str, str]:
    """Every file and directory below, with a digest of each file's bytes and its mode."""
    return {
        str(path.relative_to(directory)): (
            f"{path.stat().st_mode:o} "
            + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory")
        )
        for path in sorted(directory.rglob("*"))
    }


def until(true: Callable[[], Any], limit_s: float = 120.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None
{declared}

def upgrade():
{upgrade}


def downgrade():
    pass
"""
HEAD = "0007_unique_sids"


def history(to: Path, upgrade: str = "", *, declared: str = "", revision: str = "0008_next", down: str = HEAD) -> Path:
    """The app's Alembic history with one more revision: the next release.

    :param upgrade: the lines of its ``upgrade()``.
    """
    if not to.exists():
        shutil.copytree(ROOT / "migrations", to, ignore=shutil.ignore_patterns("__pycache__"))
    body = "\n".join(f"    {line}" for line in (upgrade or "pass").strip().splitlines())
    text = REVISION.format(revision=revision, down=down, declared=declared, upgrade=body)
    (to / "versions" / f"{revision}.py").write_text(text)
    return to
