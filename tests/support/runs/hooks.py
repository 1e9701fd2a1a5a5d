"""What a command's process does to itself before the command begins: counts, kills itself, waits, writes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from app.dialects.sqlite import dialect, swap
from app.dialects.sqlite.connect import Files
from app.transfer.cutover import cutover, prune, secure
from app.transfer.jobs import job, passage, self_job
from app.transfer.run.control import Control
from app.transfer.run.run import Run
from app.transfer.staging import short_stop

WRITES = ("write", "record", "take_lease", "release_lease")
LIMIT_S = 120.0
LAST_LOOK = 3
"""Of those before writers wait: for what there is, for the first round, and for one that finds nothing."""


def _around(owner: Any, name: str, before: Callable[[str], None], after: Callable[[str], None]) -> None:
    inner = getattr(owner, name)

    def outer(*args: Any, **kwargs: Any) -> Any:
        what = f"{name} {' '.join(str(arg) for arg in args[2:4])}"
        before(what)
        found = inner(*args, **kwargs)
        after(what)
        return found

    setattr(owner, name, outer)


def _nothing(_what: str) -> None:
    pass


def kill() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_catch_up(moment: str, what: str, url: str = "") -> None:
    """Something happens when staging is brought to what was written: at a method's first call with writers waiting.

    :param moment: a method of :class:`ShortStop`; with a ``+`` behind it, when that has ended.
    :param what: ``kill``, ``lose`` the sessions of all others in the database, or a statement that somebody else runs.
    """
    waiting = passed = False

    def begin(_what: str) -> None:
        nonlocal waiting
        waiting = True

    def happen(_what: str) -> None:
        nonlocal passed
        if passed or not (waiting or moment.startswith(("begin", "approach", "keep"))):
            return
        passed = True
        kill() if what == "kill" else run_as_somebody_else(url, what)

    calls = (_nothing, happen) if moment.endswith("+") else (happen, _nothing)
    _around(short_stop.ShortStop, moment.removesuffix("+"), *calls)
    _around(short_stop.ShortStop, "finish", begin, _nothing)


def write_and_write_back(url: str, first: str, other: str) -> None:
    """Somebody writes behind the upgrade: values are ``first`` when a fence looks, ``other`` when rows are compared.

    :param first, other: statements.
    """
    looks = 0

    def write(sql: str) -> Callable[[str], None]:
        return lambda _what: run_as_somebody_else(url, sql)

    def before_look(_what: str) -> None:
        nonlocal looks
        looks += 1
        if looks == LAST_LOOK:
            run_as_somebody_else(url, first)

    def after_look(_what: str) -> None:
        if looks == LAST_LOOK:
            run_as_somebody_else(url, other)

    _around(self_job.SelfJob, "_bring_objects", _nothing, write(other))
    _around(short_stop.ShortStop, "_look", before_look, after_look)
    _around(short_stop.ShortStop, "approach", _nothing, write(first))


def run_as_somebody_else(url: str, sql: str) -> None:
    """Run a statement over a connection of its own, or end all other sessions of the database."""
    engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if sql != "lose":
            connection.exec_driver_sql(sql)
        elif engine.dialect.name == "postgresql":
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        else:
            rows = connection.exec_driver_sql(
                "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user <> 'system user'"
            )
            for (number,) in rows.all():
                with contextlib.suppress(sa.exc.DBAPIError):
                    connection.exec_driver_sql(f"KILL {number}")


def count_writes(file: str) -> None:
    """Write a line to a file for every write to the control area."""

    def counted(what: str) -> None:
        with Path(file).open("a") as lines:
            lines.write(f"{what}\n")

    for name in WRITES:
        _around(Control, name, counted, _nothing)


def kill_at_write(number: int, after: bool) -> None:
    """Be killed before, or after, one of the writes to the control area; they count from 1."""
    seen = 0

    def counted(_what: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            kill()

    for name in WRITES:
        _around(Control, name, *((_nothing, counted) if after else (counted, _nothing)))


def kill_in_swap(step: int) -> None:
    """Be killed in the middle of the swap: when this many steps of the copy are done."""
    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, *, pages: int = -1, progress: Any = None, **more: Any) -> None:
            seen = 0

            def killing(status: int, remaining: int, total: int) -> None:
                nonlocal seen
                progress(status, remaining, total)
                seen += 1
                if seen == step:
                    kill()

            super().backup(target, pages=pages, progress=killing, **more)

    def connecting(*args: Any, **kwargs: Any) -> None:
        swap.sqlite3.connect = lambda *a, **k: connect(*a, **{"factory": Connection, **k})  # type: ignore[attr-defined]
        inner(*args, **kwargs)

    inner = swap.swap
    swap.swap = connecting


def kill_in_backup() -> None:
    """Be killed when the backup is written and not yet read back."""
    _around(dialect.SqliteImage, "dump", _nothing, lambda _what: kill())


def _after_entries(act: Callable[[str, str], None]) -> None:
    """Call this with the step and the phase of each entry of the journal, when it is written."""
    write, end_step = Control.write, Control.end_step

    def writing(self: Control, run_id: str, step: str, phase: str, detail: Any = None, **more: bool) -> None:
        write(self, run_id, step, phase, detail, **more)
        act(step, phase)

    def ending(self: Control, run_id: str, step: str, detail: Any) -> None:
        end_step(self, run_id, step, detail)
        self._flush()  # which otherwise waits for the next entry
        act(step, "done")

    Control.write, Control.end_step = writing, ending  # type: ignore[method-assign]


def wait_at(step: str, here: str, phase: str = "begun") -> None:
    """When this entry of the journal is first written, make the file ``here`` and wait until it is gone."""
    seen: list[str] = []

    def act(at: str, in_phase: str) -> None:
        if (at, in_phase) == (step, phase):
            seen.append(step)
            if len(seen) == 1:
                wait(here)

    _after_entries(act)


def wait(here: str) -> None:
    """Make a file and wait until it is gone."""
    file = Path(here)
    file.touch()
    deadline = time.monotonic() + LIMIT_S
    while file.exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def wait_in(where: str, here: str, after: bool = False) -> None:
    """Wait before, or after, a function runs for the first time."""
    owner, name = {
        "swap": (swap, "swap"),
        "record": (Control, "record"),
        "prune": (prune, "prune"),
        "clean_up": (Run, "clean_up"),
        "lock": (dialect.SqliteDialect, "lock"),
    }[where]
    seen: list[str] = []

    def waiting(what: str) -> None:
        seen.append(what)
        if len(seen) == 1:
            wait(here)

    _around(owner, name, *((_nothing, waiting) if after else (waiting, _nothing)))


def run_at(step: str, phase: str, database: str, sql: str, times: int = 1) -> None:
    """Write to a database when this entry of the journal was written, as often as is given."""
    left = times

    def act(at: str, in_phase: str) -> None:
        nonlocal left
        if (at, in_phase) == (step, phase) and left:
            left -= 1
            connection = sqlite3.connect(database, timeout=10)
            connection.execute(sql)
            connection.commit()
            connection.close()

    _after_entries(act)


def ignore(number: int) -> None:
    """Ignore a signal from the start, as ``nohup`` does."""
    signal.signal(number, signal.SIG_IGN)


def patience(seconds: float) -> None:
    """Wait this long only for others' locks on the live database."""
    for module in (cutover, secure, job, passage, self_job):
        module.SWAP_TIMEOUT_S = seconds  # type: ignore[attr-defined]


