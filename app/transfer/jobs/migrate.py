"""The main job: carry everything of a source into a database with the new schema, prove it, cut over."""

from __future__ import annotations

import contextlib

from ...dialects import dialect_for
from ...errors import AccessDenied, DatabaseUnreachable, FerryError, Misconfigured, Protected
from ..anonymise.engine import as_profiled, chosen_profile
from ..anonymise.source import opened
from ..cutover.cutover import recover
from ..run.plan import Action, Plan, decide, question_for
from ..run.report import Report
from ..run.run import Run
from ..run.source import SELF, SourceKind, SourceSpec, parse_source
from ..run.target import Target
from ..sources.base import OpenSource
from ..sources.fallback import can_fall_back, fallback
from ..staging.options import MigrateOptions
from .self_job import SelfJob
from .source_job import SourceJob

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


def migrate(run: Run, options: MigrateOptions) -> Report:
    """Run db-migrate-data.

    :raises FerryError: with its exit status; the live database is unchanged then, but for CutOverUnfinished.
    """
    run.refuse_prohibited()
    spec = parse_source(run.settings, insecure_http=options.source.insecure_http)
    _refuse_catch_up(run, spec, options)
    if spec.kind is not SourceKind.SELF:
        spec = as_profiled(spec, chosen_profile(run))
    plan = make_plan(run, spec, options)
    if plan.action is Action.NOTHING and plan.target.unfinished is None:
        return _nothing(run, plan)
    with contextlib.ExitStack() as stack:
        source = None
        if plan.action is Action.MIGRATE:
            source = _opened(run, plan.source, options)
            stack.callback(source.close)
        run.preflight(plan.target, _file_bytes(plan.source))
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
        run.hooks.ask(question_for(run.host, plan, source.describe if source else None, options.backup_place(run)))
        if plan.action is Action.SELF or source is None:
            return SelfJob(run, plan, options).carry_out()
        return SourceJob(run, plan, source, options).carry_out()


def _refuse_catch_up(run: Run, spec: SourceSpec, options: MigrateOptions) -> None:
    if not options.catch_up:
        return
    why = "what is pulled with a profile is read once" if run.settings.profile else f"{spec.label} does not change"
    if run.settings.profile or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
        raise Misconfigured(f"--catch-up reads a source again, and {why}.", hint=f"Leave it out: flask {run.command}")


def make_plan(run: Run, spec: SourceSpec, options: MigrateOptions) -> Plan:
    """Look at the target and its ledger; decide. The source is not contacted."""
    target = run.look()
    head = run.schema.head()
    itself = SourceSpec(SourceKind.SELF, SELF, SELF)
    if spec.database == run.target:
        spec = itself
    action, reason, base = decide(target, spec, head, rerun=options.rerun)
    # A source on a server is asked who it is only when it would be read.
    if action is Action.MIGRATE and _is_target(run, spec):
        spec = itself
        action, reason, base = decide(target, spec, head, rerun=options.rerun)
    if action is Action.SELF and target.revision is not None:
        run.schema.require(target.revision, "The live database")
    if action is Action.SELF and options.source.exclude:
        raise Misconfigured("--exclude is for another source: a run on the database itself carries every table.")
    _refuse_profile(run, target, spec)
    steps = STEPS if action is Action.MIGRATE else SELF_STEPS if action is Action.SELF else ()
    return Plan(run.command, target, action, reason, spec, head, steps, base=base)


def _refuse_profile(run: Run, target: Target, spec: SourceSpec) -> None:
    """:raises Misconfigured, Protected: a profile for the live database's own rows, or for production."""
    if run.settings.profile is None:
        return
    if spec.kind is SourceKind.SELF:
        # As a key it is for sources, whenever there is one.
        if run.settings.origins["FERRY_PROFILE"] == "option":
            raise Misconfigured(
                "--profile is for another source: a run on the database itself carries its rows as they are."
            )
    elif target.production:
        raise Protected(
            f"This database is production ({target.environment_origin}), and the profile {run.settings.profile!r} "
            "would fill it with made-up values.",
            hint="Give no --profile and unset FERRY_PROFILE, or pull into another database.",
        )


def _file_bytes(source: SourceSpec) -> int:
    return source.file.stat().st_size if source.file and source.file.exists() else 0


def _is_target(run: Run, spec: SourceSpec) -> bool:
    if spec.database is None:
        return False
    try:
        dialect = dialect_for(spec.database, tls_ca=run.settings.tls_ca)
        return dialect.identity(spec.database).uid == run.dialect.identity(run.target).uid
    except (DatabaseUnreachable, AccessDenied):
        # Opening it will say so.
        return False


def _opened(run: Run, spec: SourceSpec, options: MigrateOptions) -> OpenSource:
    """The source, or the snapshot that stands in for it."""
    remote = spec.kind in (SourceKind.HTTP, SourceKind.DATABASE)
    if run.settings.fallback.only and remote:
        return fallback(run, spec, options.source, None)
    try:
        return opened(run, spec, options.source)
    except FerryError as error:
        if not remote or not can_fall_back(error):
            raise
        source = fallback(run, spec, options.source, error)
        run.warn(f"{error.message} Falling back to {source.describe}.")
        return source


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
    question = question_for(run.host, plan, source.describe if source else None, options.backup_place(run))
    report = run.report
    report.outcome, report.exit_status = "dry run", 0
    report.target = plan.target.to_json()
    report.source = {"label": plan.source.label, "loads": question.loads}
    report.revisions = {"live": plan.target.revision, "head": plan.head}
    if plan.target.unfinished:
        report.notes.append("An unfinished cut-over would be finished or undone first.")
    report.notes.append(f"Steps: {', '.join(plan.steps)}")
    report.notes.append(f"Backup to: {question.backup_place}")
    report.summary = f"Would {plan.action}: {plan.reason}. It would load {question.loads}."
    run.hooks.permit(question)
    return report
