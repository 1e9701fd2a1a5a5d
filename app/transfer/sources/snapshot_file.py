"""A snapshot file as a source."""

from __future__ import annotations

from pathlib import Path

from ..rows.files import file_sha256
from ..rows.snapshot import check
from ..run.run import Run
from ..run.source import SourceSpec
from .base import Closing, SourceOptions, Taken
from .snapshot_writing import leave_out


class SnapshotFile(Closing):
    """A snapshot given as the source."""

    def __init__(self, spec: SourceSpec, options: SourceOptions) -> None:
        super().__init__()
        self._path, self._options = spec.file or Path(), options
        header, footer = check(self._path)
        self.header = header
        self._taken = Taken(self._path, header, footer, file_sha256(self._path))
        self.describe = f"the snapshot {self._path} of {header.source}, taken {header.read_from}"

    def take(self, run: Run) -> Taken:
        return leave_out(run, self._taken, self._options)
