"""Throw-away databases: nobody else's to read, gone however the process ends; what they are asked."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.transfer.rows.scratch import Aside, Keys, RowStore, Scratch, ScratchError

FILLING = """
import os, signal, sys
from pathlib import Path
from app.transfer.rows.scratch import RowStore
store = RowStore(Path(sys.argv[1]))
for number in range(100):
    store.add("t", number, "why", ["x" * 100_000])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_its_file_has_no_name_and_its_room_is_given_free(tmp_path: Path) -> None:
    with RowStore(tmp_path) as store:
        for number in range(100):
            store.add("t", number, "why", ["x" * 100_000])
        assert list(tmp_path.iterdir()) == []
        assert len(open_files(tmp_path)) == 1
    assert open_files(tmp_path) == []
    store.close()
    with pytest.raises(ScratchError, match="closed"):
        store.count()


def open_files(directory: Path) -> list[Path]:
    """What this process has open in a directory, with or without a name."""
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [path for path in (link.readlink() for link in links) if path.is_relative_to(directory)]


def test_a_kill_leaves_nothing(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", FILLING, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Scratch(tmp_path / "none")


def test_two_of_one_directory_are_apart(tmp_path: Path) -> None:
    with RowStore(tmp_path) as one, RowStore(tmp_path) as other:
        one.add("t", 1, "why", [1])
        assert (one.count(), other.count()) == (1, 0)


def test_keys_are_new_or_repeated_or_in_conflict() -> None:
    with Keys() as keys:
        assert [keys.add("user", key, 1) for key in (1, "1", [1, None], 1)] == ["new", "new", "new", "repeat"]
        assert keys.add("user", 1, 2) == "conflict"
        assert keys.add("post", 1, (1 << 128) - 1) == "new"
        assert (keys.count("user"), keys.count("post"), keys.count("none")) == (3, 1, 0)
        keys.forget("user")
        assert (keys.count("user"), keys.count("post"), keys.add("user", 1, 2)) == (0, 1, "new")


def test_the_last_name_counts_and_a_missing_one_is_none() -> None:
    with Keys() as keys:
        keys.name("user", "Zoë' --", 1)
        keys.name("user", "Zoë' --", 2)
        assert (keys.find_id("user", "Zoë' --"), keys.find_id("user", "zoë' --"), keys.find_id("post", "Zoë' --")) == (
            2,
            None,
            None,
        )


def test_what_was_expected_and_did_not_come_is_told_with_who_expects_it() -> None:
    with Keys() as keys:
        keys.expect("user", 7, "post 1")
        keys.expect("user", 7, "post 2")
        keys.expect("user", 8, "post 3")
        keys.add("user", 8, 1)
        assert list(keys.find_missing()) == [("user", "[7]", "post 1")]


def test_rows_come_back_in_order_with_every_value() -> None:
    row = [2**63, 0.1, "\x00\ud800 'ü", None, True, {"$text": "1 day"}]
    with RowStore() as store:
        assert [store.add("b", 2, "r", row), store.add("b", 2, "again", []), store.add("a", 10, "", {"x": 1})] == [
            True,
            False,
            True,
        ]
        store.add("b", 1, "r", [])
        assert list(store.rows()) == [("a", 10, "", {"x": 1}), ("b", 1, "r", []), ("b", 2, "r", row)]
        assert list(store.of("b")) == [(1, []), (2, row)]
        assert (store.get("b", 2), store.get("b", 3), store.has("b", 1), store.has("a", 1)) == (row, None, True, False)
        assert (dict(store.counts()), store.tables(), store.count()) == ({"a": 1, "b": 2}, {"a", "b"}, 3)


def test_a_row_that_is_taken_back_may_be_set_aside_again() -> None:
    with Aside() as aside:
        aside.add("t", 1, "why", [1])
        aside.take_back("t", 1)
        aside.take_back("t", 2)
        assert (aside.count(), aside.tables(), aside.add("t", 1, "else", [1])) == (0, set(), True)


def test_keys_that_are_gone_are_those_of_the_last_table_asked() -> None:
    with Aside() as aside:
        aside.set_gone(["[1]", "[2]", "[2]"])
        aside.not_gone("[1]")
        assert (aside.is_gone("[1]"), aside.is_gone("[2]")) == (False, True)
        aside.set_gone(iter(["[3]"]))
        assert (aside.is_gone("[2]"), aside.is_gone("[3]")) == (False, True)


def test_it_is_closed_with_what_holds_it_in_whatever_thread_that_goes() -> None:
    made: list[Scratch] = []
    thread = threading.Thread(target=lambda: made.append(Scratch()))
    thread.start()
    thread.join()
    connection = made[0]._connection
    made.clear()
    gc.collect()
    with pytest.raises(ScratchError, match="closed"):
        connection.execute("SELECT 1")
