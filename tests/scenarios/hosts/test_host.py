"""The commands in an app that knows nothing of this one: stock env.py, its own models, foreign keys enforced by a
listener on every engine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.site import APART, content, query

from .conftest import HostApp, clean_environment, run

COMMANDS = ("db-backup", "db-init", "db-migrate-data", "db-restore", "db-rollback", "db-status", "db-verify")


def write(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def fill(database: Path, *, dangling: bool = False) -> None:
    """Rows of a library: a chain of sequels whose parents come later, and prices."""
    write(
        database,
        "INSERT INTO author VALUES (5, 'Ada Brook'), (9, 'Ines Vale')",
        "INSERT INTO book (id, title, author_id, sequel_of_id, price, added) VALUES"
        " (1, 'Third', 5, 2, 12.50, '2024-02-03 04:05:06.000007'), (2, 'Second', 5, 3, 0.10, NULL),"
        " (3, 'First', 5, NULL, NULL, '2020-01-01 00:00:00.000000')",
        "INSERT INTO loan VALUES (1, 'Mo'), (2, 'Mo'), (3, 'Ola')",
        *(["INSERT INTO book (id, title, author_id) VALUES (44, 'Nobody''s', 404)"] if dangling else []),
    )


EVERY_COMMAND = """
import json, library
found = {}
for command in COMMANDS:
    options = ["--yes"] if command in ("db-init", "db-restore", "db-rollback", "db-migrate-data") else []
    source = ["self"] if command == "db-migrate-data" else []
    done = library.create_app().test_cli_runner(**APART).invoke(args=[command, *source, *options])
    found[command] = done.exit_code, done.stderr
print(json.dumps(found))
"""


def every_command(library: HostApp, **environ: str) -> dict[str, tuple[int, str]]:
    """The status and the words of every command, in one process."""
    code = EVERY_COMMAND.replace("COMMANDS", repr(COMMANDS)).replace("APART", repr(APART))
    done = run(library.python, "-c", code, cwd=library.directory, env=clean_environment(**environ))
    assert done.status == 0, done.stderr
    found: dict[str, tuple[int, str]] = json.loads(done.stdout)
    assert len(found) == len(COMMANDS)
    return found


@pytest.fixture
def old(tmp_path: Path, library: HostApp) -> Path:
    """The library's own old database, made by its own revisions."""
    library.ok("db", "upgrade")
    old = library.database.rename(tmp_path / "old.db")
    fill(old)
    return old


def test_a_developers_day(library: HostApp, release: Callable[[], None], tmp_path: Path) -> None:
    library.ok("db-init")
    assert library.query("SELECT title FROM book") == [("Tides",)]
    assert library.query("SELECT version_num FROM alembic_version") == [("first",)]
    write(library.database, "INSERT INTO book (id, title, author_id) VALUES (2, 'Ebb', 1)")
    library.ok("db-backup", "--to", str(tmp_path / "kept.sqlite3"))
    assert content(tmp_path / "kept.sqlite3") == library.content()
    refused = library.flask("db-init")
    assert refused.status == 130
    assert "--yes" in refused.stderr
    library.ok("db-init", "--yes")
    library.ok("db-restore", "--yes", str(tmp_path / "kept.sqlite3"))
    assert library.query("SELECT title FROM book ORDER BY id") == [("Tides",), ("Ebb",)]
    status = json.loads(library.ok("db-status", "--json").stdout)["target"]
    assert (status["revision"], status["head"], status["drift"]) == ("first", "first", [])
    release()
    library.ok("db-migrate-data", "self", "--yes")
    assert library.query("SELECT title, shelf FROM book ORDER BY id") == [("Tides", None), ("Ebb", None)]


def test_from_its_own_old_database_and_on_to_the_next_release(
    library: HostApp, old: Path, release: Callable[[], None]
) -> None:
    before = old.read_bytes()
    library.ok("db-migrate-data", str(old), "--yes")
    assert old.read_bytes() == before
    for table in ("author", "book", "loan"):
        assert library.query(f"SELECT * FROM {table}") == query(old, f"SELECT * FROM {table}")
    assert "already migrated" in library.ok("db-migrate-data", str(old), "--yes").stdout
    library.ok("db-verify")
    write(library.database, "INSERT INTO loan VALUES (1, 'Written since')")
    release()
    result = library.ok("db-migrate-data", str(old), "--yes")
    assert "shelves" in result.stdout
    assert library.query("SELECT version_num FROM alembic_version") == [("shelves",)]
    assert library.query("SELECT borrower FROM loan WHERE book_id = 1 ORDER BY 1") == [("Mo",), ("Written since",)]
    assert library.query("SELECT id, shelf FROM book ORDER BY id") == [(1, None), (2, None), (3, None)]
    library.ok("db-verify")
    write(library.database, "UPDATE book SET price = 99 WHERE id = 3")
    assert library.flask("db-verify").status == 23
    library.ok("db-rollback", "--yes")
    assert library.query("SELECT version_num FROM alembic_version") == [("first",)]
    assert library.query("SELECT count(*) FROM loan") == [(4,)]
    library.ok("db-rollback", "--yes")
    assert library.query("SELECT count(*) FROM sqlite_schema WHERE name = 'book'") == [(0,)]


