"""What a person asked of a migration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..run.run import Run
from ..sources.base import SourceOptions

Dangling = tuple[str, tuple[str, ...], str]
"""A foreign key, at the source's revision: table, columns, the table it refers to."""


@dataclass(frozen=True)
class MigrateOptions:
    """The options of db-migrate-data, without those of the source."""

    source: SourceOptions = field(default_factory=SourceOptions)
    counts_only: bool = False
    set_aside: bool = False
    dangling: tuple[Dangling, ...] = ()
    """Foreign keys whose rows that lead nowhere are set aside."""
    accept_loss: tuple[str, ...] = ()
    keep_violations: bool = False
    catch_up: int | None = None
    rerun: bool = False
    dry_run: bool = False
    rehearse: bool = False
    backup_to: Path | None = None
    lock_timeout_s: float = 0.0

    def backup_place(self, run: Run) -> str:
        """Where the backup of a run goes, for people."""
        return run.settings.name_places(self.backup_to)

    def without(self, tables: Collection[str]) -> MigrateOptions:
        """The options without some excluded tables, which a snapshot does not have at all."""
        exclude = tuple(name for name in self.source.exclude if name not in tables)
        return replace(self, source=replace(self.source, exclude=exclude))

    def for_ledger(self) -> dict[str, Any]:
        """What a later proof of this run needs to know."""
        dangling = {"dangling": [list(key) for key in self.dangling]} if self.dangling else {}
        return {
            "exclude": list(self.source.exclude),
            "set_aside": self.set_aside,
            **dangling,
            **self.list_accepted(),
        }

    def as_in_ledger(self, options: Mapping[str, Any]) -> MigrateOptions:
        """The same, with what a run set aside because it led nowhere.

        :param options: what the ledger keeps of the run's options.
        """
        dangling = tuple((table, tuple(columns), parent) for table, columns, parent in options.get("dangling", ()))
        return replace(self, dangling=dangling)

    def list_decisive(self) -> dict[str, Any]:
        """Those that decide what comes of a run, as JSON values."""
        return {
            "exclude": sorted(self.source.exclude),
            "accept_missing": self.source.accept_missing,
            "set_aside": self.set_aside,
            "accept_loss": sorted(self.accept_loss),
            "keep_violations": self.keep_violations,
            "counts_only": self.counts_only,
            "catch_up": self.catch_up,
        }

    def list_accepted(self) -> dict[str, Any]:
        """What the ledger keeps of what was accepted for this run."""
        losses = {"accept_loss": list(self.accept_loss)} if self.accept_loss else {}
        return losses | ({"keep_violations": True} if self.keep_violations else {})
