"""The live database itself, brought to head beside itself; no write that reaches it meanwhile is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from sqlalchemy import URL

from ...dialects.model import LateWrite, Table, Values
from ...errors import DoesNotFit, VerificationFailed
from ..cutover.cutover import entry_for
from ..cutover.secure import Secured, take_image
from ..proof.checksums import fingerprint, read_contents
from ..proof.verify import Before
from ..run.evidence import databases_differ
from ..run.ledger import Entry
from ..run.report import TableReceipt
from ..run.run import SWAP_TIMEOUT_S
from ..run.source import SELF
from ..schema.alembic import data_tables
from ..schema.recognise import recognise
from .dry_run import foresee_self
from .job import Step
from .migration import Migration


class SelfJob(Migration):
    """The live database itself, brought to head beside itself."""

    writers_wait = True
    keeps_counters = True
    way_to_set_aside = (
        "They go to a file by way of a snapshot: flask db-backup --portable ./all.json\n"
        "and then: flask db-migrate-data ./all.json --set-aside"
    )

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("backup", self.back_up, of_live=True),
            Step("staging", self._stage, of_live=True),
            Step("upgrade", self.upgrade, of_live=True),
            Step("check", self._check, of_live=True),
            Step("objects", self._bring_objects, of_live=True),
        )

    def foresee(self, directory: Path) -> None:
        del directory
        run = self.run
        if not self.target.exists:
            # The revisions run over empty tables then, too.
            run.schema.tables_at(run.scratch, self.plan.head)
            return
        revision = self._find_revision(run.target) or self.plan.head
        foresee_self(run, self.look_along(revision), self.target.rows)

    def entry(self) -> Entry:
        return entry_for(
            self.run,
            self.target,
            self.secured,
            proved=self.secured.contents.known_in,
            source_identity=SELF,
            source=SELF,
            revision=self.plan.head,
            options={"previous_absent": self.secured.absent, **self.options.list_accepted()},
        )

    def back_up(self) -> None:
        """The backup of the first pass stays; a later one takes the live database anew, with every write until now."""
        run = self.run
        self.report.tables.clear()
        self.report.carried.clear()
        self._unmanaged = []
        if not hasattr(self, "secured"):
            run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
            super().back_up()
            return
        with take_image(run, self.fence) as image:
            self.secured = Secured(image.token, self.secured.backup, contents=read_contents(image.reader))

    def _stage(self) -> None:
        run = self.run
        if self.secured.absent:
            # No database yet: head, with nothing in it.
            run.dialect.prepare_staging(run.staging, run.target)
            run.schema.build(run.staging, self.plan.head)
            self._revision = self.plan.head
            return
        self._revision = self._copy()
        self._before = self._prove_copy()

    def _check(self) -> None:
        if self._revision != self.plan.head:
            self.check_upgrade(self._before, self._revision)

    def _bring_objects(self) -> None:
        if self._revision != self.plan.head:
            self.bring_objects(self._revision)

    def _find_taken_away(self) -> set[str]:
        return {*self._heard.dropped, *(rename.old for rename in self._heard.renames)}

    def _copy(self) -> str:
        """Copy the live database into staging; returns the revision it is at, recognised where it says none."""
        run = self.run
        run.dialect.copy(run.before, run.staging, timeout_s=SWAP_TIMEOUT_S)
        revision = self._find_revision(run.staging)
        if revision is None:
            run.schema.build(run.staging, self.plan.head)
            return self.plan.head
        if self.plan.target.revision is None:
            run.schema.stamp(run.staging, revision)
        return revision

    def _find_revision(self, url: URL) -> str | None:
        """The revision that the live database is at, recognised where it says none; None where it has no tables.

        :param url: of it, or of a copy.
        :raises DoesNotFit: it is at none that is known here.
        """
        run, revision = self.run, self.plan.target.revision
        if revision is not None:
            run.schema.require(revision, "The live database")
            return revision
        with run.dialect.reader(url) as reader:
            tables = reader.tables()
        if not data_tables(tables):
            return None
        recognition = recognise(run.schema, tables, run.scratch)
        if recognition.revision is None or recognition.missing or recognition.extra_columns:
            raise DoesNotFit(
                f"The live database has no {run.dialect.version_table}, and its tables are not those of any revision.",
                details=[f"nearest is {recognition.revision}", *recognition.missing, *recognition.extra_columns],
                hint="Stamp it with the revision it is at: flask db stamp REVISION",
            )
        run.note(
            f"The live database has no {run.dialect.version_table}; its tables are those of {recognition.revision}."
        )
        return recognition.revision

    def _prove_copy(self) -> Before:
        """:raises VerificationFailed: staging does not hold what was secured."""
        run, sums = self.run, self.secured.checksums
        with run.dialect.reader(run.before) as old:
            tables = data_tables(old.tables())
        with run.dialect.reader(run.staging) as staged:
            copied = fingerprint(staged, proved=self.secured.contents.known_in(staged))
        if tables.keys() - sums.keys() or any(copied.get(name) != sums[name] for name in tables):
            self._refuse_copy()
        self.report.tables += [
            TableReceipt(name, sums[name].rows, sums[name].rows, checksum=str(sums[name])) for name in tables
        ]

        def rows_of(table: Table) -> Iterator[Values]:
            with run.dialect.reader(run.before) as reader:
                yield from reader.rows(table)

        def digest_of(table: Table) -> str | None:
            with run.dialect.reader(run.before) as reader:
                return reader.digest(table)

        return Before(tables, {name: sums[name] for name in tables}, rows_of, digest_of)

    def _refuse_copy(self) -> NoReturn:
        """:raises LateWrite: the live database was written since, so it is no wonder."""
        run = self.run
        if self.was_written_meanwhile():
            raise LateWrite
        with run.dialect.reader(run.before) as live, run.dialect.reader(run.staging) as copy:
            details = databases_differ(run, live, copy)
        raise VerificationFailed(
            "The copy of the live database is not what it is a copy of.",
            details=details,
            hint="The live database is unchanged; please report this. Try again with: flask db-migrate-data self",
        )
