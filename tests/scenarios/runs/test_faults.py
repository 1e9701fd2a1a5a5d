"""What goes wrong on the way: full disks, permissions, revisions that fail or lose something; live stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.deployment.data import FEW, make_database
from tests.support.runs.commands import ForkServer, Place, history, integrity, write
from tests.support.site import Result, query

At = Callable[[str], Place]
HOOKS = "tests.support.runs.hooks"
UNPRIVILEGED = [(f"{HOOKS}:no_privileges", {})]
COUNT = "SELECT count(*) FROM {}"


def refused(place: Place, live: str, result: Result, status: int, *words: str) -> None:
    """It says what and where, the live database is what it was, and nothing is left behind."""
    assert result.status == status, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr
    assert place.content() == live
    assert place.staging() == []
    if (place.area / "control.db").exists():
        assert place.lease() == []


# No room


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system of a given size in KiB; asked again, it is resized."""
    directory = tmp_path / "disk"
    directory.mkdir()
    if os.geteuid() != 0 or _mount("-t", "tmpfs", "-o", "size=64k", "none", str(directory)):
        pytest.skip("only root can mount a small file system, and not everywhere; RLIMIT_FSIZE is tried instead")

    def resize(size_kb: int) -> Path:
        assert _mount("-o", f"remount,size={size_kb}k", str(directory)) == 0
        return directory

    yield resize
    subprocess.run(["umount", str(directory)], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


def test_too_little_room_is_seen_before_anything_is_written(
    small_disk: Callable[[int], Path], at: At, server: ForkServer, old: Path
) -> None:
    state = at("foreign").directory
    disk = small_disk(1300)
    shutil.copytree(state, disk, dirs_exist_ok=True)
    place = Place(disk, server=server)
    live = place.content()
    refused(place, live, place.migrate(old), 22, "Not enough space", "bytes are needed")
    refused(place, live, place.migrate(old, "--dry-run"), 22, "Not enough space")
    assert not place.area.exists()


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source that is larger than the room that an empty target asks for."""
    file = tmp_path_factory.mktemp("large") / "large.db"
    make_database(file, replace(FEW, users=150, posts=1500))
    return file


@pytest.mark.parametrize("size_kb", [1250, 1750, 2250])
def test_the_disk_is_full_in_the_middle(
    small_disk: Callable[[int], Path], server: ForkServer, large: Path, size_kb: int
) -> None:
    place = Place(small_disk(size_kb), server=server)
    result = place.migrate(large)
    assert result.status == 22, result.stderr
    assert any(words in result.stderr for words in ("No space left", "is full", "no room", "Not enough space"))
    assert place.content() == ""
    assert place.staging() == []
    small_disk(20_000)
    assert place.migrate(large).status == 0
    assert place.query(COUNT.format("posts")) == [(1500,)]
    assert integrity(place.database) == "ok"


@pytest.mark.parametrize("size_kb", [16, 60, 100, 150, 200, 300])
def test_files_may_not_grow(at: At, old: Path, size_kb: int) -> None:
    place = at("foreign")
    live = place.content()
    hook = (f"{HOOKS}:no_large_files", {"size_bytes": size_kb * 1024})
    result = place.run("db-migrate-data", str(old), "--yes", hooks=[hook])
    assert result.status in (1, 21, 22), result.stderr
    assert "Error: " in result.stderr
    assert place.content() == live
    assert place.staging() == []
    assert place.migrate(old).status == 0
    assert place.query(COUNT.format("users")) == [(60,)]


def test_a_lock_that_cannot_be_taken_for_a_read_only_directory_is_waited_for_by_nobody(at: At) -> None:
    """It was thought to be another run's, and waited for as long as --lock-timeout says: 900 s without a terminal."""
    place = at("foreign")
    assert place.run("db-backup").status == 0
    live = place.content()
    place.area.chmod(0o500)
    try:
        result = place.launch("db-backup", hooks=UNPRIVILEGED).wait(30)
    finally:
        place.area.chmod(0o700)
    refused(place, live, result, 1, "cannot be written: attempt to write a readonly database")


def test_a_ledger_that_cannot_be_written_after_the_cut_over(at: At, old: Path) -> None:
    """The new database is live, and nothing that the way back needs is gone."""
    place = at("foreign")
    live = place.content()
    hook = (f"{HOOKS}:no_room_for_the_ledger", {})
    result = place.run("db-migrate-data", str(old), "--yes", hooks=[hook])
    assert result.status == 25, result.stderr
    assert "new database is live" in result.stderr
    assert "flask db-migrate-data --yes" in result.stderr
    assert "The live database was replaced: the new one is live." in result.stderr
    assert place.report()["live"] == "replaced"
    assert place.query(COUNT.format("users")) == [(60,)]
    looked = place.run("db-status", "--check")
    assert (looked.status, "the new database is live" in looked.stdout) == (25, True)
    finished = place.run("db-migrate-data", str(old), "--yes")
    assert finished.status == 0, finished.stderr
    assert "its ledger entry was written now" in finished.stderr
    assert place.run("db-rollback", "--yes").status == 0
    assert place.content() == live


# No permission


@pytest.fixture
def sealed() -> Iterator[Callable[[Path, int], None]]:
    """Changes the modes of files and directories, and back at the end."""
    former: list[tuple[Path, int]] = []

    def change(path: Path, mode: int) -> None:
        former.append((path, path.stat().st_mode))
        path.chmod(mode)

    yield change
    for path, mode in reversed(former):
        path.chmod(mode)


def test_a_read_only_directory(place: Place, old: Path, sealed: Callable[[Path, int], None]) -> None:
    sealed(place.directory, 0o500)
    result = place.run("db-migrate-data", str(old), "--yes", hooks=UNPRIVILEGED)
    refused(place, "", result, 1, str(place.area), "Permission denied")
    assert list(place.directory.iterdir()) == []


def test_a_directory_where_only_the_control_area_can_be_written(
    at: At, old: Path, sealed: Callable[[Path, int], None]
) -> None:
    place = at("foreign_migrated")
    place.backups.mkdir(exist_ok=True)
    live = place.content()
    sealed(place.directory, 0o500)
    for arguments in (("db-migrate-data", str(old), "--yes", "--rerun"), ("db-rollback", "--yes")):
        result = place.run(*arguments, hooks=UNPRIVILEGED)
        refused(place, live, result, 1, str(place.directory))
    sealed(place.directory, 0o700)
    assert place.migrate(old, "--rerun").status == 0


def test_a_live_file_that_cannot_be_written(at: At, old: Path, sealed: Callable[[Path, int], None]) -> None:
    place = at("foreign")
    live = place.content()
    sealed(place.database, 0o400)
    result = place.run("db-migrate-data", str(old), "--yes", hooks=UNPRIVILEGED)
    refused(place, live, result, 1, str(place.database))


def test_a_directory_of_backups_that_cannot_be_written(at: At, old: Path, sealed: Callable[[Path, int], None]) -> None:
    place = at("foreign")
    live = place.content()
    place.backups.mkdir()
    sealed(place.backups, 0o500)
    result = place.run("db-migrate-data", str(old), "--yes", hooks=UNPRIVILEGED)
    refused(place, live, result, 21, str(place.backups), "Permission denied", "FERRY_BACKUPS")
    assert not place.snapshot.exists(), "no backup, no run"


@pytest.mark.parametrize("name", ["there", "missing/backup.sqlite3"])
def test_a_backup_file_that_cannot_be_made(at: At, old: Path, tmp_path: Path, name: str) -> None:
    place = at("foreign")
    live = place.content()
    (tmp_path / "there").write_text("of somebody")
    result = place.migrate(old, "--backup-to", str(tmp_path / name))
    refused(place, live, result, 21, str(tmp_path / name).rpartition("/backup")[0])
    assert (tmp_path / "there").read_text() == "of somebody"


def test_a_snapshot_that_cannot_be_written(
    at: At, old: Path, tmp_path: Path, sealed: Callable[[Path, int], None]
) -> None:
    place = at("foreign")
    live = place.content()
    directory = tmp_path / "snapshots"
    directory.mkdir()
    sealed(directory, 0o500)
    snapshot = directory / "data.json"
    result = place.run("db-migrate-data", str(old), "--yes", hooks=UNPRIVILEGED, FLASK_FERRY_SNAPSHOT=str(snapshot))
    refused(place, live, result, 1, str(snapshot), "Permission denied", "FERRY_SNAPSHOT")


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_control_area_that_cannot_be_written(
    at: At, next_release: Path, sealed: Callable[[Path, int], None], mode: int
) -> None:
    place = at("migrated")
    place.release(next_release)
    live = place.content()
    sealed(place.area / "control.db", 0o400)
    sealed(place.area, mode)
    result = place.run("db-migrate-data", "self", "--yes", hooks=UNPRIVILEGED)
    assert result.status == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert str(place.area) in result.stderr
    assert place.content() == live


def test_a_damaged_control_area(at: At, old: Path) -> None:
    place = at("migrated")
    live = place.content()
    (place.area / "control.db").write_bytes(b"SQLite format 3\x00" + b"rubbish" * 1000)
    result = place.migrate(old)
    assert result.status == 1, result.stderr
    assert "damaged" in result.stderr
    assert place.content() == live
    shutil.move(place.area, f"{place.area}.damaged")
    assert place.migrate(old).status == 0


@pytest.mark.parametrize("name", ["file/report.json", "taken.json"])
def test_a_report_that_cannot_be_written_is_a_warning(at: At, old: Path, tmp_path: Path, name: str) -> None:
    place = at("foreign")
    (tmp_path / "taken.json").mkdir()
    (tmp_path / "file").touch()
    result = place.migrate(old, "--report", str(tmp_path / name))
    if result.status == 2:  # seen before anything began
        assert name in result.stderr
        assert not place.snapshot.exists()
        return
    assert result.status == 0, result.stderr
    assert f"Warning: the report {tmp_path / name} could not be written" in result.stderr
    assert place.query(COUNT.format("users")) == [(60,)]


def test_what_cannot_be_tidied_up_after_the_cut_over_is_a_warning(
    at: At, next_release: Path, tmp_path: Path, sealed: Callable[[Path, int], None]
) -> None:
    place = at("migrated")
    place.release(next_release)
    hook = (f"{HOOKS}:fail_in_prune", {})
    result = place.run("db-migrate-data", "self", "--yes", hooks=[hook])
    assert result.status == 0, result.stderr
    assert "Warning: The run succeeded, but" in result.stderr
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]


