"""A source whose rows are anonymised before anything that stays is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...dialects.model import Table
from ...errors import FerryError, Misconfigured
from ..rows.snapshot import SnapshotReader, hash_rows, rows_of
from ..run.private import private_directory
from ..run.run import Run
from ..run.source import SourceSpec
from ..schema.alembic import data_tables
from ..sources.adapt import account, adapted, load_adapters
from ..sources.base import Closing, OpenSource, SourceOptions, Taken
from ..sources.classic_deployment import ClassicDeployment
from ..sources.classic_file import ClassicShape
from ..sources.database import DatabaseSource
from ..sources.ferry_deployment import FerryDeployment
from ..sources.open import open_source
from ..sources.snapshot_file import SnapshotFile
from ..sources.snapshot_writing import written
from .engine import Bound, Chosen, as_plain, bind, check_profile, choose_profile


def open_anonymised(run: Run, spec: SourceSpec, options: SourceOptions) -> OpenSource:
    """Open a source; with a profile, one that gives its rows anonymised.

    :param spec: with the identity that it has with the profile.
    :raises FerryError: as :func:`.extract.open_source`; the profile does not fit the source.
    """
    chosen = choose_profile(run)
    if chosen is None:
        return open_source(run, spec, options)
    plain = as_plain(spec, chosen)
    inner = open_source(run, plain, options)
    try:
        if isinstance(inner, SnapshotFile) and inner.header.profile is not None:
            return _already(inner, chosen)
        return AnonymisedSource(run, inner, plain, options, chosen)
    except BaseException:
        inner.close()
        raise


def _already(inner: SnapshotFile, chosen: Chosen) -> OpenSource:
    """A snapshot that was anonymised when it was written."""
    if inner.header.profile != chosen.applied:
        made = inner.header.profile.name if inner.header.profile else ""
        raise Misconfigured(
            f"{inner.describe}: its rows were anonymised with the profile {made!r}, and not as {chosen.name!r} is now.",
            hint="Give it without --profile, or pull the source anew with it.",
        )
    inner.describe += f", anonymised with the profile {chosen.name!r}"
    return inner


class AnonymisedSource(Closing):
    """Reads a source into the run's private directory (a database straight through) and writes what stands in."""

    def __init__(self, run: Run, inner: OpenSource, spec: SourceSpec, options: SourceOptions, chosen: Chosen) -> None:
        super().__init__()
        self._inner, self._spec, self._options, self._chosen = inner, spec, options, chosen
        self.describe = f"{inner.describe}, anonymised with the profile {chosen.name!r}"
        if isinstance(inner, DatabaseSource):
            check_profile(run, chosen, inner.tables, inner.revision, options.exclude)
        elif isinstance(inner, SnapshotFile) and inner.header.kind == "rows":
            tables = {table.name: table for table in inner.header.tables}
            check_profile(run, chosen, tables, inner.header.revision, options.exclude)

    def close(self) -> None:
        self._inner.close()

    def take(self, run: Run) -> Taken:
        """Read everything; the snapshot that is left holds what stands in for it.

        :raises Misconfigured: the profile does not fit the source.
        """
        with private_directory(run), _wordless(run):
            if isinstance(self._inner, DatabaseSource):
                bound = self._bind(run, self._inner.tables, self._inner.revision)
                taken = self._inner.take(run, bound)
            else:
                taken, bound = self._through_files(run)
        extra = {name: bound.excluded.get(name, rows) for name, rows in taken.extra.items()}
        run.report.waived += [
            {"what": f"table {name}", "rows": rows, "reason": "--exclude"}
            for name, rows in bound.excluded.items()
            if name not in extra and rows
        ]
        run.report.anonymised = bound.receipt(taken.header.tables)
        return replace(taken, extra=extra)

    def _bind(self, run: Run, tables: Mapping[str, Table], revision: str | None) -> Bound:
        return bind(run, self._chosen, tables, revision, self._options.exclude)

    def _through_files(self, run: Run) -> tuple[Taken, Bound]:
        """What the source gave lies in the private directory, and is gone with it."""
        tables = self._check_first(run)
        with _keep_in(run, run.received / "received.json"):
            taken = self._inner.take(run)
        path = taken.path
        if taken.header.kind == "records":
            run.report.records = taken.received()
            path, result = adapted(run, path, tables)
            account(run, result, withhold=True)
        with SnapshotReader(path) as reader:
            header = reader.header
            bound = self._bind(run, {table.name: table for table in header.tables}, header.revision)
            sections = (
                (table.name, hash_rows(table, bound.rows(table, (values for values, _, _ in rows))))
                for table, rows in rows_of(reader)
            )
            made = written(run, bound.header(header, self._spec.identity), sections)
        return replace(made, extra=taken.extra), bound

    def _check_first(self, run: Run) -> dict[str, Table]:
        """Know before hours of reading that the profile fits the revision that the rows will be of."""
        match self._inner:
            case ClassicDeployment() | ClassicShape():
                revision: str | None = load_adapters(run).revision
            case FerryDeployment():
                revision = self._inner.manifest.revision
            case SnapshotFile():
                header = self._inner.header
                revision = header.revision if header.kind == "records" else None
            case _:
                revision = None
        if revision is None:
            return {}
        tables = tables_at(run, revision)
        check_profile(run, self._chosen, tables, revision, self._options.exclude)
        return tables


def tables_at(run: Run, revision: str) -> dict[str, Table]:
    """The tables as a revision makes them, built beside staging and dropped again."""
    run.schema.require(revision, "The source")
    run.dialect.prepare_staging(run.scratch, run.target)
    try:
        run.schema.build(run.scratch, revision)
        with run.dialect.reader(run.scratch) as reader:
            return data_tables(reader.tables())
    finally:
        run.dialect.drop(run.scratch)


@contextlib.contextmanager
def _keep_in(run: Run, path: Path) -> Iterator[None]:
    """A snapshot that is written meanwhile goes to a file of the run, not in the place of the last good one."""
    settings = run.settings
    run.settings = replace(settings, snapshot=path)
    try:
        yield
    finally:
        run.settings = settings


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
