"""``flask db-status``: everything at a glance, and an exit status for a monitor."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.local import HEAD, Local, control, history_without_the_newest, hold, refused, tree
from tests.support.site import Site

PASSWORD = "Mellon-4711"


def value(app: Local, *arguments: str, **environ: str) -> dict[str, object]:
    found: dict[str, object] = app.ok("db-status", "--json", *arguments, **environ).events[-1]["target"]
    return found


def settings(app: Local, **environ: str) -> dict[str, dict[str, str]]:
    return {item["key"]: item for item in value(app, **environ)["settings"]}  # type: ignore[attr-defined]


def test_for_people(changed: Local) -> None:
    changed.ok("db-backup")
    shown = changed.ok("db-status").stdout
    lines = {line.strip().partition(":")[0]: line.partition(":")[2].strip() for line in shown.splitlines()}
    assert lines["Database"].startswith(f"{changed.database}; development (from default), SQLite 3.")
    assert lines["Revision"] == f"{HEAD} (head {HEAD})"
    assert lines["Rows"] == "33 in 19 tables"
    assert lines["Drift"] == "none"
    assert changed.report()["run"] in lines["Last run"]
    assert "db-init" in lines["Last run"]
    assert lines["Lock"] == "free"
    assert changed.kept()[0].stem in lines["Backups"]
    assert lines["Snapshot"].endswith("(not there)")
    assert shown.splitlines()[0] == "nothing to do"
    assert len(shown.splitlines()) <= 10
    assert "FERRY_KEEP" not in shown
    verbose = changed.ok("db-status", "-v").stdout
    assert "FERRY_KEEP = 5  (default)" in verbose
    assert "\n  1 backup, " in verbose
    assert " beside the database\n" in verbose


def test_as_json(changed: Local) -> None:
    (event,) = changed.ok("db-status", "--json").events
    found = event["target"]
    assert event["event"] == "result"
    assert found["revision"] == found["head"] == HEAD
    assert found["rows"]["sections"] == 3
    assert found["last_run"]["command"] == "db-init"
    assert found["database"]["exists"] is True
    assert found["drift"] == []
    assert found["check"] == 1
    assert found["problems"] == ["there is no verified backup"]
    assert found["next_command"] == "flask db-backup"


def test_it_ends_with_0_without_check(local: Local, changed: Local) -> None:
    changed.ok("db-status")
    shutil.rmtree(changed.area)
    changed.database.unlink()
    changed.ok("db-status")


# --check


def test_check_when_nothing_is_to_do(changed: Local) -> None:
    changed.ok("db-backup")
    assert changed.ok("db-status", "--check").first_line == "nothing to do"


def test_a_key_of_backups_that_can_be_none_is_told_here_and_stops_every_other_command(changed: Local) -> None:
    """A secret that looks like a key of age was one as any before."""
    changed.ok("db-backup")
    key = {"FLASK_FERRY_BACKUP_KEY": "age1-is-how-my-secret-begins"}
    first = changed.ok("db-status", **key).stdout.splitlines()[0]
    assert first.startswith("no command but this one runs: FERRY_BACKUP_KEY (environment) looks like a key of age")
    assert changed.run("db-status", "--check", **key).status == 1
    assert settings(changed, **key)["FERRY_BACKUP_KEY"]["value"] == "***"
    for command in ("db-backup", "db-rollback", "db-init"):
        refused(changed.run(command, **key), 2, "FERRY_BACKUP_KEY", "--trust-file")


def test_check_of_an_empty_database_at_head_needs_no_backup(local: Local) -> None:
    local.ok("db-init", "--no-seed")
    local.ok("db-status", "--check")


def test_check_without_a_verified_backup(seeded: Local) -> None:
    """What only db-init's own seed is in needs none; a row changed in place does, though their number is the same."""
    assert seeded.run("db-status", "--check").first_line == "nothing to do"
    seeded.write("UPDATE sections SET name = 'Renamed' WHERE id = (SELECT min(id) FROM sections)")
    result = seeded.run("db-status", "--check")
    assert result.status == 1
    assert result.stdout.splitlines()[:2] == ["there is no verified backup", "Next:        flask db-backup"]


def test_check_behind_head(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    local.ok("db-init", "--schema", "migrations", "--no-seed")
    local.migrations = None
    result = local.run("db-status", "--check")
    assert result.status == 1
    assert f"the database is at 0006_links, head is {HEAD}" in result.first_line
    assert "Next:        flask db-migrate-data self" in result.stdout
    assert "drifted" not in result.stdout  # it was not looked for


def test_check_without_a_database(local: Local) -> None:
    result = local.run("db-status", "--check")
    assert result.status == 1
    assert "no database" in result.first_line
    assert list(local.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("CREATE TABLE bookmarks (id INTEGER PRIMARY KEY)", "bookmarks"),
        ("DROP TABLE feedbacks", "feedbacks"),
        ("ALTER TABLE sections ADD COLUMN room TEXT", "sections.room"),
    ],
)
def test_check_after_somebody_changed_the_schema(changed: Local, sql: str, words: str) -> None:
    changed.ok("db-backup")
    changed.write(sql)
    result = changed.run("db-status", "--check")
    assert result.status == 1
    assert "drift" in result.first_line
    assert words in result.stdout


