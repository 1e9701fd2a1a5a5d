"""Which backups are removed: the oldest of each command, never what somebody needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.transfer.backup.backups import (
    list_in,
    prune,
)
from app.transfer.backup.manifest import Backup
from app.transfer.run.settings import MOST_DAYS
from tests.transfer.backup.backup import entry


@pytest.fixture
def seven(directory: Path) -> list[Backup]:
    """a0 b0 a1 b1 a2 b2 a3: two commands in turn."""
    return [
        entry(directory, f"{'ab'[n % 2]}{n // 2}", made_at=f"2024-01-0{n + 1}T00:00:00Z", command="ab"[n % 2])
        for n in range(7)
    ]


@pytest.mark.parametrize(
    ("keep", "needed", "command", "removed"),
    [
        (9, (), None, []),
        (4, (), None, []),
        (3, (), None, ["a0"]),
        (2, (), None, ["a0", "a1", "b0"]),
        (1, (), None, ["a0", "a1", "a2", "b0", "b1"]),
        (1, ("a0", "b1"), None, ["a1", "a2", "b0"]),
        (1, (), "b", ["b0", "b1"]),
        (1, (), "c", []),
    ],
)
def test_what_is_pruned(
    directory: Path, seven: list[Backup], keep: int, needed: tuple[str, ...], command: str | None, removed: list[str]
) -> None:
    found = prune(list_in(directory), keep, {str(directory / name) for name in needed}, command)
    assert sorted(item.id for item in found) == removed
    assert {item.id for item in list_in(directory)} == {item.id for item in seven} - set(removed)
    assert len(list(directory.iterdir())) == 2 * (7 - len(removed))


def test_the_newest_of_all_stays(directory: Path) -> None:
    only = [entry(directory, f"x{n}", made_at=f"2024-01-0{n + 1}T00:00:00Z") for n in range(3)]
    prune(only, 1, ())
    assert [item.id for item in list_in(directory)] == ["x2"]


def test_none_is_too_young_to_go_after_the_most_days_that_can_be_set(directory: Path) -> None:
    """Many more days ago there is no date."""
    two = [entry(directory, f"x{n}", made_at=f"{1900 + n}-01-01T00:00:00Z") for n in range(2)]
    assert [item.id for item in prune(two, 1, (), keep_days=MOST_DAYS)] == ["x0"]
