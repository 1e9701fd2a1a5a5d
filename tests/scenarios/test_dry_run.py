"""``--dry-run``: it ends as the run ends where that can be known without staging, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.dialects import dialect_for
from tests.scenarios.small_host import SmallHost, succeeded
from tests.support.places import databases, definitions, execute, rows_of
from tests.support.site import Result

SERVERS = ("sqlite", "mariadb", "postgresql")
TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(40), hair VARCHAR(40))",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, words VARCHAR(40))",
)
ROWS = (
    "INSERT INTO people VALUES (1, 'Ada', 'brown'), (2, 'Bob', NULL), (3, 'Cy', 'grey')",
    "INSERT INTO notes VALUES (1, 'one'), (2, 'two')",
)
LOSES = "ALTER TABLE people DROP COLUMN hair"


@pytest.fixture
def target(host: Callable[[str], SmallHost], request: pytest.FixtureRequest) -> SmallHost:
    made = host(request.param)
    made.revise(*TABLES)
    return made


@pytest.fixture
def source(host: Callable[[str], SmallHost]) -> SmallHost:
    """An old deployment on SQLite, at the first revision."""
    made = host("sqlite")
    made.revise(*TABLES)
    deploy(made, *ROWS)
    return made


def deploy(host: SmallHost, *statements: str) -> None:
    """The host's database at its head, with the rows of these statements alone."""
    dialect_for(host.url).create(host.url)
    host.done("db", "upgrade")
    for statement in statements:
        execute(host.url, statement)


def everything(host: SmallHost) -> object:
    """All that a command of this host could write: its directory byte by byte, and on a server each database of it."""
    files = {
        str(path.relative_to(host.directory)): (path.stat().st_mode, path.is_file() and digest(path))
        for path in host.directory.rglob("*")
        if "__pycache__" not in path.parts
    }
    dialect, name = dialect_for(host.url), str(host.url.database)
    if host.url.get_backend_name() == "sqlite" or not dialect.exists(host.url):
        return files
    beside = [item for item in databases(host.url) if item.startswith(("ferry", name))]
    control = host.url.set(database=f"{name}__ferry") if f"{name}__ferry" in beside else None
    return files, beside, rows_of(host.url), definitions(host.url), control and rows_of(control)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def both(target: SmallHost, *arguments: str, status: int, **environ: str) -> tuple[Result, Result]:
    """The dry run, which writes nothing, and the run: they end alike."""
    before = everything(target)
    dry = target.flask(*arguments, "--yes", "--dry-run", **environ)
    assert dry.status == status, dry.stderr + dry.stdout
    assert everything(target) == before
    done = target.flask(*arguments, "--yes", **environ)
    assert done.status == status, done.stderr + done.stdout
    return dry, done


def from_source(source: SmallHost) -> tuple[str, str]:
    return "db-migrate-data", str(source.url.database)


def first_line(result: Result) -> str:
    return next(line for line in result.stderr.splitlines() if line.startswith("Error"))


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_rows_per_table_and_what_is_not_looked_at(target: SmallHost, source: SmallHost) -> None:
    dry, _ = both(target, *from_source(source), status=0)
    assert "people 3, notes 2" in dry.stdout
    assert "Not looked at; --rehearse does:" in dry.stdout
    assert "at revision r1" in dry.last_line
    assert "(5 rows in 2 tables)" in dry.last_line
    assert dry.last_line.endswith("It would replace no rows.")
    again, _ = both(target, *from_source(source), status=0)
    assert again.last_line.startswith("Nothing to do: already migrated")


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_loss_that_no_revision_declares(target: SmallHost, source: SmallHost) -> None:
    target.revise(LOSES, name="r2", down="r1")
    dry, done = both(target, *from_source(source), status=23)
    assert "column people.hair (2 values) is gone (revision r2)" in dry.stderr
    assert first_line(dry) == first_line(done)
    dry, done = both(target, *from_source(source), "--accept-loss", "people.hair", status=0)
    assert "people.hair: 2 values: --accept-loss" in dry.stdout


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_its_own_rows_brought_to_head(target: SmallHost) -> None:
    deploy(target, *ROWS)
    target.revise(LOSES, "DROP TABLE notes", name="r2", down="r1")
    dry, done = both(target, "db-migrate-data", "self", status=23)
    assert "table notes (2 rows) is gone" in dry.stderr
    assert first_line(dry) == first_line(done)
    execute(target.url, "UPDATE people SET hair = NULL")
    execute(target.url, "DELETE FROM notes")
    dry, _ = both(target, "db-migrate-data", "self", status=0)
    assert "people 3" in dry.stdout


