"""A deployment that serves Ferry's export, as a source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...dialects.wording import count_rows, count_tables
from ...errors import Protected, SourceIncomplete
from ..run.run import Run
from ..run.source import SourceSpec
from .base import Ahead, Destination, Glance, Source, SourceOptions, Taken
from .ferry_protocol import FerrySource, Manifest
from .given_lines import GivenLines
from .http import AGAIN, HttpClient
from .snapshot_writing import describe_taken, leave_out, unlike, writable


class FerryDeployment(Source):
    """Another Ferry deployment."""

    can_be_gone_on_with = True
    says_tables_ahead = True

    def __init__(
        self, run: Run, spec: SourceSpec, source: FerrySource, client: HttpClient, options: SourceOptions
    ) -> None:
        super().__init__(client)
        self._source, self._options = source, options
        self.manifest: Manifest = source.manifest(with_checksums=False)
        if self.manifest.database_uid == run.dialect.identity(run.target).uid:
            raise Protected(
                f"{spec.label} serves this very database: it would be replaced by its own copy.",
                hint="To bring it to head in place: flask db-migrate-data self",
            )
        if self.manifest.revision is None:
            raise SourceIncomplete(f"{spec.label} is at no revision.")
        run.schema.require(self.manifest.revision, spec.label)
        rows = self.manifest.rows
        tables = count_tables(len(rows))
        self.describe = f"{count_rows(sum(rows.values()))} of {tables} that {spec.label} exports now"
        self._spec = spec

    def look_ahead(self, run: Run) -> Ahead:
        del run
        return Ahead(self.manifest.revision, self.manifest.described, self.manifest.size)

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        del run, directory
        yield Glance(self.manifest.rows)

    def take(self, run: Run, to: Destination) -> Taken:
        path, lane = to.snapshot, run.throttle.lane()
        lines = GivenLines(to.also, self.manifest.described or {}) if to.also else None
        with writable(path):
            also = lines.begin if lines else None
            file = self._source.write_snapshot(
                path, self._spec.identity, run.progress, lane, also, looks_again=to.looks_again
            )
        snapshot = leave_out(run, describe_taken(run, file), self._options)
        snapshot.is_what_was_given = lines is None or lines.is_whole
        return snapshot

    def take_up(self, run: Run, snapshot: Taken | None, *, catches_up: bool) -> str:
        del catches_up
        if snapshot is None or self._find_unlike(snapshot):
            return "the source was written since"
        # What gives out numbers may have gone on where no row tells.
        now = self._source.header()
        if now.tables != snapshot.header.tables:
            return "the schema of the source is another one by now"
        snapshot.header = replace(snapshot.header, counters=now.counters, numbers=now.numbers)
        leave_out(run, snapshot, self._options)
        return ""

    def _find_unlike(self, snapshot: Taken) -> bool:
        """Whether tables of a snapshot are not what the source has, or not all that it has."""
        if self.manifest.checksums is None:
            # Only what goes on with another run needs them before anything is read.
            manifest = self._source.manifest()
            self._refuse_other(manifest)
            self.manifest = manifest
        former, now = snapshot.footer.checksums, self.manifest.checksums or {}
        return bool(unlike(former, now) or unlike(now, former))

    def find_changed(self, snapshot: Taken) -> list[str]:
        manifest = self._source.manifest()
        self._refuse_other(manifest)
        return unlike(snapshot.footer.checksums, manifest.checksums or {})

    def _refuse_other(self, manifest: Manifest) -> None:
        if (manifest.revision, manifest.rows.keys()) != (self.manifest.revision, self.manifest.rows.keys()):
            raise SourceIncomplete(f"The schema of {self._spec.label} was changed while it was read.", hint=AGAIN)

    def again(self, run: Run, snapshot: Taken, to: Destination) -> Taken:
        del snapshot
        return self.take(run, to)
