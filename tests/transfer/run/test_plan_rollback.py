"""The way back: which cut-over is undone next."""

from __future__ import annotations

import pytest

from app.transfer.run.ledger import Entry
from app.transfer.run.plan import undo_stack


def entries(*runs: tuple[str, str, str]) -> tuple[Entry, ...]:
    """Entries of (command, mark, mark before)."""
    return tuple(
        Entry(f"run-{mark}", command, "s", "s", "0001", mark, previous, "2024-01-01T00:00:00Z")
        for command, mark, previous in runs
    )


M, INIT, S, B = "db-migrate-data", "db-init", "db-restore", "db-rollback"


@pytest.mark.parametrize(
    ("runs", "stack"),
    [
        ([], []),
        ([(M, "a", "")], ["a"]),
        ([(M, "a", ""), (M, "b", "a")], ["a", "b"]),
        # A rollback takes the last one off, the next rollback the one before.
        ([(M, "a", ""), (M, "b", "a"), (B, "c", "b")], ["a"]),
        ([(M, "a", ""), (M, "b", "a"), (B, "c", "b"), (B, "d", "c")], []),
        ([(M, "a", ""), (B, "b", "a"), (M, "c", "b")], ["c"]),
        ([(M, "a", ""), (M, "b", "a"), (B, "c", "b"), (M, "d", "c"), (S, "e", "d")], ["a", "d", "e"]),
        # What nobody's cut-over left begins anew: a database that was deleted, or put there by hand.
        ([(M, "a", ""), (INIT, "b", "")], ["b"]),
        ([(M, "a", ""), (M, "b", "a"), (M, "c", "x")], ["c"]),
        ([(M, "a", ""), (M, "b", "a"), (B, "c", "x")], []),
        ([(M, "a", "x")], ["a"]),
        # More rollbacks than cut-overs.
        ([(M, "a", ""), (B, "b", "a"), (B, "c", "b")], []),
    ],
)
def test_the_stack_of_cut_overs(runs: list[tuple[str, str, str]], stack: list[str]) -> None:
    assert [entry.mark for entry in undo_stack(entries(*runs))] == stack
