"""Rows of a large database, with processes that help: every value arrives, and what they cannot do is done as ever."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from app.transfer.run.control import Control
from app.transfer.run.ledger import JournalEntry
from tests.scenarios.small_host import SmallHost, host_on
from tests.support.forks import start_flask
from tests.support.places import connected, execute, new_name
from tests.support.site import MODULES, ROOT

SERVERS = ["mariadb", "postgresql", "sqlite"]
ROWS, LENGTH = 2_500, 4_000
CREATE = (
    "CREATE TABLE letter (id INTEGER PRIMARY KEY, name VARCHAR(40) UNIQUE, body TEXT)",
    "CREATE TABLE answer (id INTEGER PRIMARY KEY, letter_id INTEGER REFERENCES letter (id))",
)
NOTES = "JOBS_NOTES"


def note_children(when: str, step: str, _about: object) -> None:
    """A hook: how many processes help behind the reading, and before staging is swapped."""
    import os

    if (when, step) in {("after", "extract"), ("before", "cut-over")}:
        with Path(os.environ[NOTES]).open("a") as notes:
            print(step, len(find_helpers()), file=notes)


def find_helpers() -> list[psutil.Process]:
    """Those who help this process."""
    return [one for one in psutil.Process().children(recursive=True) if "popen_loky" in " ".join(one.cmdline())]


def stop_at_verify(when: str, step: str, _about: object) -> None:
    """A hook: Ctrl-C, while processes are there that help; how many still do when staging is dropped."""
    import os

    if (when, step) != ("before", "verify"):
        return
    notes, look = Path(os.environ[NOTES]), Control.find_unfinished_cut_over
    notes.write_text(" ".join(str(one.pid) for one in psutil.Process().children(recursive=True)))

    def note(control: Control) -> JournalEntry | None:
        with notes.with_suffix(".dropped").open("a") as file:
            print(len(find_helpers()), file=file)
        return look(control)

    # It is asked before staging is dropped.
    Control.find_unfinished_cut_over = note  # type: ignore[method-assign] # of this process alone
    os.kill(os.getpid(), signal.SIGINT)


def change_staging(when: str, step: str, _about: object) -> None:
    """A hook: somebody changes a row of staging, the last but one, before it is proved."""
    import os

    if (when, step) != ("before", "verify"):
        return
    url = sa.make_url(os.environ["SMALL_DATABASE"])
    if url.get_backend_name() == "sqlite":
        [file] = Path(str(url.database)).parent.rglob("staging-*.db")
        execute(url.set(database=str(file)), CHANGE)
        return
    with connected(url) as connection:
        start = "ferry_staging_" if url.get_backend_name() == "postgresql" else f"{url.database}__stg_"
        [name] = [name for (name,) in connection.exec_driver_sql(SCHEMATA) if name.startswith(start)]
        quoted = f'"{name}"' if start == "ferry_staging_" else name
        connection.exec_driver_sql(CHANGE.replace("letter", f"{quoted}.letter", 1))
        connection.commit()


CHANGE = f"UPDATE letter SET body = 'other' WHERE id = {ROWS - 1}"
SCHEMATA = "SELECT schema_name FROM information_schema.schemata"


def make_old(directory: Path, name_of: str = "name {}") -> SmallHost:
    """A file of 10 MB: more than two parts."""
    old = SmallHost(directory, sa.make_url(f"sqlite:///{directory / 'old.db'}"))
    old.revise(*CREATE)
    old.done("db", "upgrade")
    with closing(sqlite3.connect(directory / "old.db")) as connection, connection:
        rows = [(n, name_of.format(n), f"{n} " + "x" * LENGTH) for n in range(1, ROWS + 1)]
        connection.executemany("INSERT INTO letter VALUES (?, ?, ?)", rows)
        connection.executemany("INSERT INTO answer VALUES (?, ?)", [(n, n) for n in range(1, ROWS + 1)])
    return old


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> SmallHost:
    return make_old(tmp_path_factory.mktemp("old"))


@pytest.fixture(params=SERVERS)
def new(request: pytest.FixtureRequest, tmp_path: Path) -> SmallHost:
    return host_on(request, tmp_path, *CREATE)


def read(host: SmallHost) -> tuple[list[Any], int]:
    with connected(host.url) as connection:
        letters = connection.exec_driver_sql("SELECT id, name, body FROM letter ORDER BY id").fetchall()
        return [tuple(row) for row in letters], connection.exec_driver_sql("SELECT count(*) FROM answer").scalar()


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_every_row_arrives(old: SmallHost, new: SmallHost, tmp_path: Path, jobs: str) -> None:
    notes, report = tmp_path / "notes", tmp_path / "report.json"
    done = new.flask(
        *("db-migrate-data", "--yes", "--jobs", jobs, "--report", str(report)),
        FLASK_FERRY_SOURCE=old.url.render_as_string(),
        FLASK_FERRY_HOOKS=f"{__name__}:note_children",
        **{NOTES: str(notes)},
    )
    assert done.status == 0, done.stderr
    letters, answers = read(new)
    assert letters == [(n, f"name {n}", f"{n} " + "x" * LENGTH) for n in range(1, ROWS + 1)]
    assert answers == ROWS
    helpers = dict(line.split() for line in notes.read_text().splitlines())
    assert (helpers["extract"] != "0") == (jobs != "0")
    assert helpers["cut-over"] == "0"
    tables = {item["table"]: (item["rows"], item["loaded"]) for item in json.loads(report.read_text())["tables"]}
    assert tables == {"letter": (ROWS, ROWS), "answer": (ROWS, ROWS)}


@pytest.mark.parametrize(
    ("option", "extension"), [([], False), (["--jobs", "2"], True)], ids=["a small source", "a borrowed extension"]
)
def test_nobody_helps_where_it_does_not_pay(
    old: SmallHost, postgresql: Any, tmp_path: Path, option: list[str], extension: bool
) -> None:
    url = postgresql.url(new_name())
    postgresql.execute(f"CREATE DATABASE {url.database}")
    if extension:
        postgresql.execute("CREATE EXTENSION citext", database=url.database)
    new = SmallHost(tmp_path, url)
    new.revise(*CREATE)
    environ = {"FLASK_FERRY_SOURCE": old.url.render_as_string(), "FLASK_FERRY_HOOKS": f"{__name__}:note_children"}
    new.done("db-migrate-data", "--yes", *option, **environ, **{NOTES: str(tmp_path / "notes")})
    assert "extract 0" in (tmp_path / "notes").read_text()
    assert len(read(new)[0]) == ROWS


def test_rows_that_are_refused_are_named_as_without_help(mariadb: Any, tmp_path: Path) -> None:
    """Two names that are one here: which of both goes is decided by their order, and not by who was faster."""
    old = make_old(tmp_path)
    execute(old.url, "UPDATE letter SET name = 'NAME 7' WHERE id = 2400")
    url = mariadb.url(new_name())
    mariadb.execute(f"CREATE DATABASE {url.database} COLLATE utf8mb4_unicode_ci")
    (tmp_path / "new").mkdir()
    new = SmallHost(tmp_path / "new", url)
    new.revise(*CREATE)
    refused = new.migrate_from(old, "--jobs", "2")
    assert refused.status == 22, refused.stderr
    assert "1 row" in refused.stderr
    assert "2400" in refused.stderr
    done = new.migrate_from(old, "--jobs", "2", "--set-aside")
    assert done.status == 0, done.stderr
    letters, answers = read(new)
    assert (len(letters), answers) == (ROWS - 1, ROWS - 1)
    assert (7, "name 7") in {(number, name) for number, name, _ in letters}


def test_rows_of_partitions_refer_to_rows_that_come_later(postgresql: Any, tmp_path: Path) -> None:
    """A partitioned table's foreign key cannot be put back before the small tables are in, which nobody helps with."""
    (tmp_path / "old").mkdir()
    old = SmallHost(tmp_path / "old", sa.make_url(f"sqlite:///{tmp_path / 'old' / 'old.db'}"))
    writer = "CREATE TABLE writer (id INTEGER PRIMARY KEY)"
    letter = "CREATE TABLE letter (id INTEGER PRIMARY KEY, writer_id INTEGER REFERENCES writer (id), body TEXT)"
    old.revise(writer, letter)
    old.done("db", "upgrade")
    with closing(sqlite3.connect(str(old.url.database))) as connection, connection:
        connection.execute("INSERT INTO writer VALUES (1)")
        rows = [(n, 1, "x" * LENGTH) for n in range(1, ROWS + 1)]
        connection.executemany("INSERT INTO letter VALUES (?, ?, ?)", rows)
    url = postgresql.url(new_name())
    postgresql.execute(f"CREATE DATABASE {url.database}")
    new = SmallHost(tmp_path, url)
    part = "CREATE TABLE letter_1 PARTITION OF letter FOR VALUES FROM (0) TO (10000)"
    new.revise(writer, f"{letter} PARTITION BY RANGE (id)", part)
    done = new.migrate_from(old, "--jobs", "1")
    assert done.status == 0, done.stderr
    with connected(url) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM letter").scalar() == ROWS
        keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'letter'::regclass AND contype = 'f'"
        assert connection.exec_driver_sql(keys).scalar() == 1


