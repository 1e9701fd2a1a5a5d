"""A migration that goes on with what one before it had read and loaded, and died.

Nothing of the dead run's staging becomes this run's: its rows are copied, within the server, into tables that this
run's revisions made. So whoever still writes there, a worker that was cut off say, writes to nothing that matters.
What was copied is proved as if it had been loaded; where that fails all of it is loaded anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import time
from collections.abc import Mapping
from pathlib import Path

from ...dialects.wording import count_rows
from ...errors import FerryError, SnapshotUnusable
from ..rows.files import file_sha256
from ..rows.snapshot import check_file
from ..run.plan import Plan
from ..run.report import find_versions
from ..run.resumable import LOADED, RESTART, RESUME, Resumable
from ..run.run import Run
from ..run.source import SourceKind
from ..sources.base import Source, Taken
from ..sources.resume import RESUMABLE_S
from ..staging.load import NOTHING_LOADED, Loaded, TableLoad
from ..staging.options import MigrateOptions
from ..staging.rows_file import RowsFile

MARK_EVERY_S = 2.0
"""So much work is lost at most besides a chunk; what ends sooner marks nothing in between."""


class GoingOn:
    """What one run takes from the one before it, and leaves to the next."""

    def __init__(self, run: Run, plan: Plan, source: Source, options: MigrateOptions) -> None:
        self._run, self._spec, self._source, self._options = run, plan.source, source, options
        self._key = _find_key(run, plan, options)
        self._former: Resumable | None = None
        self._new: dict[str, tuple[int, str]] = {}
        self._marked_at = time.monotonic()
        self.has_brought = False

    # What was read

    def take(self, *, catches_up: bool) -> Taken | None:
        """What the run before had read of the source, if this one would read the same; None: it has to be read.

        :param catches_up: what was written since is carried behind it.
        """
        former, run = self._run.resumable, self._run
        if former is None or not self._source.can_be_gone_on_with:
            return None
        try:
            why = self._find_why_not(former)
            snapshot = None if why else self._read_again(former)
            expected = self._source.look_ahead(run).revision
            if snapshot and expected not in (None, snapshot.header.revision):
                why = "its rows are of another revision"
            why = why or self._source.take_up(run, snapshot, catches_up=catches_up)
        except (SnapshotUnusable, OSError) as error:
            why = f"its snapshot is not what it was ({error})"
        if why:
            self._leave(former, why)
            return None
        self._go_on_with(former)
        for warning in former.warnings:
            if warning not in run.report.warnings:
                run.warn(warning)
        return snapshot

    def compare(self, snapshot: Taken) -> None:
        """See whether a file that was the run's source is the one that the run before was loading."""
        former = self._run.resumable
        if former is None or self._source.can_be_gone_on_with:
            return
        why = self._find_why_not(former)
        if not why and snapshot.sha256 != former.sha256:
            why = "the file is another one by now"
        if why:
            self._leave(former, why)
        else:
            self._go_on_with(former)

    def _find_why_not(self, former: Resumable) -> str:
        """Why nothing that a run left is gone on with, for people; an empty text where it may be."""
        if self._options.source.restart:
            return "--restart says so"
        if former.is_old:
            return "that was more than a day ago"
        if former.key != self._key:
            return "source, options, target, revisions or version are not the same"
        if self._spec.kind is SourceKind.HTTP and former.age_s > RESUMABLE_S:
            return "it read its source too long ago"
        return ""

    def _read_again(self, former: Resumable) -> Taken:
        """:raises SnapshotUnusable: the file is not what was written."""
        file = check_file(former.snapshot)
        if file_sha256(former.snapshot) != former.sha256:
            raise SnapshotUnusable(f"{former.snapshot} is another file")
        return Taken(
            file.path, file.header, file.footer, file.identity, sha256=former.sha256, repeats=dict(former.repeats)
        )

    def _go_on_with(self, former: Resumable) -> None:
        self._former = former
        self._run.report.gone_on_with = {"run": former.run_id, "read_from": former.read_from, "rows": 0}
        self._run.note(
            f"Going on with run {former.run_id}, which had read its source from {former.read_from} on; "
            "--restart begins anew."
        )

    def _leave(self, former: Resumable, why: str) -> None:
        self._run.note(f"Begun anew: run {former.run_id}, which died, is not gone on with, as {why}.")
        self._drop(former)

    # What was loaded

    def bring(self, rows: RowsFile, rules: contextlib.ExitStack) -> Loaded:
        """Copy what the run before had loaded into this one's staging, and drop its own.

        :param rules: is given what puts back what staging is loaded without.
        :return: what is there now.
        """
        former, run, self._marked_at = self._former, self._run, time.monotonic()
        # Where only numbers of rows are proved, other values would not be seen.
        if former is None:
            return NOTHING_LOADED
        if not former.rows or self._options.counts_only:
            self._drop(former)
            return NOTHING_LOADED
        url = run.dialect.staging_url(run.target, former.staging)
        there: dict[str, tuple[int, str]] = {}
        if run.dialect.exists(url):
            rules.enter_context(run.dialect.loading(run.staging))
            there = self._copy(former, rows)
        self.has_brought = bool(there)
        run.report.gone_on_with["rows"] = sum(count for count, _ in there.values())
        self._note_brought()
        run.control.write(run.id, LOADED, "done", {LOADED: {name: list(pair) for name, pair in there.items()}})
        self._drop(former)
        whole, in_part = _split(rows, there)
        return Loaded(whole, frozenset(), rules if there else None, in_part)

    def _copy(self, former: Resumable, rows: RowsFile) -> dict[str, tuple[int, str]]:
        run = self._run
        url = run.dialect.staging_url(run.target, former.staging)
        counts: dict[str, int] = {}
        # A file that was being written when its run died may be no database any more.
        with contextlib.suppress(*run.database_errors), run.dialect.reader(url) as reader:
            tables = reader.tables()
            counts = reader.counts([name for name in former.rows if name in rows.tables and name in tables])
        there: dict[str, tuple[int, str]] = {}
        for name in counts:
            least, note = former.rows[name]
            # In the order of the file: what came in behind the last mark are the next ones.
            count = counts[name]
            if count < max(1, least) or rows.is_excluded(name) or name in rows.aside.tables():
                continue
            run.throttle.wait_for_load()
            run.progress(name, 0, count)
            if self._copy_table(former, rows, name) == count:
                there[name] = count, note
            else:
                run.dialect.clear(run.staging, [name])
        return there

    def _copy_table(self, former: Resumable, rows: RowsFile, name: str) -> int:
        run = self._run
        url = run.dialect.staging_url(run.target, former.staging)
        # It is loaded as ever then.
        with contextlib.suppress(FerryError):
            return run.dialect.bring(url, run.staging, rows.tables[name])
        return -1

    def give_up(self) -> bool:
        """Whether something was brought, which is not what it should be, and is not any more."""
        former, has_brought = self._former, self.has_brought
        if former is None or not has_brought:
            return False
        self._former, self.has_brought = None, False
        self._run.report.gone_on_with["rows"] = 0
        self._run.warn(
            f"What run {former.run_id} had loaded is not what was read; somebody changed it, or it broke when the run "
            "died. All of it is loaded anew."
        )
        return True

    def _note_brought(self) -> None:
        rows = self._run.report.gone_on_with["rows"]
        assert self._former is not None  # noqa: S101 # something was brought of it
        were = "was" if rows == 1 else "were"
        words = f"{count_rows(rows)} {were} copied" if rows else "nothing is there any more"
        self._run.note(f"Of what run {self._former.run_id} had loaded {words}.")

    def _drop(self, former: Resumable) -> None:
        run, run.resumable = self._run, None
        # The server may not have missed a session of the dead run's yet: then the next run removes it.
        with contextlib.suppress(*run.database_errors):
            run.dialect.drop(run.dialect.staging_url(run.target, former.staging))

    def begin(self) -> None:
        """Let nothing that died before be gone on with, if that was asked for: also where this one dies soon."""
        if self._options.source.restart and not self._options.dry_run:
            self._run.control.write(self._run.id, RESTART, "done")

    # What is left to the next

    def describe(self, snapshot: Taken) -> dict[str, object]:
        """What the journal says of what was read, if another run may go on with it."""
        if self._key is None or snapshot.fallback_of or not snapshot.sha256 or not snapshot.can_be_gone_on_with:
            return {}
        self._run.leaves_staging = True
        return {
            RESUME: {
                "source": self._spec.label,
                "key": self._key,
                "snapshot": str(snapshot.path),
                "sha256": snapshot.sha256,
                "read_from": snapshot.header.read_from,
                "repeats": snapshot.repeats,
                "warnings": self._run.report.warnings,
                "from": self._former.staging if self._former else None,
            }
        }

    def note_ahead(self, loaded: Loaded) -> dict[str, object]:
        """What the journal says of tables that were loaded while others were read."""
        return {LOADED: {name: [count, note] for name, (count, note) in loaded.rows.items()}} if loaded.rows else {}

    def note_all(self, accounts: Mapping[str, TableLoad]) -> dict[str, object]:
        """What the journal says of all that was loaded, where nothing of it was refused."""
        whole = [load for load in accounts.values() if load.loaded.rows == load.rows]
        return {LOADED: {load.table.name: [load.rows, load.note] for load in whole}}

    def mark(self, table: str, count: int, note: str) -> None:
        """So many rows of a table are in staging for good."""
        self._new[table] = count, note
        if time.monotonic() - self._marked_at < MARK_EVERY_S:
            return
        detail = {LOADED: {name: list(pair) for name, pair in self._new.items()}}
        self._run.control.write(self._run.id, LOADED, "done", detail)
        self._new, self._marked_at = {}, time.monotonic()


