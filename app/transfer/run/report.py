"""The receipt of a run, as data."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import platform
import re
import socket
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...errors import FerryError

FORMAT = "flask-ferry-report"
WAITED = "writers waited"
"""Among the durations of a report, and no step: for how long the cut-over kept writers waiting, at most."""
LIBRARIES = ("flask-ferry", "Flask", "Flask-SQLAlchemy", "Flask-Migrate", "SQLAlchemy", "alembic")
"""Whose versions a report names."""

# The second form is of versions that did not write the first yet.
_BEGINNING = re.compile(
    rb'\s*\{\s*("format": "flask-ferry-report"|"run": "[^"]*",\s*"command": "db-[a-z-]+")'
    rb"|<!doctype html>\n<!-- flask-ferry-report -->\n"
)


@dataclass
class TableReceipt:
    """One table: ``rows`` of the source = loaded + waived + set aside."""

    table: str
    rows: int
    loaded: int
    waived: int = 0
    set_aside: int = 0
    checksum: str = ""
    rows_at_head: int | None = None
    note: str = ""


@dataclass
class Report:
    """What a run did and what anybody needs to prove or undo it; everything a person should know is here.

    :ivar started_at, finished_at: UTC, ISO 8601 with microseconds; ``finished_at`` is None while the run goes on.
    :ivar duration_s: from one to the other, by a clock that nobody sets.
    :ivar host, user: where and as whom the command ran.
    :ivar versions: of Python and the libraries that matter, by name.
    :ivar live: what became of the live database: ``unchanged``, ``replaced``, ``written`` by somebody else, or by a
        revision, and replaced by nothing, or ``unknown`` where it cannot be seen.
    :ivar predicted_wait: how long writers would wait, or should have by the last rehearsal (see :mod:`.rehearsal`).
    :ivar gone_on_with: the run that died before and had read the source, since when, and how many rows of its are kept.
    :ivar throttled: what held the run up, and for how many seconds.
    :ivar file: where this report is, once it is written into the run's directory.
    :ivar backups: for a list of backups, one object each.
    :ivar runs: for the history, one object for each run (see :mod:`.history`).
    :ivar aside: where the rows set aside are, how many, and the command that loads them.
    :ivar unproved: record types of an old API that nothing proves to be read whole, with the reason.
    :ivar files: that records name and no record holds: what became of them -> which.
    :ivar not_migrated: what is not a row and only the source has.
    :ivar objects: what is not a row and was dropped by name, or went with its column or table.
    :ivar changed_values: columns whose values an upgrade changed, with how many and whose.
    :ivar kept, not_kept: for a rollback that keeps writes: rows per table, and what the old schema has no place for.
    :ivar brought_over: where the live database itself was written while the run was at work: per table, how many rows
        were brought over, and for how many of them writers waited.
    :ivar expected: of a dry run, the rows per table that would be live or, before an upgrade, loaded.
    :ivar not_looked_at: of a dry run, what only a rehearsal or the run itself tells.
    :ivar added: for rows that were set aside and are loaded now: rows per table at head.
    """

    run: str
    command: str
    outcome: str = "failed"
    summary: str = ""
    exit_status: int = 1
    started_at: str = field(default_factory=lambda: now())
    finished_at: str | None = None
    duration_s: float | None = None
    host: str = field(default_factory=socket.gethostname)
    user: str = field(default_factory=lambda: find_user())
    versions: dict[str, str] = field(default_factory=dict)
    live: str = "unchanged"
    target: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    revisions: dict[str, str | None] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    tables: list[TableReceipt] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    unproved: list[str] = field(default_factory=list)
    waived: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    catch_up: list[dict[str, Any]] = field(default_factory=list)
    brought_over: list[dict[str, Any]] = field(default_factory=list)
    not_caught_up: list[str] = field(default_factory=list)
    anonymised: dict[str, Any] = field(default_factory=dict)
    aside: dict[str, Any] = field(default_factory=dict)
    added: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    not_kept: list[dict[str, Any]] = field(default_factory=list)
    expected: dict[str, int] = field(default_factory=dict)
    not_looked_at: list[str] = field(default_factory=list)
    not_carried: dict[str, str] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    not_migrated: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    changed_values: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)
    differences_file: str | None = None
    backup: str | None = None
    snapshot: str | None = None
    rollback: str | None = None
    file: str | None = None
    backups: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    gone_on_with: dict[str, Any] = field(default_factory=dict)
    throttled: dict[str, Any] = field(default_factory=dict)
    predicted_wait: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    def end(self, outcome: str, summary: str, status: int = 0) -> Report:
        """Say how the run ended; returns the report."""
        self.outcome, self.summary, self.exit_status = outcome, summary, status
        self.finish()
        return self

    def fail(self, error: BaseException) -> None:
        """Say what stopped the run; of an error of a driver without the statement, which may hold a password hash."""
        self.finish()
        if isinstance(error, FerryError):
            self.exit_status = int(error.exit_status)
            self.error = {"message": error.message, "details": error.details, "hint": error.hint}
        else:
            words = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
            self.error = {"message": words, "details": [], "hint": None}

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def finish(self) -> None:
        """Note that the run ended now, and what it ran with."""
        self.finished_at = now()
        self.duration_s = round(time.monotonic() - self._began, 3)
        self.versions = find_versions()

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"format": FORMAT, **asdict(self)}


def now() -> str:
    """The time in UTC, ISO 8601."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def find_user() -> str:
    """Who runs this, by the environment or the system; in a container the number may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def find_versions() -> dict[str, str]:
    """The versions of Python and of the libraries that matter; one that was vendored has none."""
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def may_be_written_to(path: Path) -> bool:
    """Whether a report may take this path: nothing is there, or a report that an earlier run wrote.

    :raises OSError: what is there cannot be read.
    """
    if not path.exists() and not path.is_symlink():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _BEGINNING.match(file.read(1024)) is not None