@pytest.mark.parametrize("target", ["mariadb", "postgresql"], indirect=True)
def test_a_revision_id_that_is_too_long_here(target: SmallHost, source: SmallHost) -> None:
    target.revise("CREATE TABLE more (id INTEGER PRIMARY KEY)", name="r" * 40, down="r1")
    dry, done = both(target, *from_source(source), status=22)
    assert "A revision id is longer" in first_line(dry) == first_line(done)


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_revision_that_fails_on_any_rows(target: SmallHost, source: SmallHost) -> None:
    target.revise("ALTER TABLE nowhere ADD COLUMN x INTEGER", name="r2", down="r1")
    dry, done = both(target, *from_source(source), status=22)
    assert "Revision r2" in first_line(dry)
    assert first_line(dry).partition(":")[0] == first_line(done).partition(":")[0]


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_revision_that_needs_rows_is_no_failure_beforehand(target: SmallHost, source: SmallHost) -> None:
    target.revise("INSERT INTO notes (id, words) SELECT max(id) + 1, 'new' FROM notes", name="r2", down="r1")
    file = target.directory / "migrations" / "versions" / "r2.py"
    needs = "    assert op.get_bind().exec_driver_sql('SELECT count(*) FROM notes').scalar(), 'no rows'\n"
    head, _, rest = file.read_text().partition("    op.get_bind()")
    file.write_text(f"{head}{needs}    op.get_bind(){rest}")
    before = everything(target)
    dry = target.flask(*from_source(source), "--yes", "--dry-run")
    assert dry.status == 0, dry.stderr
    assert "the upgrade, as it may be otherwise over rows" in dry.stdout
    assert everything(target) == before
    succeeded(target.flask(*from_source(source), "--yes"))


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_parameters_that_come_of_rows_are_no_failure_beforehand(target: SmallHost, source: SmallHost) -> None:
    """Without a row there is nothing to bind: SQLAlchemy's own words, and not those of a server."""
    target.revise("SELECT 1", name="r2", down="r1")
    file = target.directory / "migrations" / "versions" / "r2.py"
    copies = (
        "    import sqlalchemy as sa\n"
        "    rows = op.get_bind().exec_driver_sql('SELECT id FROM notes').all()\n"
        "    op.get_bind().execute(sa.text('UPDATE notes SET words = :words WHERE id = :id'),\n"
        "        [{'id': row[0], 'words': 'new'} for row in rows])\n"
    )
    head, _, rest = file.read_text().partition("    op.get_bind()")
    file.write_text(f"{head}{copies}    op.get_bind(){rest}")
    dry = target.flask(*from_source(source), "--yes", "--dry-run")
    assert dry.status == 0, dry.stderr
    assert "the upgrade, as it may be otherwise over rows" in dry.stdout
    succeeded(target.flask(*from_source(source), "--yes"))


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_what_has_no_place_at_its_revision(target: SmallHost, source: SmallHost) -> None:
    execute(source.url, "ALTER TABLE people ADD COLUMN shoes INTEGER")
    both(target, *from_source(source), status=0)
    target.done("db-rollback", "--yes")
    execute(source.url, "UPDATE people SET shoes = 43 WHERE id = 1")
    dry, done = both(target, *from_source(source), "--rerun", status=22)
    assert "column people.shoes (1 value)" in dry.stderr
    assert first_line(dry) == first_line(done)


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_revision_of_the_source_that_is_not_known_here(target: SmallHost, source: SmallHost) -> None:
    execute(source.url, "UPDATE alembic_version SET version_num = 'r9'")
    dry, done = both(target, *from_source(source), status=22)
    assert "is at revision r9" in first_line(dry) == first_line(done)


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_source_that_says_no_revision_is_recognised(target: SmallHost, source: SmallHost) -> None:
    execute(source.url, "DROP TABLE alembic_version")
    dry, _ = both(target, *from_source(source), status=0)
    assert "recognised by its tables" in dry.stdout


def test_a_privilege_that_is_missing(host: Callable[[str], SmallHost], source: SmallHost) -> None:
    target = host("mariadb")
    target.revise(*TABLES)
    deploy(target)
    user = f"u{target.url.database}"
    execute(target.url, f"CREATE USER {user}@'%%' IDENTIFIED BY 'x'")
    execute(target.url, f"GRANT SELECT, INSERT ON {target.url.database}.* TO {user}@'%%'")
    target.url = target.url.set(username=user, password="x", query={})
    dry, done = (target.flask(*from_source(source), "--yes", *more) for more in (["--dry-run"], []))
    assert (dry.status, done.status) == (22, 22), dry.stderr + done.stderr
    assert "GRANT" in dry.stderr


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_snapshot_and_a_backup_with_their_rows(target: SmallHost) -> None:
    deploy(target, *ROWS)
    target.done("db-backup")
    file = target.directory / "all.json"
    target.done("db-backup", "--portable", str(file))
    execute(target.url, "INSERT INTO notes VALUES (3, 'three')")
    dry, _ = both(target, "db-restore", status=0)
    assert "people 3, notes 2" in dry.stdout
    assert dry.last_line.endswith("It would replace 6 rows in 2 tables.")
    dry, _ = both(target, "db-restore", str(file), "--trust-file", status=0)
    assert "people 3, notes 2" in dry.stdout
    file.write_text(file.read_text().replace('"name":"words"', '"name":"wordy"'))
    both(target, "db-restore", str(file), "--trust-file", status=3)


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_rollback_with_the_rows_of_both_sides(target: SmallHost, source: SmallHost) -> None:
    deploy(target, ROWS[1])
    target.done(*from_source(source), "--yes")
    execute(target.url, "INSERT INTO people VALUES (9, 'Nine', NULL)")
    dry, _ = both(target, "db-rollback", status=0)
    assert "notes 2" in dry.stdout
    assert "1 row written since the cut-over would go to a file first: people 1" in dry.stdout
    assert dry.last_line.endswith("It would replace 6 rows in 2 tables.")


@pytest.mark.parametrize("target", SERVERS, indirect=True)
def test_a_fresh_database(target: SmallHost) -> None:
    dry, _ = both(target, "db-init", "--schema", "migrations", status=0)
    assert dry.last_line.endswith("It would replace no rows.")
    execute(target.url, ROWS[1])
    dry, _ = both(target, "db-init", "--schema", "migrations", status=0)
    assert dry.last_line.endswith("It would replace 2 rows in 2 tables.")


def test_the_report_of_a_dry_run(host: Callable[[str], SmallHost], source: SmallHost) -> None:
    target = host("sqlite")
    target.revise(*TABLES)
    dry = target.flask(*from_source(source), "--dry-run", "--json")
    report = json.loads(dry.stdout.splitlines()[-1])
    assert report["expected"] == {"people": 3, "notes": 2}
    assert report["not_looked_at"]
