"""``flask db-backup``: made, listed, checked, pruned."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.transfer.rows.files import file_sha256
from app.transfer.rows.snapshot import check
from tests.support.local import HEAD, PRODUCTION, Local, history_without_the_newest, refused, tree, write
from tests.support.site import Site, content


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def manifest(path: Path) -> Path:
    return path.with_name(f"{path.name}.manifest.json")


def test_a_backup_is_the_database_and_for_its_owner_alone(changed: Local) -> None:
    live = changed.content()
    result = changed.ok("db-backup")
    (made,) = changed.kept()
    assert content(made) == live == changed.content()
    assert mode(changed.backups) == 0o700
    assert mode(made) == mode(manifest(made)) == 0o600
    assert str(made) in result.last_line
    assert "33 rows" in result.last_line
    assert "read back" in result.last_line
    assert changed.staging() == []
    assert changed.lease() == []


def test_the_manifest_says_what_it_is(changed: Local) -> None:
    changed.ok("db-backup")
    (made,) = changed.kept()
    said = json.loads(manifest(made).read_text())
    assert said["revision"] == HEAD
    assert said["command"] == "db-backup"
    assert said["database"] == str(changed.database)
    assert said["tables"]["sections"][0] == 3
    assert said["size_bytes"] == made.stat().st_size


def test_to_a_file(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup", "--to", str(tmp_path / "kept.sqlite3"))
    assert content(tmp_path / "kept.sqlite3") == changed.content()
    assert mode(tmp_path / "kept.sqlite3") == 0o600
    assert not changed.backups.exists()


def test_to_a_file_of_the_current_directory(site: Site, tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    here = tmp_path / "here"
    here.mkdir()
    done = site.flask("db-backup", "--to", "kept.sqlite3", cwd=here, PYTHONPATH=str(Path.cwd()))
    assert done.status == 0, done.stderr
    assert content(here / "kept.sqlite3") == site.content()


@pytest.mark.parametrize("options", [("--to", "{}/kept.db"), ("--to", "{}/kept.json"), ("--portable", "{}/kept.json")])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_an_existing_file_is_never_written_over(
    seeded: Local, tmp_path: Path, options: tuple[str, str], dry: tuple[str, ...]
) -> None:
    file = Path(options[1].format(tmp_path))
    file.write_text("somebody's only copy")
    refused(seeded.run("db-backup", options[0], str(file), *dry), 21, str(file), "exists")
    assert file.read_text() == "somebody's only copy"
    assert not manifest(file).exists()


def test_to_a_directory_that_is_not_there(seeded: Local, tmp_path: Path) -> None:
    refused(seeded.run("db-backup", "--to", str(tmp_path / "absent" / "kept.db")), 21, str(tmp_path / "absent"))


def test_no_database(local: Local) -> None:
    refused(local.run("db-backup"), 2, "no database", "flask db upgrade", "flask db-init")
    assert list(local.directory.iterdir()) == []


def test_a_dry_run_writes_nothing(seeded: Local) -> None:
    before = tree(seeded.directory)
    for options in ((), ("--portable",), ("--to", "elsewhere.db")):
        result = seeded.ok("db-backup", "--dry-run", *options)
        assert "Would back" in result.last_line
    assert tree(seeded.directory) == before


@pytest.mark.parametrize("name", ["kept.json", "kept.json.gz", "kept.json.zst"])
@pytest.mark.parametrize("option", ["--portable", "--to"])
def test_portable(changed: Local, tmp_path: Path, name: str, option: str) -> None:
    file = tmp_path / name
    changed.ok("db-backup", option, str(file))
    header, footer = check(file)
    assert (header.kind, header.revision) == ("rows", HEAD)
    assert footer.checksums["sections"].rows == 3
    assert mode(file) == 0o600
    start = {".json": b'{"he', ".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}[file.suffix]
    assert file.read_bytes().startswith(start)


def test_portable_by_itself_goes_to_the_directory(changed: Local) -> None:
    changed.ok("db-backup", "--portable")
    (made,) = changed.kept()
    assert made.name.endswith(".json.zst")
    assert check(made)[1].checksums["sections"].rows == 3
    assert mode(made) == 0o600
    assert mode(changed.backups) == 0o700


@pytest.mark.parametrize("options", [("--portable", "{}/kept.sqlite3"), ("--portable", "--to", "{}/kept.db")])
def test_portable_with_another_suffix(seeded: Local, tmp_path: Path, options: tuple[str, ...]) -> None:
    refused(seeded.run("db-backup", *(item.format(tmp_path) for item in options)), 2, ".json.zst")
    assert not list(tmp_path.glob("kept*"))


def test_portable_needs_a_revision(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    local.ok("db-init")
    refused(local.run("db-backup", "--portable"), 21, "is at none", "flask db stamp")
    assert local.kept() == []


@pytest.mark.parametrize(
    "options",
    [
        ("--list", "--prune"),
        ("--list", "--to", "kept.db"),
        ("--check", "--prune"),
        ("--prune", "--portable"),
        ("--portable", "a.json", "--to", "b.json"),
    ],
)
def test_one_thing_at_a_time(local: Local, options: tuple[str, ...]) -> None:
    assert local.run("db-backup", *options).status == 2
    assert list(local.directory.iterdir()) == []


# --list


def test_list(changed: Local) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup", "--portable")
    changed.ok("db-init", "--yes")
    lines = changed.ok("db-backup", "--list").stdout.splitlines()
    assert len(lines) == 4
    assert "33 rows" in lines[0]
    assert "by db-backup" in lines[0]
    assert "portable" in lines[1]
    assert "by db-init" in lines[2]
    assert lines[-1].startswith("3 backups of ")
    (event,) = changed.ok("db-backup", "--list", "--json").events
    assert [(item["command"], item["rows"], item["portable"]) for item in event["backups"]] == [
        ("db-backup", 33, False),
        ("db-backup", 33, True),
        ("db-init", 33, False),
    ]
    assert all(Path(item["file"]).is_file() for item in event["backups"])


def test_list_shows_only_this_databases_backups(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup")
    other = Local(tmp_path / "other", environ={"FLASK_FERRY_BACKUPS": str(changed.backups)})
    other.directory.mkdir()
    assert other.ok("db-backup", "--list").last_line.startswith("0 backups")
    assert len(changed.kept()) == 1


def test_list_without_a_directory(local: Local) -> None:
    assert local.ok("db-backup", "--list").last_line.startswith("0 backups")
    assert list(local.directory.iterdir()) == []


def test_a_file_without_its_manifest_is_no_backup(changed: Local) -> None:
    changed.ok("db-backup")
    manifest(changed.kept()[0]).unlink()
    assert changed.ok("db-backup", "--list").last_line.startswith("0 backups")
    refused(changed.run("db-restore", "--yes"), 21, "no backup")


# --check


def test_check_all_and_one(changed: Local) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup", "--portable")
    both = changed.kept()
    assert changed.ok("db-backup", "--check").last_line == "2 backups are good."
    for file in both:
        name = file.name.removesuffix(".sqlite3")
        assert changed.ok("db-backup", "--check", name).last_line == "1 backup is good."
    assert changed.staging() == []


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5000 if len(data) > 9000 else len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4096])


def other_content(file: Path) -> None:
    """Good in itself, and its digest in the manifest too, but it does not hold what was backed up."""

    write(file, "DELETE FROM posts WHERE id = 4")
    _digest_again(file)


def _digest_again(file: Path) -> None:

    said = json.loads(manifest(file).read_text())
    manifest(file).write_text(json.dumps({**said, "sha256": file_sha256(file)}))


@pytest.mark.parametrize("damage", [flip, cut, other_content])
def test_check_names_the_damaged_one(changed: Local, damage: Callable[[Path], None]) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup")
    bad, good = changed.kept()
    damage(bad)
    result = changed.run("db-backup", "--check")
    refused(result, 21, "1 of 2", bad.name)
    assert good.name not in result.stderr.split("Error:")[1]
    assert good.stem in result.stderr.split("Error:")[0] + result.stdout
    assert changed.run("db-backup", "--check", bad.stem).status == 21
    assert changed.run("db-backup", "--check", good.stem).status == 0


def test_check_of_a_damaged_portable_one(changed: Local) -> None:
    changed.ok("db-backup", "--portable")
    flip(changed.kept()[0])
    _digest_again(changed.kept()[0])
    refused(changed.run("db-backup", "--check"), 21, changed.kept()[0].name)


def test_check_of_an_unknown_one(changed: Local) -> None:
    refused(changed.run("db-backup", "--check"), 21, "no backup")
    changed.ok("db-backup")
    refused(changed.run("db-backup", "--check", "app-yesterday"), 21, "app-yesterday", "--list")


# --drill


def test_a_drill_restores_the_newest_and_leaves_nothing(changed: Local) -> None:
    refused(changed.run("db-backup", "--drill"), 21, "no backup", "flask db-backup")
    changed.ok("db-backup")
    changed.ok("db-backup", "--portable")
    changed.ok("db-backup")
    before, newest = changed.database.read_bytes(), changed.kept()[-1]
    line = changed.ok("db-backup", "--drill").last_line
    assert newest.stem in line
    assert re.search(r"in \d+\.\d s: \d+ rows, as they were", line)
    assert changed.database.read_bytes() == before
    assert changed.staging() == []


@pytest.mark.parametrize("arguments", [("--drill",), ("--check",), ("--check", "app-yesterday")])
def test_what_restores_is_no_dry_run(changed: Local, arguments: tuple[str, ...]) -> None:
    refused(changed.run("db-backup", *arguments, "--dry-run"), 2, "throw-away")


@pytest.mark.parametrize("damage", [flip, cut, other_content])
def test_a_drill_of_a_damaged_one_fails(changed: Local, damage: Callable[[Path], None]) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup")
    older, newest = changed.kept()
    damage(older)
    changed.ok("db-backup", "--drill")
    damage(newest)
    refused(changed.run("db-backup", "--drill"), 21, newest.name)


# --prune


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_prune_never_removes_the_last_good_one(changed: Local, damage: Callable[[Path], None]) -> None:
    for _ in range(4):
        changed.ok("db-backup")
    made = changed.kept()
    for file in made[2:]:
        damage(file)
    changed.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    assert made[1].is_file()
    assert not made[0].exists()
    assert changed.run("db-backup", "--check", made[1].stem).status == 0


def test_prune_keeps_as_many_of_each_command(changed: Local) -> None:
    for _ in range(4):
        changed.ok("db-backup")
    changed.ok("db-init", "--yes")
    made = changed.kept()
    result = changed.ok("db-backup", "--prune", FLASK_FERRY_KEEP="2")
    assert changed.kept() == made[2:]
    assert result.last_line.startswith("Removed 2 backups")
    assert not manifest(made[0]).exists()
    assert changed.ok("db-backup", "--check").last_line == "3 backups are good."


def test_prune_keeps_the_newest_whatever_is_configured(changed: Local) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup")
    newest = changed.kept()[-1]
    changed.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    assert changed.kept() == [newest]
    refused(changed.run("db-backup", "--prune", FLASK_FERRY_KEEP="0"), 2, "FERRY_KEEP")


def test_prune_leaves_the_backups_of_others_alone(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup")
    other = Local(tmp_path / "other", environ={"FLASK_FERRY_BACKUPS": str(changed.backups)})
    other.directory.mkdir()
    other.ok("db-init")
    other.ok("db-backup")
    other.ok("db-backup", "--prune", FLASK_FERRY_KEEP="1")
    assert len(changed.kept()) == 3


def test_a_dry_prune_removes_nothing(changed: Local) -> None:
    changed.ok("db-backup")
    changed.ok("db-backup")
    before = tree(changed.directory)
    result = changed.ok("db-backup", "--prune", "--dry-run", FLASK_FERRY_KEEP="1")
    assert result.last_line.startswith("Would remove 1 backup")
    assert tree(changed.directory) == before


# Refused


@pytest.mark.parametrize("options", [(), ("--prune",), ("--check",), ("--list",), ("--portable",)])
def test_prohibited(seeded: Local, options: tuple[str, ...]) -> None:
    before = tree(seeded.directory)
    refused(seeded.run("db-backup", *options, FLASK_FERRY_PROHIBIT="db-backup"), 20, "FERRY_PROHIBIT")
    assert tree(seeded.directory) == before


def test_production_needs_no_permission(seeded: Local) -> None:
    seeded.ok("db-backup", **PRODUCTION)


def test_while_somebody_writes(changed: Local) -> None:
    """A reader in a transaction does not stand in its way, and what is not committed is not in it."""

    committed = changed.content()
    with closing(sqlite3.connect(changed.database, isolation_level=None)) as writer:
        writer.execute("BEGIN")
        writer.execute("DELETE FROM posts")
        changed.ok("db-backup")
        writer.execute("ROLLBACK")
    assert content(changed.kept()[0]) == committed


def test_a_damaged_database_gives_no_backup(changed: Local) -> None:
    data = bytearray(changed.database.read_bytes())
    data[8192:40960] = b"damage!!" * 4096
    changed.database.write_bytes(data)
    result = changed.run("db-backup")
    refused(result, 21 if "backup" in result.stderr else 1, str(changed.database))
    assert changed.kept() == []
    assert changed.staging() == []


def test_a_wal_database(changed: Local) -> None:

    with closing(sqlite3.connect(changed.database, isolation_level=None)) as writer:
        assert writer.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        writer.execute("INSERT INTO sections (id, name, abbreviation) VALUES (78, 'In the WAL', 'W')")
        changed.ok("db-backup")
    (made,) = changed.kept()
    assert content(made) == changed.content()
    assert len(json.loads(manifest(made).read_text())["whole"]) == 32
    assert [path.name for path in changed.backups.iterdir() if path.suffix in ("-wal", "-shm")] == []


def test_a_value_that_no_command_could_put_back(changed: Local) -> None:
    """No row of a file is read for its backup, but all of them are looked at."""
    changed.write("CREATE TABLE wide (id INTEGER PRIMARY KEY" + "".join(f", c{n}" for n in range(250)) + ")")
    changed.write("INSERT INTO wide (id, c249) VALUES (7, CAST(x'4AFF' AS TEXT))")
    refused(changed.run("db-backup"), 22, "wide.c249 holds text that is not UTF-8 (key [7])")
    assert changed.kept() == []
    changed.write("UPDATE wide SET c249 = x'4AFF'")
    changed.ok("db-backup")
