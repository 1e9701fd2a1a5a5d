"""The two shapes of a classic ``data.json``: a list of users, and an object by type."""

from __future__ import annotations

import contextlib
import datetime as dt
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import SnapshotUnusable
from ..adapters import AdapterSet
from ..rows.encode import hash_records, write_snapshot
from ..rows.files import file_sha256, read_text
from ..rows.header import Header
from ..rows.mended_json import mend
from ..rows.strictjson import NotKept, StrictJSONError, elements, members, opens_list, value_at, whole_list
from ..run.run import Run
from ..run.source import SourceSpec
from ..run.target import MIGRATE
from .adapt import missing_tables
from .base import Ahead, Destination, Glance, Source, SourceOptions, Taken, accept_missing
from .snapshot_writing import count_sections

RECORD_TYPE_OF_A_LIST = "user"
METADATA = "_metadata"


class ClassicFile:
    """One file, whose text is held while it is read: these files were written by a program that did the same.

    :param set_aside: records that cannot be kept as they are are kept mended, and marked; None where nothing can be.
    """

    def __init__(self, path: Path, *, set_aside: bool | None = False) -> None:
        self._path = path
        self._set_aside, self._mend = set_aside, mend if set_aside else None
        self._text = read_text(path)
        self._places = self._find()

    def _find(self) -> dict[str, int]:
        try:
            if opens_list(self._text):
                for _ in whole_list(self._text, self._mend):
                    pass
                return {RECORD_TYPE_OF_A_LIST: 0}
            places = dict(members(self._text, self._mend))
            metadata = value_at(self._text, places.pop(METADATA)) if METADATA in places else {}
        except StrictJSONError as error:
            raise self._refuse(error) from error
        failed = metadata.get("failed_endpoints") if isinstance(metadata, dict) else None
        if failed:
            raise SnapshotUnusable(
                f"{self._path} is incomplete: the program that wrote it could not read {_names(failed)}.",
                hint="Read the old deployment itself: flask db-migrate-data URL",
            )
        if not places:
            raise SnapshotUnusable(f"{self._path} holds no records.")
        return places

    def _refuse(self, error: StrictJSONError) -> SnapshotUnusable:
        hint = "Use an intact copy of the file."
        if isinstance(error, NotKept) and self._set_aside is False:
            hint = f"{hint}\nOr let such records go to a file, to be repaired there: flask {MIGRATE} --set-aside"
        return SnapshotUnusable(f"{self._path}: {error}.", hint=hint)

    @property
    def types(self) -> list[str]:
        return list(self._places)

    def records(self, record_type: str) -> Iterator[str]:
        """The records of a type, each as it was spelled, on one line."""
        try:
            for raw, _, _ in elements(self._text, self._places[record_type], self._mend):
                yield raw
        except StrictJSONError as error:
            raise self._refuse(error) from error


def _names(failed: Any) -> str:
    """The end points that a file says failed: texts, or lists that begin with one; anything else as it is."""
    items = failed if isinstance(failed, list) else [failed]
    firsts = [item[0] if isinstance(item, list) and item else item for item in items]
    return ", ".join(item[:200] if isinstance(item, str) else reprlib.repr(item) for item in firsts)


class ClassicShape(Source):
    """A classic ``data.json`` given as the source; it becomes a snapshot in the run's directory."""

    def __init__(self, spec: SourceSpec, adapters: AdapterSet, options: SourceOptions) -> None:
        super().__init__()
        self._path = spec.file or Path()
        self._spec, self._adapters = spec, adapters
        self._file = ClassicFile(self._path, set_aside=options.set_aside)
        self._order = adapters.in_order(self._file.types)
        self._missing = missing_tables(adapters, self._file.types, {})
        accept_missing(self._missing, options, f"flask {MIGRATE} {self._path}")
        self._modified = modified_at(self._path)
        self.describe = f"the file {self._path}, last modified {self._modified}"

    def look_ahead(self, run: Run) -> Ahead:
        del run
        return Ahead(self._adapters.revision)

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        snapshot = self.take(run, Destination(directory / "snapshot.json", directory, passing=True))
        yield Glance(count_sections(snapshot), file=snapshot.snapshot)

    def take(self, run: Run, to: Destination) -> Taken:
        del run
        header = Header(
            kind="records",
            source=self._spec.label,
            identity=self._spec.identity,
            read_from=self._modified,
            revision=self._adapters.revision,
            types=tuple(self._order),
            missing=self._missing,
        )
        path = to.directory / "records.json"
        sections = ((name, hash_records(self._file.records(name))) for name in self._order)
        snapshot = write_snapshot(path, header, sections, keep_former=False)
        return Taken(path, snapshot.header, snapshot.footer, snapshot.identity, sha256=file_sha256(self._path))


def modified_at(path: Path) -> str:
    """A file's modification time, ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