def _split(rows: RowsFile, there: Mapping[str, tuple[int, str]]) -> tuple[dict[str, tuple[int, str]], dict[str, int]]:
    """Tables that are whole as they stand in the file, and those of which so many first rows are there."""
    whole: dict[str, tuple[int, str]] = {}
    for name, pair in there.items():
        known = rows.known_checksum(rows.tables[name])
        if known is not None and known.rows == pair[0]:
            whole[name] = pair
    return whole, {name: count for name, (count, _) in there.items() if name not in whole}


def digest_of(module: str) -> str:
    """A digest of the code that a module, or a package, is made of: what it declares decides what is read."""
    digest = hashlib.sha256(module.encode())
    # Where it cannot be imported whoever needs it says so.
    with contextlib.suppress(ImportError, ValueError, OSError):
        spec = importlib.util.find_spec(module)
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
        files = sorted(file for place in places for file in place.rglob("*.py"))
        files += [Path(spec.origin)] if spec and spec.origin and not files else []
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _find_key(run: Run, plan: Plan, options: MigrateOptions) -> str | None:
    """What decides what is read and loaded; None where nothing of it may be left lying about, as with a profile."""
    settings, target = run.settings, plan.target
    if settings.profile is not None or options.dry_run:
        return None
    decisive = [
        find_versions().get("flask-ferry"),
        plan.source.kind,
        plan.source.identity,
        options.list_decisive(),
        options.rehearse,
        settings.source_time_zone,
        digest_of(settings.adapters) if settings.adapters and plan.source.database is None else None,
        str(settings.snapshot),
        str(settings.files),
        str(settings.declarations),
        plan.head,
        target.mark,
        target.revision,
    ]
    return hashlib.sha256(json.dumps(decisive, default=str).encode()).hexdigest()