def test_rows_that_break_its_foreign_keys(library: HostApp, old: Path) -> None:
    write(old, "INSERT INTO book (id, title, author_id) VALUES (44, 'Nobody''s', 404)")
    result = library.flask("db-migrate-data", str(old), "--yes")
    assert result.status in (22, 23), result.stderr
    assert "book" in result.stderr
    assert not library.database.exists() or library.content() == ""


def test_the_engine_of_the_host_enforces_foreign_keys_afterwards(library: HostApp) -> None:
    library.ok("db-init")
    code = (
        "import library, sqlalchemy as sa\n"
        "with library.create_app().app_context():\n"
        "    print(library.db.session.execute(sa.text('PRAGMA foreign_keys')).scalar())\n"
    )
    (library.directory / "look.py").write_text(code)
    done = run(library.python, "look.py", cwd=library.directory, env=clean_environment())
    assert done.stdout.strip() == "1", done.stderr


def test_from_another_working_directory(library: HostApp, old: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    library.ok("db-init", "--schema", "migrations", cwd=elsewhere)
    library.ok("db-migrate-data", "../old.db", "--yes", cwd=elsewhere)
    library.ok("db-backup", "--to", "kept.sqlite3", cwd=elsewhere)
    assert content(elsewhere / "kept.sqlite3") == library.content()
    assert [path.name for path in elsewhere.iterdir() if "manifest" not in path.name] == ["kept.sqlite3"]
    assert (library.directory / "instance" / "data.json").is_file()
    assert (library.directory / "instance" / "backups").is_dir()


def test_without_its_scripts(library: HostApp, tmp_path: Path) -> None:
    (library.directory / "migrations").rename(tmp_path / "migrations-elsewhere")
    result = library.flask("db-init", cwd=tmp_path)
    assert result.status == 2
    assert str(library.directory / "migrations") in result.stderr
    assert str(tmp_path / "migrations") in result.stderr
    assert "flask db init" in result.stderr
    assert not library.database.exists()


def test_without_flask_migrate(library: HostApp) -> None:
    for command, (status, said) in every_command(library, LIBRARY_WITHOUT_MIGRATE="1").items():
        assert status == 2, (command, said)
        assert "Flask-Migrate" in said, command
    assert not library.database.exists()


@pytest.mark.parametrize("command", ["db-init", "db-restore"])
def test_a_command_of_the_same_name_is_an_error_that_names_it(library: HostApp, command: str) -> None:
    result = library.flask("db-status", LIBRARY_OWN_COMMAND=command)
    assert result.status != 0
    assert "commands of the same name" in result.stderr + result.stdout
    assert command in result.stderr + result.stdout
    assert library.flask("--help", LIBRARY_OWN_COMMAND="db-something-else").status == 0


def test_several_databases(library: HostApp, tmp_path: Path) -> None:
    library.ok("db-init")
    live = library.content()
    found = every_command(library, LIBRARY_BINDS=f"sqlite:///{tmp_path}/archive.db")
    assert found.pop("db-status")[0] == 0
    for command, (status, said) in found.items():
        assert status == 20, (command, said)
        assert "SQLALCHEMY_BINDS" in said, command
        assert "archive" in said, command
    assert library.content() == live


def test_in_memory(library: HostApp) -> None:
    source = (library.directory / "library.py").read_text()
    (library.directory / "library.py").write_text(source.replace("sqlite:///library.db", "sqlite:///:memory:"))
    for command, (status, said) in every_command(library).items():
        assert status == 20, (command, said)
        assert "in-memory" in said, command


def test_its_own_commands_still_work(library: HostApp) -> None:
    library.ok("db", "upgrade")
    library.ok("db", "check")
    assert "first" in library.ok("db", "current").stdout


def test_an_app_that_upgrades_itself_when_it_starts(library: HostApp) -> None:
    assert "At start:" not in library.ok("db-status").stdout
    (library.directory / "eager.py").write_text(
        "import flask_migrate\nfrom library import create_app as create\n\n\ndef create_app():\n    app = create()\n"
        "    with app.app_context():\n        flask_migrate.upgrade()\n    return app\n"
    )
    looked = library.ok("--app", "eager:create_app", "db-status").stdout
    assert "At start:    the app runs its revisions when it starts" in looked
    assert library.query("SELECT version_num FROM alembic_version") == [("first",)]
