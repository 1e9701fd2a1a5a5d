"""A snapshot file as a source."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..rows.files import file_sha256
from ..rows.snapshot import check_file
from ..run.run import Run
from ..run.source import SourceSpec
from .base import Ahead, Destination, Glance, Source, SourceOptions, Taken
from .snapshot_writing import count_sections, leave_out


class SnapshotFile(Source):
    """A snapshot given as the source."""

    def __init__(self, spec: SourceSpec, options: SourceOptions) -> None:
        super().__init__()
        self._path, self._options = spec.file or Path(), options
        file = check_file(self._path)
        header = file.header
        self.profile = header.profile
        self._taken = Taken(self._path, header, file.footer, file.identity, file_sha256(self._path))
        self.describe = f"the snapshot {self._path} of {header.source}, taken {header.read_from}"

    def look_ahead(self, run: Run) -> Ahead:
        del run
        header = self._taken.header
        tables = {table.name: table for table in header.tables} if header.kind == "rows" else None
        return Ahead(header.revision, tables)

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        del run, directory
        yield Glance(count_sections(self._taken), file=self._taken.snapshot)

    def take(self, run: Run, to: Destination) -> Taken:
        del to
        return leave_out(run, self._taken, self._options)