@pytest.mark.parametrize("touched", [True, False])
def test_check_when_the_models_are_ahead_of_the_history(local: Local, tmp_path: Path, touched: bool) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    local.ok("db-init", "--schema", "migrations", "--no-seed")
    if not touched:
        shutil.rmtree(local.area)
    result = local.run("db-status", "--check", "-v")
    assert result.status == 1
    assert "sid" in result.stdout
    assert "more, with -v" in local.run("db-status").stdout
    assert local.area.exists() == touched


def test_check_with_two_heads(changed: Local, tmp_path: Path) -> None:
    changed.migrations = history_without_the_newest(tmp_path / "migrations")
    for name in ("0007_one", "0007_two"):
        text = (changed.migrations / "versions" / "0006_links.py").read_text()
        text = text.replace('"0006_links"', f'"{name}"').replace('"0005_replies"', '"0006_links"')
        (changed.migrations / "versions" / f"{name}.py").write_text(text)
    result = changed.run("db-status", "--check")
    assert result.status == 1
    assert "0007_one, 0007_two" in result.stdout


def test_check_while_a_run_is_at_work(changed: Local) -> None:
    changed.ok("db-backup")
    run = hold(changed, alive=True)
    result = changed.run("db-status", "--check")
    assert result.status == 11
    assert run in result.first_line
    assert "somebody@" in result.first_line


def test_a_dead_run_does_not_count(changed: Local) -> None:
    changed.ok("db-backup")
    hold(changed, alive=False)
    assert "(dead)" in changed.ok("db-status", "--check").stdout


@pytest.mark.parametrize(("age_s", "status"), [(30, 11), (90, 0)])
def test_a_run_of_another_host_counts_while_its_heart_beats(changed: Local, age_s: int, status: int) -> None:
    changed.ok("db-backup")
    hold(changed, alive=True, host="another-host", age_s=age_s)
    assert changed.run("db-status", "--check").status == status


@pytest.mark.parametrize("new", [True, False])
def test_check_with_an_unfinished_cut_over(changed: Local, new: bool) -> None:
    changed.ok("db-init", "--yes")
    run = changed.report()["run"]
    control(changed, "DELETE FROM journal WHERE run_id = ? AND phase = 'done' AND step = 'cut-over'", run)
    control(changed, "DELETE FROM ledger WHERE run_id = ?", run)
    if not new:
        changed.write("DROP VIEW flask_ferry_generation")
    result = changed.run("db-status", "--check")
    assert result.status == 25
    assert run in result.first_line
    assert f"the {'new' if new else 'old'} database is live" in result.first_line
    # The cut-over is a db-init's: running that again would replace the database once more.
    assert result.first_line.endswith("it: flask db-backup")
    assert value(changed)["unfinished"]
    assert changed.run("db-backup").status == 0
    assert changed.run("db-status", "--check").status == 0


# --unlock


def test_unlock_a_dead_run(changed: Local) -> None:
    run = hold(changed, alive=False)
    assert run in changed.ok("db-status", "--unlock", run).last_line
    assert changed.lease() == []


def test_unlock_is_refused_while_the_run_lives(changed: Local) -> None:
    run = hold(changed, alive=True)
    refused(changed.run("db-status", "--unlock", run), 20, run, "alive")
    assert changed.lease() == [(run,)]


def test_unlock_another_run(changed: Local) -> None:
    run = hold(changed, alive=False)
    refused(changed.run("db-status", "--unlock", "yesterday"), 20, "yesterday", run)
    assert changed.lease() == [(run,)]


def test_unlock_where_nothing_is_locked(changed: Local, local: Local) -> None:
    refused(changed.run("db-status", "--unlock", "yesterday"), 20, "nobody")
    shutil.rmtree(changed.area)
    refused(changed.run("db-status", "--unlock", "yesterday"), 2, "nothing is locked")
    assert not changed.area.exists()


# Settings


