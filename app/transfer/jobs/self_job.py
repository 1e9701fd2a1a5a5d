"""The live database itself, brought to head beside itself; no write that reaches it meanwhile is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from sqlalchemy import URL

from ...dialects.model import LateWrite, Table, TableChecksum, Values
from ...dialects.reader import Reader
from ...dialects.rounds import CannotCatchUp
from ...dialects.samples import Problem
from ...errors import DoesNotFit, VerificationFailed
from ..backup.making import to_sums
from ..cutover.cutover import entry_for, note_wait
from ..cutover.keeping import Keeping
from ..cutover.secure import Secured, take_image
from ..proof.checksums import Proved, fingerprint, read_contents
from ..proof.verify import Before
from ..run.beside import Beside
from ..run.evidence import databases_differ
from ..run.ledger import BROUGHT_OVER, Entry
from ..run.report import TableReceipt
from ..run.run import SWAP_TIMEOUT_S
from ..run.source import SELF
from ..schema.alembic import data_tables
from ..schema.recognise import recognise
from ..staging.counters import keep_counters, read_counters
from ..staging.row_by_row import RowByRow, env_sends, pair, pair_same, reaches_around
from ..staging.short_stop import ShortStop
from ..staging.unmanaged import NOTHING_BROUGHT
from .brought_over import describe_brought_over
from .dry_run import foresee_self
from .job import Step, refresh_derived
from .migration import Migration


class SelfJob(Migration):
    """The live database itself, brought to head beside itself."""

    writers_wait = True
    keeps_counters = True
    stages_backup = True
    _short: ShortStop | None = None
    _looked_at_live = False
    """Whether the upgrade was compared with the live database, which may have gone on meanwhile."""
    _is_beyond_backup = False
    """Whether rows came along that were written after the backup was made."""
    _sums: Mapping[str, TableChecksum] | None = None
    """Of staging, where a pass is complete."""
    _read: Mapping[str, TableChecksum] | None = None
    """Of staging, where they were read before; nothing has written a row there since."""
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
        entry = self._entry(self._know_tables)
        self._sums = to_sums(entry.checksums)
        return entry

    def _know_tables(self, reader: Reader) -> Proved:
        sums = self._read
        return (lambda table: sums.get(table.name)) if sums else self.secured.contents.known_in(reader)

    def _entry(self, proved: Callable[[Reader], Proved]) -> Entry:
        return entry_for(
            self.run,
            self.target,
            self.secured,
            proved=proved,
            source_identity=SELF,
            source=SELF,
            revision=self.plan.head,
            options={
                "previous_absent": self.secured.absent,
                **self.options.list_accepted(),
                **({BROUGHT_OVER: True} if self._is_beyond_backup else {}),
            },
        )

    def back_up(self) -> None:
        """The backup of the first pass stays; a later one takes the live database anew, with every write until now."""
        run = self.run
        self._short = self._sums = self._read = None
        self._looked_at_live = self.is_kept = False
        self.report.tables.clear()
        self.report.carried.clear()
        self._unmanaged = NOTHING_BROUGHT
        if not hasattr(self, "secured"):
            run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
            super().back_up()
            return
        self._is_beyond_backup = True
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
        try:
            self._before = self._prove_copy()
        except LateWrite:
            self._before = self._finish_copy()

    def upgrade(self) -> None:
        """As every migration; what staging draws from a sequence meanwhile, the live one may have given out since."""
        self.fence.drawn_beside = {}
        super().upgrade()
        former = self._counters if self._ahead else []
        if former:
            now = {counter.name: counter.next for counter in read_counters(self.run, self.run.staging)}
            # What gave its numbers to rows alone is gone with their column.
            self.fence.drawn_beside = {
                counter.name: counter.next
                for counter in former
                if now.get(counter.name, counter.next if counter.table else None) != counter.next
            }

    def _check(self) -> None:
        if self._revision != self.plan.head:
            self.check_upgrade(self._before, self._revision)

    def _bring_objects(self) -> None:
        if self._revision != self.plan.head:
            self.bring_objects(self._revision)

    def _look_at_rules(self) -> list[Problem]:
        """While the server does so, rows are kept and read for the ledger, where there are enough of them."""
        run, look = self.run, super()._look_at_rules
        keeping = Keeping(run, sum(one.rows for one in self.secured.checksums.values()))
        if not keeping.is_worth_it:
            return look()
        with keeping, Beside(look) as looking:
            looking.begin()
            with run.dialect.reader(run.staging) as reader:
                self._read = fingerprint(reader, proved=self.secured.contents.known_in(reader))
            problems = looking.result()
        self.is_kept = keeping.is_done
        return problems

    def _find_taken_away(self) -> set[str]:
        return {*self._heard.dropped, *(rename.old for rename in self._heard.renames)}

    def _copy(self) -> str:
        """Copy the live database into staging; returns the revision it is at, recognised where it says none."""
        run = self.run
        if self.secured.restored and not run.dialect.take_for_copy(run.before, run.staging):
            self.secured.restored = None
        if not self.secured.restored:
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
            contents, restored = self.secured.contents, self.secured.restored
            # It was compared when it was restored, and nobody writes there: where nothing was stamped or built since.
            was_compared = restored is not None and self.plan.target.revision is not None
            known = contents.known_of(restored) if restored and was_compared else contents.known_in(staged)
            copied = fingerprint(staged, proved=known)
        if tables.keys() - sums.keys() or any(copied.get(name) != sums[name] for name in tables):
            self._refuse_copy()
        # What the upgrade is compared with is to be what it began with.
        if restored and self.was_written_meanwhile():
            raise LateWrite
        self._note_tables(tables, sums)
        return self._read_before(run.before, tables, sums)

    def _note_tables(self, tables: Iterable[str], sums: Mapping[str, TableChecksum]) -> None:
        self.report.tables += [
            TableReceipt(name, sums[name].rows, sums[name].rows, checksum=str(sums[name])) for name in tables
        ]

    def _read_before(self, url: URL, tables: Mapping[str, Table], sums: Mapping[str, TableChecksum]) -> Before:
        run, digests = self.run, self.secured.contents.digests

        def rows_of(table: Table) -> Iterator[Values]:
            self._looked_at_live |= url == run.target
            with run.dialect.reader(url) as reader:
                yield from reader.rows(table)

        def digest_of(table: Table) -> str | None:
            former, digest = digests.get(table.name, (None, None))
            if former is not None and former.columns == table.columns:
                return digest
            self._looked_at_live |= url == run.target
            with run.dialect.reader(url) as reader:
                return reader.digest(table)

        return Before(tables, {name: sums[name] for name in tables}, rows_of, digest_of)

    # What was written meanwhile, brought over

    def _finish_copy(self) -> Before:
        """Bring a copy that is of no instant to one, with writers waiting for the last of it, and prove that.

        :raises LateWrite: it cannot be done.
        """
        run, frozen = self.run, self._frozen
        if not (run.may_hold_writers and self.secured.schema):
            raise LateWrite
        with run.dialect.reader(run.staging) as copy:
            tables = data_tables(copy.tables())
        try:
            stop = self._open_stop(pair_same(tables), {})
            stop.begin(is_copy=True)
            stop.approach()
            began = time.monotonic()
            with self.fence.hold(SWAP_TIMEOUT_S):
                token = stop.finish()
            note_wait(run, began)
        except CannotCatchUp as error:
            run.note(f"The copy cannot be brought to what was written meanwhile: {error}.")
            raise LateWrite from error
        with run.dialect.reader(run.staging) as copy:
            contents = read_contents(copy)
        self.secured, self._is_beyond_backup = replace(self.secured, token=token, contents=contents), True
        # The live database goes on; what the upgrade is compared with does not.
        run.dialect.copy(run.staging, frozen, timeout_s=SWAP_TIMEOUT_S)
        self._note_tables(tables, contents.checksums)
        return self._read_before(frozen, tables, contents.checksums)

    @property
    def _frozen(self) -> URL:
        return self.run.dialect.staging_url(self.run.target, f"{self.run.id}-before")

    def end_helpers(self) -> None:
        with contextlib.suppress(*self.run.database_errors):
            self.run.dialect.drop(self._frozen)

    def _open_stop(self, tables: RowByRow, sums: Mapping[str, TableChecksum]) -> ShortStop:
        run, secured = self.run, self.secured
        places = run.target, run.staging, self.fence
        return ShortStop(run.dialect, *places, secured.contents, secured.schema, tables, sums)

    def approach(self) -> bool:
        if self._sums is None or self.secured.absent or self._violations or self._looked_at_live:
            return False
        try:
            if self._short is None:
                self._short = self._open_stop(self._pair(), self._sums)
                self._short.begin(is_copy=False)
            self._short.approach()
            if self.run.dialect.capabilities.swap_moves_old:
                self._short.keep(self.run.new_generation)
        except CannotCatchUp as error:
            self._give_up(error)
            return False
        return True

    def time_catch_up(self) -> float | None:
        run = self.run
        if self._sums is None or self.secured.absent or self._violations or self._looked_at_live:
            return None
        try:
            stop = self._open_stop(self._pair(), self._sums)
            stop.begin(is_copy=False)
            stop.look_ahead()
            began = time.monotonic()
            stop.look_over()
        except CannotCatchUp as error:
            run.note(f"What is written meanwhile could not be brought over row by row: {error}.")
            return None
        if not run.dialect.capabilities.swap_moves_old:
            run.dialect.copy(run.target, run.scratch, timeout_s=SWAP_TIMEOUT_S)
        return time.monotonic() - began

    def _pair(self) -> RowByRow:
        run, heard = self.run, self._heard
        with run.dialect.reader(run.staging) as reader:
            now, definitions = data_tables(reader.tables()), reader.definitions()
        if not self._ahead:
            return pair_same(now)
        script, past = run.schema.script, run.schema.up_to(self._revision)
        # Also those that nothing was heard of.
        ahead = [name for name in run.schema.lineage() if name not in past]
        if reaches_around(Path(script.get_revision(name).path) for name in ahead):
            raise CannotCatchUp("a revision has ways around the connection that is listened to")
        if env_sends(run.host.migrations / "env.py"):
            raise CannotCatchUp("env.py sends statements of its own")
        return pair(self._former_tables, now, self._definitions, definitions, heard)

    def _give_up(self, error: CannotCatchUp) -> None:
        self._short = self._sums = None
        self.is_kept = False
        self.run.note(f"What was written meanwhile cannot be brought over row by row: {error}.")

    def catch_up(self) -> Entry | None:
        run, stop = self.run, self._short
        if stop is None:
            return None
        try:
            self.secured = replace(self.secured, token=stop.finish())
            self._renew_old()
        except CannotCatchUp as error:
            self._give_up(error)
            return None
        self.is_kept = run.dialect.capabilities.swap_moves_old
        self._is_beyond_backup |= bool(stop.brought)
        refresh_derived(run)
        keep_counters(run, read_counters(run, run.target), run.staging)
        entry = self._entry(lambda _reader: lambda table: stop.sums.get(table.name))
        describe_brought_over(run, stop, entry.table_checksums)
        return entry

    def _renew_old(self) -> None:
        """Where the old generation is a copy, it is the live database at the instant of the cut-over.

        :raises CannotCatchUp: numbers that the app keeps beside all tables were changed.
        """
        run = self.run
        if run.dialect.capabilities.swap_moves_old:
            return
        with run.dialect.reader(run.target) as live, run.dialect.reader(run.old_generation) as old:
            if live.numbers() != old.numbers():
                raise CannotCatchUp("a number that the app keeps beside all tables was changed")
        run.dialect.renew_copy(run.target, run.old_generation, self.fence, timeout_s=SWAP_TIMEOUT_S)

    def _refuse_copy(self) -> NoReturn:
        """:raises LateWrite: the live database was written since, or may have been, so it is no wonder."""
        run = self.run
        if self.was_written_meanwhile() or self.fence.knows_by_values:
            raise LateWrite
        with run.dialect.reader(run.before) as live, run.dialect.reader(run.staging) as copy:
            details = databases_differ(run, live, copy)
        raise VerificationFailed(
            "The copy of the live database is not what it is a copy of.",
            details=details,
            hint="The live database is unchanged; please report this. Try again with: flask db-migrate-data self",
        )
