"""A rollback that keeps what was written since: brought to the old revision beside, then added to what becomes live.

Two databases are brought down by the app's own downgrades: the live one as the cut-over left it, and as it is now. In
what they differ then is what was written, in the words of the old schema; that is brought into a copy of the old
generation, and nothing else. What shows no difference there has no place in the old schema: it is named.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import sqlalchemy as sa

from ...dialects.model import LateWrite, Table, TableChecksum
from ...dialects.reader import Reader
from ...dialects.wording import count_rows, rows_were
from ...errors import DoesNotFit, VerificationFailed
from ..backup.backups import state_of
from ..proof.checksums import fingerprint
from ..proof.compare import SHOWN
from ..proof.verify import follow_moves
from ..proof.writes import find_writes
from ..rows.files import to_plain_json, write
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.source import SELF
from ..run.target import MIGRATE, Target
from ..schema.alembic import data_tables, revision_of
from ..schema.declarations import Declarations
from ..schema.downgrade import bring_down, find_way_down, shape_of
from ..schema.listen import Heard
from ..set_aside.added_rows import find_generated_key, without
from ..staging.changes import Changes, Touched
from ..staging.load import BATCH_ROWS
from .job import Step, carry_out_steps
from .not_kept import NotKept
from .rollback import Rollback

NOT_KEPT = "not-kept.json"
PLAIN = "Without the rows written since: flask db-rollback"


class KeepingRollback(Rollback):
    """Puts the old generation in the place of what is live, with what was written since."""

    writers_wait = True

    def __init__(self, run: Run, target: Target, undone: Entry, generation: sa.URL | None) -> None:
        super().__init__(run, target, undone, generation)
        self._was, self._is = (run.dialect.staging_url(run.target, f"{run.id}-{end}") for end in ("was", "is"))
        self._new, self._old, self._revision = self._require(generation)
        self._was_made = False
        self._brought: tuple[sa.URL, sa.URL] | None = None
        self._idle: list[str] = []
        self._changes: Changes | None = None
        self._left: NotKept | None = None
        self._heard = Heard()

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("backup", self.back_up, of_live=True),
            Step("compare", self._save_writes_since, of_live=True),
            Step("downgrade", self._find_changes, of_live=True),
            Step("staging", self._stage, of_live=True),
            Step("keep", self._keep, of_live=True),
        )

    @property
    def source_bytes(self) -> int:
        """Two more copies of the database."""
        return self.target.size_bytes * 3 // 2

    @property
    def runs_revisions(self) -> bool:
        return True

    def foresee(self, directory: Path) -> None:
        super().foresee(directory)
        self.report.not_looked_at.append("which of the rows written since the old schema has a place for")

    def question(self) -> Question:
        return super().question().with_more(self._look_ahead)

    def close(self) -> None:
        """Drop what was built beside, and the scratch files."""
        if self._changes:
            self._changes.close()
        for url in (self._was, self._is):
            with contextlib.suppress(*self.run.database_errors):
                self.run.dialect.drop(url)

    def summary(self, entry: Entry, rows: int) -> str:
        count = sum(sum(item["counts"].values()) for item in self.report.kept)
        more = f", {count_rows(count)} written since among them" if count else ""
        not_kept = self._left
        rest = (
            f" {rows_were(not_kept.rows)} not kept, or not whole: {not_kept.file}"
            if not_kept and not_kept.items
            else ""
        )
        return f"{super().summary(entry, rows).removesuffix('.')}{more}.{rest}"

    # Before: what there has to be

    def _require(self, generation: sa.URL | None) -> tuple[sa.URL, sa.URL, str]:
        """Where the new generation is, where the old one, and that one's revision.

        :raises DoesNotFit: one of them is not there.
        """
        run, last = self.run, self.target.in_force
        if generation is None:
            raise DoesNotFit("There was no database before, so nothing that could hold the rows.", hint=PLAIN)
        new = run.dialect.generation_url(run.target, f"{last.mark}-new") if last else None
        if new is None or not run.dialect.exists(new):
            raise DoesNotFit("What the cut-over made live is not kept, so what was written is not known.", hint=PLAIN)
        with run.dialect.reader(generation) as old:
            revision = revision_of(old)
        if revision is None or self.target.revision is None:
            which = "What was live before" if revision is None else "What is live"
            raise DoesNotFit(f"{which} is at no revision: there is no way to it by revisions.", hint=PLAIN)
        for name, of in ((revision, "What was live before"), (self.target.revision, "The live database")):
            run.schema.require(name, of)
        return new, generation, revision

    # Beside: the live database as the cut-over left it and as it is, both at the old revision

    def _look_ahead(self) -> list[str]:
        """What is asked about: the rows that the old schema has no place for. Found by doing it, beside."""

        def look() -> None:
            self._save_writes_since(self.run.target)
            self._find_changes(self.run.target)

        carry_out_steps(self.run, [Step("look ahead", look)])
        return self.describe()

    def describe(self) -> list[str]:
        """What is kept and what is not, a table a line."""
        lines = [f"Kept:      {item['table']}: {_counts(item['counts'])}" for item in self.report.kept]
        rest = self._left.lines() if self._left else []
        return [*(lines or ["Kept:      nothing"]), *rest]

    def _find_changes(self, live: sa.URL | None = None) -> None:
        """Find what was written, at the old revision; with the conflicts that the old generation has with it."""
        run = self.run
        try:
            was, now = self._brought = self._brought_down(live or run.before, secured=live is None)
            with (
                run.dialect.reader(was) as before,
                run.dialect.reader(now) as after,
                run.dialect.reader(self._old) as old,
            ):
                self._refuse_other_shape(before, old)
                changes = self._compare(before, after, old)
                conflicts = list(changes.reconcile(old, before, lenient=self._is_of_self()))
        except DoesNotFit as error:
            raise error if error.hint else error.with_hint(self._hint()) from error
        if conflicts:
            raise DoesNotFit(
                f"What was live before has {len(conflicts)} of the rows written since otherwise.",
                details=[*conflicts[:SHOWN], *([f"and {len(conflicts) - SHOWN} more"] if conflicts[SHOWN:] else [])],
                hint=self._hint(),
            )
        self.report.kept = [{"table": name, "counts": one.counts} for name, one in changes.tables.items()]
        self._name_lossy(changes)
        self._name_left(changes, live or run.before)

    def _hint(self) -> str:
        file = self.report.differences_file
        return f"{PLAIN}\nThey are whole in {file}." if file else PLAIN

    def _is_of_self(self) -> bool:
        """Whether the cut-over only brought the old generation's own rows to another revision."""
        return self._undone.command == MIGRATE and self._undone.source_identity == SELF

    def _brought_down(self, live: sa.URL, *, secured: bool) -> tuple[sa.URL, sa.URL]:
        if self.target.revision == self._revision:
            return self._new, live
        if not self._was_made:
            self._make_was(live)
            self._carry(self._was)
            self._was_made = True
        self.run.dialect.copy(live, self._is, timeout_s=SWAP_TIMEOUT_S)
        if secured and not self._is_secured():
            if self.was_written_meanwhile():
                raise LateWrite
            raise VerificationFailed("The copy of the live database is not what it is a copy of.")
        self._carry(self._is)
        return self._was, self._is

    def _is_secured(self) -> bool:
        """Whether the copy of the live database is what was secured."""
        with self.run.dialect.reader(self._is) as reader:
            return self.secured.contents.are_in(reader)

    def _make_was(self, live: sa.URL) -> None:
        """The live database with the rows that it had after the cut-over: a kept generation has rows and no rules."""
        run = self.run
        run.dialect.copy(live, self._was, timeout_s=SWAP_TIMEOUT_S)
        with run.dialect.reader(self._new) as new:
            sums = fingerprint(new)
            with run.dialect.reader(self._was) as copy:
                tables, now = data_tables(copy.tables()), fingerprint(copy)
            if shape_of(new.tables()) != shape_of(tables) or revision_of(new) != self.target.revision:
                raise DoesNotFit("Tables of the live database were changed since the cut-over, not only rows.")
            other = [name for name in tables if sums[name] != now[name]]
            with run.dialect.loading(self._was):
                run.dialect.clear(self._was, other)
                for name in other:
                    table = _in_order(new.tables()[name], tables[name])
                    run.dialect.load(self._was, table, new.rows(new.tables()[name]), batch_rows=BATCH_ROWS)
        if state_of(run.dialect, self._was) != sums:
            raise VerificationFailed("The copy of what the cut-over made live is not what it is a copy of.")

    def _carry(self, url: sa.URL) -> None:
        """Bring a copy of the live database to the old generation's revision, the way there is."""
        run, upper = self.run, str(self.target.revision)
        lineage = run.schema.lineage()
        if lineage.index(self._revision) > lineage.index(upper):
            run.schema.build(url, self._revision)
            return
        self._heard = Heard()
        way = find_way_down(run.schema, upper, self._revision)
        self._idle = bring_down(run.schema, run.dialect, url, way, self._heard)

    def _refuse_other_shape(self, before: Reader, old: Reader) -> None:
        """:raises DoesNotFit: the downgrades did not lead to the schema that was live before."""
        if (shape := shape_of(before.tables())) == (wanted := shape_of(old.tables())):
            return
        wrong = sorted(name for name in shape.keys() | wanted.keys() if shape.get(name) != wanted.get(name))
        idle = self._idle
        which = f"; the downgrade of {', '.join(idle)} changes nothing" if idle else ""
        raise DoesNotFit(
            f"The downgrades to {self._revision} do not lead to the schema that was live before{which}.",
            details=[f"{name}: {shape.get(name)} in place of {wanted.get(name)}" for name in wrong[:SHOWN]],
        )

    def _compare(self, before: Reader, after: Reader, old: Reader) -> Changes:
        if self._changes:
            self._changes.close()
        changes = self._changes = Changes(self.run.directory)
        tables = data_tables(old.tables())
        former = self._find_former(tables)
        for table in tables.values():
            key = find_generated_key(table, tables, former)
            changes.find(Touched(table, key, without(table, key)), before, after)
        return changes

    def _find_former(self, tables: dict[str, Table]) -> set[str]:
        """The tables whose keys mean something: those that the live database has, under this name or another."""
        with self.run.dialect.reader(self._new) as new:
            there, declared = set(new.tables()), self._read_declarations()
        return {name for name in tables if {name, *follow_moves(name, declared)} & there}

    def _read_declarations(self) -> Declarations:
        return self.run.schema.declarations(self._revision)

    def _name_lossy(self, changes: Changes) -> None:
        for name, touched in changes.tables.items():
            if touched.lenient and touched.lossy:
                self.run.note(f"Of {name} what was live before keeps: {', '.join(sorted(touched.lossy))}.")

    def _name_left(self, changes: Changes, live: sa.URL) -> None:
        run = self.run
        not_kept = self._left = NotKept(
            changes,
            self._read_declarations(),
            _tables_of(run, self._old),
            run.directory / NOT_KEPT,
            self._heard.renames,
        )
        with run.dialect.reader(self._new) as new, run.dialect.reader(live) as now:
            not_kept.take(find_writes(new, now, run.directory))
        run.report.not_kept = not_kept.items
        if not_kept.items:
            write(not_kept.file, [to_plain_json(not_kept.all_keys())], keep_former=False)

    # The old generation, with them

    def _keep(self) -> None:
        """Bring the changes into staging, which is a copy of the old generation, and prove that it is that and them."""
        run, changes, brought = self.run, self._changes, self._brought
        if changes is None or brought is None or not changes.tables:
            return
        already = {str(item) for item in run.dialect.problems(run.staging)}
        changes.apply(run.dialect, run.staging, self._old, *brought)
        self._prove(changes)
        if new := [str(item) for item in run.dialect.problems(run.staging) if str(item) not in already]:
            raise DoesNotFit(
                f"With the rows written since rules of the old schema do not hold: {len(new)}.",
                details=new,
                hint=self._hint(),
            )
        run.dialect.settle(run.staging, keep_violations=bool(already))

    def _prove(self, changes: Changes) -> None:
        run = self.run
        with run.dialect.reader(self._old) as old, run.dialect.reader(run.staging) as staged:
            expected: dict[str, TableChecksum] = fingerprint(old)
            for name, touched in changes.tables.items():
                expected[name] = changes.expect(touched, old, expected[name])
            sums = fingerprint(staged)
            if wrong := sorted(name for name in expected.keys() | sums.keys() if expected.get(name) != sums.get(name)):
                raise VerificationFailed(
                    f"Staging is not what was live before with what was written since: {', '.join(wrong)}."
                )
            for touched in changes.tables.values():
                changes.prove_rows(touched, old, staged)


def _tables_of(run: Run, url: sa.URL) -> dict[str, Table]:
    with run.dialect.reader(url) as reader:
        return data_tables(reader.tables())


def _in_order(generation: Table, table: Table) -> Table:
    """A table with its columns in the order in which a generation has them."""
    by_name = {column.name: column for column in table.columns}
    return Table(table.name, tuple(by_name[name] for name in generation.column_names), table.primary_key)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
