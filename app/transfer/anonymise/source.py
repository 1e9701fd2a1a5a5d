"""A source whose rows are anonymised before anything that stays is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...dialects.model import Table
from ...dialects.wording import count_rows, rows_are
from ...errors import DoesNotFit, FerryError, Misconfigured
from ..rows.encode import hash_rows
from ..rows.header import AppliedProfile
from ..rows.snapshot import SnapshotReader, rows_of
from ..run.private import private_directory
from ..run.run import Run
from ..run.source import SourceSpec
from ..sources.adapt import account, adapt_snapshot
from ..sources.base import Ahead, Destination, Glance, Source, SourceOptions, Taken
from ..sources.open import open_source
from ..sources.snapshot_writing import write_taken
from .engine import Bound, Chosen, as_plain, bind, check_profile, choose_profile


def open_anonymised(run: Run, spec: SourceSpec, options: SourceOptions) -> Source:
    """Open a source; with a profile, one that gives its rows anonymised.

    :param spec: with the identity that it has with the profile.
    :raises FerryError: as :func:`.extract.open_source`; the profile does not fit the source.
    """
    choice = choose_profile(run)
    if choice is None:
        return open_source(run, spec, options)
    plain = as_plain(spec, choice)
    # Of what cannot be kept as it was sent nobody is to keep a value: it is refused at once.
    inner = open_source(run, plain, replace(options, set_aside=None))
    try:
        if inner.profile is not None:
            return _accept_anonymised(inner, inner.profile, choice)
        return AnonymisedSource(run, inner, plain, options, choice)
    except BaseException:
        inner.close()
        raise


def _accept_anonymised(inner: Source, profile: AppliedProfile, choice: Chosen) -> Source:
    """A snapshot that was anonymised when it was written."""
    if profile != choice.applied:
        raise Misconfigured(
            f"{inner.describe}: its rows were anonymised with the profile {profile.name!r}, and not as "
            f"{choice.name!r} is now.",
            hint="Give it without --profile, or pull the source anew with it.",
        )
    inner.describe += f", anonymised with the profile {choice.name!r}"
    return inner


class AnonymisedSource(Source):
    """Reads a source into the run's private directory (a database straight through) and writes what stands in."""

    def __init__(self, run: Run, inner: Source, spec: SourceSpec, options: SourceOptions, choice: Chosen) -> None:
        super().__init__()
        self._inner, self._spec, self._options, self._chosen = inner, spec, options, choice
        self.describe = f"{inner.describe}, anonymised with the profile {choice.name!r}"
        self._ahead = inner.look_ahead(run)
        if self._ahead.tables is not None:
            check_profile(run, choice, self._ahead.tables, self._ahead.revision, options.exclude)

    def close(self) -> None:
        self._inner.close()

    def look_ahead(self, run: Run) -> Ahead:
        del run
        return self._ahead

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        """How many rows a database has; of what a file holds nothing is written, not even for a while."""
        if not self._inner.changes_rows:
            yield Glance()
            return
        with self._inner.glance(run, directory) as glance:
            yield Glance(glance.counts)

    def take(self, run: Run, to: Destination) -> Taken:
        """Read everything; the snapshot that is left holds what stands in for it.

        :raises Misconfigured: the profile does not fit the source.
        """
        with private_directory(run) as private, _wordless(run):
            if self._inner.changes_rows:
                binding = self._bind(run, self._ahead.tables or {}, self._ahead.revision)
                snapshot = self._inner.take_changed(run, Destination(to.snapshot, private, passing=True), binding)
            else:
                snapshot, binding = self._through_files(run, to, private)
        extra = {name: binding.excluded.get(name, rows) for name, rows in snapshot.extra.items()}
        run.report.waived += [
            {"what": f"table {name}", "rows": rows, "reason": "--exclude"}
            for name, rows in binding.excluded.items()
            if name not in extra and rows
        ]
        run.report.anonymised = binding.receipt(snapshot.header.tables)
        return replace(snapshot, extra=extra)

    def _bind(self, run: Run, tables: Mapping[str, Table], revision: str | None) -> Bound:
        return bind(run, self._chosen, tables, revision, self._options.exclude)

    def _through_files(self, run: Run, to: Destination, private: Path) -> tuple[Taken, Bound]:
        """What the source gave lies in the private directory, and is gone with it."""
        tables = self._check_first(run)
        there = Destination(private / "received.json", private, passing=True, looks_again=to.looks_again)
        received = self._inner.take(run, there)
        path = received.path
        if received.header.kind == "records":
            run.report.records = received.count_received()
            rows, result = adapt_snapshot(run, path, tables, private / "rows.json", withhold=True)
            path = rows.path
            account(run, result, withhold=True)
            if result.spoiled:
                raise DoesNotFit(
                    f"{rows_are(sum(map(len, result.spoiled.values())))} of records that cannot be kept as they were "
                    "sent, and nobody is to keep a value of them.",
                    details=[f"{name}: {count_rows(len(numbers))}" for name, numbers in result.spoiled.items()],
                    hint="Repair them in the source, or migrate without a profile to see which they are.",
                )
        with SnapshotReader(path) as reader:
            header = reader.header
            binding = self._bind(run, {table.name: table for table in header.tables}, header.revision)
            sections = (
                (table.name, hash_rows(table, binding.rows(table, (values for values, _, _ in rows))))
                for table, rows in rows_of(reader)
            )
            snapshot = write_taken(run, to.snapshot, binding.header(header, self._spec.identity), sections)
        return replace(snapshot, extra=received.extra), binding

    def _check_first(self, run: Run) -> dict[str, Table]:
        """Know before hours of reading that the profile fits the revision that the rows will be of."""
        revision = self._ahead.revision
        if revision is None or self._ahead.tables is not None:
            return {}
        run.schema.require(revision, "The source")
        tables = run.schema.tables_at(run.scratch, revision)
        check_profile(run, self._chosen, tables, revision, self._options.exclude)
        return tables


@contextlib.contextmanager
def _wordless(run: Run) -> Iterator[None]:
    """An error that nobody foresaw may say a value: only what kind of error it is goes on."""
    try:
        yield
    except run.write_errors:
        raise
    except Exception as error:
        raise FerryError(
            f"The source could not be anonymised: {type(error).__name__}.",
            hint="What it says may be personal, so it is not shown; a run without a profile shows it.",
        ) from error
