"""A migration from another source: the source's rows, loaded, proved and brought to head."""

from __future__ import annotations

from dataclasses import asdict

from ...dialects.base import Fence
from ...errors import DoesNotFit, FerryError, VerificationFailed
from ..cutover.cutover import cut_over, entry_for
from ..cutover.secure import Secured, secure
from ..rows.files import file_sha256
from ..run.ledger import Entry
from ..run.plan import Plan, question_for
from ..run.report import TableReceipt
from ..run.run import Run
from ..run.source import SourceKind
from ..set_aside.file import Origin
from ..set_aside.report import keep_aside
from ..sources.adapt import account
from ..sources.base import OpenSource, Taken, accept_missing
from ..sources.fallback import can_fall_back, fallback
from ..staging.catch_up import DATABASE_PASSES, CatchUp
from ..staging.options import MigrateOptions
from ..staging.stage import Staged, before_upgrade, stage, verify_staging
from ..staging.unmanaged import bring_unmanaged
from .job import Job


class SourceJob(Job):
    """A migration from a source that is not the target."""

    def __init__(self, run: Run, plan: Plan, source: OpenSource, options: MigrateOptions) -> None:
        super().__init__(run, plan, options)
        self._source = source

    def _steps(self, fence: Fence) -> Entry:
        run = self.run
        run.emit("note", f"Run {run.id}: {self.plan.action}; {self.plan.reason}")
        with run.step("backup", identity=self.plan.source.identity):
            secured = secure(run, fence, self.options.backup_to)
        with run.step("extract"):
            taken = self._taken()
            self.options = self.options.without([name for name, rows in taken.extra.items() if rows is None])
        with run.step("snapshot", file=str(taken.path), sha256=taken.sha256):
            revision = self._revision(taken)
        staged = stage(run, taken.path, taken.header.kind, revision, self.options)
        catch_up = CatchUp(run, self._source, self.options, self._passes(taken))
        read_from = taken.header.read_from
        taken, staged = catch_up.carry_out(taken, staged)
        origin = self._origin(taken, revision)
        keep_aside(run, staged.rows, origin)
        self._describe_source(taken, read_from)
        self._tables_receipt(staged, taken)
        account(run, staged.adapted)
        with run.step("verify", counts_only=self.options.counts_only):
            verify_staging(run, staged.rows, staged.accounts, counts_only=self.options.counts_only)
        self._upgrade(before_upgrade(staged.rows, staged.accounts), revision)
        catch_up.last_look(taken)

        def make_entry(found: Secured) -> Entry:
            return entry_for(
                run,
                self.plan.target,
                found,
                source_identity=self.plan.source.identity,
                source=self.plan.source.label,
                revision=self.plan.head,
                snapshot=str(taken.path),
                snapshot_sha256=taken.sha256,
                from_snapshot_of=taken.fallback_of,
                options={
                    "previous_absent": found.absent,
                    "loaded_sha256": origin.sha256,
                    **self.options.for_ledger(),
                    **({"aside": self.report.aside} if self.report.aside else {}),
                    **_profile_of(taken),
                },
            )

        return cut_over(run, fence, secured, make_entry, lambda: self._secured_again(fence, revision))

    def _origin(self, taken: Taken, revision: str) -> Origin:
        """What rows set aside would be of. A classic file is known by its own digest and loaded as another one."""
        source = self.plan.source
        made_here = taken.path.parent == self.run.directory
        loaded = file_sha256(taken.path) if made_here or taken.sha256 is None else taken.sha256
        return Origin(self.run.id, revision, source.label, source.identity, str(taken.path), loaded)

    def _secured_again(self, fence: Fence, revision: str) -> Secured:
        """Back up anew, and bring anew what staging has of the live database's own."""
        secured = secure(self.run, fence)
        self._unmanaged = bring_unmanaged(self.run, self.plan.target.revision or revision, self._unmanaged)
        return secured

    def _taken(self) -> Taken:
        """Read the source; when that breaks off, the last good snapshot may stand in."""
        run, spec = self.run, self.plan.source
        try:
            taken = self._source.take(run)
        except FerryError as error:
            if not can_fall_back(error) or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
                raise
            source = fallback(run, spec, self.options.source, error)
            run.warn(f"{error.message} Falling back to {source.describe}.")
            self._source = source
            run.hooks.ask(question_for(run.host, self.plan, source.describe, self.options.backup_place(run)))
            taken = source.take(run)
        accept_missing(taken.header.missing, self.options.source, f"flask {run.command} {spec.label}")
        return taken

    def _passes(self, taken: Taken) -> int:
        """How often the source is read again: a file never, and no snapshot in its place."""
        spec, asked = self.plan.source, self.options.catch_up
        if taken.fallback_of or spec.kind not in (SourceKind.HTTP, SourceKind.DATABASE):
            return 0
        return asked if asked is not None else DATABASE_PASSES if spec.kind is SourceKind.DATABASE else 0

    def _revision(self, taken: Taken) -> str:
        revision = taken.header.revision
        if revision is None:
            raise DoesNotFit(f"{taken.path} does not say at which revision its rows are.")
        self.run.schema.require(revision, str(taken.path))
        return revision

    def _describe_source(self, taken: Taken, read_from: str) -> None:
        self.report.snapshot = str(taken.path)
        self.report.source = {
            "label": self.plan.source.label,
            "read": f"from {read_from} to {taken.footer.read_until}",
            "revision": taken.header.revision,
            "sha256": taken.sha256,
            "fallback_of": taken.fallback_of,
        }
        if self.plan.source.kind in (SourceKind.HTTP, SourceKind.DATABASE):
            self.run.note(
                f"The source was read from {read_from} to {taken.footer.read_until}; "
                "what was written there later is not carried."
            )
        if taken.header.kind == "records":
            self.report.records = taken.received()
        waived = [{"what": f"table {t}", "rows": n, "reason": "--exclude"} for t, n in taken.extra.items()]
        missing = [
            {"what": f"table {t}", "rows": None, "reason": f"--accept-missing: {why}"}
            for t, why in taken.header.missing.items()
        ]
        self.report.waived += waived + missing

    def _tables_receipt(self, staged: Staged, taken: Taken) -> None:
        self.report.revisions["source"] = staged.rows.header.revision
        for name, load in staged.accounts.items():
            receipt = TableReceipt(
                table=name,
                rows=load.rows,
                loaded=load.loaded.rows,
                waived=load.excluded,
                set_aside=load.set_aside,
                checksum=str(load.loaded),
                note=taken.header.missing.get(name, ""),
            )
            if receipt.rows != receipt.loaded + receipt.waived + receipt.set_aside:
                raise VerificationFailed(
                    f"{name}: {receipt.rows} rows are not {receipt.loaded} loaded + {receipt.waived} waived "
                    f"+ {receipt.set_aside} set aside."
                )
            if load.excluded:
                self.report.waived.append({"what": f"table {name}", "rows": load.excluded, "reason": "--exclude"})
            self.report.tables.append(receipt)


def _profile_of(taken: Taken) -> dict[str, dict[str, str]]:
    """What the ledger keeps of the profile, if there is one."""
    return {"profile": asdict(taken.header.profile)} if taken.header.profile else {}