def test_where_each_value_came_from(changed: Local) -> None:
    changed.config |= {"FERRY_KEEP": 7, "FERRY_FALLBACK": "3d", "FERRY_PROHIBIT": "db-init"}
    found = settings(changed, FLASK_FERRY_KEEP="9", FLASK_FERRY_PROHIBIT="")
    assert (found["FERRY_KEEP"]["value"], found["FERRY_KEEP"]["from"]) == ("9", "environment")
    assert (found["FERRY_FALLBACK"]["value"], found["FERRY_FALLBACK"]["from"]) == ("3d", "app.config")
    assert (found["FERRY_PROHIBIT"]["value"], found["FERRY_PROHIBIT"]["from"]) == ("", "environment")
    assert (found["FERRY_TIMEOUT"]["value"], found["FERRY_TIMEOUT"]["from"]) == ("2.0", "environment")
    assert (found["FERRY_TLS_CA"]["value"], found["FERRY_TLS_CA"]["from"]) == ("", "default")
    assert found["SQLALCHEMY_DATABASE_URI"]["from"] == "the app's engine"
    assert str(changed.database) in found["SQLALCHEMY_DATABASE_URI"]["value"]


def test_a_value_is_text_and_never_json(changed: Local) -> None:
    found = settings(changed, FLASK_FERRY_SOURCE_UID="1.10", FLASK_FERRY_SOURCE="null")
    assert found["FERRY_SOURCE_UID"]["value"] == "1.10"
    assert found["FERRY_SOURCE"]["value"] == "null"


@pytest.mark.parametrize(
    "environ",
    [
        {"FLASK_FERRY_SOURCE_PASSWORD": PASSWORD},
        {"FLASK_FERRY_SOURCE": f"mysql+pymysql://me:{PASSWORD}@db.example/old"},
        {"FLASK_FERRY_SOURCE": f"postgresql://me:{PASSWORD}%40@db.example:5432/old?sslmode=require"},
        {"FLASK_FERRY_SOURCE": f"https://me:{PASSWORD}@old.example/api"},
        {"FLASK_FERRY_SOURCE": f"mysql://me:a@{PASSWORD}@db.example/old"},
    ],
)
def test_secrets_are_masked(changed: Local, environ: dict[str, str]) -> None:
    for options in ((), ("--json",), ("-v",)):
        result = changed.ok("db-status", *options, **environ)
        assert PASSWORD not in result.stdout + result.stderr
        assert ("***" in result.stdout) == bool(options)
    if "FLASK_FERRY_SOURCE" in environ:
        assert ".example" in settings(changed, **environ)["FERRY_SOURCE"]["value"]


def test_the_password_file_is_named_and_its_content_is_not_shown(changed: Local, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    result = changed.ok("db-status", "-v", FLASK_FERRY_SOURCE_PASSWORD_FILE=str(tmp_path / "secret"))
    assert str(tmp_path / "secret") in result.stdout
    assert PASSWORD not in result.stdout


# What it leaves


def test_a_look_leaves_nothing_behind(changed: Local) -> None:
    shutil.rmtree(changed.area)
    before, live = tree(changed.directory), changed.content()
    changed.ok("db-status")
    assert changed.run("db-status", "--check").status == 1
    assert (tree(changed.directory), changed.content()) == (before, live)


def test_a_look_at_a_known_database_leaves_nothing_behind(changed: Local) -> None:
    before, live = tree(changed.directory), changed.content()
    changed.ok("db-status", "--json")
    assert (tree(changed.directory), changed.content()) == (before, live)


def test_prohibited(changed: Local) -> None:
    refused(changed.run("db-status", FLASK_FERRY_PROHIBIT="db-status"), 20, "FERRY_PROHIBIT")


def test_as_a_process(site: Site) -> None:
    result = site.flask("db-status", "--check")
    assert result.status == 1, result.stderr
    assert list(site.directory.iterdir()) == []


# --history


def test_the_history_lists_every_run(changed: Local) -> None:
    changed.ok("db-init", "--yes")
    failed = changed.run("db-init", "--yes", FLASK_FERRY_SEED="tests.scenarios.commands.seeds:broken")
    assert failed.status == 1
    changed.ok("db-rollback", "--yes")
    before = tree(changed.directory)
    runs = changed.ok("db-status", "--history", "--json").events[-1]["runs"]
    assert [(item["command"], item["outcome"], item["undone"]) for item in runs[-3:]] == [
        ("db-init", "done", True),
        ("db-init", "failed", False),
        ("db-rollback", "done", False),
    ]
    assert runs[-2]["error"]
    assert runs[-1]["cut_over"]
    assert all(item["started_at"] <= item["finished_at"] for item in runs)
    lines = changed.ok("db-status", "--history").stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1] if not line.startswith(" ")] == [item["run"] for item in runs]
    assert lines[-1] == changed.ok("db-status").first_line
    assert tree(changed.directory) == before
    refused(changed.run("db-status", "--history", "--unlock", "x"), 2, "--history")
