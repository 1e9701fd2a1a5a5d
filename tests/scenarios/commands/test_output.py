"""What the commands print: help, JSON, quiet and verbose, reports, colour; and never a secret."""

from __future__ import annotations

import json
import re
import socket
from datetime import datetime
from pathlib import Path

import click
import pytest
from jsonschema import Draft202012Validator

from app.commands import bp
from app.errors import MEANINGS, ExitStatus
from tests.support.deployment.runner import Deployment
from tests.support.local import COMMANDS, Local, history_without_the_newest, refused, tree
from tests.support.site import ROOT, Result

ESCAPE = "\x1b["
ENVELOPE = {"event", "version", "time", "step", "bind"}
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "events.schema.json").read_text()))
HASH = re.compile(r"(pbkdf2|scrypt):")


def commands() -> dict[str, click.Command]:
    return {name: command.load() for name, command in bp.cli.commands.items()}  # type: ignore[attr-defined]


def arguments(command: str, changed: Local, old: Path) -> list[str]:
    """Arguments with which each command succeeds."""
    changed.ok("db-backup")
    return [command, *{"db-migrate-data": [str(old)]}.get(command, []), *(["--yes"] if asks(command) else [])]


def check_events(result: Result) -> None:
    """Every event is as ``docs/events.schema.json`` says, and of one run."""
    for event in result.events:
        SCHEMA.validate(event)
    assert len({event["run"] for event in result.events}) == 1


def asks(command: str) -> bool:
    return any(parameter.name == "yes" for parameter in commands()[command].params)


# Help


def test_these_are_the_commands() -> None:
    assert tuple(sorted(commands())) == tuple(sorted([*COMMANDS, "db-adopt"]))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_everything_and_touches_nothing(local: Local, command: str) -> None:
    shown = local.ok(command, "--help", FLASK_FERRY_KEEP="nonsense").stdout
    everyday, _, rest = shown.partition("When refused:")
    assert "Checking:" in rest
    for status in ExitStatus:
        assert re.search(rf"^  {int(status)} +{re.escape(MEANINGS[status][:30])}", rest, re.MULTILINE)
    for parameter in commands()[command].params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in shown, parameter.opts
            assert parameter.help or parameter.name == "verify"
    assert "Exit status:" not in everyday
    assert list(local.directory.iterdir()) == []


@pytest.mark.parametrize("command", [command for command in COMMANDS if asks(command)])
def test_help_groups_the_options(local: Local, command: str) -> None:
    shown = local.ok(command, "--help").stdout
    everyday, refused_, checking = re.split(r"When refused:|Checking:", shown)
    assert "--yes" in everyday
    assert "--allow-production" in refused_
    assert "--dry-run" in checking.partition("Exit status")[0]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--everything", "--no-such-option"])
def test_an_unknown_option_is_a_usage_error(local: Local, command: str, option: str) -> None:
    refused(local.run(command, option, "x"), 2, option)
    assert list(local.directory.iterdir()) == []


@pytest.mark.parametrize("options", [("--report", "\udcff.json"), ("--to", "a\udcfe")])
def test_an_argument_that_is_not_utf8_is_a_usage_error(local: Local, options: tuple[str, str]) -> None:
    """No manifest and no report could name such a file."""
    shown = options[1].encode("ascii", "backslashreplace").decode()
    refused(local.run("db-backup", *options), 2, "not UTF-8", shown)
    assert list(local.directory.iterdir()) == []


def test_a_directory_whose_name_is_not_utf8_is_a_usage_error(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "\udcff"
    odd.mkdir()
    monkeypatch.chdir(odd)
    refused(local.run("db-backup", "--to", "x.bak"), 2, "not UTF-8", "the current directory")
    assert list(odd.iterdir()) == []
    assert local.run("db-backup", "--help").status == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["report.htm", "report.txt", "report"])
def test_a_report_is_json_or_a_page(local: Local, command: str, name: str) -> None:
    refused(local.run(command, "--report", str(local.directory / name)), 2, "--report", ".json")
    assert list(local.directory.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("key", "value"), [("KEEP", "-1"), ("FALLBACK", "soon"), ("ENVIRONMENT", "prod")])
