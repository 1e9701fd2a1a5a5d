"""Going on with the finished parts of an extraction that was interrupted lately, or with its whole snapshot."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..rows.snapshot import SnapshotReader
from ..run.run import Run
from ..run.source import SourceSpec
from .parts import Part

RESUMABLE_S = 3600
"""An extraction that was interrupted longer ago is begun anew: its records would be too old to mix with new ones."""


def journal_part(run: Run, spec: SourceSpec, part: Part, since: str) -> None:
    detail = {
        "identity": spec.identity,
        "file": str(part.file),
        "lines": part.lines,
        "total": f"{part.total:x}",
        "repeats": part.repeats,
        "doubt": part.doubt,
        "read_from": since,
    }
    run.control.write(run.id, f"extract {part.name}", "done", detail)


def adopt(part: Part, directory: Path) -> Part:
    file = directory / part.file.name
    os.link(part.file, file)
    return replace(part, file=file)


def resumable(run: Run, spec: SourceSpec) -> tuple[dict[str, Part], str | None]:
    """The finished parts of the last run, if that was an extraction of this source that did not end, lately."""
    entries = [entry for entry in run.control.journal() if entry.run_id != run.id]
    if not entries:
        return {}, None
    last = [entry for entry in entries if entry.run_id == entries[-1].run_id]
    if any(entry.step == "snapshot" and entry.phase == "done" for entry in last):
        return {}, None
    parts: dict[str, Part] = {}
    since = None
    for entry in last:
        if entry.step.startswith("extract ") and entry.detail.get("identity") == spec.identity:
            detail = entry.detail
            name = entry.step.removeprefix("extract ")
            part = Part(
                name,
                Path(detail["file"]),
                detail["lines"],
                int(detail["total"], 16),
                detail["repeats"],
                detail.get("doubt", ""),
            )
            if age_s(detail["read_from"]) <= RESUMABLE_S and part.is_whole():
                parts[name] = part
                since = detail["read_from"]
    if parts:
        run.note(
            f"Going on with run {last[0].run_id}, which had read {', '.join(parts)} since {since}; "
            "--restart reads anew."
        )
    return parts, since


def age_s(instant: str) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(instant)).total_seconds()


def read_records(path: Path, wanted: str) -> Iterator[bytes] | None:
    """The lines of a section of a snapshot that was checked; None where it has no such one."""
    with SnapshotReader(path) as reader:
        there = wanted in reader.header.sections
    return _read_section(path, wanted) if there else None


def _read_section(path: Path, wanted: str) -> Iterator[bytes]:
    with SnapshotReader(path) as reader:
        for name, lines in reader.sections():
            if name == wanted:
                yield from (line for line, _ in lines)
                return
