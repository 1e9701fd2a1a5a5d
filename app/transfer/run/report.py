"""The receipt of a run, as data."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "flask-ferry-report"

# The second form is of versions that did not write the first yet.
_BEGINNING = re.compile(rb'\s*\{\s*("format": "flask-ferry-report"|"run": "[^"]*",\s*"command": "db-[a-z-]+")')


@dataclass
class TableReceipt:
    """One table: ``rows`` of the source = loaded + waived + set aside."""

    table: str
    rows: int
    loaded: int
    waived: int = 0
    set_aside: int = 0
    checksum: str = ""
    rows_at_head: int | None = None
    note: str = ""


@dataclass
class Report:
    """What a run did and what anybody needs to prove or undo it; everything a person should know is here.

    :ivar live: what this run did to the live database: ``unchanged``, ``replaced``, or ``unknown`` where that cannot be
        seen.
    :ivar aside: where the rows set aside are, how many, and the command that loads them.
    :ivar not_migrated: what is not a row and only the source has.
    :ivar objects: what is not a row and was dropped by name, or went with its column or table.
    :ivar changed_values: columns whose values an upgrade changed, with how many and whose.
    :ivar kept, not_kept: for a rollback that keeps writes: rows per table, and what the old schema has no place for.
    :ivar added: for rows that were set aside and are loaded now: rows per table at head.
    """

    run: str
    command: str
    outcome: str = "failed"
    summary: str = ""
    exit_status: int = 1
    live: str = "unchanged"
    target: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    revisions: dict[str, str | None] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    tables: list[TableReceipt] = field(default_factory=list)
    waived: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    catch_up: list[dict[str, Any]] = field(default_factory=list)
    not_caught_up: list[str] = field(default_factory=list)
    anonymised: dict[str, Any] = field(default_factory=dict)
    aside: dict[str, Any] = field(default_factory=dict)
    added: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    not_kept: list[dict[str, Any]] = field(default_factory=list)
    not_carried: dict[str, str] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    not_migrated: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    changed_values: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)
    differences_file: str | None = None
    backup: str | None = None
    snapshot: str | None = None
    rollback: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    def end(self, outcome: str, summary: str, status: int = 0) -> Report:
        """Say how the run ended; returns the report."""
        self.outcome, self.summary, self.exit_status = outcome, summary, status
        return self

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"format": FORMAT, **asdict(self)}


def may_be_written_to(path: Path) -> bool:
    """Whether a report may take this path: nothing is there, or a report that an earlier run wrote.

    :raises OSError: what is there cannot be read.
    """
    if not path.exists() and not path.is_symlink():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _BEGINNING.match(file.read(1024)) is not None
