"""``flask db-restore``: a backup, or a portable snapshot, put back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.local import HEAD, PRODUCTION, Local, history_without_the_newest, refused, tree, write
from tests.support.site import content, query

MARKER = "SELECT name FROM sections WHERE id = 77"


def mark(app: Local, name: str) -> str:
    """Write something that tells the states of the database apart."""
    app.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, ?, 'T')", name)
    return app.content()


def remark(app: Local, name: str) -> None:
    app.write("UPDATE sections SET name = ? WHERE id = 77", name)


def marker(app: Local) -> str:
    return str(app.query(MARKER)[0][0])


def rows(database: Path) -> str:
    """A digest of a database's content; the generation mark is no part of it."""
    return content(database)


def test_what_is_put_back_is_what_was_backed_up(changed: Local) -> None:
    live = rows(changed.database)
    changed.ok("db-backup")
    changed.write("DELETE FROM posts")
    result = changed.ok("db-restore", "--yes")
    assert rows(changed.database) == live
    assert "33 rows are live" in result.last_line
    assert HEAD in result.last_line
    assert changed.staging() == []
    assert changed.lease() == []


def test_what_is_live_is_backed_up_first_and_it_can_be_undone(changed: Local) -> None:
    changed.ok("db-backup")
    changed.write("DELETE FROM posts")
    live = changed.content()
    result = changed.ok("db-restore", "--yes")
    kept = changed.kept()[-1]
    assert "db-restore" in kept.name
    assert content(kept) == live
    assert f"Backup: {kept}" in result.stdout
    changed.ok("db-rollback", "--yes")
    assert changed.content() == live


def test_the_question(changed: Local) -> None:
    changed.ok("db-backup")
    live = changed.content()
    refused(changed.run("db-restore"), 130, "no terminal", "33 rows", "db-restore", "--yes", str(changed.kept()[0]))
    assert changed.content() == live
    assert len(changed.kept()) == 1


def test_into_an_empty_place_nothing_is_asked(changed: Local) -> None:
    changed.ok("db-backup")
    live = changed.content()
    changed.database.unlink()
    changed.ok("db-restore")
    assert changed.content() == live


# Which one


def test_the_default_is_the_newest_of_db_backup_and_db_init(seeded: Local) -> None:
    mark(seeded, "first")
    seeded.ok("db-backup")
    remark(seeded, "second")
    seeded.ok("db-init", "--yes")
    seeded.ok("db-restore", "--yes")
    assert marker(seeded) == "second"
    remark(seeded, "third")
    seeded.ok("db-backup", "--portable")
    remark(seeded, "fourth")
    seeded.ok("db-restore", "--yes")
    assert marker(seeded) == "third"


def test_the_default_is_never_a_safety_copy(seeded: Local) -> None:
    mark(seeded, "backed up")
    seeded.ok("db-backup")
    for name in ("safety copy", "another"):
        remark(seeded, name)
        seeded.ok("db-restore", "--yes")
        assert marker(seeded) == "backed up"
    remark(seeded, "kept by the rollback")
    seeded.ok("db-rollback", "--yes")
    assert marker(seeded) == "another"
    seeded.ok("db-restore", "--yes")
    assert marker(seeded) == "backed up"
    assert len(seeded.kept()) == 5


