"""``--bind all``: a run for each database of the app, none cut over before all are staged and proved."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from filelock import FileLock
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy
from jsonschema import Draft202012Validator

from app.commands.receipt import LINES
from app.transfer.run.control import Control
from app.transfer.run.ledger import Entry
from tests.support.pages import take_lines
from tests.support.places import new_name
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import ROOT, Result, query

from .foreign import Foreign
from .test_binds import SECONDS, TEMPLATE, look, of_several

ALL = ("--bind", "all", "--yes")
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "events.schema.json").read_text()))
KINDS = ["files", "a file and mariadb", "postgresql and a file", "mariadb and postgresql"]

Make = Callable[[str], Foreign]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """A host with two databases of this kind, both at the first of two revisions."""

    def make_url(server: str) -> Any:
        if server not in ("mariadb", "postgresql"):
            return f"sqlite:///{tmp_path / 'stats.db'}"
        private: MariaDB | PostgreSQL = request.getfixturevalue(server)
        name = new_name()
        private.execute(f"CREATE DATABASE {name}")
        return private.url(name)

    def make_host(kind: str) -> Foreign:
        host = Foreign(tmp_path)
        first, _, second = kind.partition(" and ")
        if first in ("mariadb", "postgresql"):
            host.config["SQLALCHEMY_DATABASE_URI"] = make_url(first)
        return of_several(host, make_url(second))

    return make_host


def at_head(before: Mapping[str, Any]) -> dict[str, Any]:
    """Both databases of :func:`make` after the upgrade."""
    versions = {"None.alembic_version": [("two",)], "stats.alembic_version": [("two",)]}
    return {**before, "None.thing": [(1, "kept", None)], "stats.visit": [(7, "/", None)], **versions}


def step_hook(when: str, step: str, about: Mapping[str, str]) -> None:
    """Ends the process, or the step, where a test says so."""
    text = os.environ.get("TEST_AT", "")
    at, _, what = text.partition("=")
    if at != f"{about['bind']}.{step}.{when}":
        return
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "term":
        os.kill(os.getpid(), signal.SIGTERM)
        return
    raise RuntimeError("the hook refuses")


def run_in_fork(host: Foreign, *arguments: str) -> int:
    """Run a command in a process of its own, which may be killed; returns how that ended."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(host.run(*arguments).status)
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("kind", KINDS)
def test_each_command(make: Make, kind: str) -> None:
    """Brought to head, looked at, proved, backed up, undone, made anew, put back: both by each command."""
    host = make(kind)
    before = look(host)
    refused = host.run("db-migrate-data", "self", "--bind", "all", "--allow-production")
    assert refused.status == 130
    assert refused.stderr.count("Database:") == 2
    assert "db-migrate-data self --bind all --allow-production --yes" in refused.stderr
    assert look(host) == before

    planned = host.ok("db-migrate-data", "self", *ALL, "--dry-run")
    assert planned.last_line == "Dry run: default, stats"
    rehearsed = host.ok("db-migrate-data", "self", *ALL, "--rehearse")
    assert rehearsed.last_line == "Rehearsed: default, stats"
    assert look(host) == before

    done = host.ok("db-migrate-data", "self", *ALL)
    assert look(host) == at_head(before)
    assert done.last_line == "Done: default, stats"
    assert "To go back: flask db-rollback --bind all" in done.stdout
    assert "left alone" not in done.stdout + done.stderr
    assert "stats: upgrade" in done.stderr
    assert len(done.stdout.splitlines()) < LINES
    again = host.ok("db-migrate-data", "self", *ALL)
    assert again.stdout.count("already migrated") == 2
    assert again.last_line == "Nothing to do: default, stats"

    assert host.ok("db-verify", "--bind", "all").last_line == "Equal: default, stats"
    status = host.ok("db-status", "--bind", "all", "--check")
    assert "the bind stats" in status.stdout
    assert "default: nothing to do" in status.stdout
    assert host.ok("db-backup", "--bind", "all").last_line == "Done: default, stats"
    assert host.ok("db-backup", "--bind", "all", "--check").last_line == "Checked: default, stats"
    assert host.ok("db-backup", "--bind", "all", "--list").stdout.count("by db-backup") == 2

    host.ok("db-rollback", *ALL, "--allow-production")
    assert look(host) == before
    host.ok("db-init", *ALL, "--allow-production")
    assert look(host) == at_head(before) | {"None.thing": [], "stats.visit": []}
    host.ok("db-restore", *ALL, "--allow-production")
    assert look(host) == before


