"""The main job: carry everything of a source into a database with the new schema, prove it, cut over."""

from __future__ import annotations

import functools

from ...dialects import dialect_for
from ...errors import AccessDenied, DatabaseUnreachable, FerryError, Misconfigured, Protected
from ..anonymise.engine import as_profiled, choose_profile
from ..anonymise.source import open_anonymised
from ..run.plan import Action, Plan, decide
from ..run.run import Run
from ..run.source import SELF, SourceKind, SourceSpec, parse_source
from ..run.target import Target
from ..sources.base import Source
from ..sources.fallback import can_fall_back, fallback
from ..staging.options import MigrateOptions
from .job import Job, Nothing, Planning
from .passage import Order
from .self_job import SelfJob
from .source_job import SourceJob


def order_migration(run: Run, options: MigrateOptions) -> Order:
    """What db-migrate-data does with a database."""
    sources: dict[str, Source] = {}

    @functools.cache
    def find_spec() -> SourceSpec:
        spec = parse_source(run.settings, insecure_http=options.source.insecure_http)
        _refuse_catch_up(run, spec, options)
        return spec if spec.kind is SourceKind.SELF else as_profiled(spec, choose_profile(run))

    def plan(planning: Planning) -> Job | Nothing:
        decided = make_plan(run, find_spec(), options)
        if decided.action is Action.NOTHING:
            return _nothing(decided)
        if decided.action is Action.SELF:
            if words := run.throttle.give_up(
                "is for another source: the database itself is copied by its server, a table in a statement, which "
                "nobody can slow down."
            ):
                run.note(words)
            return SelfJob(run, decided, options)
        label = decided.source.label
        if label not in sources:
            sources[label] = _open_source(run, decided.source, options)
            planning.resources.callback(sources[label].close)
            _heed_load(run, decided.source)
        return SourceJob(run, decided, sources[label], options)

    return Order(
        run,
        plan,
        dry_run=options.dry_run,
        rehearse=options.rehearse,
        lock_timeout_s=options.lock_timeout_s,
        again=options.rerun,
    )


def _refuse_catch_up(run: Run, spec: SourceSpec, options: MigrateOptions) -> None:
    if not options.catch_up:
        return
    why = "what is pulled with a profile is read once" if run.settings.profile else f"{spec.label} does not change"
    if run.settings.profile or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
        raise Misconfigured(f"--catch-up reads a source again, and {why}.", hint=f"Leave it out: flask {run.command}")


def _heed_load(run: Run, spec: SourceSpec) -> None:
    """Look at how much the servers have to do, which is refused now where it cannot be seen.

    :raises Misconfigured, NotGranted: there is no such server, or its user may not see it.
    """
    throttle, url = run.throttle, spec.database
    if url is not None:
        source = dialect_for(url, tls_ca=run.settings.tls_ca, named_schema=run.dialect.named_schema)
        throttle.watch(f"the server of {spec.label}", lambda: source.count_busy(url))
    throttle.watch("the target's server", lambda: run.dialect.count_busy(run.target))
    if words := throttle.give_up_unwatched():
        run.note(words)


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
    return Plan(run.command, target, action, reason, spec, head, base=base)


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


def _is_target(run: Run, spec: SourceSpec) -> bool:
    if spec.database is None:
        return False
    try:
        schema = run.dialect.named_schema
        dialect = dialect_for(spec.database, tls_ca=run.settings.tls_ca, named_schema=schema)
        return dialect.identity(spec.database).uid == run.dialect.identity(run.target).uid
    except (DatabaseUnreachable, AccessDenied):
        # Opening it will say so.
        return False


def _open_source(run: Run, spec: SourceSpec, options: MigrateOptions) -> Source:
    """The source, or the snapshot that stands in for it."""
    remote = spec.kind in (SourceKind.HTTP, SourceKind.DATABASE)
    if run.settings.fallback.only and remote:
        return fallback(run, spec, options.source, None)
    try:
        return open_anonymised(run, spec, options.source)
    except FerryError as error:
        if not remote or not can_fall_back(error):
            raise
        source = fallback(run, spec, options.source, error)
        run.warn(f"{error.message} Falling back to {source.describe}.")
        return source


def _nothing(plan: Plan) -> Nothing:
    suffix = ""
    if plan.base and plan.base.from_snapshot_of:
        suffix = f" (from the snapshot of {plan.base.from_snapshot_of}, not from the source)"
    revisions = {"live": plan.target.revision, "head": plan.head}
    if plan.base is None and plan.source.kind is not SourceKind.SELF:
        # It may never have been migrated: what is live is what a person put back.
        return Nothing(f"Nothing to do: {plan.reason}. To migrate {plan.source.label} all the same: --rerun", revisions)
    return Nothing(f"Nothing to do: already migrated; {plan.reason}{suffix}.", revisions)
