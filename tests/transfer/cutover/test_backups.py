"""Backups: read back when made, proved again, pruned per command, found beside their manifests."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.dialects.sqlite.dialect import SqliteDialect, SqliteImage
from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed
from app.transfer.cutover.backups import (
    broken,
    check,
    file_for,
    list_in,
    make,
    prepare_directory,
    prune,
    register_portable,
)
from app.transfer.cutover.manifest import Backup, load_manifest, manifest_of
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.files import write
from app.transfer.rows.header import Header

DIALECT = SqliteDialect()
KEY = b"of this database"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.executemany("INSERT INTO t (x) VALUES (?)", [("a",), ("b",)])
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "backups"
    prepare_directory(path)
    (path / ".gitignore").unlink()
    return path


def made(source: Path, to: Path, command: str = "db-backup") -> Backup:
    scratch = url_of(source.with_name("scratch.db"))
    with DIALECT.image(url_of(source), url_of(source.with_name("copy.db")), None) as image:
        backup = make(DIALECT, image, to, scratch=scratch, command=command, run="run", database=str(source), key=KEY)
    assert not DIALECT.exists(scratch)
    return backup


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


def test_a_dump_that_is_not_what_was_dumped_is_no_backup(source: Path, directory: Path) -> None:
    class Forgetful(SqliteImage):
        def dump(self, to: Path) -> None:
            super().dump(to)
            with closing(sqlite3.connect(to)) as connection, connection:
                connection.execute("DELETE FROM t WHERE id = 2")

    copy = url_of(source.with_name("copy.db"))
    with (
        DIALECT.image(url_of(source), copy, None) as image,
        pytest.raises(BackupFailed, match=r"does not read back .*: t"),
    ):
        make(
            DIALECT,
            Forgetful(DIALECT, copy, b"", image.reader),
            directory / "b",
            scratch=url_of(source.with_name("scratch.db")),
            command="db-backup",
            run="run",
            database=str(source),
            key=KEY,
        )
    assert list(directory.iterdir()) == []


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


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"id": 1}', b"not json", b"[" * 200_000, b'{"a": 1e999999999}', b"\xff"],
    ids=["empty", "list", "object", "one key", "text", "deep", "huge", "bytes"],
)
def test_a_manifest_that_is_none_is_named_and_hides_no_other(source: Path, directory: Path, text: bytes) -> None:
    good = made(source, directory / "good")
    (directory / "b").touch()
    manifest_of(directory / "b").write_bytes(text)
    with pytest.raises(BackupFailed, match="not the manifest"):
        load_manifest(directory / "b")
    assert list_in(directory) == [good]
    [said] = broken(directory)
    assert str(manifest_of(directory / "b")) in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tables", []),
        ("tables", {"t": [1]}),
        ("tables", {"t": [-1, "0" * 32]}),
        ("tables", {"t": [True, "0" * 32]}),
        ("tables", {"t": ["1", "0" * 32]}),
        ("tables", {"t": [1, "x" * 32]}),
        ("made_at", "yesterday"),
        ("made_at", 7),
        ("size_bytes", 2**70),
        ("sha256", "0" * 63),
        ("sha256", None),
        ("portable", "yes"),
        ("seal", 1),
        ("id", ["b"]),
        ("from_a_newer_version", 1),
    ],
)
def test_a_manifest_with_an_odd_value(source: Path, directory: Path, key: str, value: object) -> None:
    backup = made(source, directory / "b")
    manifest = manifest_of(backup.path)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {key: value}))
    with pytest.raises(BackupFailed, match="not the manifest"):
        load_manifest(backup.path)
    assert list_in(directory) == []


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


# Seals


def test_a_seal_covers_what_a_manifest_says(source: Path, directory: Path) -> None:
    backup = made(source, directory / "b")
    manifest = manifest_of(backup.path)
    said = json.loads(manifest.read_text())
    assert backup.has_seal_of(KEY)
    assert not backup.has_seal_of(None)
    assert not backup.has_seal_of(b"of another database")
    changes = {
        "id": "c",
        "command": "db-init",
        "run": "other",
        "database": "/other.db",
        "made_at": "2030-01-01T00:00:00Z",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "revision": "0002",
        "tables": {"t": [3, "0" * 32]},
        "portable": True,
        "seal": "",
    }
    assert changes.keys() | {"file"} == said.keys()
    for key, value in changes.items():
        manifest.write_text(json.dumps(said | {key: value}))
        changed = load_manifest(backup.path)
        assert changed is not None
        assert not changed.has_seal_of(KEY), key


def test_a_forged_file_with_a_fitting_manifest_is_not_even_opened(source: Path, directory: Path) -> None:
    backup = made(source, directory / "b")
    manifest = manifest_of(backup.path)
    with closing(sqlite3.connect(backup.path)) as connection, connection:
        connection.execute("DELETE FROM t")
    with backup.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"sha256": digest}))
    [forged] = list_in(directory)
    with pytest.raises(BackupFailed, match="seal"):
        check(DIALECT, forged, url_of(source.with_name("no") / "scratch.db"), KEY)


# Pruning


def entry(directory: Path, name: str, *, made_at: str, command: str = "db-backup", database: str = "/db") -> Backup:
    """A backup of which only file and manifest exist."""
    file = directory / name
    file.write_text(name)
    fields = {
        "id": name,
        "file": str(file),
        "command": command,
        "run": "run",
        "database": database,
        "made_at": made_at,
        "size_bytes": 1,
        "sha256": "0" * 64,
        "revision": None,
        "tables": {},
    }
    manifest_of(file).write_text(json.dumps(fields))
    return Backup(**fields)  # type: ignore[arg-type] # as JSON has them


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
