"""A migration from another source: the source's rows, loaded, proved and brought to head."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...dialects.base import Reader
from ...dialects.model import Table, TableChecksum
from ...dialects.wording import rows_are
from ...errors import DoesNotFit, FerryError, VerificationFailed
from ..cutover.cutover import entry_for
from ..proof.checksums import NOTHING, Contents, Proved
from ..proof.objects import find_not_migrated
from ..rows.encode import TakeLines
from ..rows.files import file_sha256
from ..rows.header import sort_columns
from ..run.evidence_files import describe_schema
from ..run.ledger import Entry
from ..run.plan import Plan
from ..run.report import Report, TableReceipt
from ..run.run import Run
from ..run.source import SourceKind
from ..run.workers import Workers
from ..set_aside.file import Origin
from ..set_aside.report import keep_aside
from ..sources.adapt import account
from ..sources.base import Destination, Source, Taken, accept_missing
from ..sources.fallback import can_fall_back, fallback
from ..staging.ahead import WORTH_BYTES, LoadAhead
from ..staging.catch_up import DATABASE_PASSES, CatchUp
from ..staging.empty import build_empty
from ..staging.helpers import call_cluster, describe_rows, note_unused
from ..staging.load import NOTHING_LOADED, TableLoad
from ..staging.options import MigrateOptions
from ..staging.stage import before_upgrade, fill, open_rows, verify_staging
from ..staging.stand_in import StandIn, build_past, keep_source_schema
from ..staging.zoned import describe_zones
from .dry_run import foresee_source
from .job import Step
from .migration import Migration, RulesBroken


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
        self._loader: LoadAhead | None = None
        self._loaded = NOTHING_LOADED
        self._rules = contextlib.ExitStack()
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
        """A database says before it is read at which revision it is; so its rows can be loaded as they come."""
        reading = Step("extract", self._extract), Step("snapshot", self._look_at_snapshot)
        building = Step("staging", self._build)
        return (building, *reading) if self.plan.source.kind is SourceKind.DATABASE else (*reading, building)

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
        snapshot = self._taken
        return entry_for(
            self.run,
            self.target,
            self.secured,
            proved=self._know_tables,
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
        loaded = loader.finish(is_of_these=not self._taken.fallback_of)
        if loader.rows_by and self._workers.are_elsewhere:
            run.note(describe_rows(loader.rows_by))
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
        (rows, adapted), run = self._rows, self.run
        self._staged = fill(run, rows, adapted, self.options, run.staging, self._schema, self._loaded)
        self._loaded = NOTHING_LOADED

    def _catch_up(self) -> None:
        self._passes = CatchUp(self.run, self._source, self.options, self._count_passes())
        self._taken, self._staged = self._passes.carry_out(self._taken, self._staged)

    def _verify(self) -> None:
        run, staged = self.run, self._staged
        self._receipt_before = copy.deepcopy(_lists_of(run.report))
        self._origin = self._find_origin()
        keep_aside(run, staged.rows, self._origin)
        self._describe_source()
        self._describe_tables()
        describe_zones(run, staged.rows)
        account(run, staged.adapted)
        verify_staging(run, staged.rows, staged.accounts, counts_only=self.options.counts_only, workers=self._workers)
        self._contents = self._sum_up()

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

    def _load_without(self) -> None:
        """Everything from the empty tables to the proof of the upgrade once more; the receipt is that of this time."""
        run = self.run
        vars(run.report).update(copy.deepcopy(self._receipt_before))
        self._unmanaged = []
        build_empty(run, run.staging, self._revision, self._schema)
        self._adapt()
        self._load()
        self._verify()
        self.upgrade()
        self._check()

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
        try:
            snapshot = self._source.take(run, Destination.of(run, also))
        except FerryError as error:
            if not can_fall_back(error) or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
                raise
            self._source = fallback(run, spec, self.options.source, error)
            run.warn(f"{error.message} Falling back to {self._source.describe}.")
            run.hooks.ask(self.question())
            snapshot = self._source.take(run, Destination.of(run))
        accept_missing(snapshot.header.missing, self.options.source, f"flask {run.command} {spec.label}")
        return snapshot

    def _count_passes(self) -> int:
        """How often the source is read again: a file never, and no snapshot in its place."""
        spec, passes = self.plan.source, self.options.catch_up
        if self._taken.fallback_of or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
            return 0
        return passes if passes is not None else DATABASE_PASSES if spec.kind is SourceKind.DATABASE else 0

    def _describe_source(self) -> None:
        snapshot, read_from = self._taken, self._read_from
        self.report.snapshot = str(snapshot.path)
        self.report.source = {
            "label": self.plan.source.label,
            "read": f"from {read_from} to {snapshot.footer.read_until}",
            "revision": snapshot.header.revision,
            "sha256": snapshot.sha256,
            "fallback_of": snapshot.fallback_of,
        }
        if self.plan.source.kind in (SourceKind.HTTP, SourceKind.DATABASE):
            self.run.note(
                f"The source was read from {read_from} to {snapshot.footer.read_until}; "
                "what was written there later is not carried."
            )
        if snapshot.header.kind == "records":
            self.report.records = snapshot.count_received()
            self.report.unproved = list(snapshot.header.notes)
        waived = [{"what": f"table {t}", "rows": n, "reason": "--exclude"} for t, n in snapshot.extra.items()]
        missing = [
            {"what": f"table {t}", "rows": None, "reason": f"--accept-missing: {why}"}
            for t, why in snapshot.header.missing.items()
        ]
        lacking = [
            {"what": f"{kind} {name}", "rows": None, "reason": f"--accept-missing: the source lacks it; {how}"}
            for name in self._staged.rows.missing
            for kind, how in [_LACKED["." in name]]
        ]
        self.report.waived += waived + missing + lacking

    def _describe_tables(self) -> None:
        self.report.revisions["source"] = self._staged.rows.header.revision
        for name, load in self._staged.accounts.items():
            if load.excluded:
                self.report.waived.append({"what": f"table {name}", "rows": load.excluded, "reason": "--exclude"})
            self.report.tables.append(_receipt_of(name, load, self._taken.header.missing.get(name, "")))


_LACKED = {False: ("table", "it arrives empty"), True: ("column", "its values are NULL, or its default")}


def _receipt_of(table: str, load: TableLoad, note: str) -> TableReceipt:
    """:raises VerificationFailed: not every row is accounted for."""
    receipt = TableReceipt(
        table=table,
        rows=load.rows,
        loaded=load.loaded.rows,
        waived=load.excluded,
        set_aside=load.set_aside,
        checksum=str(load.loaded),
        note=note,
    )
    if receipt.rows != receipt.loaded + receipt.waived + receipt.set_aside:
        raise VerificationFailed(
            f"{table}: {rows_are(receipt.rows)} not {receipt.loaded} loaded + {receipt.waived} waived "
            f"+ {receipt.set_aside} set aside."
        )
    return receipt


def _lists_of(report: Report) -> dict[str, Any]:
    """What a report lists, by name."""
    return {name: value for name, value in vars(report).items() if isinstance(value, list)}


def _profile_of(snapshot: Taken) -> dict[str, dict[str, str]]:
    """What the ledger keeps of the profile, if there is one."""
    return {"profile": asdict(snapshot.header.profile)} if snapshot.header.profile else {}
