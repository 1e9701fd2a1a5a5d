"""``flask db-init``: a fresh database for a developer, and nothing lost on the way."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.support.local import HEAD, PRODUCTION, Local, control, history_without_the_newest, refused, tree
from tests.support.site import Site, content, query

TEMPORARY_SEED = "tests.scenarios.commands.seeds"


def tables(database: Path) -> set[str]:
    return {name for (name,) in query(database, "SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_an_absent_database_is_created(local: Local) -> None:
    result = local.ok("db-init")
    assert local.query("SELECT uid FROM users ORDER BY id")[0] == ("toby",)
    assert local.query("SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert HEAD in result.last_line
    assert not local.backups.exists()
    assert local.staging() == []
    assert local.lease() == []


def test_its_directory_is_created_too(local: Local) -> None:
    local.environ["DATABASE_URL"] = f"sqlite:///{local.directory}/data/deep/app.db"
    local.ok("db-init")
    assert query(local.directory / "data/deep/app.db", "SELECT count(*) FROM users") == [(5,)]


@pytest.mark.parametrize("made_by", ["touch", "schema"])
def test_an_empty_database_is_not_asked_about(local: Local, made_by: str) -> None:
    if made_by == "touch":
        local.database.touch()
    else:
        local.ok("db-init", "--no-seed")
        assert local.query("SELECT count(*) FROM users") == [(0,)]
    local.ok("db-init")
    assert local.query("SELECT count(*) FROM users") == [(5,)]


def test_as_seeded_is_not_asked_about_and_not_backed_up(seeded: Local) -> None:
    before = seeded.query("SELECT * FROM users")
    result = seeded.ok("db-init")
    assert "Nothing to back up" in result.stderr
    assert not seeded.backups.exists()
    assert seeded.query("SELECT * FROM users") == before


def test_forty_times_a_day_does_not_push_out_the_backup_of_real_rows(changed: Local) -> None:
    live = changed.content()
    changed.ok("db-init", "--yes")
    for _ in range(4):
        changed.ok("db-init", FLASK_FERRY_KEEP="2")
    (kept,) = changed.kept()
    assert content(kept) == live


def test_as_seeded_is_backed_up_where_that_is_asked_for(seeded: Local, tmp_path: Path) -> None:
    live = seeded.content()
    seeded.ok("db-init", "--backup-to", str(tmp_path / "kept.sqlite3"))
    assert content(tmp_path / "kept.sqlite3") == live


def test_it_can_be_undone(changed: Local) -> None:
    live = changed.content()
    changed.ok("db-init", "--yes")
    changed.ok("db-init")
    assert changed.content() != live
    for _ in range(2):
        changed.ok("db-rollback", "--yes")
    assert changed.query("SELECT name FROM sections WHERE id = 77") == [("Theirs",)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Theirs', 'T')",
        "UPDATE users SET name = 'Somebody else' WHERE id = 1",
        "DELETE FROM posts WHERE id = 1",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY)",
        "ALTER TABLE sections ADD COLUMN room TEXT",
    ],
)
def test_what_somebody_changed_is_asked_about(seeded: Local, sql: str) -> None:
    seeded.write(sql)
    live = seeded.content()
    refused(seeded.run("db-init"), 130, "no terminal", str(seeded.database), "sections", "flask db-init --yes")
    assert seeded.content() == live
    assert seeded.kept() == []


def test_changed_rows_are_backed_up_and_the_backup_is_read_back(changed: Local) -> None:
    live = changed.content()
    result = changed.ok("db-init", "--yes")
    (kept,) = changed.kept()
    assert content(kept) == live
    assert "read back" in result.stderr
    assert f"Backup: {kept}" in result.stdout
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert changed.query("SELECT count(*) FROM sections WHERE id = 77") == [(0,)]


def test_another_commands_database_is_asked_about(seeded: Local) -> None:
    seeded.ok("db-backup")
    seeded.ok("db-restore", "--yes")
    refused(seeded.run("db-init"), 130)


def test_backup_to_a_file_and_to_a_portable_one(changed: Local, tmp_path: Path) -> None:
    live = changed.content()
    changed.ok("db-init", "--yes", "--backup-to", str(tmp_path / "kept.sqlite3"))
    assert content(tmp_path / "kept.sqlite3") == live
    changed.write("INSERT INTO sections (id, name, abbreviation) VALUES (78, 'More', 'M')")
    changed.ok("db-init", "--yes", "--backup-to", str(tmp_path / "kept.json"))
    lines = (tmp_path / "kept.json").read_text().splitlines()
    assert json.loads(lines[0].removeprefix('{"header": ').removesuffix(","))["kind"] == "rows"
    changed.ok("db-restore", "--yes", str(tmp_path / "kept.json"))
    assert changed.query("SELECT name FROM sections WHERE id = 78") == [("More",)]


@pytest.mark.parametrize("name", ["kept.sqlite3", "kept.json.zst"])
def test_an_existing_backup_is_never_written_over(changed: Local, tmp_path: Path, name: str) -> None:
    live = changed.content()
    (tmp_path / name).write_text("somebody's only copy")
    refused(changed.run("db-init", "--yes", "--backup-to", str(tmp_path / name)), 21, name, "exists")
    assert (tmp_path / name).read_text() == "somebody's only copy"
    assert changed.content() == live


def test_a_directory_of_backups_that_cannot_be_made(changed: Local, tmp_path: Path) -> None:
    live = changed.content()
    (tmp_path / "file").touch()
    result = changed.run("db-init", "--yes", FLASK_FERRY_BACKUPS=str(tmp_path / "file" / "backups"))
    refused(result, 21, str(tmp_path / "file" / "backups"), "FERRY_BACKUPS")
    assert changed.content() == live


def test_the_schema_of_models_and_of_migrations_is_the_same(local: Local, tmp_path: Path) -> None:
    local.ok("db-init")
    from_models = local.query("SELECT name FROM sqlite_schema ORDER BY name")
    other = Local(tmp_path / "other")
    other.directory.mkdir()
    other.ok("db-init", "--schema", "migrations")
    assert other.query("SELECT name FROM sqlite_schema ORDER BY name") == from_models
    made = [{table["table"]: table["checksum"] for table in app.report()["tables"]} for app in (local, other)]
    assert made[0] == made[1]
    assert len(made[0]) == 19


def test_drift_is_named_recorded_shown_and_not_stamped(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    result = local.ok("db-init")
    for words in (
        "differ",
        "0006_links",
        "sid",
        "no revision",
        "flask db-init --schema migrations",
        "flask db migrate",
    ):
        assert words in result.stderr
    assert "alembic_version" not in tables(local.database)
    assert local.query("SELECT count(*) FROM users") == [(5,)]
    ((entry,),) = control(local, "SELECT entry FROM ledger")
    assert "sid" in "".join(json.loads(entry)["drift"])
    drift = local.ok("db-status", "--json").events[-1]["target"]["drift"]
    assert any("sid" in line for line in drift)
    assert "sid" in local.ok("db-status", "-v").stdout.split("Drift:")[1].split("Last run:")[0]
    assert local.run("db-status", "--check").status == 1


def test_drift_is_found_again_without_building_head_again(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    first = local.ok("db-init").stderr
    second = local.ok("db-init").stderr
    assert [line for line in first.splitlines() if "sid" in line]
    assert [line for line in second.splitlines() if "sid" in line] == [
        line for line in first.splitlines() if "sid" in line
    ]


def test_the_way_out_of_drift(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    local.ok("db-init")
    result = local.ok("db-init", "--schema", "migrations", "--no-seed")
    assert "differ" not in result.stderr
    assert local.query("SELECT version_num FROM alembic_version") == [("0006_links",)]
    local.migrations = None
    local.ok("db-init")
    assert local.query("SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_unknown_tables_and_views_are_named_and_stay_in_the_backup(changed: Local) -> None:
    changed.write("CREATE TABLE bookmarks (id INTEGER PRIMARY KEY, url TEXT)")
    changed.write("INSERT INTO bookmarks VALUES (1, 'https://example.test')")
    changed.write("CREATE VIEW busy AS SELECT user_id, count(*) AS posts FROM posts GROUP BY user_id")
    result = changed.ok("db-init", "--yes")
    (line,) = [line for line in result.stderr.splitlines() if "backup only" in line]
    assert "bookmarks" in line
    assert "busy" in line
    assert "users" not in line
    assert not changed.query("SELECT name FROM sqlite_schema WHERE name IN ('bookmarks', 'busy')")
    (kept,) = changed.kept()
    assert query(kept, "SELECT url FROM bookmarks") == [("https://example.test",)]
    assert query(kept, "SELECT count(*) FROM busy")[0][0] > 0


def test_without_a_seed_it_says_so(local: Local) -> None:
    local.config["FERRY_SEED"] = None
    result = local.ok("db-init")
    assert "FERRY_SEED is not set" in result.stderr
    assert local.query("SELECT count(*) FROM users") == [(0,)]


def test_no_seed(local: Local) -> None:
    result = local.ok("db-init", "--no-seed")
    assert "FERRY_SEED" not in result.stderr
    assert local.query("SELECT count(*) FROM users") == [(0,)]
    assert local.query("SELECT version_num FROM alembic_version") == [(HEAD,)]


@pytest.mark.parametrize(
    ("seed", "status", "words"),
    [
        (f"{TEMPORARY_SEED}:broken", 1, "the fixture is missing"),
        (f"{TEMPORARY_SEED}:half_way", 1, "half way"),
        (f"{TEMPORARY_SEED}:refused", 1, "IntegrityError"),
        (f"{TEMPORARY_SEED}:demanding", 1, "MissingParameter"),
        (f"{TEMPORARY_SEED}:gives_up", 1, "Exit: 3"),
        (f"{TEMPORARY_SEED}:leaves", 1, "SystemExit: 0"),
        (f"{TEMPORARY_SEED}:absent", 2, "FERRY_SEED"),
        ("no.such.module:seed", 2, "FERRY_SEED"),
        ("app.models.testdata", 2, "FERRY_SEED"),
    ],
)
def test_a_failing_seed_leaves_the_live_database_alone(changed: Local, seed: str, status: int, words: str) -> None:
    live = changed.content()
    refused(changed.run("db-init", "--yes", FLASK_FERRY_SEED=seed), status, words)
    assert changed.content() == live
    assert changed.staging() == []
    assert changed.lease() == []


def test_a_failing_seed_shows_no_hash(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    result = local.run("db-init", "--schema", "migrations")
    refused(result, 1, "former_sid", "--no-seed")
    assert "scrypt" not in result.stderr + result.stdout
    assert "scrypt" not in json.dumps(local.report())


def test_a_seed_that_leaves_dangling_rows(changed: Local) -> None:
    live = changed.content()
    refused(changed.run("db-init", "--yes", FLASK_FERRY_SEED=f"{TEMPORARY_SEED}:dangling"), 22, "FERRY_SEED", "posts")
    assert changed.content() == live


def test_the_seed_never_sees_the_live_database(changed: Local) -> None:
    changed.ok("db-init", "--yes", FLASK_FERRY_SEED=f"{TEMPORARY_SEED}:count_first")
    assert changed.query("SELECT name FROM sections") == [("0 before",)]


def test_a_seed_may_be_a_click_command(local: Local) -> None:
    """It gets no argument of the process, such as --yes, and does not end it."""
    local.ok("db-init", "--yes", FLASK_FERRY_SEED=f"{TEMPORARY_SEED}:command")
    assert local.query("SELECT name FROM sections ORDER BY id") == [("Section 0",), ("Section 1",)]


def test_the_reference_seed_is_deterministic(local: Local, tmp_path: Path) -> None:
    local.ok("db-init")
    other = Local(tmp_path / "other")
    other.directory.mkdir()
    other.ok("db-init")
    for name in sorted(tables(local.database)):
        sql = f"SELECT * FROM {name} ORDER BY 1, 2" if name != "alembic_version" else f"SELECT * FROM {name}"
        assert local.query(sql) == other.query(sql)


# Production


@pytest.mark.parametrize("state", ["absent", "seeded", "changed"])
def test_production_always_needs_permission(local: Local, request: pytest.FixtureRequest, state: str) -> None:
    app = local if state == "absent" else request.getfixturevalue(state)
    live = app.content()
    for options in (["--yes"], [], ["--dry-run"], ["--yes", "--dry-run"]):
        refused(app.run("db-init", *options, **PRODUCTION), 20, "production", "--allow-production")
    assert app.content() == live


def test_production_with_permission_never_seeds(local: Local) -> None:
    result = local.ok("db-init", "--allow-production", **PRODUCTION)
    assert "nothing is seeded" in result.stderr
    assert local.query("SELECT count(*) FROM users") == [(0,)]


def test_production_rows_need_an_answer_as_well(changed: Local) -> None:
    live = changed.content()
    refused(changed.run("db-init", "--allow-production", **PRODUCTION), 130, "--yes")
    assert changed.content() == live
    changed.ok("db-init", "--allow-production", "--yes", **PRODUCTION)
    assert changed.query("SELECT count(*) FROM users") == [(0,)]
    assert content(changed.kept()[0]) == live


def test_prohibited(seeded: Local) -> None:
    live = seeded.content()
    result = seeded.run(
        "db-init", "--yes", "--allow-production", FLASK_FERRY_PROHIBIT="db-rollback, db-init", FORCE_YES="1"
    )
    refused(result, 20, "db-init", "FERRY_PROHIBIT")
    assert seeded.content() == live


# A dry run


@pytest.mark.parametrize("state", ["local", "seeded", "changed"])
def test_a_dry_run_writes_nothing(request: pytest.FixtureRequest, state: str) -> None:
    app = request.getfixturevalue(state)
    before, live = tree(app.directory), app.content()
    result = app.ok("db-init", "--yes", "--dry-run")
    assert "It would replace" in result.last_line
    assert (tree(app.directory), app.content()) == (before, live)


def test_a_host_without_revisions(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    for file in (local.migrations / "versions").glob("*.py"):
        file.unlink()
    refused(local.run("db-init"), 2, "no Alembic revision", "flask db migrate")
    assert not local.database.exists()


def test_as_a_process(site: Site) -> None:
    first = site.flask("db-init")
    assert first.status == 0, first.stderr
    again = site.flask("db-init", "--json")
    assert again.status == 0, again.stderr
    assert again.events[-1]["outcome"] == "done"
    assert site.query("SELECT count(*) FROM users") == [(5,)]
