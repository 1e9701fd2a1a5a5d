"""What lies beside a backup and says what it is; its seal."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed
from app.transfer.backup.backups import (
    broken,
    check,
    list_in,
)
from app.transfer.backup.manifest import load_manifest, manifest_of

from .backup import DIALECT, KEY, made


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
        ("tables", {"t": [1, None]}),
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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tables", {"t": [-1, None]}),
        ("tables", {"t": [True, None]}),
        ("tables", {"t": [1]}),
        # Nobody would look at it.
        ("tables", {"t": [1, "0" * 32]}),
        ("whole", None),
        ("whole", "0" * 31),
        ("whole", 7),
    ],
)
def test_an_odd_value_where_all_of_a_database_is_known(source: Path, directory: Path, key: str, value: object) -> None:
    backup = made(source, directory / "b")
    manifest = manifest_of(backup.path)
    known = json.loads(manifest.read_text()) | {"whole": "0" * 32, "tables": {"t": [1, None]}}
    manifest.write_text(json.dumps(known))
    assert load_manifest(backup.path) is not None
    manifest.write_text(json.dumps(known | {key: value}))
    with pytest.raises(BackupFailed, match="not the manifest"):
        load_manifest(backup.path)


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
