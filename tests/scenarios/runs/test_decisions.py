"""What a run decides: by the ledger and the live database first, without asking the source."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.deployment.runner import Deployment
from tests.support.runs.commands import HEAD, Place, history, tree, write
from tests.support.site import Result, content

At = Callable[[str], Place]
SECTIONS = "SELECT count(*) FROM sections"
PRODUCTION = {"FLASK_FERRY_ENVIRONMENT": "production"}


def refused(result: Result, status: int, *words: str) -> None:
    """A refusal: nothing on stdout, and every one of these words on stderr."""
    assert (result.status, result.stdout) == (status, ""), result.stderr
    assert result.stderr.startswith("Error: ") or "\nError: " in result.stderr
    for word in words:
        assert word in result.stderr


def one_line(result: Result) -> None:
    assert result.status == 0, result.stderr
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith("Nothing to do: ")
    assert result.stderr == ""


# The deploy hook


def test_deploys_one_after_the_other_ask_the_source_once(
    place: Place, deployment: Deployment, next_release: Path
) -> None:
    source, options = deployment.url, ("--accept-missing",)
    refused(place.migrate(source, *options), 2, "FERRY_SOURCE_UID", "not set")
    first = place.migrate(source, *options, **place.source(deployment))
    assert first.status == 0, first.stderr
    assert first.last_line.startswith("Done: ")
    assert deployment.requests()
    assert place.query(SECTIONS) == deployment.execute(SECTIONS)

    deployment.forget_requests()
    live = place.content()
    one_line(place.migrate(source, *options))
    assert place.content() == live
    assert deployment.requests() == []

    place.release(next_release)
    third = place.migrate(source, *options)
    assert third.status == 0, third.stderr
    assert deployment.requests() == []
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]
    assert {room for (room,) in place.query("SELECT room FROM sections")} == {"12"}
    assert place.query(SECTIONS) == deployment.execute(SECTIONS)
    one_line(place.migrate(source, *options))
    assert deployment.requests() == []


def test_a_first_deploy_needs_no_answer(place: Place, old: Path) -> None:
    result = place.run("db-migrate-data", str(old))
    assert result.status == 0, result.stderr
    assert "there is no database yet" in result.stderr
    assert place.report()["backup"] is None
    assert place.query("SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_a_first_deploy_into_an_empty_schema(place: Place, old: Path) -> None:
    assert place.run("db", "upgrade").status == 0
    result = place.run("db-migrate-data", str(old), **PRODUCTION)
    assert result.status == 0, result.stderr
    assert "Nothing to back up: the database is empty." in result.stderr
    assert place.query("SELECT count(*) FROM users") == [(60,)]


def test_a_second_deploy_changes_nothing(at: At, old: Path) -> None:
    place = at("migrated")
    before = tree(place.directory)
    result = place.migrate(old)
    one_line(result)
    assert "already migrated" in result.stdout
    assert tree(place.directory) == before


def test_the_source_may_be_gone_once_it_is_migrated(at: At, old: Path, tmp_path: Path, next_release: Path) -> None:
    place = at("migrated")
    source = tmp_path / "old.db"
    shutil.copyfile(old, source)
    assert place.migrate(source, "--rerun").status == 0
    source.unlink()
    one_line(place.migrate(f"sqlite:///{source}"))
    place.release(next_release)
    assert place.migrate(f"sqlite:///{source}").status == 0
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]


def test_a_new_revision_carries_the_live_rows_and_not_the_source(at: At, old: Path, next_release: Path) -> None:
    place = at("migrated")
    place.write("INSERT INTO sections (id, name, abbreviation) VALUES (900, 'Written since', 'NEW')")
    place.release(next_release)
    result = place.migrate(old)
    assert result.status == 0, result.stderr
    assert place.query("SELECT name, room FROM sections WHERE id = 900") == [("Written since", "12")]
    last = place.report()
    assert (last["revisions"]["before"], last["revisions"]["live"]) == (HEAD, "0008_next")
    assert last["backup"]
    one_line(place.migrate(old))


def test_two_releases_later_it_still_came_from_this_source(
    at: At, old: Path, next_release: Path, tmp_path: Path
) -> None:
    place = at("migrated")
    place.release(next_release)
    assert place.migrate(old).status == 0
    later = history(shutil.copytree(next_release, tmp_path / "later"), revision="0009_later", down="0008_next")
    place.release(later)
    result = place.migrate(old, **PRODUCTION)
    assert result.status == 0, result.stderr
    assert "came from this source" in result.stderr
    assert place.query("SELECT version_num FROM alembic_version") == [("0009_later",)]


# After a rollback or a restore


def test_after_a_rollback_at_head_there_is_nothing_to_do(at: At, old: Path) -> None:
    place = at("rolled_back")
    live = place.content()
    result = place.migrate(old)
    one_line(result)
    assert "db-rollback" in result.stdout
    assert place.content() == live


def test_after_a_rollback_behind_head_it_asks_for_rerun(at: At, old: Path, next_release: Path) -> None:
    place = at("rolled_back")
    place.release(next_release)
    live = place.content()
    refused(place.migrate(old), 20, "db-rollback", "--rerun", "flask db-migrate-data self")
    assert place.content() == live
    assert place.migrate("self").status == 0
    assert place.query("SELECT name, room FROM sections") == [("Theirs", "12")]


def test_rerun_after_a_rollback(at: At, old: Path) -> None:
    place = at("rolled_back")
    assert place.migrate(old, "--rerun").status == 0
    assert place.query("SELECT count(*) FROM users") == [(60,)]
    assert place.query("SELECT count(*) FROM sections WHERE name = 'Theirs'") == [(0,)]
    one_line(place.migrate(old))


def test_after_a_rollback_to_empty_it_asks_for_rerun(at: At, old: Path) -> None:
    place = at("rolled_back_to_empty")
    refused(place.migrate(old), 20, "rolled back to an empty database", "flask db-migrate-data", "--rerun")
    assert place.query("SELECT name FROM sqlite_schema") == [("flask_ferry_generation",)]
    assert place.migrate(old, "--rerun").status == 0
    assert place.query("SELECT count(*) FROM users") == [(60,)]


def test_after_a_restore(at: At, old: Path, next_release: Path) -> None:
    place = at("migrated")
    assert place.run("db-backup").status == 0
    assert place.run("db-restore", "--yes").status == 0
    one_line(place.migrate(old))
    place.release(next_release)
    live = place.content()
    refused(place.migrate(old), 20, "db-restore", "--rerun", "flask db-migrate-data self")
    assert place.content() == live


# What nobody knows


def test_a_deleted_database_is_migrated_again(at: At, old: Path) -> None:
    place = at("migrated")
    rows = place.query("SELECT * FROM users")
    place.database.unlink()
    result = place.migrate(old, **PRODUCTION)
    assert result.status == 0, result.stderr
    assert place.query("SELECT * FROM users") == rows


def test_a_lost_control_area_makes_the_rows_unknown(at: At, old: Path) -> None:
    place = at("migrated")
    shutil.rmtree(place.area)
    live = place.content()
    refused(place.run("db-migrate-data", str(old)), 130, "no terminal", "--yes")
    refused(place.migrate(old, **PRODUCTION), 20, "--allow-production")
    assert place.content() == live
    result = place.migrate(old)
    assert result.status == 0, result.stderr
    assert place.report()["backup"]


@pytest.mark.parametrize("state", ["foreign", "migrated"])
def test_rows_of_somebody_else_are_asked_about(at: At, old: Path, state: str) -> None:
    place = at(state)
    if state == "migrated":  # an administrator put an older copy back by hand
        write(place.database, "DROP VIEW flask_ferry_generation")
    live = place.content()
    refused(place.run("db-migrate-data", str(old)), 130)
    assert place.content() == live
    assert place.migrate(old).status == 0
    with closing(sqlite3.connect(place.report()["backup"])) as kept:
        assert kept.execute(SECTIONS).fetchall() != [(0,)]
    assert content(Path(place.report()["backup"])) == live


def test_another_source_replaces_what_the_first_left_only_when_asked(at: At, old: Path, tmp_path: Path) -> None:
    place = at("migrated")
    other = tmp_path / "other.db"
    shutil.copyfile(old, other)
    refused(place.run("db-migrate-data", str(other)), 130)
    refused(place.migrate(other, **PRODUCTION), 20, "no earlier migration of this source")


# The database itself


def test_self_at_head(at: At) -> None:
    place = at("foreign")
    one_line(place.migrate("self"))


def test_self_behind_head_needs_no_answer(at: At, next_release: Path) -> None:
    place = at("foreign")
    place.release(next_release)
    result = place.run("db-migrate-data", "self", **PRODUCTION)
    assert result.status in (0, 130), result.stderr
    assert place.migrate("self", **PRODUCTION).status == 0
    assert place.query("SELECT name, room FROM sections") == [("Theirs", "12")]
    assert not place.snapshot.exists()


def test_the_target_given_by_its_path_is_self(at: At, next_release: Path) -> None:
    place = at("foreign")
    one_line(place.migrate(place.database))
    one_line(place.migrate(f"sqlite:///{place.database}"))
    place.release(next_release)
    result = place.migrate(place.database)
    assert result.status == 0, result.stderr
    assert "the source is this database itself" in result.stderr
    assert place.query("SELECT name, room FROM sections") == [("Theirs", "12")]


def test_self_without_a_version_is_recognised(place: Place, old: Path) -> None:
    shutil.copyfile(old, place.database)
    result = place.migrate("self")
    assert result.status == 0, result.stderr
    assert "no alembic_version; its tables are those of 0001_classic" in result.stderr
    assert place.query("SELECT count(*) FROM users") == [(60,)]
    assert place.query("SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_self_that_nobody_recognises(place: Place) -> None:
    write(place.database, "CREATE TABLE users (id INTEGER PRIMARY KEY, colour TEXT)")
    write(place.database, "INSERT INTO users VALUES (1, 'green')")
    live = place.content()
    refused(place.migrate("self"), 22, "no alembic_version", "flask db stamp")
    assert place.content() == live
    assert place.staging() == []


def test_self_of_a_database_that_newer_code_made(at: At, old: Path, next_release: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    assert place.migrate(old).status == 0
    place.environ.pop("FLASK_APP")
    live = place.content()
    for source in ("self", old):
        refused(place.migrate(source), 22, "0008_next", "Deploy code that has this revision")
    assert place.content() == live


def test_a_source_at_a_revision_that_this_code_does_not_have(place: Place, old: Path, tmp_path: Path) -> None:
    ahead = tmp_path / "ahead.db"
    shutil.copyfile(old, ahead)
    write(ahead, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    write(ahead, "INSERT INTO alembic_version VALUES ('0042_later')")
    refused(place.migrate(ahead), 22, "0042_later", "Deploy code that has this revision")
    assert place.content() == ""
    assert place.staging() == []


def test_a_history_with_two_heads(at: At, old: Path, tmp_path: Path) -> None:
    place = at("migrated")
    scripts = history(tmp_path / "migrations", revision="0008_one")
    place.release(history(scripts, revision="0008_two"))
    refused(place.migrate(old), 2, "0008_one", "0008_two", "flask db merge")


# Production


def test_production_needs_permission_for_rows_of_somebody_else(at: At, old: Path) -> None:
    place = at("foreign")
    before = tree(place.directory)
    refused(place.migrate(old, **PRODUCTION), 20, "production", "--allow-production")
    refused(place.migrate(old, "--dry-run", **PRODUCTION), 20, "--allow-production")
    refused(place.run("db-migrate-data", str(old), "--allow-production", **PRODUCTION), 130, "--yes")
    assert tree(place.directory).items() >= before.items()
    assert place.migrate(old, "--allow-production", **PRODUCTION).status == 0


def test_production_repeats_what_the_migration_left_without_permission(at: At, old: Path) -> None:
    place = at("migrated")
    assert place.migrate(old, "--rerun", **PRODUCTION).status == 0
    place.write("UPDATE users SET name = 'Written since' WHERE id = (SELECT min(id) FROM users)")
    live = place.content()
    refused(place.migrate(old, "--rerun", **PRODUCTION), 20, "written since", "--allow-production")
    assert place.content() == live
    assert place.migrate(old, "--rerun", "--allow-production", **PRODUCTION).status == 0


def test_production_needs_permission_for_what_a_rollback_left(at: At, old: Path) -> None:
    place = at("rolled_back")
    refused(place.migrate(old, "--rerun", **PRODUCTION), 20, "--allow-production")


def test_production_rolls_back_with_permission_only(at: At) -> None:
    place = at("foreign_migrated")
    live = place.content()
    refused(place.run("db-rollback", "--yes", **PRODUCTION), 20, "--allow-production")
    refused(place.run("db-rollback", "--yes", "--dry-run", **PRODUCTION), 20, "--allow-production")
    assert place.content() == live
    assert place.run("db-rollback", "--yes", "--allow-production", **PRODUCTION).status == 0
    assert place.query("SELECT name FROM sections") == [("Theirs",)]


@pytest.mark.parametrize("configured", [{}, {"FLASK_FERRY_ENVIRONMENT": "development"}])
def test_what_was_production_once_stays_production(place: Place, old: Path, configured: dict[str, str]) -> None:
    assert place.migrate(old, **PRODUCTION).status == 0
    place.write("DELETE FROM studies")
    refused(place.migrate(old, "--rerun", **configured), 20, "production", "--allow-production")


def test_a_milder_environment_is_not_kept_in_place_of_production(place: Place, old: Path) -> None:
    assert place.migrate(old, **PRODUCTION).status == 0
    assert place.migrate(old, "--rerun", FLASK_FERRY_ENVIRONMENT="staging").status == 0
    assert place.control("SELECT value FROM identity WHERE name = 'environment'") == [('"production"',)]


@pytest.mark.parametrize("command", ["db-migrate-data", "db-rollback"])
def test_a_prohibited_command_runs_with_no_option(at: At, old: Path, command: str) -> None:
    place = at("foreign_migrated")
    before = tree(place.directory)
    source = (str(old),) if command == "db-migrate-data" else ()
    options = (*source, "--yes", "--allow-production", "--dry-run")
    for given in (options, options[:-1]):
        refused(place.run(command, *given, FLASK_FERRY_PROHIBIT=f"db-init, {command}"), 20, command, "FERRY_PROHIBIT")
    assert tree(place.directory) == before


# The question, without a terminal


def test_without_a_terminal_it_says_what_to_run(at: At, old: Path) -> None:
    place = at("foreign")
    live = place.content()
    result = place.run("db-migrate-data", str(old))
    refused(result, 130, "no terminal", "1 row", str(place.database), str(place.backups), str(old))
    assert f"flask db-migrate-data {old} --yes" in result.stderr
    assert place.content() == live
    assert place.lease() == []


def test_rollback_without_a_terminal_says_what_to_run(at: At) -> None:
    place = at("foreign_migrated")
    live = place.content()
    refused(place.run("db-rollback"), 130, "flask db-rollback --yes")
    assert place.content() == live


@pytest.mark.parametrize(("value", "status"), [("1", 0), ("TRUE", 0), ("yes", 0), ("0", 130), ("no", 130), ("", 130)])
def test_force_yes(at: At, old: Path, value: str, status: int) -> None:
    place = at("foreign")
    assert place.run("db-migrate-data", str(old), FORCE_YES=value).status == status


def test_force_yes_gives_no_permission(at: At, old: Path) -> None:
    place = at("foreign")
    refused(place.run("db-migrate-data", str(old), FORCE_YES="1", **PRODUCTION), 20, "--allow-production")


# A dry run


@pytest.mark.parametrize(
    ("state", "environ", "options", "status"),
    [
        ("nothing", {}, (), 0),
        ("migrated", {}, (), 0),
        ("migrated", {}, ("--rerun",), 0),
        ("foreign", {}, (), 0),
        ("foreign", PRODUCTION, (), 20),
        ("rolled_back_to_empty", {}, (), 20),
        ("rolled_back_to_empty", {}, ("--rerun",), 0),
    ],
)
def test_a_dry_run_writes_nothing_and_ends_as_the_run_would(
    place: Place, at: At, old: Path, state: str, environ: dict[str, str], options: tuple[str, ...], status: int
) -> None:
    if state != "nothing":
        at(state)
    before, source = tree(place.directory), tree(old.parent)
    result = place.migrate(old, "--dry-run", *options, **environ)
    assert result.status == status, result.stderr
    assert (tree(place.directory), tree(old.parent)) == (before, source)
    assert place.migrate(old, *options, **environ).status == status


@pytest.mark.parametrize(("state", "status"), [("foreign_migrated", 0), ("migrated", 0), ("rolled_back", 20)])
def test_a_dry_rollback(at: At, state: str, status: int) -> None:
    place = at(state)
    before = tree(place.directory)
    result = place.run("db-rollback", "--yes", "--dry-run")
    assert result.status == status, result.stderr
    assert tree(place.directory) == before
    assert place.run("db-rollback", "--yes").status == status


def test_a_dry_run_of_a_new_release(at: At, old: Path, next_release: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    before = tree(place.directory)
    result = place.migrate(old, "--dry-run")
    assert result.status == 0
    assert "0008_next" in result.stdout
    assert tree(place.directory) == before


@pytest.mark.parametrize("options", [("--help",), ("--fallback", "soon"), ("--verify", "nothing"), ("a", "b")])
def test_help_and_usage_errors_touch_nothing(place: Place, options: tuple[str, ...]) -> None:
    result = place.run("db-migrate-data", *options)
    assert result.status == (0 if options == ("--help",) else 2)
    assert list(place.directory.iterdir()) == []


def test_no_source_at_all(place: Place) -> None:
    refused(place.run("db-migrate-data"), 2, "No source.", "FERRY_SOURCE", "flask db upgrade")
    assert list(place.directory.iterdir()) == []
