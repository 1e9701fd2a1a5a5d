"""Putting a backup or a portable snapshot back: staged, verified, cut over like any run."""

from __future__ import annotations

import contextlib
import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...dialects.backup_kinds import find_server
from ...dialects.model import TableChecksum
from ...dialects.redact import redact_text
from ...dialects.samples import AS_THEY_WERE
from ...dialects.wording import at_revision, count_of, count_rows, rows_are
from ...errors import BackupFailed, FerryError, Protected, SnapshotUnusable, VerificationFailed
from ..backup import backups
from ..backup.card import Card
from ..backup.manifest import Backup, load_manifest
from ..backup.seal import existing_key
from ..backup.store import Store
from ..backup.stored import store_of
from ..cutover.cutover import entry_for
from ..cutover.secure import describe_rows, rows_beside_tables
from ..proof.checksums import Contents
from ..rows.files import file_sha256
from ..rows.snapshot import check, check_file, is_snapshot
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.report import TableReceipt
from ..run.run import Run
from ..run.target import MIGRATE, Target
from ..schema.alembic import revision_of
from ..sources.base import Glance
from ..staging.options import MigrateOptions
from ..staging.stage import stage, verify_staging
from .backup import list_backups
from .dry_run import Ahead, foresee_source
from .fetched import find_refusal, find_stored, keep_fetched, list_ours, look_into, refuse_unsealed
from .job import Job, Nothing, Planning, Step, refresh_derived
from .passage import Order

SHOWN = 5
MADE_BY = ("db-backup", "db-init", MIGRATE)


@dataclass(frozen=True)
class Chosen:
    """What is put back: a file, and its manifest where it has one.

    :ivar sha256: the file's digest when it was decided that it may be put back.
    :ivar origin: the URL that it was fetched from, if so; the file may be gone when the command ends.
    :ivar sealed: it has the seal of this database's key; else somebody says that it may be trusted.
    """

    path: Path
    backup: Backup | None
    portable: bool
    sha256: str = ""
    sealed: bool = False
    origin: str = ""

    @property
    def place(self) -> str:
        """Where it is from, for people."""
        return self.origin or str(self.path)

    @property
    def label(self) -> str:
        by = f" (made {self.backup.made_at} by {self.backup.command})" if self.backup else ""
        unsealed = "" if self.sealed else ", which does not have the seal of this database"
        return f"{self.place}{by}{unsealed}"


def choose(
    run: Run, wanted: str | None, directory: Path, bring: Callable[[Store, Card], Backup] | None = None
) -> Chosen:
    """Find a backup by its id, path or URL; by default the newest that was not a safety copy.

    :param bring: brings one of the storage here, where none of this machine is meant; None: they are not looked at.
    :raises BackupFailed: there is none such.
    """
    database = run.dialect.identity(run.target).full_name
    of_database = backups.list_in(run.settings.backups, database)
    if wanted is None:
        ordinary = [backup for backup in of_database if backup.command in MADE_BY]
        if not ordinary:
            if bring and (store := store_of(run.settings)):
                cards = [card for card in list_ours(run, store) if card.command in MADE_BY]
                if cards:
                    return _choose(bring(store, cards[-1]), store.name(cards[-1].file))
            raise _no_backup(run, database, of_database)
        return _choose(ordinary[-1])
    for backup in backups.list_in(run.settings.backups):
        if backup.id == wanted:
            return _choose(backup)
    path = directory / Path(wanted).expanduser()
    if not path.is_file():
        if bring and (stored := find_stored(run, wanted)):
            return _choose(bring(*stored), stored[0].name(stored[1].file))
        raise BackupFailed(
            f"There is no backup {redact_text(wanted)!r} in {run.settings.name_places(None)}"
            + ("." if "://" in wanted else f" and no file {path}."),
            hint="See: flask db-backup --list",
        )
    portable = is_snapshot(path)
    # A link's manifest may lie beside the link or beside the file: the ledger keeps the name that it is found by.
    beside = path.absolute()
    manifest = load_manifest(beside)
    return (
        Chosen(beside, manifest, portable)
        if manifest
        else Chosen(path.resolve(), load_manifest(path.resolve()), portable)
    )


def _choose(backup: Backup, origin: str = "") -> Chosen:
    return Chosen(backup.path, backup, backup.portable, origin=origin)


def _no_backup(run: Run, database: str, safety_copies: list[Backup]) -> BackupFailed:
    """What there is to choose where a command made copies of what it replaced, and nobody made a backup."""
    if not safety_copies:
        return BackupFailed(
            f"There is no backup of {database} in {run.settings.name_places(None)}.",
            hint="Give a file: flask db-restore PATH"
            + ("\nOr the ID of one that lies there: flask db-restore ID" if run.settings.storage else ""),
        )
    newest = safety_copies[: -SHOWN - 1 : -1]
    return BackupFailed(
        f"There is no backup of {database} that was asked for; {run.settings.backups} has what other "
        f"commands replaced: {count_of(len(safety_copies), 'copy')}.",
        hint="To put one of them back:\n"
        + "\n".join(
            f"flask db-restore {one.id}  # {count_rows(one.rows)}, {one.made_at}, {one.command}" for one in newest
        ),
    )


