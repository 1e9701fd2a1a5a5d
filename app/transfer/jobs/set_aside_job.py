"""Rows that a run set aside and somebody fixed: brought to head beside, and added to the live database."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...dialects.model import Table, TableChecksum
from ...dialects.samples import Problem
from ...dialects.wording import be, count_rows, rows_are
from ...errors import DoesNotFit, Protected, SnapshotUnusable, VerificationFailed
from ..cutover.cutover import entry_for
from ..proof.checksums import fingerprint
from ..proof.verify import follow_moves, verify_upgrade
from ..rows.files import file_sha256
from ..rows.header import now
from ..rows.scratch import RowStore
from ..rows.snapshot import check_file
from ..run.evidence import keep_differences
from ..run.evidence_files import LOADED, LOADS, NAME
from ..run.ledger import Entry
from ..run.plan import Action, Question
from ..run.report import TableReceipt
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.source import SELF
from ..schema.listen import Heard
from ..set_aside.added_rows import Effect, load_added, plus, write_added
from ..set_aside.file import MOST_PROBLEMS, AsideFile, digest_of, loading_command, write_aside
from ..set_aside.plan import AsidePlan, nothing_left, plan_set_aside
from ..set_aside.report import describe_aside
from ..staging.empty import build_empty
from ..staging.load import TableLoad, aside_to_json, describe_key, load_fixed
from ..staging.options import MigrateOptions
from ..staging.referring import REFERS, set_aside_referring
from ..staging.rows_file import RowsFile
from ..staging.stage import before_upgrade, load_into, stage, verify_staging
from .job import Job, Nothing, Planning, Step, refresh_derived
from .passage import Order
from .self_job import SelfJob

ADDED = "added.json"
"""In the run's directory: the rows that were added, a snapshot at head."""


def order_aside(run: Run, path: Path, options: MigrateOptions) -> Order:
    """What db-migrate-data --set-aside-from does with a database."""
    why = "is for a source: the live database is copied by its server, which nobody can slow down."
    if words := run.throttle.give_up(why):
        run.note(words)
    tables: dict[str, Table] = {}

    def plan(planning: Planning) -> Job | Nothing:
        aside = planning.resources.enter_context(plan_set_aside(run, AsideFile(path), tables or None))
        tables.update(aside.tables)
        if aside.plan.action is Action.NOTHING:
            return Nothing(nothing_left(aside), {"live": aside.plan.target.revision})
        job = SetAsideJob(run, aside, options)
        planning.resources.callback(job.close)
        return job

    return Order(run, plan, dry_run=options.dry_run, lock_timeout_s=options.lock_timeout_s)


