"""Proving a run again: bring what it came from to the live database's revision beside it, and compare row by row."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...dialects.model import Table
from ...dialects.reader import Reader
from ...dialects.wording import count_rows
from ...errors import BackupFailed, DoesNotFit, Misconfigured, Protected
from ..anonymise.engine import as_profiled, choose_profile
from ..anonymise.source import open_anonymised
from ..backup.manifest import load_manifest
from ..proof.compare import Difference, compare_databases
from ..rows.files import file_sha256
from ..rows.snapshot import check_file, is_snapshot
from ..run.evidence import keep_differences
from ..run.evidence_files import LOADS, find_schema, find_snapshot
from ..run.ledger import BROUGHT_OVER, Entry
from ..run.records import prune_records
from ..run.report import Report
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.source import SELF, SourceKind, parse_source
from ..run.target import MIGRATE
from ..schema.alembic import data_tables, revision_of
from ..set_aside.added_rows import load_added
from ..sources.base import Destination, SourceOptions
from ..sources.open import open_source
from ..staging.empty import build_empty
from ..staging.options import MigrateOptions
from ..staging.stage import stage
from ..staging.stand_in import NO_STAND_IN, StandIn, keep_source_schema
from .job import Step, carry_out_steps
from .staged_backup import Chosen, accept_file, stage_backup

_HOW_ELSE = (
    "Fix the revision, or compare with the source itself; a database on this kind of server has its own tables: "
    "flask db-verify --against SOURCE"
)


@dataclass(frozen=True)
class VerifyOptions:
    """The options of db-verify; the source to compare with is in the settings when ``against``."""

    run_id: str | None = None
    against: bool = False
    source: SourceOptions = field(default_factory=SourceOptions)
    lock_timeout_s: float = 0.0


def verify(run: Run, options: VerifyOptions) -> Report:
    """Run db-verify; the report's status is 23 when there are differences.

    :raises SnapshotUnusable, BackupFailed: what the run came from is not there any more.
    """
    run.refuse_prohibited()
    if not run.dialect.exists(run.target):
        raise Misconfigured("There is no database to verify.", hint="Make one with: flask db-migrate-data")
    if not options.against:
        _entry(run, options.run_id)
    with run.hold_lock(options.lock_timeout_s):
        try:
            proof = Proof(run, options)
            carry_out_steps(run, proof.steps)
            return proof.receipt()
        finally:
            run.clean_up()


class Proof:
    """What the live database should be, staged and compared with what it is."""

    def __init__(self, run: Run, options: VerifyOptions) -> None:
        self.run, self._options = run, options
        self.steps = (
            Step("staging", self._stage),
            Step("upgrade", self._upgrade),
            Step("compare", self._compare),
        )

    def _stage(self) -> None:
        self._label, self._revision, self._excluded = _stage(self.run, self._options)
        self._live = self.run.look()

    def _upgrade(self) -> None:
        wanted = self._live.revision
        if self._revision is not None and wanted is not None and self._revision != wanted:
            self.run.schema.build(self.run.staging, wanted)

    def _compare(self) -> None:
        run = self.run
        with run.dialect.reader(run.staging) as should, run.dialect.reader(run.target) as is_live:
            others = sorted(set(data_tables(is_live.tables())) - set(data_tables(should.tables())))
            self._kept = keep_differences(run, _differences(run, should, is_live, set(others) | self._excluded))
        if others:
            run.note(f"Not compared, as no revision made them: {', '.join(others)}")

    def receipt(self) -> Report:
        """The outcome; its status is 23 where there are differences."""
        run, evidence = self.run, self._kept
        run.report.revisions = {"live": self._live.revision}
        if evidence:
            which = "the first of them" if evidence.more else "all of them"
            text = f"{evidence.count_as('difference')} between this database and {self._label}"
            text += f"; {which}: {evidence.file}"
            run.report.end("different", text, 23)
        else:
            rows = sum(self._live.rows.values())
            run.report.end("equal", f"This database holds exactly what came from {self._label}: {count_rows(rows)}.")
        prune_records(run)
        run.save_report()
        return run.report


def _stage(run: Run, options: VerifyOptions) -> tuple[str, str | None, set[str]]:
    """Stage what the live database should be; returns what that is, its revision, and tables left out."""
    if options.against:
        return _stage_source(run, options.source)
    entry = _entry(run, options.run_id)
    label = f"run {entry.run_id} ({entry.command} from {entry.source})"
    excluded = set(entry.options.get("exclude", ()))
    choices = MigrateOptions(
        SourceOptions(tuple(sorted(excluded)), accept_missing=True), set_aside=bool(entry.options.get("set_aside"))
    ).as_in_ledger(entry.options)
    revision: str | None
    if LOADS in entry.options:
        revision = _stage_with_added(run, entry)
    elif entry.command == MIGRATE and entry.source_identity != SELF:
        revision = _stage_snapshot(
            run, find_snapshot(entry), choices, lambda _: StandIn(lambda: find_schema(entry), _HOW_ELSE)
        )
    elif entry.options.get(BROUGHT_OVER):
        # As the live database was at the instant of the cut-over, which no backup is of.
        revision = _stage_generation(run, entry, "old")
    elif entry.command in (MIGRATE, "db-restore") and entry.backup is not None:
        revision = _stage_backup(run, entry)
    else:
        # Of an empty database no backup is made: what was made of it is there as it was then.
        revision = _stage_generation(run, entry)
    return label, revision, excluded


def _entry(run: Run, run_id: str | None) -> Entry:
    control = run.peek()
    entries = control.ledger() if control else []
    matches = [entry for entry in entries if run_id in (None, entry.run_id)]
    if not matches:
        known = ", ".join(entry.run_id for entry in entries[-5:]) or "none"
        raise Misconfigured(
            f"The ledger has no run {run_id or 'at all'}.",
            hint=f"Runs: {known}. Or compare with a source: flask db-verify --against SOURCE",
        )
    return matches[-1]


def _stage_snapshot(run: Run, path: Path, options: MigrateOptions, stand_in_at: Callable[[str], StandIn]) -> str:
    """:param stand_in_at: what has the tables of a revision where one that led to it no longer runs."""
    if not is_snapshot(path):
        return _stage_classic(run, path, options)
    snapshot = check_file(path)
    revision = snapshot.header.revision
    if revision is None:
        raise DoesNotFit(f"{path} does not say at which revision its rows are.")
    run.schema.require(revision, str(path))
    stage(run, snapshot, revision, options, stand_in=stand_in_at(revision))
    return revision


def _stage_classic(run: Run, path: Path, options: MigrateOptions) -> str:
    spec = parse_source(replace(run.settings, source=str(path)))
    snapshot = open_source(run, spec, options.source).take(run, Destination.of(run))
    return _stage_snapshot(run, snapshot.path, options, lambda _: NO_STAND_IN)


def _stage_source(run: Run, options: SourceOptions) -> tuple[str, str | None, set[str]]:
    spec = parse_source(run.settings, insecure_http=options.insecure_http)
    if spec.kind is SourceKind.SELF:
        raise Misconfigured("--against self compares the database with itself.")
    _refuse_plain(run)
    spec = as_profiled(spec, choose_profile(run))
    # The proof must not take the place of the last good snapshot.
    to = Destination(run.directory / "against.json", run.directory)
    source = open_anonymised(run, spec, options)
    choices = MigrateOptions(replace(options, accept_missing=True))
    with contextlib.closing(source):
        path = source.take(run, to).path
        revision = _stage_snapshot(
            run, path, choices, lambda revision: StandIn(lambda: keep_source_schema(run, source, revision))
        )
    return spec.label, revision, set(options.exclude)


def _refuse_plain(run: Run) -> None:
    """:raises Protected: rows as they are would be brought to where they are anonymised."""
    entry = run.look().origin
    if run.settings.profile is None and entry and entry.profile:
        raise Protected(
            f"What is live was anonymised with the profile {entry.profile.name!r}; comparing it with its source as it "
            "is would bring personal data here.",
            hint=f"Compare with: flask db-verify --against SOURCE --profile {shlex.quote(entry.profile.name)}",
        )


def _stage_backup(run: Run, entry: Entry) -> str | None:
    file = entry.options.get("restored") or entry.backup
    if not file or not Path(file).is_file():
        raise BackupFailed(f"The backup of run {entry.run_id} is not there any more ({file or 'none was made'}).")
    path = Path(file)
    # A file that was trusted when it was put back is the same file still, by the ledger.
    trusted = file_sha256(path) == entry.options.get("restored_sha256")
    verify_staged = stage_backup(
        run, accept_file(run, Chosen(path, load_manifest(path), is_snapshot(path)), trusted=trusted)
    )
    verify_staged()
    return _read_staged_revision(run)


def _stage_with_added(run: Run, entry: Entry) -> str | None:
    """What was live before, and the rows that were added to it."""
    added, revision = find_snapshot(entry), str(entry.revision)
    if entry.backup is None:
        build_empty(run, run.staging, revision)
    elif _stage_backup(run, entry) != revision:
        run.schema.build(run.staging, revision)
    load_added(run.dialect, run.staging, added)
    return revision


def _stage_generation(run: Run, entry: Entry, which: str = "new") -> str | None:
    generation = run.dialect.generation_url(run.target, f"{entry.mark}-{which}")
    if not run.dialect.exists(generation):
        raise BackupFailed(f"What run {entry.run_id} left is not kept any more; only the last run's is.")
    run.dialect.copy(generation, run.staging, timeout_s=SWAP_TIMEOUT_S)
    return _read_staged_revision(run)


def _read_staged_revision(run: Run) -> str | None:
    with run.dialect.reader(run.staging) as reader:
        return revision_of(reader)


def _differences(run: Run, should: Reader, is_live: Reader, skipped: set[str]) -> Iterator[Difference]:
    return compare_databases(_Without(should, skipped), _Without(is_live, skipped), run.directory)


class _Without:
    """A reader that does not show some tables."""

    def __init__(self, reader: Reader, skipped: set[str]) -> None:
        self._reader, self._skipped = reader, skipped
        self.objects, self.definitions = reader.objects, reader.definitions
        self.count, self.counts, self.count_readable = reader.count, reader.counts, reader.count_readable
        self.numbers, self.counters, self.outside = reader.numbers, reader.counters, reader.outside
        self.time_zone, self.texts = reader.time_zone, reader.texts
        self.unreadable_outside, self.outside_objects = reader.unreadable_outside, reader.outside_objects
        self.rows, self.values, self.digest = reader.rows, reader.values, reader.digest
        self.rows_to_digest = reader.rows_to_digest

    def whole(self) -> None:
        """Nothing: it would be of those tables, too."""

    def tables(self) -> dict[str, Table]:
        return {name: table for name, table in self._reader.tables().items() if name not in self._skipped}
