"""What the ledger and the live database say there is to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.dialects.model import Identity
from app.errors import Protected
from app.transfer.run.ledger import Entry
from app.transfer.run.plan import Action, decide
from app.transfer.run.source import SELF, SourceKind, SourceSpec
from app.transfer.run.target import MIGRATE, Target

HEAD = "0007"
OLD = SourceSpec(SourceKind.HTTP, "https://old", "https://old", http_url="https://old")
OTHER = SourceSpec(SourceKind.HTTP, "https://other", "https://other", http_url="https://other")
ITSELF = SourceSpec(SourceKind.SELF, SELF, SELF)
FILE = SourceSpec(SourceKind.SNAPSHOT, "data.json", "file:abc", file=Path("data.json"))


def ledger(*runs: tuple[str, str]) -> tuple[Entry, ...]:
    """One entry per (command, source identity), each made of what the one before left."""
    entries = []
    for number, (command, identity) in enumerate(runs, 1):
        previous = f"{number - 1:08x}" if number > 1 else ""
        entry = Entry(
            f"run{number}", command, identity, identity, HEAD, f"{number:08x}", previous, "2024-01-01T00:00:00Z"
        )
        entries.append(replace(entry, snapshot_sha256="abc"))
    return tuple(entries)


def target(entries: tuple[Entry, ...] = (), **more: Any) -> Target:
    """A database at head with rows, as the last entry left it."""
    values: dict[str, Any] = {
        "identity": Identity("SQLite", "this host", "/app.db", "uid"),
        "exists": True,
        "rows": {"users": 3},
        "revision": HEAD,
        "mark": entries[-1].mark if entries else "",
        "environment": "development",
        "environment_origin": "default",
        "size_bytes": 1,
        "entries": entries,
    }
    return Target(**(values | more))


MIGRATED = ledger((MIGRATE, OLD.identity))
ON = ledger((MIGRATE, OLD.identity), (MIGRATE, SELF), (MIGRATE, SELF))
ROLLED_BACK = ledger((MIGRATE, OLD.identity), ("db-rollback", "generation:"))
RESTORED = ledger((MIGRATE, OLD.identity), ("db-restore", "backup:x"))
SEEDED = ledger(("db-init", "init"))
EMPTY = {"rows": {"users": 0}}
GONE = {"rows": {}, "exists": False, "revision": None, "mark": ""}
BEHIND = {"revision": "0006"}
UNKNOWN = {"mark": "7fffffff"}


@pytest.mark.parametrize(
    ("live", "source", "rerun", "action"),
    [
        # Nothing there.
        (target(**GONE), OLD, False, Action.MIGRATE),
        (target(**EMPTY), OLD, False, Action.MIGRATE),
        (target(**GONE), ITSELF, False, Action.SELF),
        (target(**EMPTY), ITSELF, False, Action.NOTHING),
        (target(**EMPTY, **BEHIND), ITSELF, False, Action.SELF),
        (target(MIGRATED, **GONE), OLD, False, Action.MIGRATE),
        (target(ROLLED_BACK, **GONE), OLD, False, Action.MIGRATE),
        (target(ROLLED_BACK, **EMPTY), OLD, True, Action.MIGRATE),
        (target(SEEDED, **EMPTY), OLD, False, Action.MIGRATE),
        (target(RESTORED, **EMPTY), OLD, False, Action.MIGRATE),
        # A source without rows was migrated: done all the same.
        (target(MIGRATED, **EMPTY), OLD, False, Action.NOTHING),
        # Itself.
        (target(), ITSELF, False, Action.NOTHING),
        (target(**BEHIND), ITSELF, False, Action.SELF),
        (target(**BEHIND), ITSELF, True, Action.SELF),
        (target(ROLLED_BACK, **BEHIND), ITSELF, False, Action.SELF),
        # It came from this source.
        (target(MIGRATED), OLD, False, Action.NOTHING),
        (target(MIGRATED, **BEHIND), OLD, False, Action.SELF),
        (target(ON), OLD, False, Action.NOTHING),
        (target(ON, **BEHIND), OLD, False, Action.SELF),
        (target(MIGRATED), OLD, True, Action.MIGRATE),
        (target(ON, **BEHIND), OLD, True, Action.MIGRATE),
        (target(MIGRATED), FILE, False, Action.NOTHING),
        # It came from another one.
        (target(MIGRATED), OTHER, False, Action.MIGRATE),
        (target(ON), OTHER, False, Action.MIGRATE),
        (target(ON[1:]), OLD, False, Action.MIGRATE),
        # Put back.
        (target(ROLLED_BACK), OLD, False, Action.NOTHING),
        (target(RESTORED), OLD, False, Action.NOTHING),
        (target(ROLLED_BACK), OLD, True, Action.MIGRATE),
        (target(RESTORED, **BEHIND), OLD, True, Action.MIGRATE),
        # Not what the ledger says, or nobody knows.
        (target(), OLD, False, Action.MIGRATE),
        (target(MIGRATED, **UNKNOWN), OLD, False, Action.MIGRATE),
        (target(ROLLED_BACK, **UNKNOWN, **BEHIND), OLD, False, Action.MIGRATE),
        (target(SEEDED), OLD, False, Action.MIGRATE),
        (target((*MIGRATED, *SEEDED)), OLD, False, Action.MIGRATE),
    ],
)
def test_decisions(live: Target, source: SourceSpec, rerun: bool, action: Action) -> None:
    found, reason, _ = decide(live, source, HEAD, rerun=rerun)
    assert found is action, reason
    assert reason


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (target(ROLLED_BACK, **EMPTY), ["--rerun"]),
        (target(ROLLED_BACK, **BEHIND), ["--rerun", "flask db-migrate-data self"]),
        (target(RESTORED, **BEHIND), ["--rerun", "flask db-migrate-data self"]),
    ],
)
def test_what_was_put_back_is_not_replaced_unasked(live: Target, words: list[str]) -> None:
    with pytest.raises(Protected, match="run2" if not live.empty else "rolled back") as caught:
        decide(live, OLD, HEAD, rerun=False)
    assert all(word in str(caught.value.hint) for word in words)


def test_the_migration_it_came_from_is_found_through_runs_on_itself() -> None:
    _, _, base = decide(target(ON), OLD, HEAD, rerun=False)
    assert base == ON[0]
    broken = (ON[0], replace(ON[1], previous_mark="ffffffff"), ON[2])
    assert decide(target(broken), OLD, HEAD, rerun=False)[0] is Action.MIGRATE


def test_only_the_last_entry_counts_and_only_with_its_mark() -> None:
    assert target(MIGRATED).in_force == MIGRATED[0]
    assert target(ON, mark=ON[0].mark).in_force is None
    assert target().in_force is None
