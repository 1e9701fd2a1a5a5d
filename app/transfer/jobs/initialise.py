"""A fresh database with test data, for development: the schema afresh beside the old one, seeded, cut over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...dialects.base import Fence
from ...errors import DoesNotFit, FerryError
from ..cutover.cutover import cut_over, entry_for, recover
from ..cutover.prune import finish_report
from ..cutover.secure import Secured, fenced, imaged, secure
from ..proof.checksums import fingerprint
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.report import Report, TableReceipt
from ..run.run import Run
from ..run.target import Target
from ..schema.alembic import data_tables, revision_of

STEPS = ("backup", "staging", "seed", "check", "cut-over")


@dataclass(frozen=True)
class InitOptions:
    """The options of db-init; ``schema`` is ``models`` or ``migrations``."""

    no_seed: bool = False
    schema: str = "models"
    dry_run: bool = False
    backup_to: Path | None = None
    lock_timeout_s: float = 0.0


def initialise(run: Run, options: InitOptions) -> Report:
    """Run db-init.

    :raises FerryError: with its exit status; the live database is unchanged then.
    """
    run.refuse_prohibited()
    run.schema.head()
    if options.schema == "models":
        run.schema.require_models()
    target = run.look()
    run.preflight(target)
    question = _question(run, target, options)
    if options.dry_run:
        return _previewed(run, target, question)
    with run.locked(options.lock_timeout_s):
        recover(run)
        target = run.look()
        run.drop_leftovers()
        run.hooks.ask(_question(run, target, options))
        return _carry_out(run, target, options)


def _question(run: Run, target: Target, options: InitOptions) -> Question:
    unchanged = target.empty or _is_as_seeded(run, target)
    return Question(
        target=target,
        replaced={} if unchanged else target.rows,
        loads=_loads(run, target, options),
        backup=str(options.backup_to or run.settings.backups),
        typed_name=target.identity.database if target.production else None,
        needs_permission="db-init replaces a production database" if target.production else None,
        never_asked=True,
    )


def _loads(run: Run, target: Target, options: InitOptions) -> str:
    if target.production or options.no_seed or run.settings.seed is None:
        return f"an empty schema from the {options.schema}"
    return f"the schema from the {options.schema} and the test data of {run.settings.seed}"


def _is_as_seeded(run: Run, target: Target) -> bool:
    """Whether the database holds exactly what the last db-init left."""
    last = target.in_force
    if last is None or last.command != run.command:
        return False
    with run.dialect.reader(run.target) as reader:
        return fingerprint(reader) == last.table_checksums


def _previewed(run: Run, target: Target, question: Question) -> Report:
    run.report.outcome, run.report.exit_status = "dry run", 0
    run.report.target = target.to_json()
    run.report.notes.append(f"Steps: {', '.join(STEPS)}")
    run.report.summary = f"Would replace {sum(target.rows.values())} rows and load {question.loads}."
    run.hooks.permit(question)
    return run.report


def _carry_out(run: Run, target: Target, options: InitOptions) -> Report:
    run.report.target = target.to_json()
    try:
        with fenced(run) as fence:
            entry = _steps(run, target, options, fence)
        rows = sum(count for name, (count, _) in entry.checksums.items() if name != "alembic_version")
        run.report.outcome, run.report.exit_status = "done", 0
        run.report.rollback = "flask db-rollback"
        run.report.revisions = {"before": target.revision, "live": entry.revision}
        run.report.summary = (
            f"Done: a fresh database at {entry.revision or 'no revision'} with {rows} rows (run {run.id})."
        )
        finish_report(run)
        return run.report
    finally:
        run.cleaned_up()


def _steps(run: Run, target: Target, options: InitOptions, fence: Fence) -> Entry:
    with run.step("backup"):
        secured = _secured(run, target, options.backup_to, fence)
    with run.step("staging", schema=options.schema):
        run.dialect.prepare_staging(run.staging, run.target)
        drift = _build(run, options.schema)
    with run.step("seed"):
        _seed(run, target, options)
    with run.step("check"):
        if problems := run.dialect.problems(run.staging):
            raise DoesNotFit("The test data breaks rules of the schema.", details=problems, hint="Mend FERRY_SEED.")
        run.dialect.settle(run.staging)
        revision = _describe(run, target)

    def make_entry(found: Secured) -> Entry:
        source = f"{options.schema} and {run.settings.seed or 'no seed'}"
        return entry_for(run, target, found, source_identity="init", source=source, revision=revision, drift=drift)

    return cut_over(run, fence, secured, make_entry, lambda: secure(run, fence))


def _secured(run: Run, target: Target, backup_to: Path | None, fence: Fence) -> Secured:
    """Secure what is live; what the last seed left is not backed up, lest it push out a backup of somebody's rows."""
    last = target.in_force
    if backup_to is None and last is not None and last.command == run.command and not target.empty:
        with imaged(run, fence) as image:
            if (sums := fingerprint(image.reader)) == last.table_checksums:
                run.note("Nothing to back up: the database holds what the last db-init left.")
                return Secured(image.token, None, checksums=sums)
    return secure(run, fence, backup_to)


