"""The records of the control area: its tables, and their rows as objects."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ...dialects.model import TableChecksum
from ..rows.expect import Unexpected, a_flag, a_text, a_text_or_null, a_whole_number, an_object, rows_and_digest, texts
from ..rows.header import AppliedProfile, profile_from_json

metadata = sa.MetaData()

identity = sa.Table(
    "identity", metadata, sa.Column("name", sa.String(128), primary_key=True), sa.Column("value", sa.JSON)
)
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False, unique=True),
    sa.Column("entry", sa.JSON, nullable=False),
)
journal = sa.Table(
    "journal",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False, index=True),
    sa.Column("step", sa.String(200), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("written_at", sa.DateTime, nullable=False, server_default=sa.func.current_timestamp()),
    sa.Column("detail", sa.JSON, nullable=False),
)
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("command", sa.String(64), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process", sa.String(64), nullable=False),
    sa.Column("user", sa.String(255), nullable=False),
    sa.Column("started_at", sa.DateTime, nullable=False, server_default=sa.func.current_timestamp()),
    sa.Column("heartbeat_at", sa.DateTime, nullable=False, server_default=sa.func.current_timestamp()),
)


BROUGHT_OVER = "brought_over"
"""Under this name the options of an entry of ``self`` say that rows came along which its backup does not have."""
BOND = "bond"
"""Under this name a ledger entry's options say which cut-overs of other databases belong to it."""


@dataclass(frozen=True)
class Bond:
    """What ties the cut-overs of several databases by one command together.

    :ivar run: the first of its runs.
    :ivar binds: what the databases are called.
    """

    run: str
    binds: tuple[str, ...]

    @classmethod
    def from_json(cls, value: Any) -> Bond:
        """:raises Unexpected: it is none."""
        members = an_object(value, BOND)
        return cls(a_text(members.get("run"), "bond.run"), tuple(texts(members.get("binds"), "bond.binds")))

    def to_json(self) -> dict[str, Any]:
        return {"run": self.run, "binds": list(self.binds)}

    def joined_by(self, binds: Iterable[str]) -> Bond:
        """The same with further databases."""
        return replace(self, binds=tuple(dict.fromkeys([*self.binds, *binds])))


@dataclass(frozen=True)
class Entry:
    """One cut-over in the ledger.

    :ivar source_identity: what the rows came from (see :mod:`.sources`); ``self`` for a run on the live database.
    :ivar mark: the generation mark that the cut-over left in the live database.
    :ivar previous_mark: the mark of what was live before, or an empty text.
    :ivar undoes: for a rollback, the run it undid.
    :ivar checksums: the live database's tables as the cut-over left them: name -> [rows, checksum].
    """

    run_id: str
    command: str
    source_identity: str
    source: str
    revision: str | None
    mark: str
    previous_mark: str
    finished_at: str
    snapshot: str | None = None
    snapshot_sha256: str | None = None
    from_snapshot_of: str | None = None
    backup: str | None = None
    undoes: str | None = None
    emptied: bool = False
    drift: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    checksums: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Entry:
        """An entry as it was kept.

        :raises Unexpected: it is none, or has a key that this version does not know.
        """
        members = an_object(value, "the entry")
        if unknown := sorted(members.keys() - {item.name for item in fields(cls)}):
            raise Unexpected("the entry", f"of this version: it says {', '.join(unknown)[:200]}")
        for name in ("run_id", "command", "source_identity", "source", "mark", "previous_mark", "finished_at"):
            a_text(members.get(name), name)
        for name in ("revision", "snapshot", "snapshot_sha256", "from_snapshot_of", "backup", "undoes"):
            a_text_or_null(members.get(name), name)
        texts(members.get("drift", []), "drift")
        options = an_object(members.get("options", {}), "options")
        if options.get("profile"):
            profile_from_json(options["profile"])
        if options.get(BOND):
            Bond.from_json(options[BOND])
        a_flag(members.get("emptied", False), "emptied")
        for name, pair in an_object(members.get("checksums", {}), "checksums").items():
            rows_and_digest(pair, f"checksums.{name}")
        return cls(**{"revision": None, **members})

    @property
    def profile(self) -> AppliedProfile | None:
        """What the rows were anonymised with."""
        profile = self.options.get("profile")
        return profile_from_json(profile) if profile else None

    @property
    def bond(self) -> Bond | None:
        """What ties it to cut-overs of other databases, where one command was for several."""
        bond = self.options.get(BOND)
        return Bond.from_json(bond) if bond else None

    def count_rows(self, version_table: str) -> int:
        """How many rows the cut-over made live, but for those of Alembic's own table."""
        return sum(rows for name, (rows, _) in self.checksums.items() if name != version_table)

    @property
    def table_checksums(self) -> dict[str, TableChecksum]:
        return {name: TableChecksum(rows, int(total, 16)) for name, (rows, total) in self.checksums.items()}


CLOSING = "run"
"""What the journal calls the step of a line that says how the whole run ended."""
REHEARSED = "rehearsed"


@dataclass(frozen=True)
class JournalEntry:
    """One line of the journal; ``phase`` is begun, done, undone, failed or rehearsed."""

    run_id: str
    step: str
    phase: str
    written_at: dt.datetime
    detail: dict[str, Any]


@dataclass(frozen=True)
class Holder:
    """Who holds the lease; ``age_s`` is since the last heartbeat, by the server's clock."""

    run_id: str
    command: str
    host: str
    pid: int
    process: str
    user: str
    started_at: dt.datetime
    age_s: float

    @property
    def alive(self) -> bool:
        """Its process is there, or on another host its heartbeat is young enough."""
        if self.host == socket.gethostname():
            return process(self.pid) == self.process
        # By one clock no beat is of the future: what says so is damaged.
        return -LEASE_DEAD_S <= self.age_s <= LEASE_DEAD_S

    def __str__(self) -> str:
        since = f"{self.started_at:%Y-%m-%dT%H:%M:%SZ}"
        return f"run {self.run_id} ({self.command}) by {self.user}@{self.host}, process {self.pid}, since {since}"


def holder_of(row: sa.Row[Any], prefix: str = "") -> Holder:
    """Who holds the lease, from its row and the server's ``now``.

    :param prefix: of the names of its columns.
    :raises Unexpected: a value that no run writes.
    """
    values = {column.name: getattr(row, prefix + column.name) for column in lease.columns}
    for name in ("started_at", "heartbeat_at"):
        if not isinstance(values[name], dt.datetime):
            raise Unexpected(name, "a time")
    # Some servers give the time with its zone; every session is in UTC.
    age_s = (row.now.replace(tzinfo=None) - values["heartbeat_at"]).total_seconds()
    run_id, command, host, began, user = (
        a_text(values[name], name) for name in ("run_id", "command", "host", "process", "user")
    )
    pid = a_whole_number(values["pid"], "pid", 0, _LARGEST_PID)
    return Holder(run_id, command, host, pid, began, user, values["started_at"], age_s)


_LARGEST_PID = 2**31 - 1


def process(pid: int) -> str:
    """Tells a process from a later one with the same number; empty when there is none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended; in a container nobody may ever ask for its status.
        return "" if fields[0] in ("Z", "X") else fields[19]
    return "running"


LEASE_DEAD_S = 60