def loses(host: Foreign) -> None:
    """Let the second database's revision drop a column that holds values."""
    file = host.migrations / "versions" / "two.py"
    file.write_text(file.read_text().replace(SECONDS, "op.drop_column('visit', 'page')"))


def assert_unchanged(host: Foreign, before: object, result: Result, status: int, words: str) -> None:
    assert (result.status, words in result.stderr) == (status, True), result.stderr
    assert "The live databases are unchanged: default, stats." in result.stderr
    assert look(host) == before
    assert not list(host.directory.rglob("staging-*"))


def test_nothing_is_replaced_where_the_second_is_refused_when_it_is_staged(make: Make) -> None:
    """What its revisions do to its rows is found before the first database is cut over."""
    host = make("files")
    before = look(host)
    loses(host)
    refused = host.run("db-migrate-data", "self", *ALL)
    assert_unchanged(host, before, refused, 23, "stats: ")
    assert "db-migrate-data self --bind all --yes --accept-loss 'visit.page'" in refused.stderr
    history = host.ok("db-status", "--bind", "default", "--history").stdout
    assert "Ended, as the run for stats failed." in history
    host.ok("db-migrate-data", "self", *ALL, "--accept-loss", "visit.page")
    assert look(host) == at_head(before) | {"stats.visit": [(7,)]}