def test_there_are_only_safety_copies(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup", "--to", str(tmp_path / "elsewhere.sqlite3"))
    changed.ok("db-restore", "--yes", str(tmp_path / "elsewhere.sqlite3"))
    assert [path.name.count("db-restore") for path in changed.kept()] == [1]
    refused(changed.run("db-restore", "--yes"), 21, "no backup")


def test_by_id(seeded: Local) -> None:
    mark(seeded, "first")
    seeded.ok("db-backup")
    remark(seeded, "second")
    seeded.ok("db-backup")
    first, second = (path.stem for path in seeded.kept())
    seeded.ok("db-restore", "--yes", first)
    assert marker(seeded) == "first"
    safety = seeded.kept()[-1].stem
    seeded.ok("db-restore", "--yes", second)
    assert marker(seeded) == "second"
    seeded.ok("db-restore", "--yes", safety)
    assert marker(seeded) == "second"


def test_by_path_with_and_without_a_manifest(changed: Local, tmp_path: Path) -> None:
    live = changed.content()
    file = tmp_path / "kept.sqlite3"
    changed.ok("db-backup", "--to", str(file))
    changed.write("DELETE FROM posts")
    assert "manifest" not in changed.ok("db-restore", "--yes", str(file)).stderr
    assert changed.content() == live
    file.with_name("kept.sqlite3.manifest.json").unlink()
    changed.write("DELETE FROM posts")
    refused(changed.run("db-restore", "--yes", str(file)), 20, "seal", "--trust-file")
    assert "has no manifest" in changed.ok("db-restore", "--yes", "--trust-file", str(file)).stderr
    assert changed.content() == live


def test_by_a_relative_path(changed: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = changed.content()
    changed.ok("db-backup", "--to", str(tmp_path / "kept.sqlite3"))
    changed.write("DELETE FROM posts")
    monkeypatch.chdir(tmp_path)
    changed.ok("db-restore", "--yes", "kept.sqlite3")
    assert changed.content() == live


def test_an_unknown_one(changed: Local) -> None:
    live = changed.content()
    refused(changed.run("db-restore", "--yes", "app-yesterday"), 21, "app-yesterday", "flask db-backup --list")
    refused(changed.run("db-restore", "--yes"), 21, "no backup")
    assert changed.content() == live


def test_backups_that_were_moved(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup")
    live = changed.content()
    changed.backups.rename(tmp_path / "moved")
    changed.write("DELETE FROM posts")
    changed.ok("db-restore", "--yes", FLASK_FERRY_BACKUPS=str(tmp_path / "moved"))
    assert changed.content() == live


# Damaged


def damaged(app: Local, path: Path, *words: str, status: int = 21) -> None:
    live, there = app.content(), len(app.kept())
    refused(app.run("db-restore", "--yes", str(path)), status, *words)
    assert app.content() == live
    assert len(app.kept()) == there
    assert app.staging() == []
    assert app.lease() == []


def test_a_changed_file(changed: Local) -> None:
    changed.ok("db-backup")
    (file,) = changed.kept()
    write(file, "UPDATE users SET role = 'Admin'")
    damaged(changed, file, "changed since it was made", "SHA-256", "--list")
    damaged(changed, Path(file.stem), "changed since it was made")


def test_a_changed_file_that_lost_its_manifest_is_said_to_be_unproved(changed: Local) -> None:
    changed.ok("db-backup")
    (file,) = changed.kept()
    file.with_name(f"{file.name}.manifest.json").unlink()
    write(file, "UPDATE users SET name = 'Edited'")
    refused(changed.run("db-restore", "--yes", str(file)), 20, "seal", "--trust-file")
    said = changed.ok("db-restore", "--yes", "--trust-file", str(file)).stderr
    assert "not against what was backed up" in said


def test_a_forged_manifest(changed: Local) -> None:
    """The file is what the digest says, but its rows are not what the manifest says was backed up."""
    changed.ok("db-backup")
    (file,) = changed.kept()
    manifest = file.with_name(f"{file.name}.manifest.json")
    said = json.loads(manifest.read_text())
    said["tables"]["users"][0] += 1
    manifest.write_text(json.dumps(said))
    live = changed.content()
    refused(changed.run("db-restore", "--yes", str(file)), 20, "seal", "--trust-file")
    refused(changed.run("db-restore", "--yes", "--trust-file", str(file)), 23, "users")
    assert changed.content() == live


def forge(file: Path, **said: object) -> None:
    """Write into a manifest."""
    manifest = file.with_name(f"{file.name}.manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | said))


def lay_out(database: Path, page_size: int) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(f"PRAGMA page_size = {page_size}; VACUUM")
        assert connection.execute("PRAGMA page_size").fetchone() == (page_size,)


@pytest.mark.parametrize("page_size", [4096, 8192])
def test_a_manifest_of_another_database(changed: Local, page_size: int) -> None:
    """Whether staging lies as the file does, or is laid out anew for the pages of what is live."""
    changed.ok("db-backup")
    lay_out(changed.database, page_size)
    live = changed.content()
    (file,) = changed.kept()
    changed.ok("db-restore", "--yes", str(file))
    assert changed.content() == live
    forge(file, whole="0" * 32)
    refused(changed.run("db-restore", "--yes", "--trust-file", str(file)), 23, "does not hold what was backed up")
    assert changed.content() == live
    assert changed.staging() == []


@pytest.mark.parametrize("page_size", [4096, 8192])
def test_a_backup_of_an_older_version(changed: Local, page_size: int) -> None:
    """It has a checksum of each table in its manifest, and not what all of the file is known by."""
    changed.ok("db-backup")
    (file,) = changed.kept()
    lay_out(changed.database, page_size)
    sums = changed.ok("db-restore", "--yes", str(file)) and changed.report()["tables"]
    manifest = json.loads(file.with_name(f"{file.name}.manifest.json").read_text())
    tables = manifest["tables"] | {one["table"]: [one["loaded"], one["checksum"]] for one in sums}
    del tables["alembic_version"]
    assert all(checksum for _, checksum in tables.values())
    tables["alembic_version"] = [1, "0" * 32]
    forge(file, whole=None, tables=tables)
    # Of that one table the checksum is another.
    words = ("does not hold what was backed up: alembic_version.",)
    refused(changed.run("db-restore", "--yes", "--trust-file", str(file)), 23, *words)


@pytest.mark.parametrize("size", [-4096, 4096, 100, 0])
def test_a_truncated_file_without_a_manifest(changed: Local, tmp_path: Path, size: int) -> None:
    changed.ok("db-backup")
    file = tmp_path / "kept.sqlite3"
    file.write_bytes(changed.kept()[0].read_bytes()[:size])
    live = changed.content()
    result = changed.run("db-restore", "--yes", "--trust-file", str(file))
    refused(result, 21, str(file))
    assert changed.content() == live
    assert changed.staging() == []


def test_a_damaged_file_without_a_manifest(changed: Local, tmp_path: Path) -> None:
    """Every row can still be read, but an index does not lead to them."""
    file = tmp_path / "kept.sqlite3"
    changed.ok("db-backup", "--to", str(file))
    file.with_name("kept.sqlite3.manifest.json").unlink()
    ((page,),) = query(file, "SELECT min(rootpage) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'posts'")
    data = bytearray(file.read_bytes())
    data[(page - 1) * 4096 + 3 : (page - 1) * 4096 + 5] = b"\0\0"  # no cells
    file.write_bytes(data)
    assert len(query(file, "SELECT * FROM posts NOT INDEXED")) == 4
    live = changed.content()
    refused(changed.run("db-restore", "--yes", "--trust-file", str(file)), 21, str(file), "damaged", "index")
    assert changed.content() == live
    assert changed.staging() == []


def test_a_file_that_is_no_database(changed: Local, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database at all\n" * 50)
    live = changed.content()
    refused(changed.run("db-restore", "--yes", "--trust-file", str(tmp_path / "notes.txt")), 21, "notes.txt")
    assert changed.content() == live


def test_a_directory(changed: Local, tmp_path: Path) -> None:
    refused(changed.run("db-restore", "--yes", str(tmp_path)), 21, str(tmp_path))


# Portable


@pytest.mark.parametrize("name", ["kept.json", "kept.json.gz", "kept.json.zst"])
def test_a_portable_snapshot(changed: Local, tmp_path: Path, name: str) -> None:
    before = changed.report()["tables"]
    changed.ok("db-backup", "--portable", str(tmp_path / name))
    changed.write("DELETE FROM posts")
    changed.write("DELETE FROM sections WHERE id = 77")
    changed.ok("db-restore", "--yes", str(tmp_path / name))
    assert marker(changed) == "Theirs"
    after = {table["table"]: table["checksum"] for table in changed.report()["tables"]}
    assert {t["table"]: t["checksum"] for t in before if t["table"] != "sections"}.items() <= after.items()


def test_a_truncated_and_an_edited_portable_snapshot(changed: Local, tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    changed.ok("db-backup", "--portable", str(file))
    whole = file.read_text()
    file.write_text(whole.replace("Theirs", "Forged"))
    damaged(changed, file, "line", status=3)
    file.write_text(whole[: len(whole) // 2])
    damaged(changed, file, "line", status=3)


def test_a_portable_snapshot_of_a_former_revision(changed: Local, tmp_path: Path) -> None:
    """It is put back as it was: at its own revision, which flask db-migrate-data self brings to head."""
    changed.migrations = history_without_the_newest(tmp_path / "migrations")
    changed.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
    changed.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Former', 'F')")
    changed.ok("db-backup", "--portable", str(tmp_path / "former.json"))
    changed.migrations = None
    changed.ok("db-init", "--yes")
    changed.ok("db-restore", "--yes", str(tmp_path / "former.json"))
    assert marker(changed) == "Former"
    assert changed.query("SELECT version_num FROM alembic_version") == [("0006_links",)]
    changed.ok("db-migrate-data", "self", "--yes")
    assert marker(changed) == "Former"
    assert changed.query("SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_a_portable_snapshot_of_a_revision_that_this_code_does_not_have(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup", "--portable", str(tmp_path / "kept.json"))
    live = changed.content()
    changed.migrations = history_without_the_newest(tmp_path / "migrations")
    refused(changed.run("db-restore", "--yes", str(tmp_path / "kept.json")), 22, HEAD, "Deploy code")
    assert changed.content() == live


def test_a_snapshot_of_records_is_for_a_migration(migrated: Local) -> None:
    live = migrated.content()
    refused(
        migrated.run("db-restore", "--yes", str(migrated.snapshot)), 3, f"flask db-migrate-data {migrated.snapshot}"
    )
    assert migrated.content() == live


# Files of another shape


@pytest.mark.parametrize("wal", [False, True])
def test_another_page_size(changed: Local, tmp_path: Path, wal: bool) -> None:
    foreign = tmp_path / "foreign.sqlite3"
    with closing(sqlite3.connect(changed.database)) as live, closing(sqlite3.connect(foreign)) as other:
        other.executescript("\n".join(live.iterdump()))
        other.commit()
        other.execute("PRAGMA page_size = 512")
        other.execute("VACUUM")
    expected = query(foreign, "SELECT * FROM posts ORDER BY id")
    changed.write("DELETE FROM posts")
    with closing(sqlite3.connect(changed.database, isolation_level=None)) as open_one:
        open_one.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        changed.ok("db-restore", "--yes", "--trust-file", str(foreign))
        assert open_one.execute("SELECT * FROM posts ORDER BY id").fetchall() == expected
        assert open_one.execute("PRAGMA journal_mode").fetchone() == ("wal" if wal else "delete",)
        assert open_one.execute("PRAGMA page_size").fetchone() == (4096,)
        assert open_one.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_that_is_in_wal_mode_itself(changed: Local, tmp_path: Path) -> None:
    file = tmp_path / "kept.sqlite3"
    changed.ok("db-backup", "--to", str(file))
    file.with_name("kept.sqlite3.manifest.json").unlink()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE sections SET name = 'In the WAL' WHERE id = 77")
        changed.ok("db-restore", "--yes", "--trust-file", str(file))
    assert marker(changed) == "In the WAL"


# Protected


def test_production(changed: Local) -> None:
    changed.ok("db-backup")
    live = changed.content()
    for options in (["--yes"], ["--yes", "--dry-run"]):
        refused(changed.run("db-restore", *options, **PRODUCTION), 20, "production", "--allow-production")
    assert changed.content() == live
    changed.ok("db-restore", "--yes", "--allow-production", **PRODUCTION)


def test_prohibited(changed: Local) -> None:
    changed.ok("db-backup")
    options = ("--yes", "--allow-production")
    refused(changed.run("db-restore", *options, FLASK_FERRY_PROHIBIT="db-restore"), 20, "FERRY_PROHIBIT")


def test_a_dry_run_writes_nothing(changed: Local) -> None:
    changed.ok("db-backup")
    changed.write("DELETE FROM posts")
    before, live = tree(changed.directory), changed.content()
    result = changed.ok("db-restore", "--yes", "--dry-run")
    assert "Would put" in result.last_line
    assert (tree(changed.directory), changed.content()) == (before, live)


def test_a_dry_run_finds_a_damaged_file(changed: Local) -> None:
    changed.ok("db-backup")
    write(changed.kept()[0], "DELETE FROM posts")
    refused(changed.run("db-restore", "--yes", "--dry-run"), 21, "SHA-256")


def test_backup_to(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup")
    live = changed.content()
    changed.ok("db-restore", "--yes", "--backup-to", str(tmp_path / "before.sqlite3"))
    assert content(tmp_path / "before.sqlite3") == live
    assert len(changed.kept()) == 1


def test_without_a_backup_the_copies_that_commands_made_are_offered(changed: Local, tmp_path: Path) -> None:
    refused(changed.run("db-restore", "--yes"), 21, "There is no backup of", "flask db-restore PATH")
    changed.ok("db-rollback", "--yes")
    live = changed.content()
    result = changed.run("db-restore", "--yes")
    assert result.status == 21
    assert "what other commands replaced: " in result.stderr
    offered = [line for line in result.stderr.splitlines() if line.startswith("flask db-restore ")]
    assert len(offered) == 1
    assert changed.content() == live
    changed.ok("db-restore", offered[0].split()[2], "--yes")
    assert marker(changed) == "Theirs"


def test_a_backup_behind_a_link_has_the_manifest_beside_the_link(changed: Local, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "kept"
    file.parent.mkdir()
    changed.ok("db-backup")
    [backup] = changed.kept()
    backup.rename(file)
    backup.symlink_to(file)
    changed.ok("db-restore", str(backup), "--yes")
    proved = changed.ok("db-verify")
    assert "no manifest" not in proved.stdout + proved.stderr


@pytest.mark.parametrize(
    ("beginning", "server"),
    [
        (b"PGDMP\x01", "PostgreSQL"),
        (b"-- MariaDB dump 10.19\n", "MySQL/MariaDB"),
        (b"-- MySQL dump 8.0\n", "MySQL/MariaDB"),
    ],
)
def test_a_backup_of_another_server_is_named_before_anything_is_done(
    changed: Local, beginning: bytes, server: str
) -> None:
    file = changed.directory / "other.dump"
    file.write_bytes(beginning + b"x" * 500)
    kept = sorted(path.name for path in changed.directory.rglob("*") if "journal" not in path.name)
    ended = changed.run("db-restore", str(file), "--yes", "--trust-file")
    assert ended.status == 21
    assert f"is a backup of {server}, and this database is SQLite's" in ended.stderr
    assert sorted(path.name for path in changed.directory.rglob("*") if "journal" not in path.name) == kept
