"""A live database is written while it is brought to head: writers wait for the rest, and lose nothing."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from app.dialects import dialect_for
from app.transfer.staging.short_stop import FEW
from benchmarks.host.forum import MIGRATIONS
from benchmarks.stop import environ_of, make_second
from benchmarks.writing import Writers
from tests.scenarios.small_host import SmallHost
from tests.support.forks import start_flask
from tests.support.site import ENGINE, ROOT, SERVERS, Result

MODULES = ("flask.cli", "benchmarks.host.forum", *SERVERS, *(f"app.{name}" for name in ENGINE))
PLACES = ("mariadb", "postgresql", "sqlite")
INSTANT = "2026-01-01 12:00:00"
LATE, LATE_ONCE = "LATE_DATABASE", "LATE_ONCE"


@pytest.fixture
def url_of(tmp_path: Path, new_database: Callable[[str], URL]) -> Callable[[str], URL]:
    def of(name: str) -> URL:
        return URL.create("sqlite", database=str(tmp_path / "live.db")) if name == "sqlite" else new_database(name)

    return of


def run_forum(directory: Path, url: URL, *arguments: str, **further: str) -> Result:
    environ = environ_of(
        directory, url.render_as_string(hide_password=False), FLASK_APP="benchmarks.host.forum:create_app"
    )
    process = start_flask(arguments, {**environ, **further}, directory, modules=MODULES, root=ROOT)
    stdout, stderr = process.communicate(timeout=300)
    return Result(process.wait(), stdout, stderr)


def create(directory: Path, url: URL) -> None:
    """An empty database; a file comes by itself."""
    if url.drivername != "sqlite":
        dialect_for(url, directory=directory).create(url)


def run_sql(url: URL, *statements: str) -> list[Any]:
    engine = sa.create_engine(url, poolclass=NullPool)
    rows: list[Any] = []
    with engine.begin() as connection:
        for sql in statements:
            result = connection.exec_driver_sql(sql)
            rows = [tuple(row) for row in result] if result.returns_rows else []
    return rows


@pytest.mark.parametrize("per_second", [10, 100, 1000])
@pytest.mark.parametrize("name", PLACES)
def test_no_acknowledged_write_is_lost(
    tmp_path: Path, url_of: Callable[[str], URL], name: str, per_second: int
) -> None:
    url = url_of(name)
    create(tmp_path, url)
    second = make_second(tmp_path / "second")
    assert run_forum(tmp_path, url, "db", "upgrade", FORUM_MIGRATIONS=str(MIGRATIONS)).status == 0
    user = f"'{{}}', 'a@b', true, 1.5, '{INSTANT}', '{{{{}}}}', '[1.0]', 'null', NULL"
    posts = f"1, 'first', 'text', '{INSTANT}', 0.5, NULL"
    run_sql(url, *(f"INSERT INTO users VALUES ({n}, {user.format(n)})" for n in range(1, 9)))
    run_sql(url, *(f"INSERT INTO posts VALUES ({n}, {posts})" for n in range(1, 40)))
    report = tmp_path / "report.json"
    with Writers(url.render_as_string(hide_password=False), per_second) as writers:
        threading.Event().wait(0.3)
        arguments = ("db-migrate-data", "self", "--yes", "--report", str(report))
        done = run_forum(tmp_path, url, *arguments, FORUM_MIGRATIONS=str(second))
        threading.Event().wait(0.3)
    assert writers.find_lost(url.render_as_string(hide_password=False)) == []
    if name == "sqlite" and per_second == 1000 and done.status == 11:
        assert "stayed locked by another program" in done.stderr  # writers that never rest lock the file from readers
        return
    assert writers.failures == [] or name == "sqlite"  # where a file is locked for longer than a writer waits
    assert done.status == 0, done.stderr
    assert run_sql(url, "SELECT version_num FROM alembic_version") == [("f2",)]
    told = orjson.loads(report.read_bytes())
    assert told["brought_over"] or per_second == 10, told["notes"]
    assert not [note for note in told["notes"] if "with writers waiting." in note and "pass" in note], told["notes"]
    back = run_forum(tmp_path, url, "db-rollback", "--yes", FORUM_MIGRATIONS=str(second))
    assert back.status == 0, back.stderr


class Pen(threading.Thread):
    """Runs statements one after the other, again and again with a new number, until it is told to stop."""

    def __init__(self, url: URL, statements: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.url, self.statements = url, statements
        self.stop, self.count, self.failures = threading.Event(), 0, list[str]()

    def run(self) -> None:
        engine = sa.create_engine(self.url, poolclass=NullPool)
        while not self.stop.wait(0.02):
            for sql in self.statements:
                self._write(engine, sql.format(n=1000 + self.count))
            self.count += 1

    def _write(self, engine: sa.Engine, sql: str) -> None:
        for attempt in (1, 2, 3):
            try:
                with engine.begin() as connection:
                    connection.exec_driver_sql(sql)
                return
            except sa.exc.DBAPIError as error:
                if attempt == 3:
                    self.failures.append(f"{sql}: {error.orig}")


@contextlib.contextmanager
def writing(url: URL, *statements: str) -> Iterator[Pen]:
    pen = Pen(url, statements)
    pen.start()
    threading.Event().wait(0.3)
    try:
        yield pen
    finally:
        pen.stop.set()
        pen.join(60)
    assert not pen.failures


def make_host(directory: Path, url: URL) -> SmallHost:
    create(directory, url)
    host = SmallHost(directory / "host", url)
    host.directory.mkdir()
    host.revise(
        "CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(60), email VARCHAR(60))",
        "CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, person INTEGER REFERENCES people, words VARCHAR(60))"
        if url.drivername == "sqlite"
        else "CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, person INTEGER, words VARCHAR(60), "
        "FOREIGN KEY (person) REFERENCES people (id))",
        "CREATE TABLE scraps (words VARCHAR(60))",
    )
    host.done("db", "upgrade")
    run_sql(url, *(f"INSERT INTO people VALUES ({n}, 'p {n}', 'e')" for n in range(1, 30)))
    run_sql(url, *(f"INSERT INTO notes VALUES ({n}, {n}, 'w')" for n in range(1, 30)))
    return host


WRITES = (
    "INSERT INTO people VALUES ({n}, 'Ä {n}', '')",
    "INSERT INTO notes VALUES ({n}, {n}, 'more')",
    "UPDATE people SET name = 'A {n} ' WHERE id = 1",
    "DELETE FROM notes WHERE id = {n} - 3",
    "UPDATE notes SET words = NULL WHERE id = {n} - 1",
)


def bring(host: SmallHost, **environ: str) -> tuple[Result, dict[str, Any]]:
    report = host.directory / "report.json"
    report.unlink(missing_ok=True)
    done = host.flask("db-migrate-data", "self", "--yes", "--report", str(report), **environ)
    return done, orjson.loads(report.read_bytes())


@pytest.mark.parametrize("name", PLACES)
def test_renames_and_columns_with_a_default(tmp_path: Path, url_of: Callable[[str], URL], name: str) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise(
        "ALTER TABLE people RENAME COLUMN email TO mail",
        "ALTER TABLE people ADD COLUMN kind VARCHAR(9) NOT NULL DEFAULT 'plain'",
        "ALTER TABLE notes RENAME TO remarks",
        name="r2",
        down="r1",
    )
    declared = tmp_path / "declared.toml"
    declared.write_text('["r2"]\nferry_moves = { notes = "remarks", "people.email" = "people.mail" }\n')
    with writing(url, *WRITES) as pen:
        done, told = bring(host, FLASK_FERRY_DECLARATIONS=str(declared))
        # The app of before writes to what is not there any more.
        pen.failures.clear()
        pen.stop.set()
        pen.join(60)
        pen.failures.clear()
    assert done.status == 0, done.stderr
    assert told["brought_over"], told["notes"]
    people = run_sql(url, "SELECT id, name, mail, kind FROM people ORDER BY id")
    new = [row for row in people if row[0] >= 1000]
    assert [row[0] for row in new] == list(range(1000, 1000 + len(new)))
    assert all(row[1:] == (f"Ä {row[0]}", "", "plain") for row in new)
    # After the cut-over this statement of the old app works on.
    number = int(str(people[0][1]).removeprefix("A ").removesuffix(" "))
    assert number >= new[-1][0] - 1
    assert people[0] == (1, f"A {number} ", "e", "plain")
    assert run_sql(url, "SELECT count(*) FROM remarks WHERE person NOT IN (SELECT id FROM people)") == [(0,)]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    ("statement", "note"),
    [
        ("UPDATE people SET name = 'first' WHERE id = 2", "people was written: revisions wrote rows"),
        ("CREATE TABLE copies AS SELECT id, name FROM people", "people was written: revisions wrote rows"),
        ("SELECT 1 -- op.get_bind().connection", "a revision has ways around the connection that is listened to"),
    ],
)
def test_what_revisions_made_of_rows_is_made_of_those_written_meanwhile(
    tmp_path: Path, url_of: Callable[[str], URL], name: str, statement: str, note: str
) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise(statement, name="r2", down="r1")
    with writing(url, WRITES[0]) as pen:
        done, told = bring(host)
    assert done.status == 0, done.stderr
    assert told["brought_over"] == []
    assert any(note in text for text in told["notes"]), told["notes"]
    there = {row[0] for row in run_sql(url, "SELECT id FROM people WHERE id >= 1000")}
    assert there == set(range(1000, 1000 + pen.count))


@pytest.mark.parametrize("name", PLACES)
def test_db_verify_knows_what_came_over(tmp_path: Path, url_of: Callable[[str], URL], name: str) -> None:
    """It is not in the backup, and was live at the instant of the cut-over."""
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people RENAME COLUMN email TO mail", name="r2", down="r1")
    with writing(url, "INSERT INTO people (id, name, email) VALUES ({n}, 'p', 'e')") as pen:
        done, told = bring(host)
        # The app of before writes nothing more: its column has another name.
        pen.stop.set()
        pen.join(60)
        pen.failures.clear()
    assert done.status == 0, done.stderr
    assert told["brought_over"], told["notes"]
    host.done("db-verify")
    run_sql(url, "UPDATE people SET name = 'other' WHERE id = 7")
    verified = host.flask("db-verify")
    assert verified.status == 23, verified.stderr


SPLITS = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "r2", "r1"
people = sa.table("people", sa.column("id"), sa.column("email"))


def upgrade() -> None:
    key, email = sa.Column("person", sa.Integer, primary_key=True), sa.Column("email", sa.String(60))
    emails = op.create_table("emails", key, email)
    rows = op.get_bind().execute(sa.select(people.c.id, people.c.email)).all()
    op.bulk_insert(emails, [{"person": row.id, "email": row.email} for row in rows])


def downgrade() -> None:
    op.drop_table("emails")
"""
MENDS = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "r2", "r1"