def test_a_wrong_setting_is_named(local: Local, command: str, key: str, value: str) -> None:
    refused(local.run(command, **{f"FLASK_FERRY_{key}": value}), 2, f"FERRY_{key}", value)
    assert list(local.directory.iterdir()) == []


# JSON, quiet, verbose


@pytest.mark.parametrize("command", ["db-init", "db-backup", "db-status"])
def test_a_key_without_its_prefix_is_not_ignored_in_silence(changed: Local, command: str) -> None:
    """It may be meant to protect the database; the one who looks at the status is told."""
    before = changed.content()
    done = changed.flask(command, *(["--yes"] if command == "db-init" else []), FERRY_PROHIBIT="db-init")
    assert "FLASK_FERRY_PROHIBIT" in done.stderr
    assert done.status == (0 if command == "db-status" else 2)
    assert changed.content() == before


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_object_a_line(changed: Local, old: Path, command: str) -> None:
    result = changed.run(*arguments(command, changed, old), "--json")
    assert result.status in (0, 23), result.stderr
    assert {type(event) for event in result.events} == {dict}
    assert result.events[-1]["event"] == "result"
    assert result.events[-1]["exit_status"] == result.status
    assert result.events[-1]["command"] == command
    assert all(event["event"] != "result" for event in result.events[:-1])
    assert result.stderr == ""
    check_events(result)
    begun = [event["step"] for event in result.events if event["event"] == "step"]
    assert begun == [event["step"] for event in result.events if event["event"] == "step-end"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "db-status"])
def test_json_of_an_error(changed: Local, command: str) -> None:
    result = changed.run(command, "--json", FLASK_FERRY_PROHIBIT=command)
    (event,) = result.events
    assert event["event"] == "error"
    assert event["status"] == result.status == 20
    assert "FERRY_PROHIBIT" in event["message"]
    assert event["message"] in result.stderr
    check_events(result)


@pytest.mark.parametrize("wrong", [["--no-such-option"], ["--report", "x.txt"], ["--lock-timeout", "soon"]])
def test_json_of_a_usage_error(local: Local, wrong: list[str]) -> None:
    result = local.run("db-backup", "--json", *wrong)
    (event,) = result.events
    check_events(result)
    assert event["status"] == result.status == 2
    assert wrong[0] in event["message"]
    assert event["message"] in result.stderr
    assert local.run("db-backup", *wrong).stdout == ""
    (event,) = local.run("db-backup", "--list", "--prune", "--json").events  # what the command itself refuses
    assert "one at a time" in event["message"]


def test_json_of_a_question(changed: Local) -> None:
    result = changed.run("db-init", "--json")
    assert result.events[-1]["status"] == result.status == 130
    assert result.events[-1]["hint"] == "Run: flask db-init --json --yes"


@pytest.mark.parametrize("command", COMMANDS)
def test_quiet_prints_the_result_alone(changed: Local, old: Path, command: str) -> None:
    given = arguments(command, changed, old)
    if command == "db-verify":
        changed.ok("db-restore", "--yes")
    result = changed.ok(*given, "-q")
    assert len(result.stdout.splitlines()) == 1
    assert [line for line in result.stderr.splitlines() if not line.startswith("Warning:")] == []


@pytest.mark.parametrize("command", ["db-init", "db-migrate-data"])
def test_verbose_prints_what_alembic_says(changed: Local, old: Path, command: str) -> None:
    given = arguments(command, changed, old)
    more = ("--schema", "migrations") if command == "db-init" else ()
    assert "Running upgrade" not in changed.ok(*given, *more).stderr
    assert "Running upgrade" in changed.ok(*given, *more, "-v").stderr if command == "db-init" else True


def test_errors_and_warnings_are_not_quiet(local: Local, tmp_path: Path) -> None:
    local.migrations = history_without_the_newest(tmp_path / "migrations")
    assert "differ" in local.ok("db-init", "-q").stderr
    refused(local.run("db-restore", "-q", "--yes"), 21, "Error:")


