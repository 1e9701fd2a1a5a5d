"""A source's row is read once, a staged one once, and each is hashed at most twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.data import FOLLOWS, POST_TAGS, POSTS, SIZES, TAGS, USERS, fill
from benchmarks.passes import Passes, count_passes
from benchmarks.speed.__main__ import make_second
from benchmarks.speed.contenders import FORUM
from tests.support.site import ROOT


def make_forum(tmp_path: Path) -> tuple[Path, dict[str, str], int]:
    """A SQLite file with its rows, and how many these are."""
    file = tmp_path / "old.db"
    environ = {"FORUM_DIRECTORY": str(tmp_path / "instance"), "FLASK_SKIP_DOTENV": "1"}
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", FORUM, "db", "upgrade"],
        cwd=ROOT,
        env={**os.environ, **environ, "FORUM_DATABASE": f"sqlite:///{file}"},
        capture_output=True,
        check=True,
    )
    return file, environ, fill(file, "XS")


def count(tmp_path: Path, **further: str) -> Passes:
    """Of a run from a SQLite file into another."""
    old, environ, rows = make_forum(tmp_path)
    new = tmp_path / "new.db"
    environ |= {"FORUM_DATABASE": f"sqlite:///{new}", "FLASK_FERRY_SOURCE": f"sqlite:///{old}", **further}
    arguments = ["db-migrate-data", "--yes", "--quiet"]
    return count_passes(arguments, environ, rows, source=str(old), live=str(new))


def share_of(rows: int) -> float:
    """The part that a table's rows, of which there are so many in size S, are of all rows."""
    return rows * SIZES["XS"] / (TAGS + SIZES["XS"] * (USERS + POSTS + POST_TAGS + FOLLOWS))


def test_a_row_is_read_once_and_proved_once(tmp_path: Path) -> None:
    passes = count(tmp_path)
    assert passes.source == 1
    assert passes.staging == 1
    assert passes.live == 0
    # The proof hashes a row of the source and what arrived of it: fewer would be no proof.
    assert passes.hashed == 2


def test_no_row_of_a_file_is_read_for_its_backup(tmp_path: Path) -> None:
    """What is read back is known by its pages."""
    live, environ, rows = make_forum(tmp_path)
    environ |= {"FORUM_DATABASE": f"sqlite:///{live}"}
    assert count_passes(["db-backup"], environ, rows, source="", live=str(live)) == Passes(0, 0, 0, 0, 0, 0, 0)


def test_tables_that_a_revision_leaves_are_not_read_again(tmp_path: Path) -> None:
    make_second(tmp_path / "second")
    passes = count(tmp_path, FORUM_MIGRATIONS=str(tmp_path / "second"))
    assert passes.source == 1
    # Posts get a column: they are compared with what they were, read for the ledger. All others are summed up twice.
    posts = share_of(POSTS)
    assert passes.staging == pytest.approx(1 + 2 * posts, abs=0.01)
    assert passes.summed == pytest.approx(2 - posts, abs=0.01)
