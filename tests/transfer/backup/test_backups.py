"""Backups: read back when made, proved again, pruned per command, found beside their manifests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed
from app.transfer.backup.backups import (
    check,
    file_for,
    list_in,
    prepare_directory,
    register_portable,
)
from app.transfer.backup.manifest import load_manifest, manifest_of
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.files import write
from app.transfer.rows.header import Header

from .backup import DIALECT, KEY, entry, made


def test_a_backup_is_private_and_described(source: Path, directory: Path) -> None:
    to = file_for(directory, source, "db-backup", ".sqlite3")
    backup = made(source, to)
    assert (backup.rows, backup.revision, backup.path, backup.command) == (2, "0001", to, "db-backup")
    assert to.name.startswith("live-")
    assert to.name.endswith(".sqlite3")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    assert sorted(directory.iterdir()) == sorted([to, manifest_of(to)])
    assert load_manifest(to) == backup
    check(DIALECT, backup, url_of(source.with_name("scratch.db")), KEY)


def test_names_never_meet(source: Path, directory: Path) -> None:
    assert len({file_for(directory, source, "db-backup", ".sqlite3") for _ in range(20)}) == 20


def test_a_file_that_is_there_is_not_replaced(source: Path, directory: Path) -> None:
    to = directory / "mine"
    to.write_text("precious")
    with pytest.raises(BackupFailed, match="exists already"):
        made(source, to)
    assert [(path.name, path.read_text()) for path in directory.iterdir()] == [("mine", "precious")]


def test_what_cannot_be_written_leaves_nothing(source: Path, directory: Path) -> None:
    (directory / "file").touch()
    with pytest.raises(BackupFailed):
        made(source, directory / "file" / "b")
    assert [path.name for path in directory.iterdir()] == ["file"]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackupFailed, match="cannot be written") as caught:
        prepare_directory(tmp_path / "file" / "backups")
    assert "FERRY_BACKUPS" in str(caught.value.hint)


def test_a_backup_that_was_changed(source: Path, directory: Path) -> None:
    backup = made(source, directory / "b")
    content = backup.path.read_bytes()
    backup.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BackupFailed, match="another SHA-256"):
        check(DIALECT, backup, url_of(source.with_name("scratch.db")), KEY)
    backup.path.unlink()
    with pytest.raises(BackupFailed, match="not there"):
        check(DIALECT, backup, url_of(source.with_name("scratch.db")), KEY)


def test_a_portable_backup(source: Path, directory: Path) -> None:
    table = Table("t", (Column("id", LogicalType.INT),), ("id",))
    head = Header("rows", "s", "i", "2024-01-01T00:00:00Z", "0001", (table,))
    file = directory / "b.json.zst"
    write(file, encode(head, [("t", hash_rows(table, [[1], [2]]))]))
    backup = register_portable(file, command="db-backup", run="run", database="/live.db", key=KEY)
    assert (backup.portable, backup.rows, backup.revision) == (True, 2, "0001")
    check(DIALECT, backup, url_of(source.with_name("scratch.db")), KEY)
    assert list_in(directory, "/live.db") == [backup]


# Lists


def test_backups_are_listed_by_database_oldest_first(source: Path, directory: Path) -> None:
    first, second = made(source, directory / "b2"), made(source, directory / "b1")
    other = entry(directory, "other", made_at="2020-01-01T00:00:00Z", database="/other.db")
    (directory / "without-manifest.sqlite3").touch()
    entry(directory, "without-file", made_at="2020-01-01T00:00:00Z").path.unlink()
    assert [item.id for item in list_in(directory, str(source))] == [first.id, second.id]
    assert [item.id for item in list_in(directory)] == [other.id, first.id, second.id]
    assert list_in(directory / "nothing") == []


def test_a_directory_may_be_moved(source: Path, directory: Path) -> None:
    made(source, directory / "b")
    moved = directory.rename(directory.with_name("moved"))
    [backup] = list_in(moved)
    assert backup.path == moved / "b"
    check(DIALECT, backup, url_of(source.with_name("scratch.db")), KEY)


def test_a_directory_is_private_whatever_the_umask_and_ignored_by_git(tmp_path: Path) -> None:
    former = os.umask(0o000)
    try:
        prepare_directory(tmp_path / "deep" / "backups")
    finally:
        os.umask(former)
    for path in (tmp_path / "deep", tmp_path / "deep" / "backups"):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "deep" / "backups" / ".gitignore").read_text() == "*\n"
    (tmp_path / "mine").mkdir(mode=0o755)
    prepare_directory(tmp_path / "mine")
    assert not (tmp_path / "mine" / ".gitignore").exists()