def order_restore(
    run: Run,
    wanted: str | None,
    *,
    directory: Path,
    backup_to: Path | None,
    lock_timeout_s: float,
    dry_run: bool,
    trust_file: bool = False,
) -> Order:
    """What db-restore does with a database.

    :param wanted: id or path, or None for the newest.
    :param directory: where a relative path counts from.
    :param trust_file: a file without the seal of this database's key may be put back.
    """

    def bring(store: Store, card: Card) -> Backup:
        if not trust_file and (refusal := find_refusal(run, store, card)):
            raise refusal
        backup = resources[-1].enter_context(look_into(run, store, card))
        # What is refused does not come to lie among the backups, where it might be the newest.
        accepted = trust_file or backup.has_seal_of(existing_key(run.settings, run.peek()))
        return keep_fetched(run, backup, card) if accepted and not dry_run else backup

    resources: list[contextlib.ExitStack] = []

    @functools.cache
    def decide() -> Chosen:
        choice = choose(run, wanted, directory, bring)
        _check(run, choice)
        return accept_file(run, choice, trusted=trust_file, request=wanted)

    def plan(planning: Planning) -> Job | Nothing:
        resources.append(planning.resources)
        target = run.look()
        if wanted is None and run.host.is_one_of_several and target.empty and not list_backups(run):
            return Nothing("Nothing to do: it is empty, and has no backup.", {"live": target.revision})
        return Restore(run, target, decide(), backup_to)

    return Order(run, plan, dry_run=dry_run, lock_timeout_s=lock_timeout_s)


class Restore(Job):
    """Puts a backup in the place of what is live."""

    keeps_counters = True

    def __init__(self, run: Run, target: Target, choice: Chosen, backup_to: Path | None) -> None:
        super().__init__(run, target, backup_to=backup_to)
        self._chosen = choice
        self.report.source = {"label": choice.label}

    @property
    def runs_revisions(self) -> bool:
        return self._chosen.portable

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("backup", self.back_up, of_live=True),
            Step("staging", self._stage),
            Step("verify", self._verify),
        )

    @property
    def source_bytes(self) -> int:
        return self._chosen.path.stat().st_size

    def foresee(self, directory: Path) -> None:
        run, backup = self.run, self._chosen.backup
        if self._chosen.portable:
            snapshot = check_file(self._chosen.path)
            counts = {name: checksum.rows for name, checksum in snapshot.footer.checksums.items()}
            revision = str(snapshot.header.revision)
            ahead = Ahead(revision, revision, run.schema.declarations(revision))
            foresee_source(run, ahead, Glance(counts, file=snapshot), MigrateOptions(), directory)
        elif backup is not None:
            versions = run.dialect.version_table
            self.report.expected = {name: rows for name, (rows, _) in backup.tables.items() if name != versions}
        else:
            self.report.not_looked_at.append("how many rows the file has: it has no manifest")

    @functools.cached_property
    def _lost(self) -> str:
        """What a portable snapshot does not have and the live database does: tables with rows."""
        if not self._chosen.portable or not self.target.exists:
            return ""
        has = {table.name for table in check(self._chosen.path)[0].tables}
        with self.run.dialect.reader(self.run.target) as reader:
            beside = rows_beside_tables(reader)
        counts = {name: rows for name, rows in self.target.rows.items() if rows and name not in has} | beside
        return describe_rows(counts)

    def question(self) -> Question:
        target = self.target
        guarded = target.production and not target.empty
        return Question(
            target=target,
            replaced=target.rows if not target.empty else {},
            loads=self._chosen.label + (f", which does not have {self._lost}" if self._lost else ""),
            backup=self.backup_place,
            typed_name=target.identity.database if guarded else None,
            needs_permission="rows of a production database are replaced" if guarded else None,
        )

    def preview(self, question: Question) -> str:
        return f"Would put {question.loads} in place of {count_rows(sum(self.target.rows.values()))}."

    def entry(self) -> Entry:
        path = str(self._chosen.path)
        return entry_for(
            self.run,
            self.target,
            self.secured,
            proved=self._contents.known_in,
            source_identity=f"backup:{path}",
            source=self._chosen.label,
            revision=self._revision,
            options={
                "previous_absent": self.secured.absent,
                "restored": path,
                "restored_sha256": self._chosen.sha256,
            },
        )

    def summary(self, entry: Entry, rows: int) -> str:
        return (
            f"Restored {self._chosen.label}: {rows_are(rows)} live {at_revision(entry.revision)} (run {self.run.id})."
        )

    def _stage(self) -> None:
        if self._lost:
            self.run.warn(f"The snapshot does not have, and the live database will be without: {self._lost}.")
        self._verify_staging = stage_backup(self.run, self._chosen)

    def _verify(self) -> None:
        self._contents = self._verify_staging()
        if self._chosen.portable:
            # Its rows were loaded with the foreign keys set aside: those that hold are proved, as those of any load.
            self.run.dialect.settle(self.run.staging, keep_violations=True)
        with self.run.dialect.reader(self.run.staging) as reader:
            self._revision = revision_of(reader)
        for name, sums in self._contents.checksums.items():
            if name != self.run.dialect.version_table:
                self.report.tables.append(TableReceipt(name, sums.rows, sums.rows, checksum=str(sums)))


