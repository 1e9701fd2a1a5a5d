"""What tests of sources ask of a site and of a run's output."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from app.extensions import db
from tests.support.deployment import words
from tests.support.deployment.data import Shape
from tests.support.deployment.runner import Deployment
from tests.support.site import APART, Result, Site, query

SMALL = Shape(
    users=60,
    posts=60,
    microblogs=36,
    topics=5,
    sections=3,
    personas=4,
    classrooms=4,
    feedbacks=8,
    study=10,
    leaderboard=10,
    elementary=8,
    skilled_users=4,
    post_sentences=2,
    seed=7,
)


def admit_teacher(deployment: Deployment) -> None:
    """Make the teacher an admin: her password is no word that occurs anywhere else."""
    deployment.execute("UPDATE users SET _role = 'Admin' WHERE _uid = ?", words.TEACHER_UID)


@dataclass(frozen=True)
class Secrets:
    """Who logs in, and what must never be seen."""

    source: dict[str, str]
    never: tuple[str, ...]

    @classmethod
    def of(cls, deployment: Deployment) -> Secrets:
        """The teacher of a deployment that admits her."""
        source = {
            "FLASK_FERRY_SOURCE": deployment.url,
            "FLASK_FERRY_SOURCE_UID": words.TEACHER_UID,
            "FLASK_FERRY_SOURCE_PASSWORD": words.TEACHER_PASSWORD,
        }
        # Every token begins with the JSON of its claims, every hash with its method.
        return cls(source, (words.TEACHER_PASSWORD, "eyJfdWlkIjoi", "pbkdf2:sha", "scrypt:32768", "jwt_python_flask="))

    def assert_kept(self, site: Site, result: Result) -> None:
        """No secret in the output, nor in any report, nor in the journal."""
        said = {"stdout": result.stdout, "stderr": result.stderr}
        for path in site.area.glob("runs/*/report.json"):
            said[str(path)] = path.read_text(encoding="utf-8")
        if (site.area / "control.db").exists():
            said["journal"] = repr(query(site.area / "control.db", "SELECT * FROM journal"))
            said["ledger"] = repr(query(site.area / "control.db", "SELECT * FROM ledger"))
        for place, text in said.items():
            for secret in self.never:
                assert secret not in text, f"{secret!r} in {place}"


@dataclass(frozen=True)
class Before:
    """A site before a run, to be compared with it afterwards."""

    site: Site
    content: str
    snapshot: bytes | None

    @classmethod
    def of(cls, site: Site) -> Before:
        """Look at a site."""
        return cls(site, site.content(), site.snapshot.read_bytes() if site.snapshot.exists() else None)

    def assert_live_unchanged(self) -> None:
        """Nothing was changed, and nothing was left behind."""
        assert self.site.content() == self.content
        left = [path.name for path in self.site.area.rglob("*") if "staging" in path.name or path.suffix == ".tmp"]
        assert left == []

    def assert_unchanged(self) -> None:
        """Neither database nor snapshot were changed."""
        self.assert_live_unchanged()
        now = self.site.snapshot.read_bytes() if self.site.snapshot.exists() else None
        assert now == self.snapshot


def ledger(site: Site) -> list[dict[str, Any]]:
    """The entries of the ledger, oldest first."""
    rows = query(site.area / "control.db", "SELECT entry FROM ledger ORDER BY number")
    return [json.loads(entry) for (entry,) in rows]


def assert_refused(result: Result, status: int, *places: str) -> None:
    """The status, what and where, and on the last line what to type next."""
    assert result.status == status, result.stderr
    assert "Traceback" not in result.stderr
    for place in places:
        assert place in result.stderr
    hint = result.stderr.rstrip().rpartition("\n")[2]
    assert any(word in hint for word in ("flask ", "FERRY_", "--")), f"no next command: {hint!r}"


def rows_of(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Every table of a SQLite file with its rows, as SQLite gives them."""
    tables = [name for (name,) in query(database, "SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {}
    for table in tables:
        columns = [row[1] for row in query(database, f'PRAGMA table_info("{table}")')]
        found[table] = [dict(zip(columns, row, strict=True)) for row in query(database, f'SELECT * FROM "{table}"')]
    return found


def flask(site: Site, *arguments: str, **environ: str) -> Result:
    """Run ``flask ...`` in this process: as :meth:`Site.flask`, but without the time a process takes to start."""
    with pytest.MonkeyPatch.context() as patch:
        env = site.env(**environ)
        for key in set(os.environ) - set(env):
            patch.delenv(key)
        for key, value in env.items():
            patch.setenv(key, value)
        app = create_app()
        done = app.test_cli_runner(**APART).invoke(args=arguments)
        with app.app_context():
            for engine in db.engines.values():
                engine.dispose()
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Result(done.exit_code, done.stdout, done.stderr)


def report(site: Site) -> dict[str, Any]:
    """The report of the run that ended last; two of one second are in no order by their names."""
    paths = list(site.area.glob("runs/*/report.json"))
    found: dict[str, Any] = json.loads(max(paths, key=lambda path: path.stat().st_mtime_ns).read_text())
    return found
