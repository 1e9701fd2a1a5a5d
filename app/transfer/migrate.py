"""The main job: carry everything of a source into a database with the new schema, prove it, cut over."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from ..dialects.base import Fence, LateWrite, Reader, SchemaObject, Table, Values
from ..errors import DoesNotFit, FerryError, Misconfigured, VerificationFailed
from .adapt import Adapted, adapt
from .control import Entry
from .cutover import (
    PASSES,
    Secured,
    cut_over,
    entry_for,
    fenced,
    finish_report,
    recover,
    secure,
    still_written,
    swap,
)
from .extract import (
    OpenSource,
    SourceOptions,
    Taken,
    accept_missing,
    can_fall_back,
    fallback,
    load_adapters,
    open_source,
)
from .load import Aside, RowsFile, TableLoad, aside_to_json, check_exclusions, load, set_aside_referring
from .plan import Action, Plan, Question, Target, decide, permission_needed
from .report import Report, TableReceipt
from .run import SWAP_TIMEOUT_S, Run
from .schema import Declarations, data_tables
from .snapshot import now, to_plain_json, write
from .sources import SELF, SourceKind, SourceSpec, parse_source
from .verify import Before, fingerprint, verify_loaded, verify_upgrade

STEPS = (
    "backup",
    "extract",
    "snapshot",
    "staging",
    "adapt",
    "load",
    "verify",
    "upgrade",
    "check",
    "cut-over",
)
SELF_STEPS = ("backup", "staging", "upgrade", "check", "cut-over")


@dataclass(frozen=True)
class MigrateOptions:
    """The options of db-migrate-data, without those of the source."""

    source: SourceOptions = field(default_factory=SourceOptions)
    counts_only: bool = False
    set_aside: bool = False
    rerun: bool = False
    dry_run: bool = False
    backup_to: Path | None = None
    lock_timeout_s: float = 0.0

    def for_ledger(self) -> dict[str, Any]:
        """What a later proof of this run needs to know."""
        return {"exclude": list(self.source.exclude), "set_aside": self.set_aside}


def migrate(run: Run, options: MigrateOptions) -> Report:
    """Run db-migrate-data.

    :raises FerryError: with its exit status; the live database is unchanged then, but for CutOverUnfinished.
    """
    run.refuse_prohibited()
    spec = parse_source(run.settings, insecure_http=options.source.insecure_http)
    plan = make_plan(run, spec, options)
    if plan.action is Action.NOTHING and plan.target.unfinished is None:
        return _nothing(run, plan)
    with contextlib.ExitStack() as stack:
        source = None
        if plan.action is Action.MIGRATE:
            source = _opened(run, plan.source, options)
            stack.callback(source.close)
        run.check_space(plan.target)
        if options.dry_run:
            return _previewed(run, plan, source, options)
        stack.enter_context(run.locked(options.lock_timeout_s))
        recover(run)
        plan = make_plan(run, spec, options)
        if plan.action is Action.NOTHING:
            return _nothing(run, plan)
        run.drop_leftovers()
        if plan.action is Action.MIGRATE and source is None:
            source = _opened(run, plan.source, options)
            stack.callback(source.close)
        run.hooks.ask(question_for(run, plan, source, options))
        if run.settings.environment:
            run.control.keep("environment", plan.target.environment)
        if plan.action is Action.SELF or source is None:
            return SelfJob(run, plan, options).carry_out()
        return Job(run, plan, source, options).carry_out()


def make_plan(run: Run, spec: SourceSpec, options: MigrateOptions) -> Plan:
    """Look at the target and its ledger; decide. The source is not contacted."""
    target = run.look()
    head = run.schema.head()
    if _is_target(run, spec):
        spec = SourceSpec(SourceKind.SELF, SELF, SELF)
    action, reason, base = decide(target, spec, head, rerun=options.rerun)
    if action is Action.SELF and options.source.exclude:
        raise Misconfigured("--exclude is for another source: a run on the database itself carries every table.")
    steps = STEPS if action is Action.MIGRATE else SELF_STEPS if action is Action.SELF else ()
    return Plan(run.command, target, action, reason, spec, head, steps, base=base)


def _is_target(run: Run, spec: SourceSpec) -> bool:
    if spec.database is None or spec.database.get_backend_name() != run.target.get_backend_name():
        return False
    return run.dialect.identity(spec.database).uid == run.dialect.identity(run.target).uid


def _opened(run: Run, spec: SourceSpec, options: MigrateOptions) -> OpenSource:
    """The source, or the snapshot that stands in for it."""
    remote = spec.kind in (SourceKind.HTTP, SourceKind.DATABASE)
    if run.settings.fallback.only and remote:
        return fallback(run, spec, options.source, None)
    try:
        return open_source(run, spec, options.source)
    except FerryError as error:
        if not remote or not can_fall_back(error):
            raise
        source = fallback(run, spec, options.source, error)
        run.warn(f"{error.message} Falling back to {source.describe}.")
        return source


def question_for(run: Run, plan: Plan, source: OpenSource | None, options: MigrateOptions) -> Question:
    """What is asked before the run; nothing is replaced in an empty database or by its own rows."""
    target = plan.target
    return Question(
        command=f"flask {run.command}",
        target=target,
        replaced=target.rows if not target.empty else {},
        loads=source.describe if source else f"its own rows, brought from {target.revision} to {plan.head}",
        backup=str(options.backup_to or run.settings.backups),
        typed_name=target.identity.database if target.production and not target.empty else None,
        needs_permission=permission_needed(run.host, target, plan.action, plan.source),
    )


def _nothing(run: Run, plan: Plan) -> Report:
    report = run.report
    report.outcome, report.exit_status = "nothing to do", 0
    report.revisions = {"live": plan.target.revision, "head": plan.head}
    suffix = ""
    if plan.base and plan.base.from_snapshot_of:
        suffix = f" (from the snapshot of {plan.base.from_snapshot_of}, not from the source)"
    report.summary = f"Nothing to do: already migrated; {plan.reason}{suffix}."
    return report


def _previewed(run: Run, plan: Plan, source: OpenSource | None, options: MigrateOptions) -> Report:
    question = question_for(run, plan, source, options)
    report = run.report
    report.outcome, report.exit_status = "dry run", 0
    report.target = describe_target(plan.target)
    report.source = {"label": plan.source.label, "loads": question.loads}
    report.revisions = {"live": plan.target.revision, "head": plan.head}
    if plan.target.unfinished:
        report.notes.append("An unfinished cut-over would be finished or undone first.")
    report.notes.append(f"Steps: {', '.join(plan.steps)}")
    report.notes.append(f"Backup to: {question.backup}")
    report.summary = f"Would {plan.action}: {plan.reason}. It would load {question.loads}."
    if question.needs_permission:
        run.hooks.ask(question)
    return report


def describe_target(target: Target) -> dict[str, Any]:
    """The target for a report."""
    return {
        "server": target.identity.server,
        "host": target.identity.host,
        "database": target.identity.database,
        "environment": f"{target.environment} ({target.environment_origin})",
        "rows": dict(target.rows),
    }


class _Base(ABC):
    def __init__(self, run: Run, plan: Plan, options: MigrateOptions) -> None:
        self.run, self.plan, self.options = run, plan, options
        self.report = run.report
        self.report.target = describe_target(plan.target)
        self.done = False

    def carry_out(self) -> Report:
        """All steps; whatever ends them early, staging is dropped and live is as it was."""
        try:
            with fenced(self.run) as fence:
                entry = self._steps(fence)
                self.done = True
            self._receipt(entry)
            return self.report
        finally:
            self.run.cleaned_up(keep_old=self.done)

    @abstractmethod
    def _steps(self, fence: Fence) -> Entry:
        """From the backup to the cut-over; returns the ledger entry."""

    def _upgrade(self, before: Before, revision: str) -> None:
        run = self.run
        with run.step("upgrade", revision=revision, head=self.plan.head):
            run.schema.build(run.staging, self.plan.head)
        with run.step("check"):
            self._check_upgrade(before, run.schema.declarations(revision))
            self._bring_objects(revision)
            if problems := run.dialect.problems(run.staging):
                raise VerificationFailed(
                    f"At head ({self.plan.head}) {len(problems)} rules do not hold.",
                    details=problems,
                    hint="Repair these rows in a revision (docs/guide.md), then run again.",
                )

    def _check_upgrade(self, before: Before, said: Declarations) -> None:
        with self.run.dialect.reader(self.run.staging) as after:
            upgraded = verify_upgrade(before, after, said)
        for receipt in self.report.tables:
            receipt.rows_at_head = upgraded.rows.get(receipt.table)
        self.report.moves, self.report.losses = upgraded.moves, upgraded.losses

    def _bring_objects(self, revision: str) -> None:
        """Bring tables, views and triggers of the live database that no revision made."""
        run = self.run
        live = run.old_generation
        if not run.dialect.exists(live):
            return
        with run.dialect.reader(live) as reader, run.dialect.reader(run.staging) as staged:
            here, there = reader.tables(), staged.tables()
            have = {item.name for item in staged.objects()}
            objects = [item for item in reader.objects() if item.name not in have]
        tables = sorted(set(here) - set(there))
        if not tables and not objects:
            return
        made_tables, made_objects = self._made_by_revisions(self.plan.target.revision or revision)
        tables = [name for name in tables if name not in made_tables]
        wanted = [item for item in objects if item.name not in made_objects and item.table not in tables]
        self._bring(live, tables, wanted)

    def _bring(self, live: URL, tables: list[str], wanted: list[SchemaObject]) -> None:
        run = self.run
        if tables:
            run.dialect.carry(live, run.staging, tables)
            self.report.carried += [f"table {name}: no revision made it; carried as it is" for name in tables]
        movable = [item for item in wanted if item.kind in ("view", "trigger")]
        run.dialect.create_objects(run.staging, movable)
        self.report.carried += [f"{item.kind} {item.name}: no revision made it; created again" for item in movable]
        for item in wanted:
            if item.kind == "virtual table":
                raise DoesNotFit(
                    f"The live database has a virtual table, {item.name}, which no revision makes.",
                    hint="Make it in a revision, or drop it first; a backup keeps it.",
                )
            if item.kind == "index":
                run.warn(f"The index {item.name} on {item.table} was made by hand and is not carried.")

    def _made_by_revisions(self, revision: str) -> tuple[set[str], set[str]]:
        run = self.run
        if revision not in run.schema.lineage():
            return set(), set()
        run.dialect.prepare_staging(run.scratch, run.target)
        try:
            run.schema.build(run.scratch, revision)
            with run.dialect.reader(run.scratch) as reader:
                return set(reader.tables()), {item.name for item in reader.objects()}
        finally:
            run.dialect.drop(run.scratch)

    def _receipt(self, entry: Entry) -> None:
        run, report = self.run, self.report
        report.outcome, report.exit_status = "done", 0
        report.rollback = "flask db-rollback"
        report.revisions = {**report.revisions, "before": self.plan.target.revision, "live": entry.revision}
        rows = sum(count for name, (count, _) in entry.checksums.items() if name != "alembic_version")
        report.summary = f"Done: {rows} rows are live at revision {entry.revision} (run {run.id})."
        if entry.from_snapshot_of:
            report.summary += f" They are from the snapshot of {entry.from_snapshot_of}, not from the source."
        finish_report(run)


class Job(_Base):
    """A migration from a source that is not the target."""

    def __init__(self, run: Run, plan: Plan, source: OpenSource, options: MigrateOptions) -> None:
        super().__init__(run, plan, options)
        self._source = source

    def _steps(self, fence: Fence) -> Entry:
        run = self.run
        run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
        with run.step("backup", identity=self.plan.source.identity):
            secured = secure(run, fence, self.options.backup_to)
        with run.step("extract"):
            taken = self._taken()
        with run.step("snapshot", file=str(taken.path), sha256=taken.sha256):
            self._describe_source(taken)
        revision = self._revision(taken)
        rows, accounts = stage(run, taken.path, taken.header.kind, revision, self.options, self.report)
        self._tables_receipt(rows, accounts, taken)
        with run.step("verify", counts_only=self.options.counts_only):
            verify_staging(run, rows, accounts, counts_only=self.options.counts_only)
        self._upgrade(before_upgrade(rows, accounts), revision)

        def make_entry(found: Secured) -> Entry:
            return entry_for(
                run,
                self.plan.target,
                found,
                source_identity=self.plan.source.identity,
                source=self.plan.source.label,
                revision=self.plan.head,
                snapshot=str(taken.path),
                snapshot_sha256=taken.sha256,
                from_snapshot_of=taken.fallback_of,
                options={"previous_absent": found.absent, **self.options.for_ledger()},
            )

        return cut_over(run, fence, secured, make_entry, lambda: secure(run, fence))

    def _taken(self) -> Taken:
        """Read the source; when that breaks off, the last good snapshot may stand in."""
        run, spec = self.run, self.plan.source
        try:
            taken = self._source.take(run)
        except FerryError as error:
            if not can_fall_back(error) or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
                raise
            source = fallback(run, spec, self.options.source, error)
            run.warn(f"{error.message} Falling back to {source.describe}.")
            self._source = source
            run.hooks.ask(question_for(run, self.plan, source, self.options))
            taken = source.take(run)
        accept_missing(taken.header.missing, self.options.source, f"flask {run.command} {spec.label}")
        return taken

    def _revision(self, taken: Taken) -> str:
        revision = taken.header.revision
        if revision is None:
            raise DoesNotFit(f"{taken.path} does not say at which revision its rows are.")
        self.run.schema.require(revision, str(taken.path))
        return revision

    def _describe_source(self, taken: Taken) -> None:
        self.report.snapshot = str(taken.path)
        self.report.source = {
            "label": self.plan.source.label,
            "read": f"from {taken.header.read_from} to {taken.footer.read_until}",
            "revision": taken.header.revision,
            "sha256": taken.sha256,
            "fallback_of": taken.fallback_of,
        }
        if self.plan.source.kind in (SourceKind.HTTP, SourceKind.DATABASE):
            self.run.note(
                f"The source was read from {taken.header.read_from} to {taken.footer.read_until}; "
                "what was written there later is not carried."
            )
        if taken.header.kind == "records":
            self.report.records = [
                {
                    "type": name,
                    "received": found.rows + taken.repeats.get(name, 0),
                    "distinct": found.rows,
                    "identical_repeats": taken.repeats.get(name, 0),
                }
                for name, found in taken.footer.checksums.items()
            ]
        waived = [{"what": f"table {t}", "rows": n, "reason": "--exclude"} for t, n in taken.extra.items()]
        missing = [
            {"what": f"table {t}", "rows": None, "reason": f"--accept-missing: {why}"}
            for t, why in taken.header.missing.items()
        ]
        self.report.waived += waived + missing

    def _tables_receipt(self, rows: RowsFile, accounts: Mapping[str, TableLoad], taken: Taken) -> None:
        self.report.revisions["source"] = rows.header.revision
        for name, account in accounts.items():
            receipt = TableReceipt(
                table=name,
                rows=account.rows,
                loaded=account.loaded.rows,
                waived=account.excluded,
                set_aside=account.set_aside,
                checksum=str(account.loaded),
                note=taken.header.missing.get(name, ""),
            )
            if receipt.rows != receipt.loaded + receipt.waived + receipt.set_aside:
                raise VerificationFailed(
                    f"{name}: {receipt.rows} rows are not {receipt.loaded} loaded + {receipt.waived} waived "
                    f"+ {receipt.set_aside} set aside."
                )
            if account.excluded:
                self.report.waived.append({"what": f"table {name}", "rows": account.excluded, "reason": "--exclude"})
            self.report.tables.append(receipt)


def stage(
    run: Run, snapshot: Path, kind: str, revision: str, options: MigrateOptions, report: Report
) -> tuple[RowsFile, dict[str, TableLoad]]:
    """Build staging at the source's revision and load the snapshot into it.

    :raises DoesNotFit: the schema refuses rows, unless they are to be set aside.
    """
    with run.step("staging", revision=revision):
        run.dialect.prepare_staging(run.staging, run.target)
        run.schema.build(run.staging, revision)
        with run.dialect.reader(run.staging) as reader:
            tables = data_tables(reader.tables())
            triggers = [item for item in reader.objects() if item.kind == "trigger"]
    if kind == "records":
        with run.step("adapt"):
            snapshot = _adapted(run, snapshot, tables, report)
    aside = Aside(run.directory / "set-aside.db")
    rows = RowsFile(snapshot, tables, options.source.exclude, aside)
    with run.step("load"):
        check_exclusions(rows)
        run.dialect.drop_objects(run.staging, triggers)
        accounts, refused = load(run.dialect, run.staging, rows)
        if refused:
            accounts = _set_aside(run, rows, refused, options, revision, report)
        run.dialect.create_objects(run.staging, triggers)
    return rows, accounts


def _adapted(run: Run, snapshot: Path, tables: Mapping[str, Table], report: Report) -> Path:
    adapters = load_adapters(run)
    to = run.directory / "rows.json"
    result = adapt(snapshot, to, adapters, dict(tables), run.directory)
    report.not_carried = dict(adapters.not_carried)
    _account(result, report)
    return to


def _account(result: Adapted, report: Report) -> None:
    for (record_type, key, reason), count in sorted(result.accounts.waived.items()):
        report.waived.append({"what": f"{record_type}.{key}", "records": count, "reason": reason})
    for (record_type, text), count in sorted(result.accounts.notes.items()):
        samples = ", ".join(result.accounts.samples[record_type, text])
        report.notes.append(f"{count} records of {record_type}: {text} ({samples})")


def _set_aside(
    run: Run, rows: RowsFile, refused: list[str], options: MigrateOptions, revision: str, report: Report
) -> dict[str, TableLoad]:
    """Load again without the refused rows and all that refer to them; they go to a file."""
    if not options.set_aside:
        raise DoesNotFit(
            f"The schema at revision {revision} refuses {rows.aside.count()} rows.",
            details=refused,
            hint=f"Repair them in the source, or let them go to a file: flask {run.command} --set-aside",
        )
    set_aside_referring(rows)
    run.dialect.prepare_staging(run.staging, run.target)
    run.schema.build(run.staging, revision)
    accounts, still = load(run.dialect, run.staging, rows)
    if still:
        raise DoesNotFit("Rows are refused even without those set aside.", details=still)
    path = run.directory / "set-aside.json"
    write(path, [to_plain_json(list(aside_to_json(rows)))], keep_former=False)
    report.set_aside = [
        {"table": table, "number": number, "reason": reason} for table, number, reason, _ in rows.aside.rows()
    ][:1000]
    run.warn(f"{rows.aside.count()} rows are set aside in {path}.")
    return accounts


def verify_staging(run: Run, rows: RowsFile, accounts: Mapping[str, TableLoad], *, counts_only: bool) -> None:
    """Prove that staging holds exactly what was loaded."""
    with run.dialect.reader(run.staging) as staged:
        verify_loaded(
            staged,
            rows.tables,
            {name: account.loaded for name, account in accounts.items()},
            rows.rows,
            run.directory / "differences.keys",
            counts_only=counts_only,
        )


def before_upgrade(rows: RowsFile, accounts: Mapping[str, TableLoad]) -> Before:
    """What was loaded, as the upgrade's proof needs it: read from the snapshot again, not from staging."""
    return Before(
        rows.tables,
        {name: account.loaded.rows for name, account in accounts.items()},
        lambda table: rows.rows(table.name),
    )