def upgrade() -> None:
    bind = op.get_bind()
    for (number,) in bind.execute(sa.text("SELECT id FROM people WHERE email = ''")).all():
        bind.execute(sa.text("UPDATE people SET email = 'none' WHERE id = :id"), {"id": number})


def downgrade() -> None:
    pass
"""
NOT_SPLIT = "SELECT id FROM people WHERE id NOT IN (SELECT person FROM emails)"
NOT_MENDED = "SELECT id FROM people WHERE email = ''"
THROUGH_A_VIEW = """
from alembic import op

revision, down_revision = "r2", "r1"


def upgrade() -> None:
    op.execute("UPDATE of_people SET email = 'none' WHERE email = ''")


def downgrade() -> None:
    pass
"""


@pytest.mark.parametrize(
    ("name", "text", "lacking"),
    [
        *(pytest.param(name, SPLITS, NOT_SPLIT, id=f"{name}-split") for name in PLACES),
        *(pytest.param(name, MENDS, NOT_MENDED, id=f"{name}-one by one") for name in PLACES),
        # SQLite writes to no view.
        *(pytest.param(name, THROUGH_A_VIEW, NOT_MENDED, id=f"{name}-through a view") for name in PLACES[:2]),
    ],
)
def test_what_a_revision_makes_of_rows_it_makes_of_one_that_is_written_behind_it(
    tmp_path: Path, url_of: Callable[[str], URL], name: str, text: str, lacking: str
) -> None:
    """No row needs it when the upgrade begins, so that nothing is heard of a write; a reviewer's findings."""
    url = url_of(name)
    host = make_host(tmp_path, url)
    run_sql(url, "CREATE VIEW of_people AS SELECT * FROM people")
    (next(host.directory.glob("migrations/versions")) / "r2.py").write_text(text)
    done, told = bring(
        host,
        FLASK_FERRY_HOOKS=f"{__name__}:write_late",
        **{LATE: url.render_as_string(hide_password=False), LATE_ONCE: str(tmp_path / "written")},
    )
    assert done.status == 0, done.stderr
    assert told["brought_over"] == [], told["notes"]
    assert run_sql(url, "SELECT count(*) FROM people WHERE id = 1000") == [(1,)]
    assert run_sql(url, lacking) == []


