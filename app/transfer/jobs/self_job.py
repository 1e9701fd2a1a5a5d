"""The live database itself, brought to head beside itself; no write that reaches it meanwhile is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NoReturn

from ...dialects.base import Fence
from ...dialects.model import LateWrite, Table, Values
from ...errors import DoesNotFit, VerificationFailed
from ..cutover.cutover import entry_for, still_written, swap
from ..cutover.secure import PASSES, Secured, imaged, secure
from ..proof.checksums import fingerprint
from ..proof.verify import Before
from ..rows.header import now
from ..run.evidence import databases_differ
from ..run.ledger import Entry
from ..run.report import TableReceipt
from ..run.run import SWAP_TIMEOUT_S
from ..run.source import SELF
from ..schema.alembic import data_tables
from .job import Job


class SelfJob(Job):
    """The live database itself, brought to head beside itself."""

    def _steps(self, fence: Fence) -> Entry:
        run = self.run
        run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
        for attempt in range(PASSES + 1):
            try:
                if attempt == 0:
                    return self._swapped(fence, self._pass(fence, backed_up=True))
                run.note(f"The live database was written meanwhile; pass {attempt + 1}, with writers waiting.")
                began = time.monotonic()
                with fence.hold(SWAP_TIMEOUT_S):
                    # The swap ends the hold last of all: no writer gets in between.
                    return self._swapped(fence, self._pass(fence, backed_up=False), began)
            except LateWrite:
                continue
        raise still_written(PASSES)

    def _swapped(self, fence: Fence, secured: Secured, began: float | None = None) -> Entry:
        """Swap, and say how long writers had to wait."""
        made = self._entry(secured)
        began = began or time.monotonic()
        entry = swap(self.run, fence, secured.token, made)
        self.report.seconds["writers waited"] = round(time.monotonic() - began, 3)
        return entry

    def _pass(self, fence: Fence, *, backed_up: bool) -> Secured:
        run = self.run
        self.report.tables.clear()
        self.report.carried.clear()
        with run.step("backup", identity=SELF):
            secured = self._secured(fence, backed_up=backed_up)
        if secured.absent:
            return self._fresh(secured)
        try:
            with run.step("staging"):
                revision = self._copy()
            before = self._before(secured, fence)
            if revision != self.plan.head:
                self._upgrade(before, revision)
        except VerificationFailed:
            # What was read of the live database itself may be newer than what was secured.
            if run.before == run.target and fence.token() != secured.token:
                raise LateWrite from None
            raise
        return secured

    def _secured(self, fence: Fence, *, backed_up: bool) -> Secured:
        if backed_up:
            self._backup = secure(self.run, fence, self.options.backup_to)
            return self._backup
        # The backup of the first pass stays; this is the live database anew, with every write until now.
        with imaged(self.run, fence) as image:
            return Secured(image.token, self._backup.backup, checksums=fingerprint(image.reader))

    def _fresh(self, secured: Secured) -> Secured:
        """No database yet: head, with nothing in it."""
        with self.run.step("staging"):
            self.run.dialect.prepare_staging(self.run.staging, self.run.target)
            self.run.schema.build(self.run.staging, self.plan.head)
        return secured

    def _copy(self) -> str:
        """Copy the live database into staging; returns the revision it is at, recognised where it says none."""
        run = self.run
        run.dialect.copy(run.before, run.staging, timeout_s=SWAP_TIMEOUT_S)
        revision = self.plan.target.revision
        if revision is not None:
            run.schema.require(revision, "The live database")
            return revision
        with run.dialect.reader(run.staging) as reader:
            tables = reader.tables()
        if not data_tables(tables):
            run.schema.build(run.staging, self.plan.head)
            return self.plan.head
        found = run.schema.recognise(tables, run.scratch)
        if found.revision is None or found.missing or found.extra_columns:
            raise DoesNotFit(
                "The live database has no alembic_version, and its tables are not those of any revision.",
                details=[f"nearest is {found.revision}", *found.missing, *found.extra_columns],
                hint="Stamp it with the revision it is at: flask db stamp REVISION",
            )
        run.note(f"The live database has no alembic_version; its tables are those of {found.revision}.")
        run.schema.stamp(run.staging, found.revision)
        return found.revision

    def _before(self, secured: Secured, fence: Fence) -> Before:
        run, sums = self.run, secured.checksums
        with run.dialect.reader(run.before) as old:
            tables = data_tables(old.tables())
        with run.dialect.reader(run.staging) as staged:
            copied = fingerprint(staged)
        if tables.keys() - sums.keys() or any(copied.get(name) != sums[name] for name in tables):
            self._refuse_copy(secured, fence)
        for name in tables:
            found = sums[name]
            self.report.tables.append(TableReceipt(name, found.rows, found.rows, checksum=str(found)))

        def rows_of(table: Table) -> Iterator[Values]:
            with run.dialect.reader(run.before) as reader:
                yield from reader.rows(table)

        return Before(tables, {name: sums[name].rows for name in tables}, rows_of)

    def _refuse_copy(self, secured: Secured, fence: Fence) -> NoReturn:
        """:raises LateWrite: the live database was written since, so it is no wonder."""
        run = self.run
        if run.before == run.target and fence.token() != secured.token:
            raise LateWrite
        with run.dialect.reader(run.before) as live, run.dialect.reader(run.staging) as copy:
            details = databases_differ(run, live, copy)
        raise VerificationFailed(
            "The copy of the live database is not what it is a copy of.",
            details=details,
            hint="The live database is unchanged; please report this. Try again with: flask db-migrate-data self",
        )

    def _entry(self, secured: Secured) -> Entry:
        return entry_for(
            self.run,
            self.plan.target,
            secured,
            source_identity=SELF,
            source=SELF,
            revision=self.plan.head,
            finished_at=now(),
        )