def test_what_is_not_as_it_was_read_is_seen_by_those_who_help(old: SmallHost, new: SmallHost) -> None:
    refused = new.flask(
        *("db-migrate-data", "--yes", "--jobs", "1"),
        FLASK_FERRY_SOURCE=old.url.render_as_string(),
        FLASK_FERRY_HOOKS=f"{__name__}:change_staging",
    )
    assert refused.status == 23, refused.stderr
    assert f"letter [{ROWS - 1}]: changed: body" in refused.stderr


def test_those_who_help_end_with_the_run(old: SmallHost, new: SmallHost, tmp_path: Path) -> None:
    environ = {
        **new.environ,
        "FLASK_FERRY_SOURCE": old.url.render_as_string(),
        "FLASK_FERRY_HOOKS": f"{__name__}:stop_at_verify",
        NOTES: str(tmp_path / "notes"),
    }
    process = start_flask(
        ["db-migrate-data", "--yes", "--jobs", "1"], environ, new.directory, modules=MODULES, root=ROOT
    )
    _, stderr = process.communicate(timeout=120)
    assert process.wait() == 130, stderr
    helpers = [int(word) for word in (tmp_path / "notes").read_text().split()]
    assert helpers
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in helpers if psutil.pid_exists(pid)], timeout=20)
    assert [one.pid for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    assert set((tmp_path / "notes.dropped").read_text().split()) == {"0"}
    assert new.migrate_from(old).status == 0
