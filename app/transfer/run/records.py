"""The records of runs, each in a directory of its run: how many are kept, and what everything on the disk takes."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .evidence_files import LOADED, NAME, SCHEMA
from .run import Run

KEEPSAKES = (NAME, LOADED, SCHEMA)
"""Files that keep a run's directory: rows may be nowhere else."""
RECORDS = 10
"""So many times as many as generations are kept of each command: they are small."""


def prune_records(run: Run) -> None:
    """Remove the oldest directories of runs, by command; this run's own and those with keepsakes stay."""
    commands = {entry.run_id: entry.detail["command"] for entry in run.control.journal() if "command" in entry.detail}
    of_command: dict[str | None, list[Path]] = defaultdict(list)
    for path in sorted(run.directory.parent.iterdir()):
        of_command[commands.get(path.name)].append(path)
    for paths in of_command.values():
        for path in paths[: -RECORDS * run.settings.keep]:
            if path.name != run.id and not any((path / name).exists() for name in KEEPSAKES):
                shutil.rmtree(path)


def measure_disk(run: Run) -> dict[str, dict[str, Any]]:
    """What lies where for this database besides itself and its backups: kind -> place, number and bytes."""
    control, snapshot = run.peek(), run.settings.snapshot
    beside = run.dialect.beside(run.target)
    records = control.directory / "runs" if control else None
    return {
        "generations": {
            "place": "beside the database",
            "count": len(beside),
            "size_bytes": sum(run.dialect.size_bytes(item.url) for item in beside),
        },
        "snapshots": {"place": str(snapshot.parent), **_measure(snapshot.parent.glob(f"{snapshot.name}*"))},
        "records": {
            "place": str(records or ""),
            "count": sum(1 for _ in records.glob("*")) if records else 0,
            "size_bytes": _measure(records.rglob("*"))["size_bytes"] if records else 0,
        },
    }


def _measure(paths: Iterable[Path]) -> dict[str, int]:
    """How many files, and their bytes; one that goes meanwhile is none."""
    sizes = []
    for path in paths:
        try:
            if path.is_file():
                sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue
    return {"count": len(sizes), "size_bytes": sum(sizes)}
