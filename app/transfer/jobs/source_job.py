"""A migration from another source: the source's rows, loaded, proved and brought to head."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...dialects.model import Table, TableChecksum
from ...dialects.reader import Reader
from ...errors import DoesNotFit, FerryError, OutOfSpace, VerificationFailed
from ..cutover.cutover import entry_for
from ..cutover.keeping import Keeping
from ..proof.checksums import NOTHING, Contents, Proved
from ..proof.objects import find_not_migrated
from ..rows.encode import TakeLines
from ..rows.files import file_sha256
from ..rows.header import sort_columns
from ..run.evidence_files import describe_schema
from ..run.ledger import Entry
from ..run.plan import Plan
from ..run.report import Report
from ..run.run import Run
from ..run.source import SourceKind
from ..run.workers import Workers, describe_rows
from ..set_aside.file import Origin
from ..set_aside.report import keep_aside
from ..sources.adapt import account
from ..sources.base import Destination, Source, Taken, accept_missing
from ..sources.fallback import can_fall_back, fallback
from ..staging.ahead import WORTH_BYTES, LoadAhead
from ..staging.catch_up import DATABASE_PASSES, CatchUp
from ..staging.empty import build_empty
from ..staging.helpers import call_cluster, note_unused
from ..staging.load import NOTHING_LOADED
from ..staging.options import MigrateOptions
from ..staging.stage import Staged, before_upgrade, fill, open_rows, verify_staging
from ..staging.stand_in import StandIn, build_past, keep_source_schema
from ..staging.unmanaged import NOTHING_BROUGHT
from ..staging.zoned import describe_zones
from .dry_run import foresee_source
from .going_on import GoingOn
from .job import Step
from .migration import Migration, RulesBroken
from .source_receipt import describe_source, describe_tables


class _Abandoned(Exception):
    """What began is not brought to its end."""


class SourceJob(Migration):
    """A migration from a source that is not the target."""

    def __init__(self, run: Run, plan: Plan, source: Source, options: MigrateOptions) -> None:
        super().__init__(run, plan, options)
        self._source = source
        self._schema: Path | None = None
        self._built: str | None = None
        self._is_read = False
        self._builds_first = plan.source.kind is SourceKind.DATABASE or source.says_tables_ahead
        self._loader: LoadAhead | None = None
        self._loaded = NOTHING_LOADED
        self._rules = contextlib.ExitStack()
        self._going_on = GoingOn(run, plan, source, options)
        self._workers = Workers(min(run.settings.jobs, run.dialect.capabilities.loaders))

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("backup", self.back_up, of_live=True),
            *self._steps_to_staging,
            Step("adapt", self._adapt),
            Step("load", self._load),
            Step("catch-up", self._catch_up),
            Step("verify", self._verify),
            Step("upgrade", self.upgrade),
            Step("check", self._check),
            Step("objects", self._bring_objects, of_live=True),
        )

    @property
    def _steps_to_staging(self) -> tuple[Step, ...]:
        """What says before it is read at which revision it is can be loaded as it comes."""
        reading = Step("extract", self._extract), Step("snapshot", self._look_at_snapshot)
        building = Step("staging", self._build)
        return (building, *reading) if self._builds_first else (*reading, building)

    def back_up(self) -> None:
        self._going_on.begin()
        super().back_up()

    def end_helpers(self) -> None:
        self._workers.close()
        self._abandon_rows()

    def _abandon_rows(self) -> None:
        """Staging is dropped or built anew: what it was loaded without need not be put back."""
        error = _Abandoned()
        with contextlib.suppress(_Abandoned, *self.run.database_errors):
            self._rules.__exit__(_Abandoned, error, None)

    @property
    def source_bytes(self) -> int:
        file = self.plan.source.file
        return file.stat().st_size if file and file.exists() else 0

    @property
    def loads(self) -> str | None:
        return self._source.describe

    def entry(self) -> Entry:
        snapshot, keeping = self._taken, Keeping(self.run, 0 if self.is_kept else self._count_rows())
        entry = entry_for(
            self.run,
            self.target,
            self.secured,
            proved=self._know_tables,
            beside=keeping,
            source_identity=self.plan.source.identity,
            source=self.plan.source.label,
            revision=self.plan.head,
            snapshot=str(snapshot.path),
            snapshot_sha256=snapshot.sha256,
            from_snapshot_of=snapshot.fallback_of,
            options={
                "previous_absent": self.secured.absent,
                "loaded_sha256": self._origin.sha256,
                **self.options.for_ledger(),
                **({"aside": self.report.aside} if self.report.aside else {}),
                **_profile_of(snapshot),
                **describe_schema(self._schema),
            },
        )
        self.is_kept |= keeping.is_done
        return entry

    def foresee(self, directory: Path) -> None:
        run, label = self.run, self.plan.source.label
        revision = self._require_revision(self._source.look_ahead(run).revision, label)
        self.report.revisions["source"] = revision
        with self._source.glance(run, directory) as glance:
            foresee_source(run, self.look_along(revision), glance, self.options, directory)

    def _extract(self) -> None:
        run = self.run
        run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
        with self._loading_ahead() as also:
            self._taken = self._take(also)
        run.outcome.update(self._going_on.note_ahead(self._loaded))
        self._is_read = True
        self._read_from = self._taken.header.read_from
        uncounted = [name for name, rows in self._taken.extra.items() if rows is None]
        self.options = self.options.without(uncounted)

    def _look_at_snapshot(self) -> None:
        self._revision = self._require_revision(self._taken.header.revision, str(self._taken.path))
        if self._built is not None and self._built != self._revision:
            self._loaded = NOTHING_LOADED
            self._abandon_rows()
            self._build()
        elif self._built is not None:
            self._list_not_migrated()
        self.run.outcome.update(self._going_on.describe(self._taken))

    def _require_revision(self, revision: str | None, of: str) -> str:
        """:raises DoesNotFit: it is not known."""
        if revision is None:
            raise DoesNotFit(f"{of} does not say at which revision its rows are.")
        self.run.schema.require(revision, of)
        return revision

    def _start_ahead(self) -> LoadAhead | None:
        """Whoever loads rows of a database while others are read; None where nobody may."""
        run = self.run
        self._workers = call_cluster(run) or self._workers
        is_worth_it = self._source.look_ahead(run).size >= WORTH_BYTES
        is_asked_for = run.settings.origins["FERRY_JOBS"] != "default" or self._workers.are_elsewhere
        if not self._workers.most or not (is_worth_it or is_asked_for):
            return None
        ahead = LoadAhead(run, self._workers)
        if is_worth_it and not self._workers.are_elsewhere:
            ahead.make_ready()
        return ahead

    @contextlib.contextmanager
    def _loading_ahead(self) -> Iterator[TakeLines | None]:
        """While it is open rows are loaded that go in as the source has them, by :mod:`..staging.ahead`."""
        loader, run = self._loader, self.run
        # How many may load staging is known since it was built.
        if loader is None or not run.dialect.capabilities.loaders:
            note_unused(run, self._workers)
            yield None
            return
        stored = (self._source.look_ahead(run).tables or {}).values()
        wanted = [sort_columns(table) for table in stored if table.name not in self.options.source.exclude]
        loader.allow(wanted, self._tables, lambda: self._rules.enter_context(run.dialect.loading(run.staging)))
        yield loader.take
        # What stands in for the source has other rows.
        loaded = loader.finish(is_of_these=self._taken.is_what_was_given and not self._taken.fallback_of)
        if loader.rows_by and self._workers.are_elsewhere:
            run.note(describe_rows("Loaded", loader.rows_by))
        self._loaded = replace(loaded, loading=self._rules) if loaded.rows or loaded.spoiled else loaded

    def _build(self) -> None:
        """Build staging at the revision of a database that is read next, or of what was read."""
        run, label = self.run, self.plan.source.label
        if not self._is_read:
            self._revision = self._require_revision(self._source.look_ahead(run).revision, label)
            self._loader = self._start_ahead()
        self._built = self._revision
        self._tables, self._schema = build_past(run, run.staging, self._revision, StandIn(self._keep_schema))
        with run.dialect.reader(run.staging) as reader:
            self._definitions = reader.definitions()
        if self._is_read:
            self._list_not_migrated()

    def _list_not_migrated(self) -> None:
        run, snapshot = self.run, self._taken
        same_server = snapshot.server == run.dialect.name
        missing = find_not_migrated(snapshot.definitions, self._definitions, self._tables, same_server=same_server)
        self.report.not_migrated = [str(item) for item in missing]

    def _keep_schema(self) -> Path | None:
        """The source itself has the tables of a revision that no longer runs, if it is such a database."""
        falls_back = self._is_read and self._taken.fallback_of
        return None if falls_back else keep_source_schema(self.run, self._source, self._revision)

    def _adapt(self) -> None:
        snapshot = self._taken
        self._rows = open_rows(self.run, snapshot.snapshot, self.options, self._tables)

    def _load(self) -> None:
        try:
            self._staged = self._fill()
        except DoesNotFit as error:
            if isinstance(error, OutOfSpace) or not self._going_on.give_up():
                raise
            self._load_anew()
        self.run.outcome.update(self._going_on.note_all(self._staged.accounts))

    def _fill(self) -> Staged:
        (rows, adapted), run, loaded, self._loaded = self._rows, self.run, self._loaded, NOTHING_LOADED
        if not loaded.rows and not loaded.spoiled:
            loaded = self._going_on.bring(rows, self._rules)
        return fill(run, rows, adapted, self.options, run.staging, self._schema, loaded, self._going_on.mark)

    def _load_anew(self) -> None:
        self.is_kept = False
        build_empty(self.run, self.run.staging, self._revision, self._schema)
        self._adapt()
        self._staged = self._fill()

    def _catch_up(self) -> None:
        self._passes = CatchUp(self.run, self._source, self.options, self._count_passes())
        self._taken, self._staged = self._passes.carry_out(self._taken, self._staged)

    def _verify(self) -> None:
        try:
            self._prove()
        except VerificationFailed:
            if not self._going_on.has_brought:
                raise
            self._forget_receipt()
            self._going_on.give_up()
            self._load_anew()
            self._prove()

    def _prove(self) -> None:
        run, staged = self.run, self._staged
        self._receipt_before = copy.deepcopy(_lists_of(run.report))
        self._origin = self._find_origin()
        keep_aside(run, staged.rows, self._origin)
        describe_source(run, self.plan.source, self._taken, self._read_from, staged.rows)
        describe_tables(run, staged, self._taken.header.missing)
        describe_zones(run, staged.rows)
        account(run, staged.adapted)
        # Where no revision is to run yet, the rows are those that will be live.
        with Keeping(run, self._count_rows() if self._revision == self.plan.head else 0) as keeping:
            verify_staging(
                run, staged.rows, staged.accounts, counts_only=self.options.counts_only, workers=self._workers
            )
        self.is_kept = keeping.is_done
        self._contents = self._sum_up()

    def _count_rows(self) -> int:
        return sum(account.loaded.rows for account in self._staged.accounts.values())

    def _check(self) -> None:
        self.check_upgrade(before_upgrade(self._staged.rows, self._staged.accounts), self._revision)
        self._passes.last_look(self._taken)

    def _bring_objects(self) -> None:
        """Where rows refer to nothing at head and may be set aside, load again without them, and upgrade again.

        Not before: a revision may repair them.
        """
        try:
            self.bring_objects(self._revision)
        except RulesBroken as error:
            if not self.options.set_aside or self.options.dangling or not error.keys:
                raise
            self.options = replace(self.options, dangling=error.keys)
            self._load_without()
            self.bring_objects(self._revision)
        self.is_kept &= not self._unmanaged.tables

    def _load_without(self) -> None:
        """Everything from the empty tables to the proof of the upgrade once more; the receipt is that of this time."""
        self._forget_receipt()
        self._unmanaged = NOTHING_BROUGHT
        self._load_anew()
        self._verify()
        self.upgrade()
        self._check()

    def _forget_receipt(self) -> None:
        """What is proved again is put into the receipt again."""
        vars(self.run.report).update(copy.deepcopy(self._receipt_before), differences_file=None)

    def _sum_up(self) -> Contents:
        """What was loaded and read back and what its server sums it up to, where revisions are to run yet."""
        run, accounts, tables = self.run, self._staged.accounts, self._staged.rows.tables
        if self.options.counts_only or self._revision == self.plan.head:
            return NOTHING
        with run.dialect.reader(run.staging) as reader:
            staged = [table for table in map(sort_columns, reader.tables().values()) if table.name in accounts]
            same = [table for table in staged if tables[table.name].columns == table.columns]
            digests = {table.name: (table, digest) for table in same if (digest := reader.digest(table)) is not None}
        return Contents({name: account.loaded for name, account in accounts.items()}, digests)

    def _know_tables(self, reader: Reader) -> Proved:
        """What was loaded and read back of a table, where no revision has changed it since: one may write unheard."""
        return self._contents.known_in(reader) if self._revision != self.plan.head else self._find_proved

    def upgrade(self) -> None:
        self.run.leaves_staging = False
        super().upgrade()

    def _find_proved(self, table: Table) -> TableChecksum | None:
        same = self._staged.rows.tables.get(table.name)
        if self.options.counts_only or same is None or same.columns != table.columns:
            return None
        return self._staged.accounts[table.name].loaded

    def _find_origin(self) -> Origin:
        """What rows set aside would be of. A classic file is known by its own digest and loaded as another one."""
        source, snapshot = self.plan.source, self._taken
        made_here = snapshot.path.parent == self.run.directory
        loaded = file_sha256(snapshot.path) if made_here or snapshot.sha256 is None else snapshot.sha256
        return Origin(self.run.id, self._revision, source.label, source.identity, str(snapshot.path), loaded)

    def _take(self, also: TakeLines | None) -> Taken:
        """Read the source; when that breaks off, the last good snapshot may stand in.

        :param also: is given the lines of the source as well.
        """
        run, spec = self.run, self.plan.source
        catches_up = spec.kind is SourceKind.DATABASE and self.options.catch_up != 0
        if (former := self._going_on.take(catches_up=catches_up)) is not None:
            return former
        try:
            workers, looks_again = self._workers if also else None, bool(self.options.catch_up)
            snapshot = self._source.take(run, Destination.of(run, also, workers, looks_again=looks_again))
        except FerryError as error:
            if not can_fall_back(error) or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
                raise
            self._source = fallback(run, spec, self.options.source, error)
            run.warn(f"{error.message} Falling back to {self._source.describe}.")
            run.hooks.ask(self.question())
            snapshot = self._source.take(run, Destination.of(run))
        accept_missing(snapshot.header.missing, self.options.source, f"flask {run.command} {spec.label}")
        self._going_on.compare(snapshot)
        return snapshot

    def _count_passes(self) -> int:
        """How often the source is read again: a file never, and no snapshot in its place."""
        spec, passes = self.plan.source, self.options.catch_up
        if self._taken.fallback_of or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
            return 0
        return passes if passes is not None else DATABASE_PASSES if spec.kind is SourceKind.DATABASE else 0


def _lists_of(report: Report) -> dict[str, Any]:
    """What a report lists, by name."""
    return {name: value for name, value in vars(report).items() if isinstance(value, list)}


def _profile_of(snapshot: Taken) -> dict[str, dict[str, str]]:
    """What the ledger keeps of the profile, if there is one."""
    return {"profile": asdict(snapshot.header.profile)} if snapshot.header.profile else {}
