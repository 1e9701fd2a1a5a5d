"""The target of a run, looked at without a write to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...dialects.model import Identity, Overview
from ..schema.host import Host
from ..schema.version_table import only_revision
from .control import Control
from .ledger import Entry, JournalEntry
from .settings import ENVIRONMENTS, Settings
from .source import SELF

MIGRATE = "db-migrate-data"


@dataclass(frozen=True)
class Target:
    """The live database as it is.

    :ivar rows: rows per table, without Alembic's own.
    :ivar mark: the generation mark in it, or an empty text.
    """

    identity: Identity
    exists: bool
    rows: Mapping[str, int]
    revision: str | None
    mark: str
    environment: str
    environment_origin: str
    size_bytes: int
    entries: tuple[Entry, ...] = ()
    unfinished: JournalEntry | None = None

    @property
    def empty(self) -> bool:
        """No row in any table."""
        return not any(self.rows.values())

    @property
    def production(self) -> bool:
        return self.environment == "production"

    def to_json(self) -> dict[str, Any]:
        """What a report says of it."""
        return {
            "server": self.identity.server,
            "host": self.identity.host,
            "database": self.identity.database,
            "environment": f"{self.environment} ({self.environment_origin})",
            "rows": dict(self.rows),
        }

    @property
    def in_force(self) -> Entry | None:
        """The ledger's last cut-over, if its mark says that it is what is live."""
        last = self.entries[-1] if self.entries else None
        return last if last and last.mark == self.mark else None

    @property
    def origin(self) -> Entry | None:
        """The cut-over in force, or where it only brought its own rows to head, the one that those came from."""
        entry = self.in_force
        by_mark = {item.mark: item for item in self.entries}
        while entry is not None and entry.command == MIGRATE and entry.source_identity == SELF:
            entry = by_mark.get(entry.previous_mark)
        return entry


def look_at_target(host: Host, settings: Settings, control: Control | None) -> Target:
    """Look at the live database, its control area and its environment."""
    dialect, url = host.dialect, host.url
    there = dialect.look_over(url)
    live = there or Overview({}, [], "", 0)
    identity = dialect.identity(url)
    environment, origin = environment_of(settings, control, nearby=identity.nearby)
    return Target(
        identity=identity,
        exists=there is not None,
        rows=live.rows,
        revision=only_revision(live.revisions),
        mark=live.mark,
        environment=environment,
        environment_origin=origin,
        size_bytes=live.size_bytes,
        entries=tuple(control.ledger()) if control else (),
        unfinished=control.find_unfinished_cut_over() if control else None,
    )


def environment_of(settings: Settings, control: Control | None, *, nearby: bool) -> tuple[str, str]:
    """The stricter of what is configured and what the control area keeps, with where it came from.

    :param nearby: the database is a file, or on this machine: without a setting it is for development.
    """
    former = control.environment() if control else None
    configured = settings.environment or ("development" if nearby else "production")
    origin = settings.origins["FERRY_ENVIRONMENT"]
    if former and ENVIRONMENTS.index(former) > ENVIRONMENTS.index(configured):
        return former, "control area"
    return configured, origin
