"""Putting a backup or a portable snapshot back: staged, verified, cut over like any run."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

from ...dialects.redact import redact_text
from ...dialects.wording import at_revision, count_of, count_rows, rows_are
from ...errors import BackupFailed
from ..backup import backups
from ..backup.card import Card
from ..backup.manifest import Backup, load_manifest
from ..backup.seal import existing_key
from ..backup.store import Store
from ..backup.stored import store_of
from ..cutover.cutover import entry_for
from ..cutover.secure import describe_rows, rows_beside_tables
from ..rows.snapshot import check, check_file, is_snapshot
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.report import TableReceipt
from ..run.run import Run
from ..run.target import MIGRATE, Target
from ..schema.alembic import revision_of
from ..sources.base import Glance
from ..staging.options import MigrateOptions
from .backup import list_backups
from .dry_run import Ahead, foresee_source
from .fetched import find_refusal, find_stored, keep_fetched, list_ours, look_into
from .job import Job, Nothing, Planning, Step
from .passage import Order
from .staged_backup import Chosen, accept_file, refuse_damaged, stage_backup

SHOWN = 5
MADE_BY = ("db-backup", "db-init", MIGRATE)


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
        refuse_damaged(run, choice)
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
