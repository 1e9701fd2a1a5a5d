"""The control area of a target: identity, ledger, journal, lease. Beside the database, never in it.

The journal is the only authority on what a run was doing when it ended; the ledger has one entry per cut-over.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TypeVar

import sqlalchemy as sa

from ...dialects.base import Dialect
from ...dialects.model import ControlArea
from ...errors import DatabaseUnreachable, FerryError, LeaseLost, LockHeld, Protected
from ..rows.expect import Unexpected
from .control_errors import explain_damage, name_damage, place_of, unwritable
from .control_read import NOW, NotReadAtOnce, journal_entry_of, read_all
from .ledger import Entry, Holder, JournalEntry, holder_of, identity, journal, lease, ledger, metadata, process
from .report import find_user

T = TypeVar("T")
HEARTBEAT_S = 10
CREATE_ATTEMPTS = 3


class Control:
    """The control tables of one target, opened."""

    def __init__(self, dialect: Dialect, area: ControlArea) -> None:
        self.directory = area.directory
        self._place = place_of(area)
        self._unwritable = functools.partial(unwritable, dialect, area)
        self._engine = _engine_for(dialect, area)
        self._alone = _engine_for(dialect, area, each_alone=True)
        self._ended: dict[str, Any] | None = None
        self._records: dict[str, list[Any]] | None = None
        self._read_ahead: dict[str, list[Any]] = {}

    @classmethod
    def open(cls, dialect: Dialect, area: ControlArea) -> Control:
        """Open the control area, creating it when it is not there.

        :raises FerryError: it cannot be written.
        """
        try:
            dialect.open_control(area)
            control = cls(dialect, area)
            control._create_tables()
        except (OSError, sa.exc.DBAPIError) as error:
            raise unwritable(dialect, area, error) from error
        return control

    def _create_tables(self) -> None:
        """Two hosts may do so at once; where a server's CREATE TABLE meets the other's, there is nothing left to do."""
        for attempt in range(CREATE_ATTEMPTS):
            try:
                there = sa.inspect(self._alone).get_table_names()
                missing = [table for table in metadata.sorted_tables if table.name not in there]
                metadata.create_all(self._engine, tables=missing, checkfirst=False)
                return
            except (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
                if attempt == CREATE_ATTEMPTS - 1:
                    raise
                time.sleep(0.1)

    @classmethod
    def peek(cls, dialect: Dialect, area: ControlArea, *, with_records: bool = False) -> Control | None:
        """Open the control area to look at it, or None when there is none.

        :param with_records: read all that it holds by one statement, for :meth:`read_once`.
        """
        control = cls(dialect, area)
        try:
            there = dialect.exists(area.url) and (
                (with_records and control._reads_ahead()) or sa.inspect(control._alone).has_table("lease")
            )
        except OSError as error:
            raise unwritable(dialect, area, error) from error
        except sa.exc.OperationalError as error:
            if isinstance(known := dialect.explain(area.url, error.orig or error), LockHeld):
                raise known from error
            if area.url.host:
                raise DatabaseUnreachable(f"The control area {place_of(area)} cannot be read: {error.orig}") from error
            raise explain_damage(area, error) from error
        except sa.exc.DatabaseError as error:
            raise explain_damage(area, error) from error
        return control if there else None

    def _reads_ahead(self) -> bool:
        with contextlib.suppress(NotReadAtOnce, FerryError):
            self._read_ahead = read_all(self._alone)
        return bool(self._read_ahead)

    # Identity

    def get(self, name: str) -> str | None:
        """A value kept under a name, or None."""
        if self._records and "identity" in self._records:
            value = dict(self._records["identity"]).get(name)
            return None if value is None else str(value)
        with self._alone.connect() as connection, self._understood("identity"):
            value = connection.execute(sa.select(identity.c.value).where(identity.c.name == name)).scalar()
        return None if value is None else str(value)

    def keep(self, name: str, value: str, *, in_place_of: str | None = None) -> None:
        """Keep a value under a name, in place of what was there (under every name that begins so)."""
        former = identity.c.name.startswith(in_place_of) if in_place_of else identity.c.name == name
        with self._engine.begin() as connection:
            connection.execute(sa.delete(identity).where(former))
            connection.execute(sa.insert(identity).values(name=name, value=value))

    def environment(self) -> str | None:
        """What this database was once declared to be."""
        return self.get("environment")

    # Ledger

    @contextlib.contextmanager
    def read_once(self) -> Iterator[None]:
        """Read ledger and journal once for as long as this is open and nothing is written here.

        Only under the lock, where nobody else writes them, or to show them.
        """
        self._records, self._read_ahead = self._read_ahead, {}
        try:
            yield
        finally:
            self._records = None

    def _known(self, table: str, ask: Callable[[], list[T]]) -> list[T]:
        if self._records is None:
            return ask()
        if table not in self._records:
            self._records[table] = ask()
        return list(self._records[table])

    def _forget(self) -> None:
        self._records = self._records and {}

    def ledger(self) -> list[Entry]:
        """All entries, oldest first."""
        return self._known("ledger", self._read_ledger)

    def _read_ledger(self) -> list[Entry]:
        with self._alone.connect() as connection, self._understood("ledger"):
            texts = connection.execute(sa.select(ledger.c.entry).order_by(ledger.c.number)).scalars()
            return [Entry.from_json(entry) for entry in texts]

    def record(self, entry: Entry) -> None:
        """Write the ledger entry of a cut-over and close it in the journal, in one transaction.

        Nothing is written where another run, which took over, did so before: a second end in the journal, after that
        run's own cut-over was begun, would be taken for the end of that one.
        """
        self._forget()
        try:
            with self._engine.begin() as connection:
                if connection.execute(sa.select(ledger.c.number).where(ledger.c.run_id == entry.run_id)).first():
                    return
                connection.execute(sa.insert(ledger).values(run_id=entry.run_id, entry=asdict(entry)))
                connection.execute(sa.insert(journal).values(_entry_of(entry.run_id, "cut-over", "done", None)))
        except sa.exc.IntegrityError:
            if not self.is_recorded(entry.run_id):
                raise

    def is_recorded(self, run_id: str) -> bool:
        """Whether the ledger has an entry of a run."""
        with self._alone.connect() as connection:
            return connection.execute(sa.select(ledger.c.number).where(ledger.c.run_id == run_id)).first() is not None

    # Journal

    def write(
        self, run_id: str, step: str, phase: str, detail: dict[str, Any] | None = None, *, with_lease: bool = False
    ) -> None:
        """Append to the journal, durably.

        :param with_lease: only if the run holds the lease, in one transaction with looking whether it does.
        :raises LeaseLost: it does not.
        :raises FerryError: it cannot be written.
        """
        self._forget()
        entry = _entry_of(run_id, step, phase, detail)
        entries, self._ended = [*([self._ended] if self._ended else []), entry], None
        try:
            with (self._engine if with_lease else self._alone).begin() as connection:
                if with_lease:
                    self._lock_lease(connection, run_id)
                connection.execute(sa.insert(journal).values(entries))
        except sa.exc.DBAPIError as error:
            raise self._unwritable(error) from error

    def end_step(self, run_id: str, step: str, detail: dict[str, Any]) -> None:
        """Append that a step is done together with what is written next, which nothing comes before.

        Who dies in between is found in this step, as if it had died a moment earlier.
        """
        self._flush()
        self._ended = _entry_of(run_id, step, "done", detail)

    def _flush(self) -> None:
        """:raises FerryError: it cannot be written."""
        if self._ended:
            self._forget()
            ended, self._ended = self._ended, None
            try:
                with self._alone.begin() as connection:
                    connection.execute(sa.insert(journal).values(ended))
            except sa.exc.DBAPIError as error:
                raise self._unwritable(error) from error

    def journal(self, run_id: str | None = None) -> list[JournalEntry]:
        """A run's entries, or all, oldest first."""
        return self._known("journal", self._read_journal) if run_id is None else self._read_journal(run_id)

    def _read_journal(self, run_id: str | None = None) -> list[JournalEntry]:
        query = sa.select(journal).order_by(journal.c.number)
        if run_id is not None:
            query = query.where(journal.c.run_id == run_id)
        with self._alone.connect() as connection, self._understood("journal"):
            return [journal_entry_of(row) for row in connection.execute(query)]

    def entry_begun(self, record: JournalEntry) -> Entry:
        """The ledger entry of a cut-over that was begun.

        :raises FerryError: the journal is damaged, or of another version.
        """
        with self._understood("journal"):
            return Entry.from_json(record.detail.get("entry"))

    @contextlib.contextmanager
    def _understood(self, table: str) -> Iterator[None]:
        """:raises FerryError: what a table holds is none of ours, or a newer version's."""
        try:
            yield
        except (Unexpected, ValueError, TypeError, RecursionError) as error:
            raise FerryError(
                f"The {table} in the control area {self._place} is damaged, or a newer version wrote it: {error}.",
                hint="Run the newest version that was used here; or move the control area away: the next run then "
                "treats the database as one it does not know.",
            ) from error

    def find_unfinished_cut_over(self) -> JournalEntry | None:
        """The cut-over that was begun and neither done nor undone, if there is one."""
        last = [entry for entry in self.journal() if entry.step == "cut-over"][-1:]
        return last[0] if last and last[0].phase == "begun" else None

    # Lease

    def holder(self) -> Holder | None:
        """Who holds the lease, alive or dead."""
        if self._records and "lease" in self._records:
            return next(iter(self._records["lease"]), None)
        with self._alone.connect() as connection:
            return self._holder_seen_by(connection)

    def _holder_seen_by(self, connection: sa.Connection) -> Holder | None:
        """:raises FerryError: the lease holds values that no run writes."""
        with self._understood("lease"):
            row = connection.execute(sa.select(lease, NOW)).first()
            if row is None:
                return None
            return holder_of(row)

    def take_lease(self, run_id: str, command: str) -> Holder | None:
        """Take the lease, from a dead holder too, which is then returned.

        :raises LockHeld: the holder lives.
        :raises FerryError: it cannot be written, which no waiting for a holder changes.
        """
        dead = self.holder()
        if dead and dead.alive:
            raise LockHeld(f"The lock is held: {dead}.", hint="Wait for it, or look with: flask db-status")
        pid = os.getpid()
        values = {"id": 1, "run_id": run_id, "command": command, "host": socket.gethostname(), "pid": pid}
        values |= {"process": process(pid), "user": find_user()}
        try:
            with (self._engine if dead else self._alone).begin() as connection:
                if dead:
                    # Nobody's time to wait is the server's own: whoever holds the row may be asleep.
                    connection.execute(sa.select(lease.c.id).with_for_update(nowait=True))
                    connection.execute(sa.delete(lease).where(lease.c.run_id == dead.run_id))
                connection.execute(sa.insert(lease).values(**values))
        except (sa.exc.IntegrityError, sa.exc.OperationalError) as error:
            refusal = self._unwritable(error)
            if type(refusal) not in (FerryError, LockHeld):
                raise refusal from error
            # What another transaction is in the way of has the word in it, on each server.
            if isinstance(error, sa.exc.OperationalError) and "lock" not in str(error.orig).lower():
                raise refusal from error
            what = (
                f"another run takes it over, or its holder sleeps: {dead}" if dead else "another run took it just now"
            )
            raise LockHeld(f"The lock is held: {what}.", hint="Wait for it, or look with: flask db-status") from error
        return dead

    def check_lease(self, run_id: str) -> None:
        """Refuse to go on when the lease was taken away, e.g. after this process slept for long.

        :raises LeaseLost: another run has it, or nobody.
        """
        if error := self.find_lost_lease(run_id):
            raise error

    def find_lost_lease(self, run_id: str) -> LeaseLost | None:
        """The error of a run whose lease was taken away, or None while it has it."""
        holder = self.holder()
        return None if holder and holder.run_id == run_id else _make_lost(run_id, holder)

    @contextlib.contextmanager
    def lease_held(self, run_id: str) -> Iterator[None]:
        """Hold the lease's row for as long as this is open: whoever would take it over waits, or gives up.

        So what is done inside is done by the one run that has the lease, however long its process slept before.

        :raises LeaseLost: another run has it, or nobody.
        """
        with self._engine.connect() as connection, connection.begin():
            self._lock_lease(connection, run_id)
            yield

    def _lock_lease(self, connection: sa.Connection, run_id: str) -> None:
        # An update locks the row on every server; SQLite has nothing else that does.
        beat = sa.update(lease).where(lease.c.run_id == run_id).values(heartbeat_at=sa.func.current_timestamp())
        if connection.execute(beat).rowcount != 1:
            raise _make_lost(run_id, self._holder_seen_by(connection))

    def release_lease(self, run_id: str) -> None:
        self._flush()
        with self._alone.begin() as connection:
            connection.execute(sa.delete(lease).where(lease.c.run_id == run_id))

    def unlock(self, run_id: str) -> Holder:
        """Remove a dead lease that the next run could not take over by itself.

        :raises Protected: it lives, or it is another run's.
        """
        holder = self.holder()
        if holder is None or holder.run_id != run_id:
            raise Protected(f"Run {run_id} does not hold the lock; {holder or 'nobody'} does.")
        if holder.alive:
            raise Protected(f"The lock is alive: {holder}.", hint=f"Wait for it, or end process {holder.pid} first.")
        self.release_lease(run_id)
        return holder

    @contextlib.contextmanager
    def heartbeat(self, run_id: str) -> Iterator[None]:
        """Keep the lease alive for as long as this is open."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT_S):
                # A beat that finds the control area busy, or its server gone, is made up for by the next one.
                with contextlib.suppress(sa.exc.DBAPIError, FerryError), self._alone.begin() as connection:
                    connection.execute(
                        sa.update(lease)
                        .where(lease.c.run_id == run_id)
                        .values(heartbeat_at=sa.func.current_timestamp())
                    )

        thread = threading.Thread(target=beat, name="ferry-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _engine_for(dialect: Dialect, area: ControlArea, *, each_alone: bool = False) -> sa.Engine:
    engine = dialect.control_engine(area, each_alone=each_alone)
    sa.event.listen(engine, "handle_error", functools.partial(name_damage, area))
    return engine


def _entry_of(run_id: str, step: str, phase: str, detail: dict[str, Any] | None) -> dict[str, Any]:
    return {"run_id": run_id, "step": step, "phase": phase, "detail": detail or {}}


def _make_lost(run_id: str, holder: Holder | None) -> LeaseLost:
    return LeaseLost(
        f"Another run took over: run {run_id} lost its lock to {holder or 'nobody'}.", hint="Run the command again."
    )