def write_late(when: str, step: str, _about: object) -> None:
    """A hook: behind the first upgrade of the copy somebody writes a row to the live database."""
    once = Path(os.environ[LATE_ONCE])
    if (when, step) == ("after", "upgrade") and not once.exists():
        once.touch()
        run_sql(sa.make_url(os.environ[LATE]), "INSERT INTO people VALUES (1000, 'late', '')")


@pytest.mark.parametrize("name", PLACES)
def test_what_is_written_breaks_a_new_rule(tmp_path: Path, url_of: Callable[[str], URL], name: str) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("CREATE UNIQUE INDEX one_name ON people (name)", name="r2", down="r1")
    before = run_sql(url, "SELECT count(*) FROM people")
    with writing(url, "INSERT INTO people VALUES ({n}, 'again', '')") as pen:
        done, _ = bring(host)
    assert done.status in (22, 23), done.stderr
    assert "replaced nothing" in done.stderr
    assert run_sql(url, "SELECT count(*) FROM people") == [(before[0][0] + pen.count,)]
    assert run_sql(url, "SELECT version_num FROM alembic_version") == [("r1",)]


@pytest.mark.parametrize("name", PLACES)
def test_a_table_without_a_key_is_carried_by_a_whole_pass(
    tmp_path: Path, url_of: Callable[[str], URL], name: str
) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    with writing(url, "INSERT INTO scraps VALUES ('{n}')") as pen:
        done, told = bring(host)
    assert done.status == 0, done.stderr
    assert told["brought_over"] == []
    assert len(run_sql(url, "SELECT words FROM scraps")) == pen.count


