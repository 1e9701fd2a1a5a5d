"""``db-backup --store``: a backup that lies here comes to lie in the storage, too."""

from __future__ import annotations

from pathlib import Path

from tests.support.local import Local, refused


def test_a_backup_whose_upload_failed_is_stored_afterwards(in_directory: Local) -> None:
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    away = far.rename(far.with_name("away"))
    failed = in_directory.run("db-backup")
    (backup,) = in_directory.kept()
    refused(failed, 21, "was made, and is not in the storage", f"Then store it: flask db-backup --store {backup.stem}")
    refused(in_directory.run("db-backup", "--store", backup.stem), 21, "There is no directory")
    away.rename(far)
    # What a killed process left of it is in nobody's way.
    (far / backup.name).write_bytes(b"half")
    in_directory.ok("db-backup", "--store", backup.stem)
    assert (far / backup.name).read_bytes() == backup.read_bytes()
    assert "already" in in_directory.ok("db-backup", "--store", str(backup)).last_line
    (far / backup.name).write_bytes(bytes(backup.stat().st_size))
    in_directory.ok("db-backup", "--store", backup.stem)
    assert (far / backup.name).read_bytes() == backup.read_bytes()
    in_directory.ok("db-backup", "--drill")


def test_what_is_not_stored(in_directory: Local) -> None:
    far = Path(in_directory.environ["FLASK_FERRY_STORAGE"].removeprefix("file://"))
    in_directory.ok("db-backup", "--to", str(in_directory.directory / "mine.sqlite3"))
    refused(in_directory.run("db-backup", "--store", "mine.sqlite3", "--dry-run"), 2, "--store")
    refused(in_directory.run("db-backup", "--store", "absent"), 21, "There is no backup 'absent'", "--list")
    path = str(in_directory.directory / "mine.sqlite3")
    other = {"FLASK_FERRY_BACKUP_KEY": "the key of another database"}
    refused(in_directory.run("db-backup", "--store", path, **other), 21, "does not have this database's seal")
    (card,) = far.glob("*.ferry.json")
    card.unlink()
    in_directory.ok("db-backup", "--store", path)
    assert card.exists()
    del in_directory.environ["FLASK_FERRY_STORAGE"]
    refused(in_directory.run("db-backup", "--store", path), 2, "no storage", "FERRY_STORAGE")
