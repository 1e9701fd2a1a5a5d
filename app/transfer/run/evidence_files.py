"""The files that a run leaves in its directory, by name, and the snapshot that it loaded, found again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ...errors import SnapshotUnusable
from ..rows.files import file_sha256
from .ledger import Entry

NAME = "set-aside.json"
"""The file's name in a run's directory."""
LOADED = "loaded.json"
"""The rows that a run loaded from a file of rows set aside."""
WRITES_SINCE = "writes-since.json"
"""The rows that were written to what a run took out of use, whole."""
SCHEMA = "schema.backup"
"""The tables of the source's revision, without rows, where a revision that led to it no longer runs."""
LOADS = "set_aside_from"
"""Under this name a ledger entry says which rows its run loaded."""


def find_snapshot(entry: Entry) -> Path:
    """The snapshot a run loaded, under its name or kept as ``.bak``.

    :raises SnapshotUnusable: none of them has the digest that the ledger says.
    """
    path = Path(entry.snapshot or "")
    candidates = [path, *sorted(path.parent.glob(f"{path.name}.*.bak"), reverse=True)]
    # A classic file is known by its own digest; what was made of it and loaded has another.
    digest = entry.options.get("loaded_sha256", entry.snapshot_sha256)
    for candidate in candidates:
        if candidate.is_file() and file_sha256(candidate) == digest:
            return candidate
    raise SnapshotUnusable(
        f"The snapshot of run {entry.run_id} is not there any more: neither {path} nor a kept one has its digest.",
        hint="Compare with the source itself: flask db-verify --against SOURCE",
    )


def describe_schema(schema: Path | None) -> dict[str, str]:
    """What a ledger entry says of the file that a run made its source's tables of."""
    return {"schema": str(schema), "schema_sha256": file_sha256(schema)} if schema else {}


def find_schema(entry: Entry) -> Path | None:
    """That file again; None where the run had none, or it is not there any more as it was."""
    path = Path(entry.options.get("schema", ""))
    digest = entry.options.get("schema_sha256")
    return path if digest and path.is_file() and file_sha256(path) == digest else None


def name_unfinished(file: Path, run: str) -> str:
    """What a backup file is called until it is proved."""
    return f".{file.name}.{run}.tmp"


def find_unfinished_files(directory: Path, runs: Collection[str]) -> list[Path]:
    """Backup files that some runs did not finish, with what a database leaves beside its file."""
    paths = []
    for path in sorted(directory.glob(".*.tmp*")) if directory.is_dir() else ():
        name, _, end = path.name.rpartition(".tmp")
        if end in ("", "-journal", "-wal", "-shm") and name.rpartition(".")[2] in runs:
            paths.append(path)
    return paths


def find_half_written(directory: Path, runs: Collection[str]) -> list[Path]:
    """Files that some runs did not finish in directories of their own: of rows, of a dump, of whatever they note.

    :param directory: in which each run has one.
    """
    return [path for run in sorted(runs) for path in sorted((directory / run).glob(".*.tmp*"))]