MOMENTS = ("begin", "approach+", "keep+", "finish", "_apply", "_apply+", "_prove_sums", "finish+")


def disturb(host: SmallHost, moment: str, what: str) -> Result:
    """A run that something happens to while what was written is brought over; another thread writes."""
    url = host.url.render_as_string(hide_password=False)
    hook = ("tests.support.runs.hooks:at_catch_up", {"moment": moment, "what": what, "url": url})
    process = start_flask(
        ("db-migrate-data", "self", "--yes"), host.environ, host.directory, modules=MODULES, root=ROOT, hooks=[hook]
    )
    stdout, stderr = process.communicate(timeout=120)
    return Result(process.wait(), stdout, stderr)


def check_whole(host: SmallHost, pen: Pen, *, went_on: bool = False) -> None:
    """Nothing that was written is lost, and nothing is left beside; the next run does what the one before was to do."""
    done, _ = bring(host)
    assert done.status == 0, done.stderr
    there = {row[0] for row in run_sql(host.url, "SELECT id FROM people WHERE id >= 1000 AND more IS NULL")}
    assert there == set(range(1000, 1000 + pen.count))
    if went_on:
        return  # a rollback takes away what was written since the cut-over
    assert host.done("db-rollback", "--yes")
    assert {row[0] for row in run_sql(host.url, "SELECT id FROM people WHERE id >= 1000")} == there


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_values_that_are_written_and_written_back(tmp_path: Path, url_of: Callable[[str], URL], name: str) -> None:
    """A sum of values is what it was then, and the rows that were compared were others."""
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    first, other = (f"UPDATE people SET email = '{word}'" for word in "AB")
    # More than are worth no further round.
    run_sql(url, *(f"INSERT INTO people VALUES ({n}, 'p', 'e')" for n in range(100, 101 + FEW)), first)
    where = url.render_as_string(hide_password=False)
    hook = ("tests.support.runs.hooks:write_and_write_back", {"url": where, "first": first, "other": other})
    command = ("db-migrate-data", "self", "--yes")
    process = start_flask(command, host.environ, host.directory, modules=MODULES, root=ROOT, hooks=[hook])
    stderr = process.communicate(timeout=120)[1]
    assert process.wait() == 0, stderr
    assert "rows were brought over" in stderr
    assert run_sql(url, "SELECT DISTINCT email FROM people") == [("A",)]