class SetAsideJob(SelfJob):
    """The live database itself, with the fixed rows added."""

    def __init__(self, run: Run, aside: AsidePlan, options: MigrateOptions) -> None:
        super().__init__(run, aside.plan, options)
        self.report.source = {"label": str(aside.file.path)}
        self._found = aside
        self._effect = Effect()
        self._receipts: list[TableReceipt] = []
        self._ledger: dict[str, Any] = {}
        self._lived = 0
        self._accounts: dict[str, TableLoad] = {}
        self._less, self._more = (run.dialect.staging_url(run.target, f"{run.id}-{end}") for end in ("without", "with"))

    def _identify(self) -> None:
        """Nothing: rows that were set aside are loaded without a rehearsal."""

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("staging", self._stage_without),
            Step("load", self._load_with),
            Step("verify", self._verify_with),
            Step("upgrade", self._upgrade_both),
            Step("compare", self._compare),
            *super().steps,
            Step("add", self._add, of_live=True),
        )

    @property
    def source_bytes(self) -> int:
        return self._found.snapshot.stat().st_size

    @property
    def loads(self) -> str | None:
        return self._found.loads

    def preview(self, question: Question) -> str:
        return f"Would load {question.loads}."

    def foresee(self, directory: Path) -> None:
        del directory
        self.report.expected = dict(self._found.fresh.counts())
        self.report.not_looked_at = ["whether the schema takes the rows, and what the revisions do with them"]

    def close(self) -> None:
        """Drop what was built beside, and the scratch files."""
        self._effect.close()
        for url in (self._less, self._more):
            with contextlib.suppress(*self.run.database_errors):
                self.run.dialect.drop(url)

    # Beside: the snapshot without the rows, and with them

    def _stage_without(self) -> None:
        """The snapshot as its run loaded it, and what was loaded since, at its revision."""
        run, aside, to = self.run, self._found, self._less
        snapshot = check_file(aside.snapshot)
        options = aside.stage_options()
        staged = stage(run, snapshot, aside.origin.revision, options, staging=to, stand_in=aside.stand_in)
        rows, accounts = staged.rows, staged.accounts
        if digest_of(rows.aside.rows()) != aside.base.options["aside"]["digest"]:
            raise SnapshotUnusable(
                f"{aside.snapshot} gives other rows to set aside than it gave run {aside.base.run_id}: adapters, "
                "revisions or the server are others now.",
                hint="Migrate again with the fixed source: flask db-migrate-data --rerun --set-aside",
            )
        self._refuse_others(rows)
        if aside.earlier.counts():
            rows.bring_in(aside.earlier)
            build_empty(run, to, aside.origin.revision, staged.schema)
            accounts, refused = load_into(run, to, rows)
            if refused:
                raise DoesNotFit("Rows that an earlier run loaded are refused now.", details=refused)
        verify_staging(run, rows, accounts, staging=to)
        self._rows, self._accounts = rows, accounts

    def _refuse_others(self, rows: RowsFile) -> None:
        """Each row of the file comes in the place of one that was set aside, and of no other."""
        wrong = [
            f"row {number} of {table}"
            for table, number, _, _ in self._found.fresh.rows()
            if not rows.aside.has(table, number)
        ]
        if wrong:
            raise DoesNotFit(
                f"{count_rows(len(wrong))} of {self._found.file.path} {be(len(wrong))} not among those that run "
                f"{self._found.base.run_id} set aside.",
                details=_first(wrong),
                hint=f"Keep table and number of each row as the run wrote them: {self._ledger_file()}",
            )

    def _ledger_file(self) -> str:
        return str(self._found.base.options["aside"]["file"])

    def _load_with(self) -> None:
        """A copy of that with the fixed rows, which come last: what is refused is one of them."""
        rows, fresh = self._rows, self._found.fresh
        rows.bring_in(fresh)
        accounts, refused = self._fill_with()
        if set_aside_referring(rows, fresh.has) or refused:
            self._refuse_still(rows)
            accounts, refused = self._fill_with()
            if refused or set_aside_referring(rows, fresh.has):
                raise DoesNotFit("Rows are refused even without those set aside.", details=refused)
        self._accounts = accounts

    def _verify_with(self) -> None:
        verify_staging(self.run, self._rows, self._accounts, staging=self._more)

    def _fill_with(self) -> tuple[dict[str, TableLoad], list[str]]:
        """Copy the database without the fixed rows, and load them into the copy."""
        run, rows, more, refused = self.run, self._rows, self._more, list[str]()
        run.dialect.copy(self._less, more, timeout_s=SWAP_TIMEOUT_S)
        accounts = dict(self._accounts)
        with run.dialect.loading(more):
            for name in accounts.keys() & self._found.fresh.counts().keys():
                table = accounts[name].table
                loaded, lines = load_fixed(run.dialect, more, rows, table, self._found.fresh)
                accounts[name] = TableLoad(table, loaded=plus(accounts[name].loaded, loaded))
                refused += lines
        return accounts, refused

    def _refuse_still(self, rows: RowsFile) -> None:
        """:raises DoesNotFit: rows of the file are refused, and they were not to be set aside again."""
        if self.options.set_aside:
            return
        still = self._still(rows)
        file = self._found.file.path
        raise DoesNotFit(
            f"The schema at revision {self._found.origin.revision} still refuses {count_rows(len(still))} of {file}.",
            details=_first(still),
            hint=f"Fix them, or let them go to a new file: {loading_command(file)} --set-aside",
        )

    def _upgrade_both(self) -> None:
        self._heard = Heard()
        for url in (self._less, self._more):
            self.run.schema.build(url, self.plan.head, self._heard)

    def _compare(self) -> None:
        """What the fixed rows come to at head: the difference of the two databases."""
        run, rows = self.run, self._rows
        declared = run.schema.declarations(self._found.origin.revision).accepting(self.options.accept_loss)
        with run.dialect.reader(self._less) as without, run.dialect.reader(self._more) as with_them:
            verify_upgrade(before_upgrade(rows, self._accounts), with_them, declared, self._heard, self.plan.head)
            former = {place for name in rows.tables for place in follow_moves(name, declared)}
            others = self._effect.compute(without, with_them, former, run.directory)
            if evidence := keep_differences(run, others):
                raise DoesNotFit(
                    f"With these rows the revisions would make others of what is live already: {evidence.count}.",
                    details=evidence.lines(),
                    hint="Fix the rows so that they leave those alone (another key, another value), or take them "
                    f"out of the file and insert them in the application; then: {self._again()}",
                )
        self._keep(rows)
        # The live database's own copy needs the room.
        for url in (self._less, self._more):
            run.dialect.drop(url)

    def _keep(self, rows: RowsFile) -> None:
        """The receipt per table of the file; what is loaded and what remains, each in a file of the run."""
        run, aside = self.run, self._found
        counts, fresh = aside.given.counts(), aside.fresh.counts()
        loaded = RowStore()
        try:
            for table, number, reason, row in aside.fresh.rows():
                if not rows.aside.has(table, number):
                    loaded.add(table, number, reason, row)
            for name, count in loaded.counts().items() | {(name, 0) for name in counts if not loaded.counts()[name]}:
                self._receipts.append(
                    TableReceipt(
                        name,
                        counts[name],
                        count,
                        counts[name] - fresh[name],
                        fresh[name] - count,
                        note="waived: loaded before" if counts[name] > fresh[name] else "",
                    )
                )
            self._receipts.sort(key=lambda receipt: receipt.table)
            path = run.directory / LOADED
            items = ({"table": t, "number": n, "reason": why, "row": row} for t, n, why, row in loaded.rows())
            write_aside(path, aside.origin, items)
            self._ledger = {
                "run": aside.base.run_id,
                "file": str(aside.file.path),
                "rows": loaded.counts().total(),
                "loaded": str(path),
                "sha256": file_sha256(path),
            }
            if not self._ledger["rows"]:
                self._refuse_all(rows)
        finally:
            loaded.close()
        self._keep_rest(rows)

    def _refuse_all(self, rows: RowsFile) -> None:
        still = self._still(rows)
        raise DoesNotFit(
            f"{self._found.file.path}: {rows_are(len(still))} still refused, which is all of it.",
            details=_first(still),
            hint=f"Fix them, then: {self._again()}",
        )

    def _still(self, rows: RowsFile) -> list[str]:
        """Those of the file that are refused, with key and reason; what only goes with others comes last."""
        lines = [
            (reason.startswith(REFERS), f"{table}: row {number}: {reason}; key {describe_key(rows.tables[table], row)}")
            for table, number, reason, row in rows.aside.rows()
            if self._found.fresh.has(table, number)
        ]
        return [line for _, line in sorted(lines, key=lambda item: item[0])]

    def _keep_rest(self, rows: RowsFile) -> None:
        run, count = self.run, rows.aside.count()
        if not count:
            return
        path = run.directory / NAME
        command = run.name_bind(loading_command(path))
        write_aside(path, self._found.origin, aside_to_json(rows))
        run.report.set_aside = describe_aside(rows)
        run.report.aside = {"file": str(path), "rows": count, "command": command}
        run.warn(f"Still set aside: {count_rows(count)}, in {path}. To load what is fixed by then: {command}")

    # On a copy of the live database

    def _look_at_rules(self) -> list[Problem]:
        """Nothing is kept or read beside, as the rows are added behind it."""
        return self.run.dialect.problems(self.run.staging)

    def _add(self) -> None:
        """Add the rows to the copy of the live database, and prove that it holds those and every row of its own."""
        if self.secured.absent:
            raise Protected("The live database is gone.", hint="See: flask db-status")
        self.report.tables[:] = self._receipts
        run, path = self.run, self.run.directory / ADDED
        with run.dialect.reader(run.staging) as staged:
            if evidence := keep_differences(run, self._effect.compare(staged)):
                raise DoesNotFit(
                    f"The live database has {evidence.count} with the key of a fixed row and other values.",
                    details=evidence.lines(),
                    hint=f"Give the fixed rows other keys, or change the live ones in the application; then: "
                    f"{loading_command(self._found.file.path)}",
                )
            before = fingerprint(staged)
            write_added(path, self._effect, staged, str(self._found.file.path), self.plan.head)
        already = set(run.dialect.problems(run.staging))
        sums = self._load_added(path)
        self._prove(before, sums)
        refresh_derived(run)
        self._refuse_problems(already)
        run.dialect.settle(run.staging, keep_violations=bool(already))
        self._report_added(sums)

    def _load_added(self, path: Path) -> dict[str, TableChecksum]:
        try:
            return load_added(self.run.dialect, self.run.staging, path)
        except DoesNotFit as error:
            raise error.with_hint(f"Fix them, or the live rows in the application; then: {self._again()}") from error

    def _again(self) -> str:
        return loading_command(self._found.file.path)

    def _prove(self, before: Mapping[str, TableChecksum], sums: Mapping[str, TableChecksum]) -> None:
        """The copy holds every row that was live, and those added, and nothing else."""
        with self.run.dialect.reader(self.run.staging) as staged:
            after = fingerprint(staged)
        expected = {name: plus(checksum, sums[name]) if name in sums else checksum for name, checksum in before.items()}
        if after != expected:
            wrong = sorted(name for name in after.keys() | expected.keys() if after.get(name) != expected.get(name))
            raise VerificationFailed(
                f"The copy of the live database is not what was live and what was added: {', '.join(wrong)}.",
                details=[f"{n}: {expected[n].rows} expected, {after[n].rows} found" for n in wrong if n in after],
                hint="The live database is unchanged. Nothing of the rows was wrong; please report this.",
            )
        self._lived = sum(checksum.rows for name, checksum in before.items() if name != self.run.dialect.version_table)

    def _refuse_problems(self, already: set[Problem]) -> None:
        problems = self.run.dialect.problems(self.run.staging)
        if new := [str(item) for item in problems if item not in already]:
            raise DoesNotFit(
                f"With the rows added rules do not hold: {len(new)}.",
                details=new,
                hint=f"What they refer to may be deleted by now. Fix them, or take them out; then: {self._again()}",
            )
        for text in problems:
            self.run.warn(f"Of the live database itself: {text}")

    def _report_added(self, sums: Mapping[str, TableChecksum]) -> None:
        self.report.added = []
        for name, effect in self._effect.tables.items():
            if effect.rows:
                rows = sums[name].rows if name in sums else 0
                sum_ = str(sums[name]) if name in sums else ""
                self.report.added.append(
                    {"table": name, "rows": rows, "there_already": effect.rows - rows, "checksum": sum_}
                )

    # The end

    def entry(self) -> Entry:
        path = self.run.directory / ADDED
        aside = self._found.base.options["aside"]
        rest = self.report.aside or {"file": None, "rows": 0, "command": None}
        return entry_for(
            self.run,
            self.target,
            self.secured,
            source_identity=SELF,
            source=f"rows that run {self._found.base.run_id} set aside ({self._found.file.path})",
            revision=self.plan.head,
            finished_at=now(),
            snapshot=str(path),
            snapshot_sha256=file_sha256(path),
            options={
                "previous_absent": self.secured.absent,
                LOADS: self._ledger,
                "aside": {**rest, "revision": aside["revision"], "digest": aside["digest"]},
            },
        )

    def more(self) -> str:
        self.report.source = {"label": str(self._found.file.path), "run": self._found.base.run_id}
        self.run.note(f"What was live ({count_rows(self._lived)}) is all there, by checksum, and these besides.")
        return f" Loaded: {count_rows(self._ledger['rows'])} of {self._found.file.path}."


def _first(lines: list[str]) -> list[str]:
    return [*lines[:MOST_PROBLEMS], *([f"and {len(lines) - MOST_PROBLEMS} more"] if len(lines) > MOST_PROBLEMS else [])]
