"""A file as a source: a snapshot, or a classic ``data.json``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from ..adapters import AdapterSet
from ..rows.files import write
from ..rows.snapshot import Header, check, encode, hashed_records
from ..run.plan import MIGRATE
from ..run.run import Run
from ..run.source import SourceSpec, file_sha256
from .base import Closing, SourceOptions, Taken, accept_missing, left_out, missing_tables
from .classic_file import ClassicFile


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
        return left_out(run, self._taken, self._options)


class ClassicShape(Closing):
    """A classic ``data.json`` given as the source; it becomes a snapshot in the run's directory."""

    def __init__(self, spec: SourceSpec, adapters: AdapterSet, options: SourceOptions) -> None:
        super().__init__()
        self._path = spec.file or Path()
        self._spec, self._adapters = spec, adapters
        self._file = ClassicFile(self._path)
        self._order = adapters.in_order(self._file.types)
        self._missing = missing_tables(adapters, self._file.types, {})
        accept_missing(self._missing, options, f"flask {MIGRATE} {self._path}")
        self._modified = modified(self._path)
        self.describe = f"the file {self._path}, last modified {self._modified}"

    def take(self, run: Run) -> Taken:
        header = Header(
            kind="records",
            source=self._spec.label,
            identity=self._spec.identity,
            read_from=self._modified,
            revision=self._adapters.revision,
            types=tuple(self._order),
            missing=self._missing,
        )
        path = run.received / "records.json"
        sections = ((name, hashed_records(self._file.records(name))) for name in self._order)
        write(path, encode(header, sections), check=check, keep_former=False)
        return Taken(path, *check(path), sha256=file_sha256(self._path))


def modified(path: Path) -> str:
    """A file's modification time, ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