def _build(run: Run, schema: str) -> list[str]:
    """Build the schema; returns how the models differ from head, in which case nothing is stamped."""
    head = run.schema.head()
    if schema == "migrations":
        run.schema.build(run.staging, head)
        return []
    run.schema.create_models(run.staging)
    drift = drift_of_models(run)
    if drift:
        run.warn(f"The models differ from the Alembic head {head}, so the database is stamped with no revision:")
        for line in drift:
            run.warn(f"  {line}")
        run.warn("To version this: flask db-init --schema migrations --no-seed, then flask db migrate -m ...")
    else:
        run.schema.stamp(run.staging, head)
    return drift


def drift_of_models(run: Run) -> list[str]:
    """What ``flask db check`` finds between the models and a database at head.

    Building head costs more than all the rest of db-init, so the answer is kept in the control area under a digest
    of the revisions and of what the models make.
    """
    key = f"drift {_digest(run)}"
    kept = run.control.kept(key)
    if kept is not None:
        return kept.splitlines()
    run.dialect.prepare_staging(run.scratch, run.target)
    try:
        run.schema.build(run.scratch, run.schema.head())
        drift = run.schema.differences_to_models(run.scratch)
    finally:
        run.dialect.drop(run.scratch)
    run.control.keep(key, "\n".join(drift), in_place_of="drift ")
    return drift


def _digest(run: Run) -> str:
    digest = hashlib.sha256(run.dialect.schema_fingerprint(run.staging).encode())
    for path in sorted({*run.host.migrations.rglob("*.py"), *run.schema.files()}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _seed(run: Run, target: Target, options: InitOptions) -> None:
    if options.no_seed:
        return
    if target.production:
        run.note("This is production: nothing is seeded.")
    elif run.settings.seed is None:
        run.note("FERRY_SEED is not set: no test data is loaded.")
    else:
        try:
            run.schema.call(run.staging, run.settings.seed, "FERRY_SEED")
        except FerryError:
            raise
        except Exception as error:
            # The driver's words only: SQLAlchemy's own add the values, hashes of passwords among them.
            words = getattr(error, "orig", None) or error
            raise FerryError(
                f"FERRY_SEED {run.settings.seed} failed: {type(error).__name__}: {words}",
                hint="The live database is unchanged. Mend the seed, or leave it out with: flask db-init --no-seed",
            ) from error


def _describe(run: Run, target: Target) -> str | None:
    """Fill the receipt; name what the live database had that no model knows."""
    with run.dialect.reader(run.staging) as staged:
        tables = data_tables(staged.tables())
        revision = revision_of(staged)
        made = {item.name for item in staged.objects()}
        for name, found in fingerprint(staged).items():
            if name in tables:
                run.report.tables.append(TableReceipt(name, found.rows, found.rows, checksum=str(found)))
    if run.dialect.exists(run.before):
        with run.dialect.reader(run.before) as old:
            unknown = sorted(set(data_tables(old.tables())) - set(tables))
            views = sorted(item.name for item in old.objects() if item.kind == "view" and item.name not in made)
        if unknown or views:
            run.note(f"No model knows {', '.join(unknown + views)}: they stay in the backup only.")
    del target
    return revision
