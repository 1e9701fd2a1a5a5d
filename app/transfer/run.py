"""A run: a visible list of steps with a journal entry before and after each, under one lock.

What every command that changes a database shares is here; the steps of each are in a module of their own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from ..dialects.base import Dialect
from ..errors import DoesNotFit, FerryError, LockHeld, Protected
from .control import Control
from .files import to_plain_json, write
from .host import Host
from .plan import Question, Target, look_at_target
from .report import Report
from .schema import Schema, refuse_binds
from .settings import Settings

SWAP_TIMEOUT_S = 20.0
LOCK_POLL_S = 0.5
LEFTOVER_S = 86_400


@dataclass(frozen=True)
class Event:
    """Something a person or a program that watches a run is told."""

    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hooks:
    """What the engine asks its caller for.

    :ivar emit: takes events.
    :ivar ask: returns when the question is answered with yes, else raises NotConfirmed or Protected.
    :ivar permit: asks nobody; raises Protected where no answer would help, for a dry run.
    :ivar hold_signals: while it is open, signals wait.
    """

    emit: Callable[[Event], None] = lambda _event: None
    ask: Callable[[Question], None] = lambda _question: None
    permit: Callable[[Question], None] = lambda _question: None
    hold_signals: Callable[[], AbstractContextManager[None]] = nullcontext


class Run:
    """One execution of a command on one target."""

    def __init__(self, host: Host, settings: Settings, command: str, hooks: Hooks, *, verbose: bool = False) -> None:
        self.host = host
        self.settings = settings
        self.command = command
        self.hooks = hooks
        stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
        self.id = f"{stamp}-{secrets.token_hex(3)}"
        self.mark = f"{secrets.randbelow(2**31 - 1) + 1:08x}"
        self.report = Report(run=self.id, command=command)
        self.schema = Schema(host, verbose=verbose)
        self._control: Control | None = None
        self._journalled = False

    @property
    def dialect(self) -> Dialect:
        return self.host.dialect

    @property
    def target(self) -> URL:
        return self.host.url

    @property
    def control(self) -> Control:
        """The control area, created when this is first asked: from then on the run writes."""
        if self._control is None:
            self._control = Control.open(self.dialect, self.dialect.control_area(self.target))
        return self._control

    @property
    def directory(self) -> Path:
        """The run's own directory, which stays as evidence."""
        path = self.control.directory / "runs" / self.id
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @property
    def staging(self) -> URL:
        return self.dialect.staging_url(self.target, self.id)

    @property
    def scratch(self) -> URL:
        """A second database beside staging, for schemas that are built to be looked at."""
        return self.dialect.staging_url(self.target, f"{self.id}-scratch")

    @property
    def old_generation(self) -> URL:
        return self.dialect.generation_url(self.target, f"{self.mark}-old")

    def look(self) -> Target:
        return look_at_target(self.host, self.settings, Control.peek(self.dialect.control_area(self.target)))

    def emit(self, kind: str, text: str, **data: Any) -> None:
        self.hooks.emit(Event(kind, text, data))

    def warn(self, text: str) -> None:
        self.report.warnings.append(text)
        self.emit("warning", text)

    def note(self, text: str) -> None:
        self.report.notes.append(text)
        self.emit("note", text)

    def progress(self, what: str, done: int, total: int | None) -> None:
        self.emit("progress", what, done=done, total=total)

    def refuse_prohibited(self) -> None:
        """:raises Protected: the command is on ``FERRY_PROHIBIT``, or the host has several databases."""
        if self.command in self.settings.prohibited:
            raise Protected(
                f"flask {self.command} is prohibited here (FERRY_PROHIBIT, "
                f"{self.settings.origins['FERRY_PROHIBIT']}); no option runs it."
            )
        refuse_binds(self.host)

    @contextlib.contextmanager
    def step(self, name: str, **detail: Any) -> Iterator[dict[str, Any]]:
        """A step: journalled before and after, timed; what is put into the yielded mapping is journalled too."""
        self.emit("step", name)
        self.control.write(self.id, name, "begun", {"command": self.command, **detail})
        self._journalled = True
        began = time.monotonic()
        outcome: dict[str, Any] = {}
        yield outcome
        self.report.seconds[name] = round(self.report.seconds.get(name, 0) + time.monotonic() - began, 3)
        self.control.write(self.id, name, "done", outcome)

    @contextlib.contextmanager
    def locked(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock and the lease, with their heartbeat.

        :raises LockHeld: another run had them for longer than ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    left = max(0.0, deadline - time.monotonic())
                    stack.enter_context(self._session_lock(min(left, LOCK_POLL_S)))
                    dead = self.control.take_lease(self.id, self.command)
                    break
                except LockHeld:
                    stack.close()
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(LOCK_POLL_S / 5)
            if dead:
                self.note(f"Took over the lock of {dead}, which ended without releasing it.")
            stack.callback(self.control.release_lease, self.id)
            stack.enter_context(self.control.heartbeat(self.id))
            yield

    @contextlib.contextmanager
    def _session_lock(self, timeout_s: float) -> Iterator[None]:
        control = self.control
        try:
            lock = self.dialect.lock(self.target, timeout_s)
            lock.__enter__()
        except LockHeld as error:
            holder = control.holder()
            raise LockHeld(
                f"The lock is held: {holder or 'by a run that has just begun'}.",
                hint="Wait for it (--lock-timeout SECONDS), or look with: flask db-status",
            ) from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def drop_leftovers(self) -> None:
        """Remove what killed runs left behind; only ever called under the lock, after recovery.

        A run that plans has no lock yet and may build a schema beside ours: what no run journalled stays for a day.
        """
        directory = self.control.directory
        ended = {entry.run_id for entry in self.control.journal()} - {self.id}
        for file in directory.glob("staging-*"):
            run_id = "-".join(file.name.removeprefix("staging-").split(".")[0].split("-")[:2])
            if run_id in ended or time.time() - file.stat().st_mtime > LEFTOVER_S:
                file.unlink()
        marks = {entry.mark for entry in self.control.ledger()}
        for file in directory.glob("generations/*.db*"):
            if file.name.partition("-")[0] not in marks:
                file.unlink()

    def check_space(self, target: Target, source_bytes: int = 0) -> None:
        """Refuse before anything is written when the disk cannot hold what the run needs.

        The old generation, the backup and its check, staging and its upgrade: four times the database.

        :raises DoesNotFit: with the bytes needed and free.
        """
        free = self.dialect.free_bytes(self.target)
        needed = 4 * max(target.size_bytes, source_bytes) + 2**20
        if free is not None and free < needed:
            raise DoesNotFit(
                f"Not enough space beside the database: {needed:,} bytes are needed and {free:,} are free.",
                hint="Make room, then run the command again.",
            )

    def cleaned_up(self) -> None:
        """Drop what only this run needed.

        Whether its cut-over took effect is seen by the mark in the live database, never by how the run ended: then
        the old generation is the way back, and staging is what a later run finishes it with. Where that cannot be
        seen everything stays; the next run looks again.
        """
        self.dialect.drop(self.scratch)
        with contextlib.suppress(FerryError):
            if self.dialect.mark(self.target) != self.mark:
                self.dialect.drop(self.staging)
                self.dialect.drop(self.old_generation)

    def failed(self, error: BaseException) -> None:
        """Put the end of a run that failed into its journal and report."""
        if isinstance(error, FerryError):
            self.report.exit_status = int(error.exit_status)
            self.report.error = {"message": error.message, "details": error.details, "hint": error.hint}
        else:
            # Without the statement's parameters, which may be anybody's password hash.
            self.report.error = {"message": f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"}
        if self._journalled:
            # What stopped the run, a full disk say, may stop this as well; the first error is the one to be told.
            with contextlib.suppress(OSError, FerryError, DBAPIError):
                self.control.write(self.id, "run", "failed", self.report.error)
                self.save_report()

    def save_report(self) -> Path:
        """Write the report into the run's directory."""
        path = self.directory / "report.json"
        write(path, [to_plain_json(self.report.to_json())], keep_former=False)
        return path

    def prune_runs(self) -> None:
        """Keep the directories of the last runs: ten times as many as generations, as they are small."""
        runs = sorted(self.directory.parent.iterdir())
        for path in runs[: -10 * self.settings.keep]:
            shutil.rmtree(path)


def writable(directory: Path) -> bool:
    """Whether files can be created in a directory, or in the nearest one above it that exists."""
    while not directory.exists():
        directory = directory.parent
    return os.access(directory, os.W_OK | os.X_OK)