def patience_with_files(seconds: float) -> None:
    """Wait this long only where a database file is read that another program keeps locked."""
    for opened in (Files.open, Files.read):
        opened.__wrapped__.__kwdefaults__["timeout_s"] = seconds  # type: ignore[attr-defined] # of contextlib


def set_umask(umask: int) -> None:
    """Let what is made be for everybody, if it does not say otherwise itself."""
    os.umask(umask)


def no_privileges() -> None:
    """Be refused by permissions, as root is not: give every capability up."""
    library = ctypes.CDLL(None, use_errno=True)
    header, nothing = struct.pack("II", 0x20080522, 0), bytes(24)
    if library.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def no_large_files(size_bytes: int) -> None:
    """Let no file grow beyond a size: what a quota does, and the next best to a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


def no_room_for_the_ledger() -> None:
    """Let the ledger entry of a cut-over fail, as on a disk that is full of a sudden."""

    def record(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    Control.record = record  # type: ignore[method-assign]


def fail_in_prune() -> None:
    """Fail to remove old backups, as on a disk that is read-only of a sudden."""

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(30, "Read-only file system")

    prune.prune = fail


def write_in_copies(database: str, sql: str) -> None:
    """Write to the live database during every copy of it, when one is let."""
    inner = dialect.SqliteDialect.copy

    def copy(self: Any, source: Any, to: Any, **more: Any) -> None:
        inner(self, source, to, **more)
        if source.database == database:
            connection = sqlite3.connect(database, timeout=0, isolation_level=None)
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute(sql)
            connection.close()

    dialect.SqliteDialect.copy = copy  # type: ignore[method-assign]
