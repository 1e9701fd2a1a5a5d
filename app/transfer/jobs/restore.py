"""Putting a backup or a portable snapshot back: staged, verified, cut over like any run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from ...dialects.base import Fence
from ...dialects.model import TableChecksum
from ...errors import BackupFailed, FerryError, Protected, SnapshotUnusable, VerificationFailed
from ..cutover import backups
from ..cutover.cutover import cut_over, entry_for, recover
from ..cutover.manifest import Backup, load_manifest
from ..cutover.prune import finish_report
from ..cutover.seal import existing_key
from ..cutover.secure import Secured, fenced, secure
from ..proof.checksums import fingerprint
from ..rows.files import file_sha256
from ..rows.snapshot import check, is_snapshot
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.report import Report, TableReceipt
from ..run.run import Run
from ..run.target import MIGRATE, Target
from ..schema.alembic import revision_of
from ..staging.options import MigrateOptions
from ..staging.stage import stage, verify_staging

MADE_BY = ("db-backup", "db-init", MIGRATE)


@dataclass(frozen=True)
class Chosen:
    """What is put back: a file, and its manifest where it has one.

    :ivar sha256: the file's digest when it was decided that it may be put back.
    :ivar sealed: it has the seal of this database's key; else somebody says that it may be trusted.
    """

    path: Path
    backup: Backup | None
    portable: bool
    sha256: str = ""
    sealed: bool = False

    @property
    def label(self) -> str:
        made = f" (made {self.backup.made_at} by {self.backup.command})" if self.backup else ""
        return f"{self.path}{made}{'' if self.sealed else ', which does not have the seal of this database'}"


def choose(run: Run, wanted: str | None, directory: Path) -> Chosen:
    """Find a backup by its id or path; by default the newest that was not a safety copy.

    :raises BackupFailed: there is none such.
    """
    database = run.dialect.identity(run.target).full_name
    found = backups.listed(run.settings.backups, database)
    if wanted is None:
        own = [backup for backup in found if backup.command in MADE_BY]
        if not own:
            raise BackupFailed(
                f"There is no backup of {database} in {run.settings.backups}.", hint="Give an ID or a PATH."
            )
        return Chosen(own[-1].path, own[-1], own[-1].portable)
    for backup in backups.listed(run.settings.backups):
        if backup.id == wanted:
            return Chosen(backup.path, backup, backup.portable)
    path = directory / Path(wanted).expanduser()
    if not path.is_file():
        raise BackupFailed(
            f"There is no backup {wanted!r} in {run.settings.backups} and no file {path}.",
            hint="See: flask db-backup --list",
        )
    portable = is_snapshot(path)
    return Chosen(path.resolve(), load_manifest(path), portable)


def restore(
    run: Run,
    wanted: str | None,
    *,
    directory: Path,
    backup_to: Path | None,
    lock_timeout_s: float,
    dry_run: bool,
    trust_file: bool = False,
) -> Report:
    """Run db-restore.

    :param wanted: id or path, or None for the newest.
    :param directory: where a relative path counts from.
    :param trust_file: a file without the seal of this database's key may be put back.
    :raises FerryError: with its exit status; the live database is unchanged then.
    """
    run.refuse_prohibited()
    chosen = choose(run, wanted, directory)
    _check(run, chosen)
    chosen = accepted(run, chosen, trusted=trust_file)
    target = run.look()
    run.preflight(target, chosen.path.stat().st_size)
    if dry_run:
        return _previewed(run, target, chosen, backup_to)
    with run.locked(lock_timeout_s):
        recover(run)
        target = run.look()
        run.drop_leftovers()
        run.hooks.ask(_question(run, target, chosen, backup_to))
        return _carry_out(run, target, chosen, backup_to)


def _question(run: Run, target: Target, chosen: Chosen, backup_to: Path | None) -> Question:
    guarded = target.production and not target.empty
    return Question(
        target=target,
        replaced=target.rows if not target.empty else {},
        loads=chosen.label,
        backup=str(backup_to or run.settings.backups),
        typed_name=target.identity.database if guarded else None,
        needs_permission="rows of a production database are replaced" if guarded else None,
    )


def _previewed(run: Run, target: Target, chosen: Chosen, backup_to: Path | None) -> Report:
    run.report.outcome, run.report.exit_status = "dry run", 0
    run.report.target = target.to_json()
    run.report.summary = f"Would put {chosen.label} in place of {sum(target.rows.values())} rows."
    question = _question(run, target, chosen, backup_to)
    run.hooks.permit(question)
    return run.report


def accepted(run: Run, chosen: Chosen, *, trusted: bool) -> Chosen:
    """Decide by digest and seal whether a file may be put back: before its first statement, never after.

    :param trusted: somebody says that it may, whoever made it.
    :raises BackupFailed: it is not what its manifest says.
    :raises Protected: it has no seal of this database's key, and nobody says that it may be trusted.
    """
    digest = file_sha256(chosen.path)
    if chosen.backup and digest != chosen.backup.sha256:
        raise BackupFailed(
            f"{chosen.path} was changed since it was made (another SHA-256).",
            hint="Use another one: flask db-backup --list",
        )
    sealed = bool(chosen.backup and chosen.backup.has_seal_of(existing_key(run.settings, run.peek())))
    # What a database would read along with its file is not under the seal.
    sealed = sealed and not any(chosen.path.with_name(chosen.path.name + end).exists() for end in ("-wal", "-journal"))
    if not sealed and not trusted:
        raise Protected(
            backups.unsealed(chosen.path),
            hint=f"Where you know who made it: flask db-restore {shlex.quote(str(chosen.path))} --trust-file\n"
            "A database elsewhere can check the seals of this one with the same FERRY_BACKUP_KEY.",
        )
    if not sealed and not chosen.portable and run.dialect.is_script(chosen.path):
        raise Protected(
            f"{chosen.path} is a script for the server's own client program. It could only be run as it stands, "
            "whatever it says, so it is put back with the seal of this database only.",
            hint="Load it by hand into a database of its own, with a user who may reach no other, and migrate from "
            f"that: flask {MIGRATE} DATABASE-URL",
        )
    return replace(chosen, sha256=digest, sealed=sealed)


def _check(run: Run, chosen: Chosen) -> None:
    """Refuse a file that is damaged, before the question."""
    if chosen.portable:
        header, _ = check(chosen.path)
        if header.kind != "rows" or header.revision is None:
            raise SnapshotUnusable(
                f"{chosen.path} holds records of an API, not rows.",
                hint=f"Migrate from it: flask {MIGRATE} {chosen.path}",
            )
        run.schema.require(header.revision, str(chosen.path))


def _carry_out(run: Run, target: Target, chosen: Chosen, backup_to: Path | None) -> Report:
    run.report.target = target.to_json()
    try:
        with fenced(run) as fence:
            entry = _steps(run, target, chosen, fence, backup_to)
        rows = sum(count for name, (count, _) in entry.checksums.items() if name != "alembic_version")
        run.report.outcome, run.report.exit_status = "done", 0
        run.report.rollback = "flask db-rollback"
        run.report.revisions = {"before": target.revision, "live": entry.revision}
        run.report.source = {"label": chosen.label}
        run.report.summary = (
            f"Restored {chosen.label}: {rows} rows are live at revision {entry.revision} (run {run.id})."
        )
        finish_report(run)
        return run.report
    finally:
        run.cleaned_up()


def _steps(run: Run, target: Target, chosen: Chosen, fence: Fence, backup_to: Path | None) -> Entry:
    with run.step("backup"):
        secured = secure(run, fence, backup_to)
    stage_backup(run, chosen)
    with run.dialect.reader(run.staging) as reader:
        revision = revision_of(reader)
        for name, found in fingerprint(reader).items():
            run.report.tables.append(TableReceipt(name, found.rows, found.rows, checksum=str(found)))

    def make_entry(found: Secured) -> Entry:
        return entry_for(
            run,
            target,
            found,
            source_identity=f"backup:{chosen.path}",
            source=chosen.label,
            revision=revision,
            options={"previous_absent": found.absent, "restored": str(chosen.path), "restored_sha256": chosen.sha256},
        )

    return cut_over(run, fence, secured, make_entry, lambda: secure(run, fence))


def stage_backup(run: Run, chosen: Chosen) -> None:
    """Bring a backup into staging and prove that it is what was backed up.

    :raises VerificationFailed: its rows are not those of its manifest.
    """
    if chosen.portable:
        header, _ = check(chosen.path)
        staged = stage(run, chosen.path, header.kind, str(header.revision), MigrateOptions())
        with run.step("verify"):
            verify_staging(run, staged.rows, staged.accounts)
            _refuse_changed(chosen)
        return
    with run.step("staging"):
        run.dialect.restore(chosen.path, run.staging)
        run.dialect.fit_staging(run.staging, run.target)
    with run.step("verify"):
        _verify(run, chosen)
        _refuse_changed(chosen)


def _refuse_changed(chosen: Chosen) -> None:
    """:raises BackupFailed: the file is no longer the one that was accepted."""
    if file_sha256(chosen.path) != chosen.sha256:
        raise BackupFailed(f"{chosen.path} was changed while it was read.", hint="Run the command again.")


def _verify(run: Run, chosen: Chosen) -> None:
    damage = [text for text in run.dialect.problems(run.staging) if "refer to rows" not in text]
    if damage:
        raise BackupFailed(f"{chosen.path} is damaged.", details=damage, hint="Use another one: flask db-backup --list")
    if chosen.backup is None:
        run.note(f"{chosen.path} has no manifest: it was checked for damage, not against what was backed up.")
        return
    if chosen.portable:
        raise FerryError("a portable snapshot is verified as it is loaded")
    expected = {n: TableChecksum(rows, int(total, 16)) for n, (rows, total) in chosen.backup.tables.items()}
    with run.dialect.reader(run.staging) as reader:
        found = fingerprint(reader)
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise VerificationFailed(f"{chosen.path} does not hold what was backed up: {', '.join(wrong)}.")
