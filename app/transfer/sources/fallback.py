"""The last good snapshot in place of a source that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ...errors import FerryError, SnapshotUnusable, SourceIncomplete, Unauthorized
from ..rows.header import Header
from ..rows.snapshot import check, is_snapshot
from ..run.run import Run
from ..run.source import SourceKind, SourceSpec
from .adapt import load_adapters
from .base import Ahead, Destination, Glance, Source, SourceOptions, Taken
from .classic_file import ClassicShape, modified_at
from .resume import age_s
from .snapshot_file import SnapshotFile


def fallback(run: Run, spec: SourceSpec, options: SourceOptions, because: FerryError | None) -> Source:
    """The last good snapshot in place of the source.

    :param because: why the source itself is not used; None when only the snapshot was asked for.
    :raises FerryError: the same, with why no snapshot can stand in.
    """
    try:
        return FallbackFile(run, spec, options)
    except FerryError as error:
        if because is None:
            raise
        raise because.with_details(
            because.message, [*because.details, f"no usable snapshot: {error.message}"]
        ) from error


class FallbackFile(Source):
    """The configured snapshot, when it may stand in for this source."""

    def __init__(self, run: Run, spec: SourceSpec, options: SourceOptions) -> None:
        super().__init__()
        policy, path = run.settings.fallback, run.settings.snapshot
        if not policy.allowed:
            raise SnapshotUnusable("a snapshot is never used (--fallback never)")
        if not path.is_file():
            raise SnapshotUnusable(f"there is no file {path}")
        inner_spec = SourceSpec(SourceKind.SNAPSHOT, str(path), spec.identity, file=path)
        self._inner: Source
        if is_snapshot(path):
            header, _ = check(path)
            if header.identity != spec.identity:
                raise SnapshotUnusable(_describe_other(run, spec, header, path))
            self.taken_at = header.read_from
            self._inner = SnapshotFile(inner_spec, options)
        elif run.settings.profile is not None:
            raise SnapshotUnusable(f"{path} is not anonymised")
        else:
            self.taken_at = modified_at(path)
            self._inner = ClassicShape(inner_spec, load_adapters(run), options)
        if policy.age_s is not None and age_s(self.taken_at) > policy.age_s:
            raise SnapshotUnusable(f"{path} is of {self.taken_at}, older than {policy.text} (--fallback)")
        self.profile = self._inner.profile
        self.describe = f"the snapshot {path} of {self.taken_at}, not what {spec.label} has now"

    def look_ahead(self, run: Run) -> Ahead:
        return self._inner.look_ahead(run)

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        with self._inner.glance(run, directory) as glance:
            yield glance

    def take(self, run: Run, to: Destination) -> Taken:
        snapshot = self._inner.take(run, to)
        snapshot.fallback_of = self.taken_at
        return snapshot


def _describe_other(run: Run, spec: SourceSpec, header: Header, path: Path) -> str:
    """Why a snapshot is not of this source: of another one, or of it, but anonymised otherwise than asked for."""
    if header.source != spec.label:
        return f"{path} was taken from {header.source}, not from {spec.label}"
    present = f"with the profile {header.profile.name!r}" if header.profile else "as it is"
    wanted = f"with the profile {run.settings.profile!r} as it is now" if run.settings.profile else "as it is"
    if present == wanted:
        return f"{path} was taken from {header.source} when that was another one"
    return f"{path} was taken from {header.source} {present}, not {wanted}"


def can_fall_back(error: FerryError) -> bool:
    """Whether a snapshot may stand in after this failure: unreachable, refused, or not read completely."""
    return isinstance(error, SourceIncomplete | Unauthorized)