def test_nothing_is_begun_where_the_second_is_refused_before(make: Make) -> None:
    host = make("files")
    before = look(host)
    env = host.migrations / "env.py"
    text = env.read_text()
    env.write_text((TEMPLATE.parents[1] / "flask" / "env.py").read_text())
    refused = host.run("db-migrate-data", "self", *ALL)
    assert_unchanged(host, before, refused, 2, "stats: ")
    assert not (host.directory / "live.db.ferry").exists()

    env.write_text(text)
    host.ok("db-backup", "--bind", "all")
    with FileLock(host.directory / "stats.db.ferry" / "lock"):
        refused = host.run("db-migrate-data", "self", *ALL, "--lock-timeout", "0")
    assert_unchanged(host, before, refused, 11, "stats: The lock is held")
    assert not list((host.directory / "backups").glob("*db-migrate-data*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", ["stats.cut-over.before", "default.cut-over.after"])
def test_killed_between_two_cut_overs(make: Make, monkeypatch: pytest.MonkeyPatch, kind: str, at: str) -> None:
    """The next same command goes on, forwards and back; no database is carried or undone twice."""
    host = make(kind)
    before = look(host)
    host.config["FERRY_HOOKS"] = f"{__name__}:step_hook"
    monkeypatch.setenv("TEST_AT", f"{at}=kill")
    assert run_in_fork(host, "db-migrate-data", "self", *ALL) == -signal.SIGKILL
    monkeypatch.delenv("TEST_AT")
    one_of_two = {name: rows for name, rows in at_head(before).items() if name.startswith("None")}
    assert look(host) == {**before, **one_of_two}

    done = host.ok("db-migrate-data", "self", *ALL)
    assert "default: Nothing to do: already migrated" in done.stdout
    assert done.last_line == "Nothing to do: default; done: stats"
    assert look(host) == at_head(before)

    monkeypatch.setenv("TEST_AT", f"{at}=kill")
    assert run_in_fork(host, "db-rollback", *ALL, "--allow-production") == -signal.SIGKILL
    monkeypatch.delenv("TEST_AT")
    assert look(host) == {**at_head(before), **{name: before[name] for name in one_of_two}}
    back = host.ok("db-rollback", *ALL, "--allow-production")
    assert "default: Nothing to do: done already, by run " in back.stdout
    assert look(host) == before
    refused = host.run("db-rollback", *ALL, "--allow-production")
    assert (refused.status, "no cut-over left to undo" in refused.stderr) == (20, True), refused.stderr
    assert look(host) == before


@pytest.mark.parametrize("further", ["something is further back", "nothing is"])
def test_killed_in_the_last_cut_over_of_a_rollback(make: Make, monkeypatch: pytest.MonkeyPatch, further: str) -> None:
    """What recovery finishes was what was asked for: nothing further back is made live."""
    host = make("files")
    if further != "nothing is":
        host.ok("db-migrate-data", "self", *ALL)
    before = look(host)
    host.ok("db-init", *ALL)
    record = Control.record

    def record_or_die(control: Control, entry: Entry) -> None:
        if "stats" in str(control.directory):
            os.kill(os.getpid(), signal.SIGKILL)
        record(control, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Control, "record", record_or_die)
        assert run_in_fork(host, "db-rollback", *ALL) == -signal.SIGKILL
    assert look(host) == before
    assert host.run("db-status", "--bind", "all", "--check").status == 25
    assert host.ok("db-rollback", *ALL, "--dry-run").stdout.count("would be finished or undone first") == 2
    again = host.ok("db-rollback", *ALL)
    assert again.last_line == "Nothing to do: default, stats"
    assert look(host) == before


def test_a_failure_between_two_cut_overs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 25: which database is new, which is not, and both whole commands, each of which works."""
    host = make("files")
    before = look(host)
    host.config["FERRY_HOOKS"] = f"{__name__}:step_hook"
    monkeypatch.setenv("TEST_AT", "stats.cut-over.before=refuse")
    report = host.directory / "all.json"
    failed = host.run("db-migrate-data", "self", *ALL, "--report", str(report))
    assert failed.status == 25
    assert "Error: default is new, stats not. stats: " in failed.stderr
    assert "Replaced, the new one is live: default.\nUnchanged: stats.\n" in failed.stderr
    assert "To go on, which does what is left: flask db-migrate-data self --bind all --yes" in failed.stderr
    assert "To take back what is new: flask db-rollback --bind all --yes" in failed.stderr
    written = json.loads(report.read_bytes())
    assert {name: item["live"] for name, item in written["databases"].items()} == {
        "default": "replaced",
        "stats": "unchanged",
    }
    assert (written["status"], written["bind"], sorted(written["reports"])) == (25, "all", ["default", "stats"])
    monkeypatch.delenv("TEST_AT")
    back = host.ok("db-rollback", *ALL)
    assert look(host) == before
    assert back.last_line == "Done: default; nothing to do: stats"

    monkeypatch.setenv("TEST_AT", "stats.cut-over.before=refuse")
    assert host.run("db-migrate-data", "self", *ALL).status == 25
    monkeypatch.setenv("TEST_AT", "default.cut-over.before=refuse")
    assert host.ok("db-migrate-data", "self", *ALL).last_line == "Nothing to do: default; done: stats"
    monkeypatch.setenv("TEST_AT", "stats.cut-over.before=refuse")
    failed = host.run("db-rollback", *ALL)
    assert (failed.status, "To take back what is new: flask db-restore --bind default" in failed.stderr) == (25, True)
    monkeypatch.delenv("TEST_AT")
    host.ok("db-rollback", *ALL)
    assert look(host) == before


def test_a_signal_between_two_cut_overs_waits(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make("files")
    before = look(host)
    host.config["FERRY_HOOKS"] = f"{__name__}:step_hook"
    for at, status, after in (
        ("stats.cut-over.before", 0, at_head(before)),
        ("stats.upgrade.after", 130, before),
    ):
        monkeypatch.setenv("TEST_AT", f"{at}=term")
        assert run_in_fork(host, "db-migrate-data", "self", *ALL) == status
        monkeypatch.delenv("TEST_AT")
        assert look(host) == after
        if status == 0:
            host.ok("db-rollback", *ALL)


def test_a_rollback_of_all_undoes_one_run_of_all_and_no_more(make: Make) -> None:
    host = make("files")
    before = look(host)
    host.ok("db-migrate-data", "self", "--bind", "stats", "--yes")
    assert host.ok("db-migrate-data", "self", *ALL).last_line == "Done: default; nothing to do: stats"
    assert host.ok("db-rollback", *ALL).last_line == "Done: default; nothing to do: stats"
    only = look(host)
    assert only == {**before, "stats.visit": [(7, "/", None)], "stats.alembic_version": [("two",)]}
    refused = host.run("db-rollback", *ALL)
    assert (refused.status, "was of that database alone" in refused.stderr) == (20, True), refused.stderr
    assert "flask db-rollback --bind stats" in refused.stderr
    assert look(host) == only


def test_sources(make: Make) -> None:
    """One SOURCE is not loaded into several databases; each may have its own key."""
    host = make("files")
    before = look(host)
    for name in ("live", "stats"):
        with (
            sqlite3.connect(host.directory / f"{name}.db") as live,
            sqlite3.connect(host.directory / f"{name}-old.db") as old,
        ):
            live.backup(old)
        live.close()
        old.execute("INSERT INTO thing VALUES (8, 'more')" if name == "live" else "INSERT INTO visit VALUES (8, '/8')")
        old.commit()
        old.close()
    refused = host.run("db-migrate-data", str(host.directory / "live-old.db"), *ALL)
    assert (refused.status, "One SOURCE is of one database" in refused.stderr) == (2, True), refused.stderr
    assert "FLASK_FERRY_SOURCE_DEFAULT, FLASK_FERRY_SOURCE_STATS" in refused.stderr
    host.config["FERRY_SOURCE_DEFAULT"] = str(host.directory / "live-old.db")
    refused = host.run("db-migrate-data", *ALL)
    assert (refused.status, "stats: No source." in refused.stderr) == (2, True), refused.stderr
    assert look(host) == before
    host.config["FERRY_SOURCE_STATS"] = str(host.directory / "stats-old.db")
    done = host.ok("db-migrate-data", *ALL)
    assert "is not a key" not in done.stderr
    assert look(host)["None.thing"] == [(1, "kept", None), (8, "more", None)]
    assert look(host)["stats.visit"] == [(7, "/", None), (8, "/8", None)]
    assert host.ok("db-migrate-data", *ALL).last_line == "Nothing to do: default, stats"
    assert host.ok("db-migrate-data", "--bind", "stats", "--yes").last_line.startswith(
        "Nothing to do: already migrated"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("db-migrate-data", "self", "--exclude", "thing"),
        ("db-migrate-data", "self", "--backup-to", "one.db"),
        ("db-migrate-data", "--set-aside-from", "rows.json"),
        ("db-restore", "backup.db"),
        ("db-backup", "--to", "one.db"),
        ("db-backup", "--check", "one"),
        ("db-verify", "20261126T180000-abcdef"),
        ("db-status", "--unlock", "20261126T180000-abcdef"),
    ],
    ids=" ".join,
)
def test_what_means_one_database_is_refused(make: Make, arguments: tuple[str, ...]) -> None:
    host = make("files")
    before = host.seen()
    refused = host.run(
        *arguments, "--bind", "all", *(["--yes"] if arguments[0] in ("db-migrate-data", "db-restore") else [])
    )
    assert refused.status == 2
    assert "one database, and --bind all is for 2: default, stats." in refused.stderr
    assert "--bind default, --bind stats" in refused.stderr
    assert host.seen() == before


def test_names_that_mean_two_things(make: Make) -> None:
    host = make("files")
    host.config["SQLALCHEMY_BINDS"] |= {"all": f"sqlite:///{host.directory / 'x.db'}"}
    refused = host.run("db-status", "--bind", "all")
    assert (refused.status, "one of the app's databases is called 'all'" in refused.stderr) == (2, True)


def test_one_that_no_model_has_tables_in_is_left_alone(tmp_path: Path) -> None:
    host = Foreign(tmp_path)
    host.at("one")
    host.config["SQLALCHEMY_BINDS"] = {"other": f"sqlite:///{tmp_path / 'other.db'}"}
    done = host.ok("db-migrate-data", "self", *ALL)
    assert done.last_line == "Done: default"
    assert "Of the app's databases this is 'default'; left alone: other." in done.stderr
    assert not (tmp_path / "other.db").exists()


def only_visits(db: SQLAlchemy) -> None:
    columns = [sa.Column("page", sa.String(40)), sa.Column("seconds", sa.Integer)]
    db.Table("visit", sa.Column("id", sa.Integer, primary_key=True), *columns, bind_key="stats")


def test_one_without_tables_is_carried_and_in_nobodys_way(make: Make) -> None:
    """Where ``env.py`` runs revisions on each database, one may have nothing but their number."""
    host = make("files")
    host.models = only_visits
    for name in ("one", "two"):
        file = host.migrations / "versions" / f"{name}.py"
        file.write_text(re.sub(r"(def upgrade_\(\):\n    ).*", r"\1pass", file.read_text()))
    host.live.unlink()
    done = host.ok("db-migrate-data", "self", *ALL)
    assert done.last_line == "Done: default, stats"
    assert host.ok("db-verify", "--bind", "all").last_line == "Equal: default, stats"
    made = host.ok("db-init", *ALL)
    assert "default: Nothing to do: no model has a table in it." in made.stdout
    assert made.last_line == "Nothing to do: default; done: stats"
    back = host.ok("db-restore", *ALL)
    assert "default: Nothing to do: it is empty, and has no backup." in back.stdout
    assert query(host.directory / "stats.db", "SELECT * FROM visit") == [(7, "/", None)]


def test_events_and_reports(make: Make) -> None:
    host = make("files")
    page, report = host.directory / "all.html", host.directory / "all.json"
    events = host.ok("db-migrate-data", "self", *ALL, "--json", "--report", str(page)).events
    for event in events:
        SCHEMA.validate(event)
    runs = {event["bind"]: event["run"] for event in events}
    assert set(runs) == {"default", "stats", "all"}
    assert runs["all"] is None
    assert all(event["run"] == runs[event["bind"]] for event in events)
    assert [(event["event"], event["bind"]) for event in events[-3:]] == [
        ("result", "default"),
        ("result", "stats"),
        ("results", "all"),
    ]
    assert events[-1]["databases"]["stats"] == {
        "run": runs["stats"],
        "outcome": "done",
        "status": 0,
        "live": "replaced",
    }
    text = page.read_text()
    for words in ("default: <span", "stats: <span", "flask db-rollback --bind stats", runs["stats"]):
        assert words in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))

    loses(host)
    events = host.run("db-status", "--bind", "all", "--json", "--report", str(report)).events
    for event in events:
        SCHEMA.validate(event)
    assert [event["bind"] for event in events] == ["default", "stats", "all"]
    assert json.loads(report.read_bytes())["reports"]["stats"]["target"]["database"]["bind"] == "stats"
    assert host.run("db-rollback", *ALL, "--json").status == 0
    events = host.run("db-migrate-data", "self", *ALL, "--json").events
    SCHEMA.validate(events[-1])
    assert events[-1]["databases"] == {"default": "unchanged", "stats": "unchanged"}
    assert (events[-1]["event"], events[-1]["bind"], events[-1]["status"]) == ("error", "all", 23)
    host.ok("db-backup", "--bind", "all", "--report", str(report))
    assert host.ok("db-status", "--bind", "stats", "--json").events[-1]["bind"] == "stats"


def test_the_exit_status_of_a_look_is_the_worst(make: Make) -> None:
    host = make("files")
    host.ok("db-migrate-data", "self", "--bind", "default", "--yes")
    result = host.run("db-status", "--bind", "all", "--check")
    assert result.status == 1
    assert "default: nothing to do" in result.stdout
    assert "Next:        flask db-migrate-data --bind stats self" in result.stdout
    (host.directory / "stats.db").write_bytes(b"no database" * 999)
    result = host.run("db-backup", "--bind", "all")
    assert result.status == 21
    assert "Error: stats: " in result.stderr
    assert result.last_line == "Done: default; failed: stats"


APPLICATION = """
import os, signal
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from app.commands import bp

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///live.db"
app.config["SQLALCHEMY_BINDS"] = {"stats": "sqlite:///stats.db"}
db = SQLAlchemy(app)
Migrate(app, db)
app.register_blueprint(bp)
newer = "NEWER" in os.environ


class Person(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(40))
    if newer:
        mail = db.Column(db.String(80))


class Visit(db.Model):
    __bind_key__ = "stats"
    id = db.Column(db.Integer, primary_key=True)
    if newer:
        page = db.Column(db.String(80))


@app.cli.command("fill")
def fill():
    db.session.add_all([Person(id=1, name="Ada"), Visit(id=7)])
    db.session.commit()


def hook(when, step, about):
    if "KILL" in os.environ and (when, step, about["bind"]) == ("before", "cut-over", "stats"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_app_of_flask_db_init_multidb(tmp_path: Path) -> None:
    """Each command a process of its own, with scripts as ``flask db init --multidb`` and ``flask db migrate`` write."""
    (tmp_path / "several.py").write_text(APPLICATION)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "FERRY_"))}

    def flask(words: str, status: int = 0, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "several:app", *words.split()],
            cwd=tmp_path,
            env={**plain, "PYTHONPATH": f"{ROOT}:{tmp_path}", "FLASK_FERRY_HOOKS": "several:hook", **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    for words in ("db init --multidb", "db migrate -m first", "db upgrade", "fill"):
        flask(words)
    flask("db migrate -m second", NEWER="1")
    flask("db-migrate-data self --yes", 20, NEWER="1")
    flask("db-migrate-data self --bind all --yes", -signal.SIGKILL, NEWER="1", KILL="1")
    rows = [query(tmp_path / "instance" / name, sql) for name, sql in QUERIES.items()]
    assert rows == [[(1, "Ada", None)], [(7,)]]
    assert flask("db-migrate-data self --yes", NEWER="1", FLASK_FERRY_BIND="all").endswith(
        "Nothing to do: default; done: stats\n"
    )
    rows = [query(tmp_path / "instance" / name, sql) for name, sql in QUERIES.items()]
    assert rows == [[(1, "Ada", None)], [(7, None)]]
    assert flask("db check", NEWER="1")
    flask("db-rollback --bind all --yes")
    rows = [query(tmp_path / "instance" / name, sql) for name, sql in QUERIES.items()]
    assert rows == [[(1, "Ada")], [(7,)]]


QUERIES = {"live.db": "SELECT * FROM person", "stats.db": "SELECT * FROM visit"}


@pytest.mark.executes("docs/hosts.md", "--bind all", "--bind default")
def test_the_lines_of_the_page(make: Make) -> None:
    host = make("files")
    before = look(host)
    for line in take_lines("docs/hosts.md", "--bind default"):
        # There is no terminal here to answer at.
        host.ok(*shlex.split(line)[1:], *(["--yes"] if "migrate" in line else []))
    assert look(host) == at_head(before)
    for bind in ("default", "stats"):
        host.ok("db-rollback", "--bind", bind, "--yes")
    assert look(host) == before
    migrate, status, rollback = (shlex.split(line)[1:] for line in take_lines("docs/hosts.md", "--bind all"))
    host.ok(*migrate)
    assert look(host) == at_head(before)
    host.ok(*status)
    host.ok(*rollback)
    assert look(host) == before


def test_production_wants_all_names_typed(make: Make) -> None:
    host = make("files")
    before = look(host)
    host.config["FERRY_ENVIRONMENT"] = "production"
    names = f"{host.live} {host.directory / 'stats.db'}"
    for answer, status in (("y", 130), (str(host.live), 130), (names, 0)):
        assert run_at_terminal(host, answer, "db-migrate-data", "self", "--bind", "all") == status
    assert look(host) == at_head(before)


def run_at_terminal(host: Foreign, answer: str, *arguments: str) -> int:
    """Run a command in a process of its own, with a terminal at which this is typed; returns how it ended."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            # pytest has put others in their place.
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            FlaskGroup(create_app=host.app, load_dotenv=False).main([*arguments])
        except SystemExit as end:
            os._exit(int(end.code or 0))
        finally:
            os._exit(99)
    os.write(terminal, f"{answer}\n".encode())
    with contextlib.suppress(OSError):  # Linux says so when the other side is closed
        while os.read(terminal, 4096):
            pass
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status)