def test_results_go_to_stdout_and_progress_to_stderr(changed: Local) -> None:
    result = changed.ok("db-init", "--yes")
    assert re.search(r"^staging: \d+\.\d s$", result.stderr, re.MULTILINE)
    assert "staging: " not in result.stdout
    assert "Done:" in result.last_line
    assert "Done:" not in result.stderr


# Colour


def test_colour_and_no_colour(changed: Local) -> None:
    assert ESCAPE in changed.run("db-init", color=True).stderr
    assert ESCAPE not in changed.run("db-init", color=True, NO_COLOR="1").stderr
    assert ESCAPE not in changed.run("db-init").stderr


# The report


@pytest.mark.parametrize("command", COMMANDS)
def test_the_report_is_what_json_says(changed: Local, old: Path, tmp_path: Path, command: str) -> None:
    file = tmp_path / "new" / "report.json"
    given = arguments(command, changed, old)
    result = changed.run(*given, "--json", "--report", str(file))
    said = json.loads(file.read_text())
    assert said == {key: value for key, value in result.events[-1].items() if key not in ENVELOPE}
    assert datetime.fromisoformat(said["started_at"]) <= datetime.fromisoformat(said["finished_at"])
    assert said["duration_s"] >= 0
    assert said["host"] == socket.gethostname()
    assert {"Python", "SQLAlchemy", "alembic"} <= set(said["versions"])
    assert said["exit_status"] == result.status
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_report_as_a_page(local: Local, old: Path, tmp_path: Path) -> None:
    """Of a migration, of a failure, and of the status, which has the history; each overwrites the one before."""
    page = tmp_path / "r.html"
    assert "\n<h1" not in local.ok("db-migrate-data", str(old), "--yes", "--report", str(page)).stdout
    text = page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    for words in (local.report()["run"], "flask db-rollback", "Checksums", local.report()["tables"][0]["checksum"]):
        assert words in text
    refused(local.run("db-init", "--report", str(page)), 130)
    assert "there is no terminal to ask at" in page.read_text()
    run = local.report()["run"]
    local.ok("db-status", "--report", str(page))
    assert run in page.read_text()
    assert "History" in page.read_text()
    page.write_text("<!doctype html>\n<title>Mine</title>")
    refused(local.run("db-status", "--report", str(page)), 2, "not overwritten")


def test_the_report_of_a_migration(local: Local, old: Path, tmp_path: Path) -> None:
    local.ok("db-migrate-data", str(old), "--yes", "--exclude", "feedbacks", "--report", str(tmp_path / "r.json"))
    said = json.loads((tmp_path / "r.json").read_text())
    tables = {table["table"]: table for table in said["tables"]}
    assert said["outcome"] == "done"
    assert said["error"] is None
    assert all(t["rows"] == t["loaded"] + t["waived"] + t["set_aside"] for t in said["tables"])
    assert tables["users"]["loaded"] == 60
    assert tables["feedbacks"] | {"checksum": ""} == tables["feedbacks"] | {"checksum": ""} | {"loaded": 0, "waived": 4}
    assert said["waived"][0]["reason"] == "--exclude"
    assert said["revisions"]["live"]
    assert said["rollback"] == "flask db-rollback"
    assert set(said["seconds"]) >= {"backup", "extract", "load", "verify", "upgrade", "check"}


@pytest.mark.parametrize(
    ("given", "environ", "status"),
    [
        (["db-init"], {}, 130),
        (["db-init", "--yes"], {"FLASK_FERRY_SEED": "tests.scenarios.commands.seeds:broken"}, 1),
        (["db-init", "--yes"], {"FLASK_FERRY_ENVIRONMENT": "production"}, 20),
        (["db-restore", "--yes", "yesterday"], {}, 21),
    ],
)
def test_the_report_of_a_failure(
    changed: Local, tmp_path: Path, given: list[str], environ: dict[str, str], status: int
) -> None:
    result = changed.run(*given, "--report", str(tmp_path / "r.json"), **environ)
    assert result.status == status
    said = json.loads((tmp_path / "r.json").read_text())
    assert said["exit_status"] == status
    assert said["outcome"] == "failed"
    assert said["error"]["message"] in result.stderr