# Revisions that fail


FAILURES = {
    "raises": ("raise RuntimeError('half-way')", ["half-way"]),
    "sql": ("op.execute('INSERT INTO nowhere VALUES (1)')", ["no such table: nowhere", "INSERT INTO nowhere"]),
    "refuses a row": (
        "op.execute('INSERT INTO sections (id) SELECT id FROM sections')",
        ["NOT NULL", "INSERT INTO sections"],
    ),
    "exits": ("raise SystemExit(3)", ["3"]),
    "not python": ("op.add_colum('sections')", ["add_colum"]),
}


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("source", ["self", "file"])
def test_a_revision_that_fails_half_way(
    at: At, old: Path, tmp_path: Path, kind: str, source: str, prepared: Callable[[str], Path]
) -> None:
    code, words = FAILURES[kind]
    place = at("migrated" if source == "self" else "foreign")
    upgrade = f"op.add_column('sections', sa.Column('room', sa.String(20)))\n{code}"
    place.release(history(tmp_path / "migrations", upgrade))
    live = place.content()
    given = "self" if source == "self" else prepared("migrated") / "app.db"
    refused(place, live, place.migrate(given), 22, "0008_next", *words)
    assert place.report()["error"]["message"]


def test_a_revision_that_writes_to_the_live_database_and_fails(at: At, tmp_path: Path) -> None:
    """By a connection of its own, which nobody can look at: what is said of the live database is true all the same."""
    place = at("migrated")
    upgrade = (
        "import sqlite3\n"
        "from flask import current_app\n"
        "with sqlite3.connect(sa.make_url(current_app.config['SQLALCHEMY_DATABASE_URI']).database) as connection:\n"
        "    connection.execute('CREATE TABLE of_the_revision (x)')\n"
        "raise RuntimeError('half-way')"
    )
    place.release(history(tmp_path / "migrations", upgrade))
    result = place.migrate("self")
    assert result.status == 22, result.stderr
    assert "was written meanwhile" in result.stderr
    assert "is unchanged" not in result.stderr
    assert place.report()["live"] == "written"