@pytest.mark.parametrize("key", ["id INTEGER PRIMARY KEY", "id INTEGER"])
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_a_row_whose_key_changes_takes_nothing_away(
    tmp_path: Path, url_of: Callable[[str], URL], action: str, key: str
) -> None:
    """It goes and comes; what refers to another column of it must not go with it."""
    url = url_of("postgresql")
    host = make_host(tmp_path, url)
    reference = f"REFERENCES parents (code) ON DELETE {action}"
    run_sql(url, "CREATE TABLE parents (id INTEGER PRIMARY KEY, code INTEGER UNIQUE)")
    run_sql(url, f"CREATE TABLE children ({key}, code INTEGER {reference})")
    run_sql(url, "INSERT INTO parents VALUES (1, 1), (2, 2)", "INSERT INTO children VALUES (1, 1), (2, 2)")
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    with writing(url, "INSERT INTO people (id, name, email) VALUES ({n}, 'x', '')"):
        done = disturb(host, "begin", "UPDATE parents SET id = 105 WHERE id = 1")
    assert done.status == 0, done.stderr
    assert run_sql(url, "SELECT id, code FROM children ORDER BY id") == [(1, 1), (2, 2)]
    assert run_sql(url, "SELECT id FROM parents ORDER BY id") == [(2,), (105,)]
    assert "children" not in host.flask("db-verify").stdout


MOMENTS_BY_PLACE = [
    # A file is kept by being moved, behind the swap.
    (name, moment)
    for name in PLACES
    for moment in MOMENTS
    if (name, moment) != ("sqlite", "keep+")
]


@pytest.mark.parametrize(("name", "moment"), MOMENTS_BY_PLACE)
def test_a_run_that_is_killed_while_it_brings_over(
    tmp_path: Path, url_of: Callable[[str], URL], name: str, moment: str
) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    with writing(url, "INSERT INTO people (id, name, email) VALUES ({n}, 'x', '')") as pen:
        killed = disturb(host, moment, "kill")
    assert killed.status == -9, killed.stderr
    assert run_sql(url, "SELECT version_num FROM alembic_version") == [("r1",)]
    check_whole(host, pen)


@pytest.mark.parametrize("moment", ["_apply", "_prove_sums", "finish+"])
@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_a_run_that_loses_its_sessions_while_it_brings_over(
    tmp_path: Path, url_of: Callable[[str], URL], name: str, moment: str
) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    with writing(url, "INSERT INTO people (id, name, email) VALUES ({n}, 'x', '')") as pen:
        lost = disturb(host, moment, "lose")
    # Where only sessions were lost whose work was done it goes on; a lock that was lost is missed by the fence.
    assert "Traceback" not in lost.stderr
    check_whole(host, pen, went_on=lost.status == 0)


@pytest.mark.parametrize("moment", ["begin", "approach+"])
@pytest.mark.parametrize("name", PLACES)
def test_somebody_changes_the_live_schema_meanwhile(
    tmp_path: Path, url_of: Callable[[str], URL], name: str, moment: str
) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    with writing(url, "INSERT INTO people (id, name, email) VALUES ({n}, 'x', '')") as pen:
        done = disturb(host, moment, "CREATE INDEX by_hand ON notes (words)")
    assert done.status == 0, done.stderr
    assert "the live schema was changed" in done.stderr
    with sa.create_engine(url, poolclass=NullPool).connect() as connection:
        assert "by_hand" in {index["name"] for index in sa.inspect(connection).get_indexes("notes")}
    assert len(run_sql(url, "SELECT id FROM people WHERE id >= 1000")) == pen.count


@pytest.mark.parametrize("name", PLACES)
def test_a_rehearsal_predicts_the_short_stop(tmp_path: Path, url_of: Callable[[str], URL], name: str) -> None:
    url = url_of(name)
    host = make_host(tmp_path, url)
    host.revise("ALTER TABLE people ADD COLUMN more INTEGER", name="r2", down="r1")
    report = host.directory / "report.json"
    host.done("db-migrate-data", "self", "--rehearse", "--report", str(report))
    predicted = orjson.loads(report.read_bytes())["predicted_wait"]
    assert predicted["short"]
    assert predicted["pass_s"] > predicted["swap_s"]
    host.revise("UPDATE notes SET words = 'w'", name="r3", down="r2")
    host.done("db-migrate-data", "self", "--rehearse", "--report", str(report))
    # Nothing was written to notes, and of the others rows can be brought over.
    assert orjson.loads(report.read_bytes())["predicted_wait"]["short"]
