"""``flask db-verify``: prove a run again, or compare with a source."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from app.dialects.wording import count_of
from tests.support.deployment.runner import Deployment
from tests.support.local import HEAD, Local, history_without_the_newest, hold, refused, tree, write


def first_user(app: Local) -> int:
    return int(app.query("SELECT min(id) FROM users")[0][0])


def equal(app: Local, *arguments: str, **environ: str) -> str:
    result = app.ok("db-verify", *arguments, **environ)
    assert "holds exactly what came from" in result.last_line
    assert app.staging() == []
    assert app.lease() == []
    return result.last_line


def different(app: Local, *arguments: str, **environ: str) -> list[dict[str, object]]:
    """The differences, as they are in the file that the last line names."""
    live = app.content()
    result = app.run("db-verify", *arguments, **environ)
    assert result.status == 23, result.stderr
    assert app.content() == live
    assert app.staging() == []
    file = Path(result.last_line.rpartition(": ")[2])
    assert file.stat().st_mode & 0o777 == 0o600
    found = json.loads(file.read_text())
    assert result.last_line.startswith(f"{count_of(len(found), 'difference')} between this database and ")
    return list(found)


# A run


def test_the_last_run(migrated: Local) -> None:
    live, snapshot = migrated.content(), migrated.snapshot.read_bytes()
    run = migrated.report()["run"]
    assert run in equal(migrated)
    assert migrated.content() == live
    assert migrated.snapshot.read_bytes() == snapshot


def test_it_needs_neither_the_source_nor_its_credentials(migrated: Local) -> None:
    migrated.environ = {}
    equal(migrated)


def test_differences_by_row_and_column(migrated: Local) -> None:
    user = first_user(migrated)
    migrated.write("UPDATE users SET name = 'Somebody else', school = NULL WHERE id = ?", user)
    migrated.write("DELETE FROM feedbacks WHERE id = (SELECT min(id) FROM feedbacks)")
    migrated.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Theirs', 'T')")
    result = migrated.run("db-verify")
    assert result.status == 23
    assert "'Somebody else'" in result.stdout
    by_table = {item["table"]: item for item in different(migrated)}
    assert set(by_table) == {"users", "feedbacks", "sections"}
    assert by_table["users"]["key"] == [user]
    assert by_table["users"]["columns"]["name"][1] == "Somebody else"  # type: ignore[index]
    assert "uid" not in by_table["users"]["columns"]  # type: ignore[operator]
    assert len({item["kind"] for item in by_table.values()}) == 3


def test_hashes_are_masked(migrated: Local) -> None:
    user = first_user(migrated)
    before = migrated.query("SELECT password FROM users WHERE id = ?", user)[0][0]
    migrated.write("UPDATE users SET password = 'pbkdf2:sha256:1$salt$0123456789abcdef' WHERE id = ?", user)
    result = migrated.run("db-verify", "--json")
    assert result.status == 23
    text = result.stdout + result.stderr + migrated.run("db-verify").stdout + json.dumps(different(migrated))
    assert "password" in text
    assert before not in text
    assert "0123456789abcdef" not in text


def test_a_given_run(migrated: Local) -> None:
    first = migrated.report()["run"]
    migrated.ok("db-backup")
    migrated.ok("db-restore", "--yes")
    second = migrated.report()["run"]
    assert first in equal(migrated, first)
    assert second in equal(migrated, second)
    assert second in equal(migrated)


def test_an_unknown_run(migrated: Local) -> None:
    refused(migrated.run("db-verify", "yesterday"), 2, "yesterday", migrated.report()["run"], "--against")


def test_no_run_at_all(changed: Local) -> None:
    shutil.rmtree(changed.area)
    refused(changed.run("db-verify"), 2, "--against")
    assert not changed.area.exists()


def test_no_database(local: Local) -> None:
    refused(local.run("db-verify"), 2, "no database")
    assert list(local.directory.iterdir()) == []


def test_a_run_and_a_source(local: Local) -> None:
    assert local.run("db-verify", "some-run", "--against", "self").status == 2


def test_after_db_init(seeded: Local) -> None:
    equal(seeded)
    seeded.write("UPDATE users SET name = 'Somebody else' WHERE id = 3")
    (found,) = different(seeded)
    assert found["columns"] == {"name": ["Niko Palegrove", "Somebody else"]}


def test_after_db_restore(changed: Local) -> None:
    changed.ok("db-backup")
    changed.ok("db-restore", "--yes")
    equal(changed)
    changed.write("DELETE FROM sections WHERE id = 77")
    assert len(different(changed)) == 1


def test_after_db_restore_of_a_portable_snapshot(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup", "--portable", str(tmp_path / "kept.json"))
    changed.ok("db-restore", "--yes", str(tmp_path / "kept.json"))
    equal(changed)


def test_after_db_rollback(changed: Local) -> None:
    changed.ok("db-init", "--yes")
    changed.ok("db-rollback", "--yes")
    equal(changed)
    changed.write("DELETE FROM sections WHERE id = 77")
    assert len(different(changed)) == 1


def test_after_self(changed: Local, tmp_path: Path) -> None:
    """Its backup, brought to head, is what the live database is."""
    changed.migrations = history_without_the_newest(tmp_path / "migrations")
    changed.ok("db-init", "--schema", "migrations", "--no-seed", "--yes")
    changed.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Former', 'F')")
    changed.migrations = None
    changed.ok("db-migrate-data", "self", "--yes")
    equal(changed)
    changed.write("UPDATE sections SET name = 'Newer'")
    (found,) = different(changed)
    assert found["columns"] == {"name": ["Former", "Newer"]}


def test_a_run_before_a_newer_revision_is_brought_to_it(local: Local, old: Path, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    local.ok("db-migrate-data", str(old), "--yes")
    first = local.report()["run"]
    local.migrations = None
    local.ok("db-migrate-data", "self", "--yes")
    assert first in equal(local, first)


def test_a_migration_with_waivers(local: Local, old: Path) -> None:
    local.ok("db-migrate-data", str(old), "--yes", "--exclude", "feedbacks")
    equal(local)


def test_a_former_run_finds_its_own_snapshot(local: Local, old: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copyfile(old, other)
    local.ok("db-migrate-data", str(old), "--yes")
    first = local.report()["run"]
    write(other, "UPDATE feedbacks SET title = 'Another title'")
    local.ok("db-migrate-data", str(other), "--yes")
    equal(local)
    assert {item["table"] for item in different(local, first)} == {"feedbacks"}


def test_what_a_run_came_from_is_gone(local: Local, old: Path) -> None:
    local.ok("db-migrate-data", str(old), "--yes")
    local.snapshot.unlink()
    refused(local.run("db-verify"), 3, str(local.snapshot), "--against")
    local.ok("db-backup")
    local.ok("db-restore", "--yes")
    equal(local)
    for file in local.kept():
        file.unlink()
    refused(local.run("db-verify"), 21, "backup")


# A source


def test_against_a_file(local: Local, old: Path) -> None:
    local.ok("db-migrate-data", str(old), "--yes")
    snapshot = local.snapshot.read_bytes()
    equal(local, "--against", str(old))
    local.write("DELETE FROM feedbacks")
    assert {item["table"] for item in different(local, "--against", str(old))} == {"feedbacks"}
    equal(local, "--against", str(old), "--exclude", "feedbacks")
    assert local.snapshot.read_bytes() == snapshot


def test_what_http_cannot_say_is_a_difference_from_the_database_itself(migrated: Local, old: Path) -> None:
    """NULL as against an empty object, and nothing but that kind of thing."""
    found = different(migrated, "--against", str(old))
    assert {item["table"] for item in found} == {"users", "microblogs"}
    assert {name for item in found if item["table"] == "users" for name in item["columns"]} <= {  # type: ignore[attr-defined]
        "classes",
        "grade_data",
        "ap_exam",
        "game_profile",
    }


def test_against_a_portable_snapshot(changed: Local, tmp_path: Path) -> None:
    changed.ok("db-backup", "--portable", str(tmp_path / "kept.json"))
    equal(changed, "--against", str(tmp_path / "kept.json"))
    changed.write("UPDATE sections SET name = 'Newer' WHERE id = 77")
    assert different(changed, "--against", str(tmp_path / "kept.json"))[0]["columns"] == {"name": ["Theirs", "Newer"]}


def test_against_the_deployment(migrated: Local, deployment: Deployment) -> None:
    before = {path.name: path.read_bytes() for path in migrated.directory.glob("data.json*")}
    equal(migrated, "--against", deployment.url, "--accept-missing")
    migrated.write("UPDATE users SET name = 'Somebody else' WHERE id = ?", first_user(migrated))
    (found,) = different(migrated, "--against", deployment.url, "--accept-missing")
    assert found["table"] == "users"
    assert {path.name: path.read_bytes() for path in migrated.directory.glob("data.json*")} == before


def test_against_a_deployment_that_refuses_us(migrated: Local, deployment: Deployment) -> None:
    result = migrated.run("db-verify", "--against", deployment.url, FLASK_FERRY_SOURCE_PASSWORD="wrong")
    refused(result, 12, deployment.url)
    assert "wrong" not in result.stderr.replace("a wrong", "")


def test_against_a_deployment_that_is_down(migrated: Local) -> None:
    refused(migrated.run("db-verify", "--against", "http://127.0.0.1:9", FLASK_FERRY_TIMEOUT="0.2"), 3, "127.0.0.1:9")


def test_against_itself(seeded: Local) -> None:
    refused(seeded.run("db-verify", "--against", "self"), 2, "itself")


def test_tables_that_no_revision_made_are_named(migrated: Local) -> None:
    migrated.write("CREATE TABLE bookmarks (id INTEGER PRIMARY KEY)")
    assert "bookmarks" in migrated.ok("db-verify").stderr


def test_at_another_revision(migrated: Local, tmp_path: Path) -> None:
    assert migrated.query("SELECT version_num FROM alembic_version") == [(HEAD,)]
    before = tree(migrated.area / "generations")
    equal(migrated)
    assert tree(migrated.area / "generations") == before


def test_prohibited(seeded: Local) -> None:
    refused(seeded.run("db-verify", FLASK_FERRY_PROHIBIT="db-verify"), 20, "FERRY_PROHIBIT")


@pytest.mark.parametrize("alive", [True, False])
def test_the_lock_is_respected(seeded: Local, alive: bool) -> None:
    hold(seeded, alive=alive)
    if alive:
        refused(seeded.run("db-verify", "--lock-timeout", "0"), 11, "a-run-of-somebody", str(os.getpid()))
    else:
        equal(seeded, "--lock-timeout", "0")