def test_a_report_that_cannot_be_written_is_a_warning(changed: Local, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = changed.ok("db-init", "--yes", "--report", str(tmp_path / "file" / "r.json"))
    assert "Warning: the report" in result.stderr
    assert changed.query("SELECT count(*) FROM sections WHERE id = 77") == [(0,)]


# Secrets


def test_no_secret_in_any_output_or_file(migrated: Local, deployment: Deployment, tmp_path: Path) -> None:
    """Passwords and tokens nowhere, hashes in databases and snapshots alone."""
    del deployment
    secret = "Speak-friend-4711"
    migrated.ok("db-backup")
    said = []
    for given in (
        ["db-init", "--yes"],
        ["db-status"],
        ["db-backup", "--list"],
        ["db-verify"],
        ["db-restore", "--yes"],
        ["db-rollback", "--yes"],
    ):
        for options in ([], ["--json"], ["-v"]):
            report = ["--report", str(tmp_path / "r.json")]
            result = migrated.run(*given, *options, *report, FLASK_FERRY_SOURCE_PASSWORD=secret)
            assert result.status in (0, 23), result.stderr
            said += [result.stdout, result.stderr, (tmp_path / "r.json").read_text()]
    said += [file.read_text() for file in migrated.area.glob("runs/*/report.json")]
    said += [file.read_text() for file in migrated.backups.glob("*.manifest.json")]
    assert secret not in "".join(said)
    assert not HASH.search("".join(said))
    for file in migrated.directory.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes()
        assert not file.is_file() or not file.stat().st_mode & 0o077 or file == migrated.database
    assert not (migrated.area.stat().st_mode | migrated.backups.stat().st_mode) & 0o077


def test_a_wrong_password_is_not_repeated(local: Local, deployment: Deployment) -> None:
    secret = "Speak-friend-4711"
    environ = {**local.source(deployment), "FLASK_FERRY_SOURCE_PASSWORD": secret}
    for options in ([], ["--json"], ["-v"]):
        result = local.run("db-migrate-data", "--yes", *options, **environ)
        refused(result, 12, deployment.url)
        assert secret not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "url", ["https://me:Mellon@old.example", "mysql://me:Mellon@127.0.0.1:9/x", "mysql://me:Mellon@/["]
)
def test_credentials_in_the_source_are_not_repeated(local: Local, url: str) -> None:
    for command in (["db-migrate-data", url, "--yes"], ["db-verify", "--against", url]):
        result = local.run(*command)
        assert result.status not in (0, 1), result.stderr
        assert "Mellon" not in result.stdout + result.stderr
    before = tree(local.directory)
    assert not [name for name in before if not name.startswith("app.db.ferry")]


# What --report may overwrite


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": "flask-ferry", "version": 1}\n',
        b'{"run": 1}',
        b'{\n  "run": "x", "command": "ls"}',
        b"\0",
    ],
)
def test_a_report_overwrites_no_other_file(changed: Local, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "data.json"
    file.write_bytes(content)
    refused(changed.run("db-backup", "--report", str(file)), 2, "--report", "data.json", "not overwritten")
    assert file.read_bytes() == content


def test_a_report_overwrites_no_link_and_no_directory(changed: Local, tmp_path: Path) -> None:
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "more.json").mkdir()
    for name in ("gone.json", "more.json"):
        assert changed.run("db-backup", "--report", str(tmp_path / name)).status == 2


def test_a_report_overwrites_a_report(changed: Local, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    changed.ok("db-backup", "--report", str(file))
    first = json.loads(file.read_text())
    changed.ok("db-backup", "--report", str(file))
    assert json.loads(file.read_text())["run"] != first["run"]
    # That of a version which did not say its format yet.
    file.write_text(json.dumps({key: value for key, value in first.items() if key != "format"}, indent=2))
    changed.ok("db-backup", "--report", str(file))
