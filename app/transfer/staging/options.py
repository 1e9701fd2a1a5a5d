"""What a person asked of a migration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..run.run import Run
from ..sources.base import SourceOptions


@dataclass(frozen=True)
class MigrateOptions:
    """The options of db-migrate-data, without those of the source."""

    source: SourceOptions = field(default_factory=SourceOptions)
    counts_only: bool = False
    set_aside: bool = False
    accept_loss: tuple[str, ...] = ()
    keep_violations: bool = False
    catch_up: int | None = None
    rerun: bool = False
    dry_run: bool = False
    backup_to: Path | None = None
    lock_timeout_s: float = 0.0

    def backup_place(self, run: Run) -> str:
        """Where the backup of a run goes, for people."""
        return str(self.backup_to or run.settings.backups)

    def without(self, tables: Collection[str]) -> MigrateOptions:
        """The options without some excluded tables, which a snapshot does not have at all."""
        exclude = tuple(name for name in self.source.exclude if name not in tables)
        return replace(self, source=replace(self.source, exclude=exclude))

    def for_ledger(self) -> dict[str, Any]:
        """What a later proof of this run needs to know."""
        return {"exclude": list(self.source.exclude), "set_aside": self.set_aside, **self.list_accepted()}

    def list_accepted(self) -> dict[str, Any]:
        """What the ledger keeps of what was accepted for this run."""
        losses = {"accept_loss": list(self.accept_loss)} if self.accept_loss else {}
        return losses | ({"keep_violations": True} if self.keep_violations else {})
