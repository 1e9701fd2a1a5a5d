"""A run: a visible list of steps with a journal entry before and after each, under one lock.

What every command that changes a database shares is here; the steps of each are in a module of their own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from ...dialects.base import Dialect
from ...errors import (
    ClusterLost,
    CutOverUnfinished,
    DatabaseUnreachable,
    DoesNotFit,
    FerryError,
    LeaseLost,
    LiveSchemaChanged,
    LockHeld,
    Protected,
    Terminated,
)
from ..rows.files import to_plain_json, write
from ..rows.scratch import ScratchError
from ..schema.alembic import Schema
from ..schema.binds import name_of
from ..schema.declarations import read_declarations
from ..schema.host import Host
from ..schema.host_checks import refuse_elsewhere, refuse_unsupported
from ..schema.named_schema import refuse_left_behind
from .control import Control
from .hooks import Event, Hooks
from .ledger import CLOSING
from .report import Report
from .resumable import DIED, Resumable, has_died
from .settings import ENVIRONMENTS, Settings
from .step_hooks import Call, call_around, load_hook
from .target import Target, look_at_target
from .throttle import Throttle
from .tracing import trace

SWAP_TIMEOUT_S = 20.0
LOCK_POLL_S, WAITING_EVERY_S = 0.5, 30.0
STAMP = "%Y%m%dT%H%M%S"

_OURS = re.compile(r"\bflask db-[a-z]+(?:-[a-z]+)*(?![\w-]| --bind)")
"""A command of ours, without the option that says of which database."""


def new_run_id() -> str:
    """The time of its beginning in UTC, and a few random digits."""
    return f"{dt.datetime.now(dt.UTC).strftime(STAMP)}-{secrets.token_hex(3)}"


class Run:
    """One execution of a command on one target.

    :ivar resumable: what the last run left that died, if there is something, and if it is asked for.
    :ivar outcome: of the step that goes on: what the journal says besides that it is done.
    :ivar leaves_staging: whether the next run could go on with what is in staging now, should this one die.
    :ivar may_hold_writers: whether writers to the live database may be kept waiting, as a rehearsal keeps none.
    :ivar scratch_of: the database that :attr:`scratch` lies beside.
    """

    def __init__(self, host: Host, settings: Settings, command: str, hooks: Hooks, *, verbose: bool = False) -> None:
        self.host, self.settings = host, settings
        self.command, self.hooks = command, hooks
        self.id = new_run_id()
        self.mark = f"{secrets.randbelow(2**31 - 1) + 1:08x}"
        self.report = Report(run=self.id, command=command)
        self.throttle = Throttle(settings.throttle, lambda text, rest_s: self.emit("waiting", text, rest_s=rest_s))
        self.report.throttled = self.throttle.waited
        self.resumable: Resumable | None = None
        self.outcome: dict[str, Any] = {}
        self.leaves_staging = False
        self.may_hold_writers, self.scratch_of = True, host.url
        declared = read_declarations(settings.declarations) if settings.declarations else {}
        self.schema = Schema(host, verbose=verbose, declared=declared)
        self._control: Control | None = None
        self._peeked: Control | None = None
        self._journalled = False
        self._step: str | None = None

    @property
    def dialect(self) -> Dialect:
        return self.host.dialect

    @property
    def database_errors(self) -> tuple[type[Exception], ...]:
        """What a database may answer instead of doing what it is told."""
        return (FerryError, DBAPIError, *self.dialect.driver_errors)

    @property
    def write_errors(self) -> tuple[type[Exception], ...]:
        """What a database or a file system may answer instead of doing what it is told."""
        return (OSError, ScratchError, *self.database_errors)

    @property
    def target(self) -> URL:
        return self.host.url

    @property
    def control(self) -> Control:
        """The control area, created when this is first asked: from then on the run writes."""
        if self._control is None:
            self._settle()
            self._control = Control.open(self.dialect, self.dialect.control_area(self.target))
        return self._control

    @property
    def directory(self) -> Path:
        """The run's own directory, which stays as evidence."""
        runs = self.control.directory / "runs"
        for path in (runs, runs / self.id):  # by itself the mode is that of the last one only
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @property
    def staging(self) -> URL:
        return self.dialect.staging_url(self.target, self.id)

    @property
    def scratch(self) -> URL:
        """A second database beside staging, for schemas that are built to be looked at."""
        return self.dialect.staging_url(self.scratch_of, f"{self.id}-scratch")

    @property
    def old_generation(self) -> URL:
        return self.dialect.generation_url(self.target, f"{self.mark}-old")

    @property
    def new_generation(self) -> URL:
        return self.dialect.generation_url(self.target, f"{self.mark}-new")

    @property
    def before(self) -> URL:
        """Where the live database is read as it was secured: a copy of it, or, where a swap moves it away, itself.

        What is read of the latter may be newer; then the swap finds a late write.
        """
        return self.target if self.dialect.capabilities.swap_moves_old else self.old_generation

    def look(self) -> Target:
        return look_at_target(self.host, self.settings, self.peek())

    def peek(self, *, with_records: bool = False) -> Control | None:
        """The control area, to look at it, as :meth:`.Control.peek` says; None when there is none."""
        if self._control is not None:
            return self._control
        if self._peeked is None:
            self._peeked = Control.peek(self.dialect, self.dialect.control_area(self.target), with_records=with_records)
        return self._peeked

    def emit(self, kind: str, text: str, **data: Any) -> None:
        self.hooks.emit(Event(kind, text, data, self._step))

    def warn(self, text: str) -> None:
        text = self.name_bind(text)
        self.report.warnings.append(text)
        self.emit("warning", text)

    def note(self, text: str) -> None:
        text = self.name_bind(text)
        self.report.notes.append(text)
        self.emit("note", text)

    def name_bind(self, text: str) -> str:
        """A text whose commands of ours have the option that says of which database, where the run's was typed."""
        if not self.settings.bind or self.settings.origins["FERRY_BIND"] != "option":
            return text
        return _OURS.sub(rf"\g<0> --bind {self.settings.bind}", text)

    def progress(self, what: str, count: int, total: int | None, at: str | None = None) -> None:
        self.emit("progress", what, done=count, total=total, **({"at": at} if at else {}))

    def refuse_prohibited(self, *, only_looks: bool = False) -> None:
        """Refuse a command that is prohibited here, or a host that cannot be carried.

        :param only_looks: the command runs nothing of the host's, so that any host will do.
        :raises Protected: ``FERRY_PROHIBIT``, or what of the host is not supported.
        """
        if self.command in self.settings.prohibited:
            raise Protected(
                f"flask {self.command} is prohibited here (FERRY_PROHIBIT, "
                f"{self.settings.origins['FERRY_PROHIBIT']}); no option runs it."
            )
        if only_looks:
            return
        refuse_unsupported(self.host)
        refuse_left_behind(self.host, self.schema.list_revisions)
        if others := sorted({*map(name_of, self.host.others)} - self.host.among):
            self.note(f"Of the app's databases this is {name_of(self.host.bind)!r}; left alone: {', '.join(others)}.")

    @contextlib.contextmanager
    def step(self, name: str, **detail: Any) -> Iterator[dict[str, Any]]:
        """A step: journalled before and after, timed; what is put into the yielded mapping is journalled too."""
        with self.show_step(name):
            if not self._journalled:
                self._keep_environment()
            self.control.write(self.id, name, "begun", {"command": self.command, **detail})
            self._journalled = True
            began = time.monotonic()
            outcome = self.outcome = {}
            yield outcome
            self.report.seconds[name] = round(self.report.seconds.get(name, 0) + time.monotonic() - began, 3)
            self.control.end_step(self.id, name, outcome)

    @contextlib.contextmanager
    def show_step(self, name: str) -> Iterator[None]:
        """Tell who watches that a step begins, and, where it succeeds, that it ended and how long it took."""
        outer, self._step = self._step, name
        try:
            with call_around(self, name), trace(name, run=self.id, command=self.command):
                self.emit("step", name)
                began = time.monotonic()
                yield
                self.emit("step-end", name, seconds=round(time.monotonic() - began, 3))
        finally:
            # A step may fail and the run go on, with another pass.
            self._step = outer

    @functools.cached_property
    def hook(self) -> Call | None:
        """:raises Misconfigured: there is no such callable or program."""
        return load_hook(self.settings.hooks)

    @contextlib.contextmanager
    def hold_lock(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock and the lease, with their heartbeat.

        :raises LockHeld: another run had them for longer than ``timeout_s``.
        """
        began = time.monotonic()
        deadline, next_line = began + timeout_s, began
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    rest_s = max(0.0, deadline - time.monotonic())
                    stack.enter_context(self._session_lock(min(rest_s, LOCK_POLL_S)))
                    dead = self.control.take_lease(self.id, self.command)
                    break
                except LockHeld as error:
                    stack.close()
                    at = time.monotonic()
                    if at >= deadline:
                        raise
                    if at >= next_line:
                        next_line = at + WAITING_EVERY_S
                        rest_s = round(deadline - at)
                        self.emit("waiting", f"{error.message} Waiting for it, for {rest_s} s more.", rest_s=rest_s)
                    time.sleep(LOCK_POLL_S / 5)
            if dead:
                self.note(f"Took over the lock of {dead}, which ended without releasing it.")
            stack.callback(self._release_lease)
            stack.enter_context(self.control.heartbeat(self.id))
            try:
                yield
            except CutOverUnfinished:
                raise
            except self.write_errors as error:
                lease_error = self._find_lost_lease()
                if lease_error and not isinstance(error, LeaseLost):
                    # That another run took over is why things are not where they were.
                    raise lease_error from error
                raise

    def _find_lost_lease(self) -> LeaseLost | None:
        with contextlib.suppress(*self.database_errors):
            return self.control.find_lost_lease(self.id)
        return None

    def _keep_environment(self) -> None:
        """Remember what this database was declared to be; what is weaker than what it was before does not count.

        Every command that writes does so in a step, so none of them can forget it; one that was refused keeps nothing.
        """
        declared, former = self.settings.environment, self.control.environment()
        if declared and (former is None or ENVIRONMENTS.index(declared) > ENVIRONMENTS.index(former)):
            self.control.keep("environment", declared)

    def _release_lease(self) -> None:
        """Of a server that is gone the lease is found dead later; why it is gone is the error to be told."""
        with contextlib.suppress(*self.database_errors):
            self.control.release_lease(self.id)

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
            with contextlib.suppress(*self.database_errors):
                lock.__exit__(None, None, None)

    def preflight(self, target: Target, source_bytes: int = 0) -> None:
        """Refuse before the question what could not be cut over: no privilege for it, no transactions, no space.

        :raises Protected, DoesNotFit: names what is missing.
        """
        refuse_elsewhere(self.host)
        _ = self.hook  # it is found, or refused, now
        self.dialect.preflight(self.target)
        self.check_space(target, source_bytes)

    def _settle(self) -> None:
        for sentence in self.dialect.settle_control(self.target):
            self.note(sentence)

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

    def clean_up(self, error: BaseException | None = None) -> None:
        """Drop what only this run needed.

        Whether its cut-over took effect is seen by the mark in the live database, never by how the run ended: then
        the old generation is the way back, and staging is what a later run finishes it with. Where that cannot be
        seen everything stays; the next run looks again. So it does while the journal says that a cut-over is open.

        :param error: what ended it: a server that went away, and is back by now, still has what the next goes on with,
            and so it has where this machine is about to go.
        """
        with contextlib.suppress(*self.database_errors):
            self.dialect.drop(self.scratch)
            unfinished = self._control.find_unfinished_cut_over() if self._control else None
            if unfinished is None and self.dialect.mark(self.target) != self.mark:
                stays = self.leaves_staging and isinstance(error, DatabaseUnreachable | ClusterLost | Terminated)
                for leftover in (*(() if stays else (self.staging,)), self.old_generation, self.new_generation):
                    self.dialect.drop(leftover)

    def record_failure(self, error: BaseException) -> None:
        """Put the end of a run that failed into its journal and report."""
        self.report.fail(error)
        if isinstance(error, LiveSchemaChanged):
            self.report.live = "altered"
        if self._journalled:
            # What stopped the run, a full disk say, may stop this as well; the first error is the one to be told.
            with contextlib.suppress(*self.write_errors):
                died = {DIED: True} if has_died(error) else {}
                self.control.write(self.id, CLOSING, "failed", {**(self.report.error or {}), **died})
                self.save_report()

    def save_report(self) -> Path:
        """Write the report into the run's directory."""
        path = self.directory / "report.json"
        self.report.file = str(path)
        write(path, [to_plain_json(self.report.to_json())], keep_former=False)
        return path


def writable(directory: Path) -> bool:
    """Whether files can be created in a directory, or in the nearest one above it that exists."""
    while not directory.exists():
        directory = directory.parent
    return os.access(directory, os.W_OK | os.X_OK)
