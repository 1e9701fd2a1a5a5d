"""What loading a file of rows set aside would do: which run they are of, what was loaded before, what is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...dialects.model import Table
from ...dialects.wording import count_rows, rows_were
from ...errors import DoesNotFit, Misconfigured, Protected, SnapshotUnusable
from ..rows.files import file_sha256
from ..rows.scratch import RowStore
from ..run.evidence_files import LOADS, find_schema, find_snapshot
from ..run.ledger import Entry
from ..run.plan import Action, Plan, lineage
from ..run.run import Run
from ..run.source import SELF, SourceKind, SourceSpec
from ..run.target import Target
from ..sources.base import SourceOptions
from ..staging.options import MigrateOptions
from ..staging.stand_in import StandIn, build_past
from .file import AsideFile, Origin, loading_command, read_rows


@dataclass(frozen=True)
class AsidePlan:
    """What would be done.

    :ivar base: the migration that set the rows aside.
    :ivar origin: what the ledger says that they are of.
    :ivar snapshot: the file it loaded, found again.
    :ivar excluded: tables that it left out. :ivar tables: those of its revision.
    :ivar given: all rows of the file. :ivar earlier: what later runs loaded already. :ivar fresh: what is left to load.
    """

    plan: Plan
    file: AsideFile
    base: Entry
    origin: Origin
    snapshot: Path
    excluded: tuple[str, ...]
    tables: Mapping[str, Table]
    given: RowStore
    earlier: RowStore
    fresh: RowStore
    loaded_by: str

    @property
    def loads(self) -> str:
        """What is added, for people."""
        tables = ", ".join(f"{count} {name}" for name, count in self.fresh.counts().items())
        return f"its own rows, and {count_rows(self.fresh.counts().total())} of {self.file.path} ({tables})"

    @property
    def stand_in(self) -> StandIn:
        """What the run made the tables of its revision of, where the revisions no longer made them."""
        return _stand_in(self.base)

    def stage_options(self) -> MigrateOptions:
        """How the run itself loaded its snapshot."""
        options = MigrateOptions(SourceOptions(self.excluded, accept_missing=True), set_aside=True)
        return options.as_in_ledger(self.base.options)


@contextlib.contextmanager
def plan_set_aside(run: Run, file: AsideFile, known: Mapping[str, Table] | None = None) -> Iterator[AsidePlan]:
    """Look at the ledger and the file; nothing is changed but for a scratch database that is dropped again.

    :param known: the tables of the file's revision, where they were looked at before.
    :raises Misconfigured, Protected: the ledger has no such run, or what is live does not come from it.
    :raises DoesNotFit: the file is not what that run wrote, or its rows are none of the revision.
    :raises SnapshotUnusable: what the run loaded, or what was loaded since, is gone.
    """
    target, head = run.look(), run.schema.head()
    base, later = _base(target, file)
    origin = _origin(file, base)
    run.schema.require(origin.revision, str(file.path))
    if target.revision is not None:
        run.schema.require(target.revision, "The live database")
    snapshot = _snapshot(base)
    with RowStore() as store, RowStore() as earlier, RowStore() as fresh:
        tables = known or _look_at_tables(run, base, origin.revision)
        read_rows(file, tables, store)
        for entry in later:
            _read_loaded(entry, tables, earlier)
        by = _divide(file, store, earlier, fresh, later)
        count = fresh.counts().total()
        reason = f"{count} of the rows that run {base.run_id} set aside are loaded" if count else "all are loaded"
        spec = SourceSpec(SourceKind.SELF, SELF, SELF)
        action = Action.ADD if count else Action.NOTHING
        plan = Plan(run.command, target, action, reason, spec, head, base=base)
        excluded = tuple(sorted(base.options.get("exclude", ())))
        yield AsidePlan(plan, file, base, origin, snapshot, excluded, tables, store, earlier, fresh, by)


def _look_at_tables(run: Run, base: Entry, revision: str) -> Mapping[str, Table]:
    try:
        return build_past(run, run.scratch, revision, _stand_in(base))[0]
    finally:
        run.dialect.drop(run.scratch)


def _stand_in(base: Entry) -> StandIn:
    return StandIn(
        lambda: find_schema(base),
        "The rows are brought to head beside all others of their source, by all revisions. Fix that one, or insert the "
        "rows in the application itself.",
    )


def _base(target: Target, file: AsideFile) -> tuple[Entry, list[Entry]]:
    """The migration that the rows are of, and the runs since that loaded some of them, oldest first."""
    wanted = file.origin.run
    chain = lineage(target)
    base = chain[-1] if chain and chain[-1].run_id == wanted else None
    if base is None:
        known = [entry for entry in target.entries if entry.run_id == wanted]
        if not known:
            raise Misconfigured(
                f"The ledger has no run {wanted}, which {file.path} is of.",
                hint="Load it into the database that the run was of; see the runs with: flask db-status",
            )
        left_by = f"run {chain[0].run_id} ({chain[0].command})" if chain else "no run of the ledger"
        raise Protected(
            f"What is live does not come from run {wanted}, which {file.path} is of, but from {left_by}.",
            hint="Go back to what came from it (flask db-rollback), or migrate again: "
            "flask db-migrate-data --rerun --set-aside",
        )
    return base, [entry for entry in reversed(chain[:-1]) if entry.options.get(LOADS, {}).get("run") == wanted]


def _origin(file: AsideFile, base: Entry) -> Origin:
    """What the ledger says of the rows; the file must say the same."""
    aside = base.options.get("aside")
    if not aside:
        raise Misconfigured(f"Run {base.run_id} set no rows aside.", hint="See: flask db-status")
    known = replace(
        file.origin,
        revision=aside["revision"],
        source=base.source,
        identity=base.source_identity,
        snapshot=str(base.snapshot),
        sha256=str(base.options.get("loaded_sha256", base.snapshot_sha256)),
    )
    wrong = [
        f"{name} is {getattr(file.origin, name)!r}, and run {base.run_id} had {getattr(known, name)!r}"
        for name in ("revision", "source", "identity", "sha256")
        if getattr(file.origin, name) != getattr(known, name)
    ]
    if wrong:
        raise DoesNotFit(
            f"{file.path} is not of what run {base.run_id} loaded.",
            details=wrong,
            hint=f"Leave the first lines as the run wrote them: {aside['file']}",
        )
    return known


def _snapshot(base: Entry) -> Path:
    try:
        return find_snapshot(base)
    except SnapshotUnusable as error:
        raise error.with_hint(
            f"Put it back as {base.snapshot}: the rows are brought to head beside all others of their source. Without "
            "it, fix the source and migrate again: flask db-migrate-data --rerun --set-aside"
        ) from error


def _read_loaded(entry: Entry, tables: Mapping[str, Table], into: RowStore) -> None:
    loads = entry.options[LOADS]
    path = Path(loads["loaded"])
    if not path.is_file() or file_sha256(path) != loads["sha256"]:
        raise SnapshotUnusable(
            f"{path} is not there any more, or was changed: the rows that run {entry.run_id} loaded, which others may "
            "refer to.",
            hint="Put it back where it was, on the host that ran the command. Without it, insert the rest in the "
            "application itself.",
        )
    read_rows(AsideFile(path), tables, into)


def _divide(file: AsideFile, store: RowStore, earlier: RowStore, fresh: RowStore, later: list[Entry]) -> str:
    """Tell what is left to load from what was loaded before; returns which runs did that."""
    other = []
    for table, number, reason, row in store.rows():
        was = earlier.get(table, number)
        if was is None:
            fresh.add(table, number, reason, row)
        elif was != row:
            other.append(f"row {number} of {table} was loaded with other values")
    if other:
        raise DoesNotFit(
            f"{rows_were(len(other))} loaded before with other values than {file.path} has now.",
            details=other[:20],
            hint=f"Change them in the application, and take them out of the file; then: {loading_command(file.path)}",
        )
    return ", ".join(entry.run_id for entry in later)


def nothing_left(plan: AsidePlan) -> str:
    """The one line of a file that was loaded before."""
    count = plan.given.counts().total()
    return f"Nothing to do: {plan.file.path} ({count_rows(count)}) was loaded before ({plan.loaded_by or 'none'})."
