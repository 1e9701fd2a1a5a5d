"""A migration that was killed is gone on with: what it had read is not read again, nor what it had loaded loaded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.transfer.jobs import going_on
from app.transfer.staging import ahead
from app.transfer.staging import load as loading
from tests.scenarios.small_host import SmallHost, host_on
from tests.support.places import connected
from tests.support.servers import make_directory
from tests.support.servers.mariadb import MariaDB
from tests.support.serving import Server

KILLED = -9
LETTERS, ANSWERS = 1_000, 300
CHUNK = 100
CREATE = (
    "CREATE TABLE letter (id INTEGER PRIMARY KEY, name VARCHAR(40) UNIQUE, body VARCHAR(200))",
    "CREATE TABLE answer (id INTEGER PRIMARY KEY, letter_id INTEGER REFERENCES letter (id), body VARCHAR(200))",
)
HEAD = "ALTER TABLE letter ADD COLUMN note VARCHAR(10)"
KILL, NOTES, SERVER = "GOING_ON_KILL", "GOING_ON_NOTES", "GOING_ON_SERVER"
HERE = f"{__name__}:interfere"


def interfere(when: str, step: str, _about: object) -> None:
    """A hook: notes each load, and ends this process where it is told to, as ``kill -9`` does."""
    if (when, step) == ("before", "backup"):
        _note_loads()
    if os.environ.get(KILL) == f"{when} {step}":
        os.kill(os.getpid(), signal.SIGKILL)


def _note_loads() -> None:
    loading.CHUNK_ROWS = CHUNK
    ahead.PART_BYTES = 2_000
    going_on.MARK_EVERY_S = 0.0
    load_chunks, mark = loading._load_in_chunks, going_on.GoingOn.mark
    marks = 0

    def note(*arguments: Any) -> Any:
        counting, begun = arguments[2], arguments[3]
        result = load_chunks(*arguments)
        with Path(os.environ[NOTES]).open("a") as notes:
            print(counting.table.name, result.loaded - begun, file=notes)
        return result

    def count(self: going_on.GoingOn, table: str, rows: int, words: str) -> None:
        nonlocal marks
        mark(self, table, rows, words)
        marks += 1
        if os.environ.get(KILL) == f"server {marks}":
            os.kill(int(Path(os.environ[SERVER]).read_text()), signal.SIGKILL)
        if os.environ.get(KILL) == f"mark {marks}":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get(KILL) == f"terminate {marks}":
            os.kill(os.getpid(), signal.SIGTERM)

    def copy_table(self: going_on.GoingOn, *arguments: Any) -> int:
        count = copy(self, *arguments)
        if os.environ.get(KILL) == "copied":
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    copy = going_on.GoingOn._copy_table
    going_on.GoingOn._copy_table = copy_table  # type: ignore[method-assign] # of this process alone
    loading._load_in_chunks = note
    going_on.GoingOn.mark = count  # type: ignore[method-assign] # of this process alone


def make_rows() -> tuple[list[Any], list[Any]]:
    letters = [(n, f"name {n}", f"a body {n} ü") for n in range(1, LETTERS + 1)]
    return letters, [(n, n, f"an answer {n}") for n in range(1, ANSWERS + 1)]


@pytest.fixture
def old(tmp_path: Path) -> SmallHost:
    directory = tmp_path / "old"
    directory.mkdir()
    host = SmallHost(directory, sa.make_url(f"sqlite:///{directory / 'old.db'}"))
    host.revise(*CREATE)
    host.done("db", "upgrade")
    letters, answers = make_rows()
    with closing(sqlite3.connect(directory / "old.db")) as connection, connection:
        connection.executemany("INSERT INTO letter VALUES (?, ?, ?)", letters)
        connection.executemany("INSERT INTO answer VALUES (?, ?, ?)", answers)
    return host


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> SmallHost:
    directory = tmp_path / "new"
    directory.mkdir()
    host = host_on(request, directory, *CREATE)
    host.revise(HEAD, name="r2", down="r1")
    return host


class Runs:
    """Runs of one migration, killed or not."""

    def __init__(self, new: SmallHost, source: str) -> None:
        self.new, self.source = new, source
        self.environ: dict[str, str] = {}
        self.notes, self.report = new.directory / "notes", new.directory / "report.json"

    def run(self, *options: str, kill: str = "") -> Any:
        self.notes.write_text("")
        return self.new.flask(
            *("db-migrate-data", "--yes", "--jobs", "0", "--report", str(self.report), *options),
            FLASK_FERRY_SOURCE=self.source,
            FLASK_FERRY_SOURCE_UID="any",
            FLASK_FERRY_SOURCE_PASSWORD="any",
            FLASK_FERRY_HOOKS=HERE,
            **{NOTES: str(self.notes), KILL: kill},
            **self.environ,
        )

    def kill(self, at: str, *options: str) -> None:
        killed = self.run(*options, kill=at)
        assert killed.status == KILLED, killed.stderr

    def succeed(self, *options: str) -> tuple[dict[str, Any], dict[str, int]]:
        """The report, and the rows that were loaded, by table."""
        done = self.run(*options)
        assert done.status == 0, done.stderr
        loads = dict(line.split() for line in self.notes.read_text().splitlines())
        return json.loads(self.report.read_text()), {name: int(rows) for name, rows in loads.items()}

    @property
    def snapshot(self) -> tuple[int, int]:
        """Another one where it was written again."""
        state = (self.new.directory / "data.json").stat()
        return state.st_ino, state.st_mtime_ns

    def check(self) -> None:
        """Every value is there, and nothing else is left."""
        letters, answers = make_rows()
        with connected(self.new.url) as connection:
            rows = connection.exec_driver_sql("SELECT id, name, body, note FROM letter ORDER BY id").fetchall()
            assert [tuple(row) for row in rows] == [(*row, None) for row in letters]
            rows = connection.exec_driver_sql("SELECT id, letter_id, body FROM answer ORDER BY id").fetchall()
            assert [tuple(row) for row in rows] == answers
        assert list_staging(self.new) == []


def list_staging(host: SmallHost) -> list[str]:
    if host.url.get_backend_name() == "sqlite":
        return sorted(path.name for path in Path(str(host.url.database)).parent.rglob("staging-*.db"))
    start = "ferry_staging_" if host.url.get_backend_name() == "postgresql" else f"{host.url.database}__stg_"
    with connected(host.url) as connection:
        rows = connection.exec_driver_sql("SELECT schema_name FROM information_schema.schemata")
        return sorted(name for (name,) in rows if name.startswith(start))


def drop_staging(host: SmallHost) -> None:
    [name] = list_staging(host)
    if host.url.get_backend_name() == "sqlite":
        [path] = Path(str(host.url.database)).parent.rglob("staging-*.db")
        path.unlink()
        return
    quoted = f'SCHEMA "{name}" CASCADE' if host.url.get_backend_name() == "postgresql" else f"DATABASE `{name}`"
    with connected(host.url) as connection:
        connection.exec_driver_sql(f"DROP {quoted}")
        connection.commit()


def execute_in_staging(host: SmallHost, statement: Callable[[str], str]) -> None:
    """Somebody changes the staging that a killed run left."""
    [name] = list_staging(host)
    if host.url.get_backend_name() == "sqlite":
        [path] = Path(str(host.url.database)).parent.rglob("staging-*.db")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement("letter"))
        return
    with connected(host.url) as connection:
        quoted = f'"{name}"' if host.url.get_backend_name() == "postgresql" else f"`{name}`"
        connection.exec_driver_sql(statement(f"{quoted}.letter"))
        connection.commit()


@pytest.fixture
def runs(old: SmallHost, new: SmallHost) -> Runs:
    return Runs(new, old.url.render_as_string())


def test_killed_in_the_middle_of_a_table(runs: Runs) -> None:
    runs.kill("mark 4")
    snapshot = runs.snapshot
    assert len(list_staging(runs.new)) == 1
    looked = runs.new.done("db-status")
    assert "Resumable:   run " in looked
    assert "loaded 400 rows" in looked
    assert "Left behind" not in looked
    report, loads = runs.succeed()
    assert loads == {"letter": LETTERS - 4 * CHUNK, "answer": ANSWERS}
    assert report["gone_on_with"]["rows"] == 4 * CHUNK
    assert runs.snapshot == snapshot
    runs.check()


@pytest.mark.parametrize("at", ["after load", "before verify", "after verify"])
def test_killed_behind_the_load(runs: Runs, at: str) -> None:
    runs.kill(at)
    snapshot = runs.snapshot
    report, loads = runs.succeed()
    assert loads == {}
    assert report["gone_on_with"]["rows"] == LETTERS + ANSWERS
    assert {item["table"]: item["loaded"] for item in report["tables"]} == {"letter": LETTERS, "answer": ANSWERS}
    assert runs.snapshot == snapshot
    runs.check()
    runs.new.done("db-verify")
    runs.new.done("db-rollback", "--yes")


def test_what_was_loaded_while_others_were_read_is_not_loaded_again(runs: Runs) -> None:
    runs.kill("before load", "--jobs", "1")
    report, loads = runs.succeed("--jobs", "1")
    assert loads == {}
    assert report["gone_on_with"]["rows"] == LETTERS + ANSWERS
    runs.check()


def test_killed_in_the_upgrade_staging_is_loaded_anew_and_the_source_not_read(runs: Runs) -> None:
    runs.kill("after upgrade")
    snapshot = runs.snapshot
    report, loads = runs.succeed()
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    assert report["gone_on_with"]["rows"] == 0
    assert runs.snapshot == snapshot
    runs.check()


def test_killed_while_the_source_is_read_it_is_read_anew(runs: Runs) -> None:
    runs.kill("after extract")
    report, loads = runs.succeed()
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    assert report["gone_on_with"] == {}
    runs.check()


def test_killed_again_and_again(runs: Runs) -> None:
    runs.kill("mark 2")
    runs.kill("before load")
    runs.kill("mark 3")
    runs.kill("after catch-up")
    report, loads = runs.succeed()
    assert loads == {}
    assert report["gone_on_with"]["rows"] == LETTERS + ANSWERS
    runs.check()


def test_killed_while_rows_are_brought_over(runs: Runs) -> None:
    runs.kill("before verify")
    runs.kill("copied")
    runs.kill("copied")
    report, loads = runs.succeed()
    assert loads == {}
    assert report["gone_on_with"]["rows"] == LETTERS + ANSWERS
    runs.check()


def test_restart_begins_anew(runs: Runs) -> None:
    runs.kill("before verify")
    snapshot = runs.snapshot
    report, loads = runs.succeed("--restart")
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    assert report["gone_on_with"] == {}
    assert runs.snapshot != snapshot
    runs.check()


@pytest.mark.parametrize(
    "change",
    [
        lambda letter: f"UPDATE {letter} SET body = 'other' WHERE id = 7",
        lambda letter: f"DELETE FROM {letter} WHERE id = 350",
        lambda letter: f"INSERT INTO {letter} (id, name, body) VALUES (5000, 'more', 'more')",
    ],
    ids=["changed", "deleted", "added"],
)
@pytest.mark.parametrize("at", ["mark 4", "before verify"])
def test_what_somebody_changed_in_staging_never_arrives(runs: Runs, at: str, change: Callable[[str], str]) -> None:
    runs.kill(at)
    execute_in_staging(runs.new, change)
    runs.succeed()
    runs.check()


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_staging_file_that_is_torn_is_loaded_anew(old: SmallHost, tmp_path: Path, keep: float) -> None:
    (tmp_path / "new").mkdir()
    new = SmallHost(tmp_path / "new", sa.make_url(f"sqlite:///{tmp_path / 'new' / 'new.db'}"))
    new.revise(*CREATE)
    new.revise(HEAD, name="r2", down="r1")
    runs = Runs(new, old.url.render_as_string())
    runs.kill("mark 4")
    [file] = tmp_path.rglob("staging-*.db")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)] if keep else b"x" * len(content))
    _, loads = runs.succeed()
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    runs.check()


def test_with_numbers_alone_nothing_is_brought_over(runs: Runs) -> None:
    runs.kill("before verify", "--verify", "counts")
    execute_in_staging(runs.new, lambda letter: f"UPDATE {letter} SET body = 'other' WHERE id = 7")
    _, loads = runs.succeed("--verify", "counts")
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    runs.check()


def test_a_snapshot_that_was_changed_is_not_loaded(runs: Runs) -> None:
    runs.kill("before verify")
    file = runs.new.directory / "data.json"
    file.write_bytes(file.read_bytes().replace(b"a body 7 ", b"a bodx 7 "))
    report, _ = runs.succeed()
    assert report["gone_on_with"] == {}
    assert any("is not gone on with, as its snapshot" in note for note in report["notes"])
    runs.check()


def test_what_was_written_to_the_source_since_is_carried(runs: Runs, old: SmallHost) -> None:
    runs.kill("before verify")
    with closing(sqlite3.connect(str(old.url.database))) as connection, connection:
        connection.execute("UPDATE letter SET body = 'written since' WHERE id = 5")
    report, _ = runs.succeed()
    assert report["gone_on_with"]["rows"] == LETTERS + ANSWERS
    assert report["catch_up"][0]["changed"] == 1
    with connected(runs.new.url) as connection:
        assert connection.exec_driver_sql("SELECT body FROM letter WHERE id = 5").scalar() == "written since"


def test_a_newer_copy_in_the_place_of_a_source_file_is_seen(runs: Runs, old: SmallHost, tmp_path: Path) -> None:
    file, work = Path(str(old.url.database)), tmp_path / "work.db"

    def refresh() -> None:
        file.unlink()
        with closing(sqlite3.connect(work)) as connection:
            connection.execute(f"VACUUM INTO '{file}'")

    shutil.copy(file, work)
    refresh()
    runs.kill("before verify")
    with closing(sqlite3.connect(work)) as connection, connection:
        connection.execute("UPDATE letter SET body = 'written since'")
    refresh()
    runs.succeed()
    with connected(runs.new.url) as connection:
        rows = connection.exec_driver_sql("SELECT DISTINCT body FROM letter").fetchall()
    assert [tuple(row) for row in rows] == [("written since",)]


def test_other_options_and_other_revisions_begin_anew(runs: Runs) -> None:
    runs.kill("before verify")
    runs.kill("before verify", "--set-aside")
    assert len(list_staging(runs.new)) == 1
    runs.new.revise("ALTER TABLE letter ADD COLUMN more VARCHAR(10)", name="r3", down="r2")
    report, _ = runs.succeed("--set-aside")
    assert report["gone_on_with"] == {}
    assert any("revisions or version are not the same" in note for note in report["notes"])
    runs.check()


def test_a_changed_source_schema_begins_anew(runs: Runs, old: SmallHost) -> None:
    runs.kill("before verify")
    with closing(sqlite3.connect(str(old.url.database))) as connection, connection:
        connection.execute("CREATE TABLE more (id INTEGER PRIMARY KEY)")
    refused = runs.run()
    assert refused.status == 22, refused.stderr
    assert "is not gone on with, as the schema of the source is another one by now" in refused.stderr
    assert list_staging(runs.new) == []


def test_other_commands_leave_it_and_a_cut_over_ends_it(runs: Runs) -> None:
    runs.new.done("db", "upgrade")
    runs.kill("before verify")
    runs.new.done("db-backup")
    assert len(list_staging(runs.new)) == 1
    assert "Resumable" in runs.new.done("db-status")
    runs.new.done("db-restore", "--yes")
    runs.new.done("db-backup")
    assert list_staging(runs.new) == []
    assert "Resumable" not in runs.new.done("db-status")


@pytest.mark.parametrize("at", ["mark 4", "before verify"])
def test_of_a_file(new: SmallHost, old: SmallHost, at: str) -> None:
    file = old.directory / "all.json"
    old.done("db-backup", "--portable", str(file))
    runs = Runs(new, str(file))
    runs.kill(at)
    report, loads = runs.succeed()
    assert sum(loads.values()) + report["gone_on_with"]["rows"] == LETTERS + ANSWERS
    assert report["gone_on_with"]["rows"] >= 4 * CHUNK
    runs.check()


def test_of_a_deployment(new: SmallHost, old: SmallHost, tmp_path: Path) -> None:
    with Server("tests.scenarios.small_host:create_app()", old.environ, tmp_path / "log") as server:
        runs = Runs(new, server.url)
        runs.kill("mark 4")
        snapshot = runs.snapshot
        report, loads = runs.succeed()
        assert loads == {"letter": LETTERS - 4 * CHUNK, "answer": ANSWERS}
        assert report["gone_on_with"]["rows"] == 4 * CHUNK
        assert runs.snapshot == snapshot
        runs.check()
        # Written since: it is read again.
        runs.kill("before verify", "--rerun")
        with closing(sqlite3.connect(str(old.url.database))) as connection, connection:
            connection.execute("INSERT INTO answer VALUES (5000, 1, 'more')")
        report, _ = runs.succeed("--rerun")
        assert report["gone_on_with"] == {}
        with connected(new.url) as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM answer").scalar() == ANSWERS + 1


def test_what_was_restarted_is_not_gone_on_with_where_that_dies_before_it_reads(runs: Runs) -> None:
    runs.kill("before verify")
    runs.kill("after backup", "--restart")
    assert "Resumable" not in runs.new.done("db-status")
    report, loads = runs.succeed()
    assert report["gone_on_with"] == {}
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    runs.check()


def test_a_machine_that_is_shut_down_ends_no_work_that_was_done(runs: Runs) -> None:
    ended = runs.run(kill="terminate 4")
    assert (ended.status, "Interrupted by SIGTERM." in ended.stderr) == (130, True), ended.stderr
    assert len(list_staging(runs.new)) == 1
    report, loads = runs.succeed()
    assert report["gone_on_with"]["rows"] == 4 * CHUNK
    assert sum(loads.values()) == LETTERS + ANSWERS - 4 * CHUNK
    assert any(note.endswith(f"had loaded {4 * CHUNK} rows were copied.") for note in report["notes"])
    runs.check()


def test_where_staging_is_gone_nothing_is_said_to_be_loaded(runs: Runs) -> None:
    runs.kill("before verify")
    drop_staging(runs.new)
    looked = runs.new.done("db-status")
    assert "Resumable:   run " in looked
    assert "loaded" not in looked.partition("Resumable")[2].partition("\n")[0]
    report, loads = runs.succeed()
    assert loads == {"letter": LETTERS, "answer": ANSWERS}
    assert any(note.endswith("nothing is there any more.") for note in report["notes"])
    assert not any("had loaded 1" in note for note in report["notes"])


def test_another_snapshot_is_asked_for(runs: Runs) -> None:
    runs.kill("before verify")
    other = runs.new.directory / "other.json"
    runs.environ["FLASK_FERRY_SNAPSHOT"] = str(other)
    report, _ = runs.succeed()
    assert report["gone_on_with"] == {}
    assert other.is_file()
    runs.check()


def test_numbers_that_a_deployment_gave_out_since_are_not_given_out_again(tmp_path: Path) -> None:
    create = ("CREATE TABLE letter (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40))",)
    hosts = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        host = SmallHost(tmp_path / name, sa.make_url(f"sqlite:///{tmp_path / name / 'app.db'}"))
        host.revise(*create)
        hosts.append(host)
    old, new = hosts
    old.done("db", "upgrade")
    with closing(sqlite3.connect(old.directory / "app.db")) as connection, connection:
        connection.execute("INSERT INTO letter VALUES (500, 'a')")
    with Server("tests.scenarios.small_host:create_app()", old.environ, tmp_path / "log") as server:
        runs = Runs(new, server.url)
        runs.kill("before verify")
        with closing(sqlite3.connect(old.directory / "app.db")) as connection, connection:
            connection.execute("INSERT INTO letter VALUES (90000, 'invoice')")
            connection.execute("DELETE FROM letter WHERE id = 90000")
        report, _ = runs.succeed()
    assert report["gone_on_with"]["run"]
    with closing(sqlite3.connect(new.directory / "app.db")) as connection:
        assert connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'letter'").fetchall() == [(90000,)]


def test_a_server_that_was_lost_in_the_load(old: SmallHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_directory("ferry-mariadb-")
    server = MariaDB(directory / "server")
    server.prepare()
    server.start()
    try:
        monkeypatch.setenv(SERVER, str(server.directory / "pid"))
        server.execute("CREATE DATABASE app")
        (tmp_path / "new").mkdir()
        new = SmallHost(tmp_path / "new", server.url("app"))
        new.revise(*CREATE)
        new.revise(HEAD, name="r2", down="r1")
        runs = Runs(new, old.url.render_as_string())
        lost = runs.run(kill="server 4")
        assert lost.status == 1, lost.stderr
        server.kill()
        server.start()
        snapshot = runs.snapshot
        report, loads = runs.succeed()
        # A server that is killed may lose the last second of what it said was in.
        assert report["gone_on_with"]["rows"] + sum(loads.values()) == LETTERS + ANSWERS
        assert runs.snapshot == snapshot
        runs.check()
    finally:
        server.stop()
        shutil.rmtree(directory)
