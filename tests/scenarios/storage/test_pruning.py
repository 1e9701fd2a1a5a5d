"""``db-backup --prune`` and ``--list`` where the storage does not answer, and of what was left there half way."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tests.support.local import Local, refused


def test_what_is_here_is_listed_and_pruned_without_the_storage(in_directory: Local) -> None:
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    for _ in range(2):
        in_directory.ok("db-backup")
    newest = in_directory.kept()[-1]
    away = far.rename(far.with_name("away"))
    listed = in_directory.run("db-backup", "--list")
    refused(listed, 21, "There is no directory")
    assert newest.stem in listed.stdout
    assert "2 backups" in listed.last_line
    assert "the storage was not listed" in listed.last_line
    pruned = in_directory.run("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    refused(pruned, 21, "There is no directory")
    assert "Removed 1 backup and kept 1; the storage was not pruned" in pruned.last_line
    assert in_directory.kept() == [newest]
    away.rename(far)
    assert "in the storage 1, and kept 1" in in_directory.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1").last_line


def test_halves_are_named_and_go_after_a_day(in_directory: Local) -> None:
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    in_directory.ok("db-backup")
    (backup,) = in_directory.kept()
    half = far / "app-20240101T000000Z-db-backup-abc123.sqlite3"
    shutil.copy(far / backup.name, half)
    assert half.name in in_directory.ok("db-backup", "--prune").stderr
    os.utime(half, (time.time() - 90_000,) * 2)
    in_directory.ok("db-backup", "--prune", "--dry-run")
    assert half.exists()
    in_directory.ok("db-backup", "--prune")
    assert [file.name for file in far.glob("*.sqlite3")] == [backup.name]


def test_what_has_another_seal_stays_and_is_counted(in_directory: Local) -> None:
    for _ in range(2):
        in_directory.ok("db-backup")
    pruned = in_directory.ok(
        "db-backup", "--prune", FLASK_FERRY_KEEP="1", FLASK_FERRY_BACKUP_KEY="the key of somebody else"
    )
    assert "; 2 there with another seal or from another control area stay (" in pruned.last_line
    assert "1 there with" not in in_directory.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1").last_line


def test_two_containers_with_one_path_key_and_storage_leave_each_other_alone(in_directory: Local) -> None:
    """The second one has no control area of the first; it takes the first one's backup by its ID only."""
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    in_directory.environ |= {"FLASK_FERRY_BACKUP_KEY": "one key for both of them"}
    for _ in range(2):
        in_directory.ok("db-backup")
    first, live = in_directory.kept(), in_directory.content()
    for file in first:
        file.unlink()
    shutil.rmtree(in_directory.area)
    refused(in_directory.run("db-restore", "--yes"), 21, "There is no backup of", first[-1].stem)
    in_directory.write("DELETE FROM sections WHERE id = 77")
    in_directory.ok("db-backup")
    pruned = in_directory.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    assert "in the storage 0, and kept 1" in pruned.last_line
    assert "2 backups in file:///" in pruned.stderr
    assert all((far / file.name).exists() for file in first)
    in_directory.ok("db-restore", "--yes", first[-1].stem)
    assert in_directory.content() == live


def test_what_a_check_and_a_drill_do_not_do_is_said(in_directory: Local) -> None:
    in_directory.ok("db-backup", "--portable")
    assert "Not looked at: file:///" in in_directory.ok("db-backup", "--check").stdout
    assert "not restored, as it is portable" in in_directory.ok("db-backup", "--drill").last_line