class SelfJob(_Base):
    """The live database itself, brought to head beside itself."""

    def _steps(self, fence: Fence) -> Entry:
        run = self.run
        run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
        for attempt in range(PASSES + 1):
            try:
                if attempt == 0:
                    secured = self._pass(fence, backed_up=True)
                else:
                    run.note(f"The live database was written meanwhile; pass {attempt + 1}, with writers waiting.")
                    secured = self._held_pass(fence)
                began = time.monotonic()
                entry = swap(run, fence, secured.token, self._entry(secured))
                self.report.seconds["writers waited"] = round(
                    self.report.seconds.get("writers held", 0.0) + time.monotonic() - began, 3
                )
                return entry
            except LateWrite:
                continue
        raise still_written(PASSES)

    def _held_pass(self, fence: Fence) -> Secured:
        began = time.monotonic()
        with fence.hold(SWAP_TIMEOUT_S):
            secured = self._pass(fence, backed_up=False)
        self.report.seconds["writers held"] = round(time.monotonic() - began, 3)
        return secured

    def _pass(self, fence: Fence, *, backed_up: bool) -> Secured:
        run = self.run
        self.report.tables.clear()
        self.report.carried.clear()
        with run.step("backup", identity=SELF):
            secured = self._secured(fence, backed_up=backed_up)
        if secured.absent:
            return self._fresh(secured)
        with run.step("staging"):
            revision = self._copy()
        with run.dialect.reader(run.old_generation) as old:
            before = self._before(old)
            if revision != self.plan.head:
                self._upgrade(before, revision)
        return secured

    def _secured(self, fence: Fence, *, backed_up: bool) -> Secured:
        if backed_up:
            self._backup = secure(self.run, fence, self.options.backup_to)
            return self._backup
        # The backup of the first pass stays; the old generation is copied anew, with every write until now.
        token = fence.token()
        self.run.dialect.copy(self.run.target, self.run.old_generation, timeout_s=SWAP_TIMEOUT_S)
        return Secured(token, self._backup.backup)

    def _fresh(self, secured: Secured) -> Secured:
        """No database yet: head, with nothing in it."""
        with self.run.step("staging"):
            self.run.dialect.prepare_staging(self.run.staging, self.run.target)
            self.run.schema.build(self.run.staging, self.plan.head)
        return secured

    def _copy(self) -> str:
        """Copy the old generation into staging; returns the revision it is at, recognised where it says none."""
        run = self.run
        run.dialect.copy(run.old_generation, run.staging, timeout_s=SWAP_TIMEOUT_S)
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

    def _before(self, old: Reader) -> Before:
        tables = data_tables(old.tables())
        sums = fingerprint(old)
        for name in tables:
            found = sums[name]
            self.report.tables.append(TableReceipt(name, found.rows, found.rows, checksum=str(found)))
        with self.run.dialect.reader(self.run.staging) as staged:
            copied = fingerprint(staged)
        if any(copied.get(name) != sums[name] for name in tables):
            raise VerificationFailed("The copy of the live database is not what it is a copy of.")

        def rows_of(table: Table) -> Iterable[Values]:
            rows: Iterator[Values] = old.rows(table)
            return rows

        return Before(tables, {name: sums[name].rows for name in tables}, rows_of)

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
