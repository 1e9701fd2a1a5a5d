"""What both kinds of migration share: the upgrade of staging to head, its check, the receipt."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...dialects.model import Counter as KeyCounter
from ...dialects.model import Definition, Table
from ...dialects.samples import Problem, ProblemKind
from ...dialects.wording import count_rows, count_tables, rows_are
from ...errors import VerificationFailed
from ..proof.objects import Lost, find_lost, refuse_lost
from ..proof.verify import Before, find_changed_values, verify_upgrade
from ..proof.violations import Violation, find_new, find_violations, show_rows
from ..run.ledger import Entry
from ..run.plan import Plan, Question, question_for
from ..run.run import Run
from ..schema.alembic import data_tables, revision_of
from ..schema.declarations import ACCEPTED, Declarations
from ..schema.listen import Heard
from ..staging.counters import keep_counters, prove_counters
from ..staging.options import Dangling, MigrateOptions
from ..staging.unmanaged import NOTHING_BROUGHT, bring_unmanaged
from .dry_run import Ahead
from .job import Job, refresh_derived


class RulesBroken(VerificationFailed):
    """At head a foreign key or another rule does not hold.

    :ivar keys: the foreign keys that do not.
    """

    keys: tuple[Dangling, ...] = ()

    def of_keys(self, keys: Iterable[Dangling]) -> RulesBroken:
        """The same; returns itself."""
        self.keys = tuple(sorted(keys))
        return self


class Migration(Job):
    """A run of db-migrate-data: rows at a revision, brought to head in staging."""

    way_to_set_aside = "They go to a file with: flask db-migrate-data --set-aside"
    """What else can be typed where rows refer to nothing."""

    def __init__(self, run: Run, plan: Plan, options: MigrateOptions) -> None:
        super().__init__(run, plan.target, backup_to=options.backup_to)
        self.plan, self.options = plan, options
        self.report.source = {"label": plan.source.label}
        self.report.revisions["head"] = plan.head
        self._unmanaged = NOTHING_BROUGHT
        self._counters: list[KeyCounter] = []
        self._violations: Counter[Violation] = Counter()
        self._declared_losses: set[str] = set()
        self._heard, self._ahead = Heard(), 0
        self._definitions: list[Definition] = []
        self._former_tables: dict[str, Table] = {}
        self.rehearsal = self._identify()

    def _identify(self) -> dict[str, Any] | None:
        """What a rehearsal of this migration is of, as JSON values."""
        return {
            "command": self.run.command,
            "action": str(self.plan.action),
            "source": self.plan.source.identity,
            "live": self.target.revision,
            "head": self.plan.head,
            "options": self.options.list_decisive(),
        }

    @property
    def loads(self) -> str | None:
        """What is loaded, for people; None for the database's own rows."""
        return None

    def question(self) -> Question:
        question = question_for(self.run.host, self.plan, self.loads, self.backup_place)
        accepted = self.options.accept_loss
        return question.with_more(lambda: [f"May be lost: {', '.join(accepted)}"]) if accepted else question

    def preview(self, question: Question) -> str:
        expected = self.report.expected
        rows = f" ({count_rows(sum(expected.values()))} in {count_tables(len(expected))})" if expected else ""
        return f"Would {self.plan.action}: {self.plan.reason}. It would load {question.loads}{rows}."

    def look_along(self, revision: str) -> Ahead:
        """The way from a revision to head."""
        return Ahead(revision, self.plan.head, self._read_declarations(revision))

    def upgrade(self) -> None:
        """Bring staging to head, and hear what its revisions say; what gives out numbers stands no further back."""
        run = self.run
        if self.options.keep_violations:
            self._violations = self._find_violations(run.dialect.problems(run.staging))
        with run.dialect.reader(run.staging) as reader:
            self._counters = reader.counters()
            self._ahead = run.schema.count_ahead(revision_of(reader))
            if not self._ahead:
                return
            self._definitions = reader.definitions()
            self._former_tables = data_tables(reader.tables())
        counter = itertools.count()
        self._heard = Heard(tell=lambda revision: run.progress("revisions", next(counter), self._ahead, revision))
        run.schema.build(run.staging, self.plan.head, self._heard)
        keep_counters(run, self._counters, run.staging)

    def check_upgrade(self, before: Before, revision: str) -> None:
        """Prove that the upgrade lost nothing but what its revisions declare, and tell what it changed.

        :raises VerificationFailed: it did.
        """
        run, declared = self.run, self._read_declarations(revision)
        with run.dialect.reader(run.staging) as after:
            upgraded = verify_upgrade(before, after, declared, self._heard, self.plan.head)
            reached = self._heard.find_reached(self._former_tables, self._definitions)
            changed = find_changed_values(before, after, declared, reached.__contains__, run.directory)
        for receipt in self.report.tables:
            receipt.rows_at_head = upgraded.rows.get(receipt.table)
        self.report.moves, self.report.losses = upgraded.moves, upgraded.losses
        self._declared_losses = upgraded.declared
        self.report.changed_values = [str(item) for item in changed]

    def bring_objects(self, revision: str) -> None:
        """Bring what the live database has that no revision made, and look whether every rule holds.

        :raises VerificationFailed: one does not, or something that is not a row is gone and nobody said so.
        """
        run = self.run
        self._unmanaged = bring_unmanaged(
            run, self.target.revision or revision, self._unmanaged, self._find_taken_away()
        )
        self._check_objects(self._read_declarations(revision))
        refresh_derived(run)
        problems = self._look_at_rules()
        if self.options.keep_violations:
            problems = self._keep_violations(problems)
        if problems:
            keys = {(item.table, item.columns, item.parent) for item in self._find_violations(problems)}
            raise RulesBroken(
                f"At head ({self.plan.head}) rules do not hold: {len(problems)}.",
                details=[*map(str, problems), *self._show_rows(problems)],
                hint="Repair these rows in a revision (docs/guide.md), then run again. Rows whose foreign key led "
                "nowhere before are kept as they are with: flask db-migrate-data --keep-violations\n"
                f"{self.way_to_set_aside}",
            ).of_keys(keys)
        run.dialect.settle(run.staging, keep_violations=self.options.keep_violations)
        prove_counters(run, self._counters, run.staging)

    def _look_at_rules(self) -> list[Problem]:
        """All that do not hold; behind it no row of staging is written any more."""
        return self.run.dialect.problems(self.run.staging)

    def _find_taken_away(self) -> set[str] | None:
        """What the upgrade dropped or renamed by name, where staging was a copy of the live database."""
        return None

    def _find_violations(self, problems: Iterable[Problem]) -> Counter[Violation]:
        tables = sorted({item.table for item in problems if item.kind is ProblemKind.DANGLING})
        with self.run.dialect.reader(self.run.staging) as reader:
            return find_violations(reader, tables)

    def _keep_violations(self, problems: list[Problem]) -> list[Problem]:
        """Those that are not kept; the others are told.

        :raises VerificationFailed: the upgrade made some.
        """
        violations = [item for item in problems if item.kind is ProblemKind.DANGLING]
        if new := find_new(violations, self._violations, self._find_violations(violations)):
            raise VerificationFailed(
                f"At head ({self.plan.head}) rows refer to rows that are not there, and did not before the upgrade.",
                details=[*new, *self._show_rows(violations)],
                hint="Repair the revision, then run again.",
            )
        for item in violations:
            self.run.note(f"Kept as they were: {item}")
        return [item for item in problems if item not in violations]

    def _show_rows(self, problems: Iterable[Problem]) -> list[str]:
        """The statements that show the rows."""
        run = self.run
        quote = run.staging.get_dialect()().identifier_preparer.quote
        with run.dialect.reader(run.staging) as reader:
            tables = reader.tables()
        return [
            line
            for item in problems
            if item.kind is ProblemKind.DANGLING and item.table in tables
            for line in show_rows(tables[item.table], item.parent, quote)
        ]

    def _check_objects(self, declared: Declarations) -> None:
        run, losses = self.run, list[Lost]()
        if self._ahead:
            with run.dialect.reader(run.staging) as after:
                losses = find_lost(self._definitions, after.definitions(), after.tables(), self._heard, declared)
        self.report.objects = [str(item) for item in losses if item.reason]
        needed = {*self._declared_losses, *(item.declared_as for item in losses)}
        for name in self.options.accept_loss:
            if name not in needed:
                run.note(f"Nothing called {name} was lost: {ACCEPTED} is not needed for it.")
            elif declared.losses[name] != ACCEPTED:
                run.note(f"A declaration says why {name} may go: {ACCEPTED} is not needed for it.")
        refuse_lost(losses, self.plan.head)

    def _read_declarations(self, revision: str) -> Declarations:
        return self.run.schema.declarations(revision).accepting(self.options.accept_loss)

    def summary(self, entry: Entry, rows: int) -> str:
        text = f"Done: {rows_are(rows)} live at revision {entry.revision} (run {self.run.id}).{self.more()}"
        if entry.from_snapshot_of:
            text += f" They are from the snapshot of {entry.from_snapshot_of}, not from the source."
        if profile := entry.profile:
            text += f" They are anonymised with the profile {profile.name!r}."
        return text

    def more(self) -> str:
        """What the last line says besides."""
        return ""
