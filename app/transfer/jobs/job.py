"""A migration's steps, whatever its source is, and those of a migration from another source."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ...dialects.base import Fence
from ...errors import VerificationFailed
from ..cutover.prune import finish_report
from ..cutover.secure import fenced
from ..proof.verify import Before, verify_upgrade
from ..run.ledger import Entry
from ..run.plan import Plan
from ..run.report import Report
from ..run.run import Run
from ..schema.alembic import Declarations
from ..staging.options import MigrateOptions
from ..staging.unmanaged import bring_unmanaged


class Job(ABC):
    """What every migration does: secured, staged, upgraded, cut over, with its receipt."""

    def __init__(self, run: Run, plan: Plan, options: MigrateOptions) -> None:
        self.run, self.plan, self.options = run, plan, options
        self.report = run.report
        self.report.target = plan.target.to_json()
        self._unmanaged: list[str] = []

    def carry_out(self) -> Report:
        """All steps; whatever ends them early, staging is dropped and live is as it was."""
        try:
            with fenced(self.run) as fence:
                entry = self._steps(fence)
            self._receipt(entry)
            return self.report
        finally:
            self.run.cleaned_up()

    @abstractmethod
    def _steps(self, fence: Fence) -> Entry:
        """From the backup to the cut-over; returns the ledger entry."""

    def _upgrade(self, before: Before, revision: str) -> None:
        run = self.run
        with run.step("upgrade", revision=revision, head=self.plan.head):
            run.schema.build(run.staging, self.plan.head)
        with run.step("check"):
            self._check_upgrade(before, run.schema.declarations(revision))
            self._unmanaged = bring_unmanaged(run, self.plan.target.revision or revision)
            if problems := run.dialect.problems(run.staging):
                raise VerificationFailed(
                    f"At head ({self.plan.head}) {len(problems)} rules do not hold.",
                    details=problems,
                    hint="Repair these rows in a revision (docs/guide.md), then run again.",
                )
            run.dialect.settle(run.staging)

    def _check_upgrade(self, before: Before, said: Declarations) -> None:
        with self.run.dialect.reader(self.run.staging) as after:
            upgraded = verify_upgrade(before, after, said)
        for receipt in self.report.tables:
            receipt.rows_at_head = upgraded.rows.get(receipt.table)
        self.report.moves, self.report.losses = upgraded.moves, upgraded.losses

    def _more(self) -> str:
        """What the last line says besides."""
        return ""

    def _receipt(self, entry: Entry) -> None:
        run, report = self.run, self.report
        report.outcome, report.exit_status = "done", 0
        report.rollback = "flask db-rollback"
        report.revisions = {**report.revisions, "before": self.plan.target.revision, "live": entry.revision}
        rows = sum(count for name, (count, _) in entry.checksums.items() if name != "alembic_version")
        report.summary = f"Done: {rows} rows are live at revision {entry.revision} (run {run.id}).{self._more()}"
        if entry.from_snapshot_of:
            report.summary += f" They are from the snapshot of {entry.from_snapshot_of}, not from the source."
        if profile := entry.profile:
            report.summary += f" They are anonymised with the profile {profile.name!r}."
        finish_report(run)