def accept_file(run: Run, choice: Chosen, *, trusted: bool, request: str | None = None) -> Chosen:
    """Decide by digest and seal whether a file may be put back: before its first statement, never after.

    :param trusted: somebody says that it may, whoever made it.
    :param request: how it was asked for, where it was.
    :raises BackupFailed: it is not what its manifest says.
    :raises Protected: it has no seal of this database's key, and nobody says that it may be trusted.
    """
    digest = file_sha256(choice.path)
    if choice.backup and digest != choice.backup.sha256:
        raise BackupFailed(
            f"{choice.place} was changed since it was made (another SHA-256).",
            hint="Use another one: flask db-backup --list",
        )
    sealed = bool(choice.backup and choice.backup.has_seal_of(existing_key(run.settings, run.peek())))
    # What a database would read along with its file is not under the seal.
    sealed = sealed and not any(choice.path.with_name(choice.path.name + end).exists() for end in ("-wal", "-journal"))
    if not sealed and not trusted:
        raise refuse_unsealed(choice.place, request or choice.place)
    if not sealed and not choice.portable and run.dialect.is_script(choice.path):
        raise Protected(
            f"{choice.place} is a script for the server's own client program. It could only be run as it stands, "
            "whatever it says, so it is put back with the seal of this database only.",
            hint="Load it by hand into a database of its own, with a user who may reach no other, and migrate from "
            f"that: flask {MIGRATE} DATABASE-URL",
        )
    return replace(choice, sha256=digest, sealed=sealed)


def _check(run: Run, choice: Chosen) -> None:
    """Refuse a file that is damaged, before the question."""
    if choice.portable:
        header, _ = check(choice.path)
        if header.kind != "rows" or header.revision is None:
            raise SnapshotUnusable(
                f"{choice.place} holds records of an API, not rows.",
                hint=f"Migrate from it: flask {MIGRATE} {shlex.quote(str(choice.path))}",
            )
        run.schema.require(header.revision, str(choice.path))
    elif (server := find_server(choice.path)) not in (None, run.dialect.name):
        raise BackupFailed(
            f"{choice.place} is a backup of {server}, and this database is {run.dialect.name}'s.",
            hint=f"Put it back where it is from, and bring the rows over from there: flask {MIGRATE} DATABASE-URL",
        )


def stage_backup(run: Run, choice: Chosen) -> Callable[[], Contents]:
    """Bring a backup into staging; returns what proves that it is what was backed up, and says what it holds.

    That raises VerificationFailed where the rows are not those of its manifest, and BackupFailed where they are damaged
    or the file was changed meanwhile.
    """
    if choice.portable:
        snapshot = check_file(choice.path)
        staged = stage(run, snapshot, str(snapshot.header.revision), MigrateOptions())
        refresh_derived(run)

        def verify() -> Contents:
            verify_staging(run, staged.rows, staged.accounts)
            _refuse_changed(choice)
            return backups.contents_of(run.dialect, run.staging)

        return verify
    for note in run.dialect.restore(choice.path, run.staging):
        run.note(note)
    run.dialect.fit_staging(run.staging, run.target)

    def verify_dump() -> Contents:
        contents = _verify(run, choice)
        _refuse_changed(choice)
        return contents

    return verify_dump


def _refuse_changed(choice: Chosen) -> None:
    """:raises BackupFailed: the file is no longer the one that was accepted."""
    if file_sha256(choice.path) != choice.sha256:
        raise BackupFailed(f"{choice.path} was changed while it was read.", hint="Run the command again.")


def _verify(run: Run, choice: Chosen) -> Contents:
    damage = [str(item) for item in run.dialect.problems(run.staging) if item.kind not in AS_THEY_WERE]
    if damage:
        raise BackupFailed(
            f"{choice.place} is damaged.", details=damage, hint="Use another one: flask db-backup --list"
        )
    contents = backups.contents_of(run.dialect, run.staging)
    if choice.backup is None:
        run.note(f"{choice.path} has no manifest: it was checked for damage, not against what was backed up.")
        return contents
    if choice.portable:
        raise FerryError("a portable snapshot is verified as it is loaded")
    expected = {n: TableChecksum(rows, int(total, 16)) for n, (rows, total) in choice.backup.tables.items()}
    sums = contents.stated_in(expected)
    if sums != expected:
        wrong = sorted(name for name in expected.keys() | sums.keys() if expected.get(name) != sums.get(name))
        raise VerificationFailed(f"{choice.place} does not hold what was backed up: {', '.join(wrong)}.")
    return contents