def test_a_revision_that_writes_to_the_live_database(at: At, tmp_path: Path) -> None:
    place = at("migrated")
    upgrade = (
        "import sqlite3\n"
        "from flask import current_app\n"
        "with sqlite3.connect(sa.make_url(current_app.config['SQLALCHEMY_DATABASE_URI']).database) as connection:\n"
        "    connection.execute('CREATE TABLE of_the_revision (x)')"
    )
    place.release(history(tmp_path / "migrations", upgrade))
    result = place.migrate("self")
    assert result.status == 1, result.stderr
    assert "changed the schema of the live database" in result.stderr
    assert "This run has replaced nothing, but the schema of the live database was changed meanwhile" in result.stderr
    assert place.report()["live"] == "altered"
    assert place.query("SELECT version_num FROM alembic_version") == [("0007_unique_sids",)]
    assert place.query("SELECT name FROM sqlite_schema WHERE name = 'of_the_revision'"), "or this proves nothing"
    assert (place.staging(), place.lease()) == ([], [])


def test_foreign_keys_that_dangle_at_head(at: At, next_release: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    place.write("UPDATE posts SET user_id = 987654 WHERE id = (SELECT min(id) FROM posts)")
    live = place.content()
    refused(place, live, place.migrate("self"), 23, "rules do not hold", "posts: 1 row refers to a row of users")


# Revisions that lose something


LOSSES = {
    "column": ("op.drop_column('users', 'email')", "users.email"),
    "table": ("op.drop_table('feedbacks')", "feedbacks"),
    "rename": ("op.rename_table('feedbacks', 'remarks')", "feedbacks"),
    "rows": ("op.execute('DELETE FROM leaderboard WHERE id = (SELECT min(id) FROM leaderboard)')", "leaderboard"),
    "all rows": ("op.execute('DELETE FROM leaderboard')", "leaderboard"),
    "column in another way": (
        "op.add_column('users', sa.Column('mail', sa.String(255)))\n"
        "op.execute('UPDATE users SET mail = upper(email) || id')\n"
        "op.drop_column('users', 'email')",
        "users.email",
    ),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_that_nobody_declared(at: At, tmp_path: Path, kind: str) -> None:
    upgrade, name = LOSSES[kind]
    place = at("migrated")
    place.release(history(tmp_path / "migrations", upgrade))
    live = place.content()
    refused(place, live, place.migrate("self"), 23, name, "ferry_losses")


@pytest.mark.parametrize("kind", ["column", "table", "rows", "column in another way"])
def test_a_loss_that_is_declared_is_in_the_receipt(at: At, tmp_path: Path, kind: str) -> None:
    upgrade, name = LOSSES[kind]
    place = at("migrated")
    declared = f"ferry_losses = {{{name!r}: 'not needed any more'}}"
    place.release(history(tmp_path / "migrations", upgrade, declared=declared))
    result = place.migrate("self")
    assert result.status == 0, result.stderr
    (line,) = place.report()["losses"]
    assert line.startswith(f"{name}: ")
    assert "not needed any more (revision 0008_next)" in line
    assert line in result.stdout


def test_a_table_that_moves_as_declared(at: At, tmp_path: Path) -> None:
    place = at("migrated")
    upgrade, _ = LOSSES["rename"]
    declared = "ferry_moves = {'feedbacks': 'remarks'}"
    place.release(history(tmp_path / "migrations", upgrade, declared=declared))
    rows = place.query("SELECT * FROM feedbacks")
    result = place.migrate("self")
    assert result.status == 0, result.stderr
    assert "feedbacks -> remarks" in place.report()["moves"]
    assert place.query("SELECT * FROM remarks") == rows


@pytest.mark.parametrize(
    ("lost", "status"), [("", 0), ("op.execute('DELETE FROM remarks WHERE id = (SELECT min(id) FROM remarks)')", 23)]
)
def test_a_table_that_moves_keeps_its_rows(at: At, tmp_path: Path, lost: str, status: int) -> None:
    place = at("migrated")
    upgrade = f"{LOSSES['rename'][0]}\n{lost}"
    place.release(history(tmp_path / "migrations", upgrade, declared="ferry_moves = {'feedbacks': 'remarks'}"))
    assert place.migrate("self").status == status


def test_a_column_that_is_renamed_is_proved_by_its_values(at: At, tmp_path: Path) -> None:
    place = at("migrated")
    upgrade = "with op.batch_alter_table('users') as batch:\n    batch.alter_column('email', new_column_name='mail')"
    place.release(history(tmp_path / "migrations", upgrade))
    values = place.query("SELECT id, email FROM users")
    result = place.migrate("self")
    assert result.status == 0, result.stderr
    assert "users.email -> users.mail (the same values)" in place.report()["moves"]
    assert place.query("SELECT id, mail FROM users") == values


# What no revision made


def test_what_no_revision_made_is_carried_and_named(at: At, old: Path) -> None:
    place = at("foreign")
    for sql in (
        "CREATE TABLE of_ours (id INTEGER PRIMARY KEY, note TEXT DEFAULT 'none')",
        "INSERT INTO of_ours (id) VALUES (1), (2)",
        "CREATE INDEX of_ours_note ON of_ours (note)",
        "CREATE TRIGGER of_ours_kept BEFORE DELETE ON of_ours BEGIN SELECT raise(ABORT, 'kept'); END",
        "CREATE VIEW section_names AS SELECT name FROM sections",
        "CREATE TRIGGER sections_noted AFTER INSERT ON sections "
        "BEGIN INSERT INTO of_ours (note) VALUES (new.name); END",
    ):
        place.write(sql)
    names = (
        "SELECT type, name, sql FROM sqlite_schema WHERE name LIKE '%ours%' OR name LIKE 'section%\\_n%' ESCAPE '\\'"
    )
    objects = sorted(place.query(names))
    assert len(objects) == 5
    result = place.migrate(old, "--verbose")
    assert result.status == 0, result.stderr
    assert sorted(place.query(names)) == objects
    assert place.query("SELECT * FROM of_ours") == [(1, "none"), (2, "none")], "the load fired no trigger"
    assert len(place.query("SELECT * FROM section_names")) == 3
    carried = "\n".join(place.report()["carried"])
    for name in ("table of_ours", "view section_names", "trigger sections_noted"):
        assert name in carried
        assert name in result.stdout
    place.write("INSERT INTO sections (id, name, abbreviation) VALUES (900, 'Later', 'L')")
    assert place.query("SELECT note FROM of_ours WHERE id = 3") == [("Later",)]


def test_a_self_run_keeps_what_no_revision_made(at: At, next_release: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    place.write("CREATE TABLE of_ours (id INTEGER PRIMARY KEY, note TEXT)")
    place.write("INSERT INTO of_ours VALUES (1, 'one')")
    place.write("CREATE VIEW section_names AS SELECT name FROM sections")
    result = place.migrate("self")
    assert result.status == 0, result.stderr
    assert place.query("SELECT * FROM of_ours") == [(1, "one")]
    assert len(place.query("SELECT * FROM section_names")) == 3
    assert "of_ours" in [item["table"] for item in place.report()["tables"]]


def test_a_view_that_does_not_fit_the_new_schema(at: At, old: Path) -> None:
    place = at("foreign")
    place.write("CREATE VIEW rooms AS SELECT room FROM sections")
    live = place.content()
    refused(place, live, place.migrate(old), 22, "view 'rooms'", "no such column: room")


def test_a_virtual_table(at: At, old: Path) -> None:
    place = at("foreign")
    place.write("CREATE VIRTUAL TABLE words USING fts5(word, content='')")
    live = place.content()
    refused(place, live, place.migrate(old), 22, "virtual table", "words")


# A source that is not good


def test_a_source_that_is_damaged(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    live = place.content()
    damaged = tmp_path / "damaged.db"
    data = bytearray(old.read_bytes())
    data[8192:40960] = os.urandom(40960 - 8192)
    damaged.write_bytes(data)
    result = place.migrate(damaged)
    assert result.status in (1, 3, 22), result.stderr
    refused(place, live, result, result.status, str(damaged))


def test_a_table_that_no_revision_has_stops_the_run_until_it_is_excluded(
    place: Place, old: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more.db"
    shutil.copyfile(old, more)
    write(more, "CREATE TABLE diary (id INTEGER PRIMARY KEY, text TEXT)")
    write(more, "INSERT INTO diary VALUES (1, 'today')")
    result = place.migrate(more)
    assert result.status == 22, result.stderr
    assert "diary" in result.stderr
    assert "--exclude" in result.stderr
    assert place.content() == ""
    result = place.migrate(more, "--exclude", "diary")
    assert result.status == 0, result.stderr
    assert {"what": "table diary", "rows": 1, "reason": "--exclude"} in place.report()["waived"]


def test_a_source_with_a_hot_journal_is_not_written(at: At, old: Path, tmp_path: Path) -> None:
    """What a killed deployment left: it is read as SQLite would leave it, and stays as it is."""
    source = tmp_path / "killed.db"
    shutil.copyfile(old, source)
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN')\n"
        "c.execute(\"UPDATE posts SET _content = 'never committed'\")\n"
        "c.execute('DELETE FROM study')\n"
        "os.kill(os.getpid(), 9)\n"
    )

    assert subprocess.run([sys.executable, "-c", program, str(source)], check=False).returncode == -9
    before = {path.name: path.read_bytes() for path in tmp_path.glob("killed.db*")}
    assert "killed.db-journal" in before
    assert before["killed.db"] != old.read_bytes()
    place = at("foreign")
    result = place.migrate(source)
    assert result.status == 0, result.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.glob("killed.db*")} == before
    assert place.query("SELECT count(*) FROM posts WHERE content = 'never committed'") == [(0,)]
    assert place.query("SELECT count(*) FROM studies") == query(old, "SELECT count(*) FROM study")
