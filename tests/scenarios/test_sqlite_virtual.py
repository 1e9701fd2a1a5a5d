"""Virtual tables of an app on SQLite: search indexes are made anew, rows of their own are never lost unsaid."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.hosts.foreign import Foreign

SEARCH = """
c = op.get_bind().exec_driver_sql
c("CREATE VIRTUAL TABLE things USING fts5(name, content='thing', content_rowid='id')")
c("CREATE VIRTUAL TABLE older USING fts4(content=\\"thing\\", name)")
c("CREATE TRIGGER new AFTER INSERT ON thing BEGIN INSERT INTO things (rowid, name) VALUES (new.id, new.name); END")
"""
OWN = """
c = op.get_bind().exec_driver_sql
c("CREATE VIRTUAL TABLE memo USING fts5(subject, content)")
c("CREATE VIRTUAL TABLE place USING rtree(id, x0, x1)")
c("CREATE VIRTUAL TABLE words USING fts5vocab(memo, 'row')")
"""


def sql(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [row for statement in statements for row in connection.execute(statement).fetchall()]


def hits(path: Path, index: str) -> list[tuple[Any, ...]]:
    return sql(path, f"SELECT rowid FROM {index} WHERE {index} MATCH 'kept'")


@pytest.fixture
def host(tmp_path: Path) -> Foreign:
    return Foreign(tmp_path)


def test_an_index_over_a_table_is_made_anew_from_a_source_and_a_snapshot(host: Foreign) -> None:
    host.add("three", "two", SEARCH)
    host.at("three")
    assert hits(host.live, "things") == [(1,)]
    portable = host.directory / "p.json"
    host.ok("db-backup", "--portable", str(portable))
    old = shutil.move(host.live, host.directory / "old.db")
    host.ok("db-migrate-data", str(old), "--yes")
    assert hits(host.live, "things") == hits(host.live, "older") == [(1,)]
    sql(host.live, "INSERT INTO thing (id, name) VALUES (2, 'kept too')")
    assert hits(host.live, "things") == [(1,), (2,)]
    done = host.ok("db-restore", str(portable), "--yes")
    assert "does not have" not in done.stderr
    assert hits(host.live, "things") == hits(host.live, "older") == [(1,)]
    assert sql(host.live, "INSERT INTO things (things) VALUES ('integrity-check')") == []


def test_an_index_that_no_revision_made_is_made_again(host: Foreign) -> None:
    host.at("two")
    old = shutil.copy(host.live, host.directory / "old.db")
    sql(Path(host.live), "CREATE VIRTUAL TABLE mine USING fts5(name, content='thing', content_rowid='id')")
    host.ok("db-migrate-data", str(old), "--yes")
    assert hits(host.live, "mine") == [(1,)]


def test_an_index_whose_table_a_revision_drops_is_named(host: Foreign) -> None:
    host.at("two")
    old = shutil.copy(host.live, host.directory / "old.db")
    sql(Path(host.live), "CREATE VIRTUAL TABLE mine USING fts5(name, content='gone')")
    result = host.run("db-migrate-data", str(old), "--yes")
    assert result.status == 22, result.stderr
    assert "mine" in result.stderr


@pytest.fixture
def filled(host: Foreign) -> Foreign:
    """A host with rows in virtual tables."""
    host.add("three", "two", OWN)
    host.at("three")
    sql(
        host.live,
        "INSERT INTO memo (rowid, subject, content) VALUES (7, 'one', 'first')",
        "INSERT INTO place VALUES (1, 0, 1), (2, 0, 2)",
    )
    return host


def own_rows(path: Path) -> list[tuple[Any, ...]]:
    return sql(path, "SELECT rowid, * FROM memo", "SELECT * FROM place")


def test_rows_of_their_own_are_carried_by_a_portable_snapshot_and_from_a_source(filled: Foreign) -> None:
    portable, before = filled.directory / "p.json", own_rows(filled.live)
    assert len(before) == 3
    filled.ok("db-backup", "--portable", str(portable))
    sql(filled.live, "DELETE FROM memo", "INSERT INTO place VALUES (5, 0, 1)")
    filled.ok("db-restore", str(portable), "--yes")
    assert own_rows(filled.live) == before
    assert sql(filled.live, "SELECT rowid FROM memo WHERE memo MATCH 'first'") == [(7,)]
    filled.ok("db-verify")
    old = shutil.move(filled.live, filled.directory / "old.db")
    filled.ok("db-migrate-data", str(old), "--yes")
    assert own_rows(filled.live) == before


def test_one_that_no_revision_made_is_carried_as_it_is(host: Foreign) -> None:
    host.at("two")
    old = shutil.copy(host.live, host.directory / "old.db")
    sql(host.live, "CREATE VIRTUAL TABLE mine USING fts5(a)", "INSERT INTO mine (rowid, a) VALUES (5, 'kept')")
    done = host.ok("db-migrate-data", str(old), "--yes", "-v")
    assert "mine" in done.stdout + done.stderr
    assert hits(host.live, "mine") == [(5,)]


def test_a_backup_of_an_older_version_says_nothing_of_virtual_tables(filled: Foreign) -> None:
    filled.ok("db-backup")
    (file,) = (filled.directory / "backups").glob("*.sqlite3")
    manifest = next(path for path in file.parent.iterdir() if path.name.startswith(file.name) and path != file)
    stated = json.loads(manifest.read_text())
    for name in ("memo", "place"):
        stated["tables"].pop(name)
    manifest.write_text(json.dumps(stated))
    before = own_rows(filled.live)
    filled.ok("db-restore", str(file), "--yes", "--trust-file")
    assert own_rows(filled.live) == before


def test_an_index_that_keeps_no_text_is_refused_by_name(filled: Foreign) -> None:
    filled.add("four", "three", "op.execute(\"CREATE VIRTUAL TABLE bag USING fts5(a, content='')\")")
    filled.ok("db-migrate-data", "self", "--yes")
    portable = filled.directory / "p.json"
    filled.ok("db-backup", "--portable", str(portable))
    sql(filled.live, "INSERT INTO bag (rowid, a) VALUES (1, 'x'), (2, 'y')")
    filled.add("five", "four", "pass")
    refused = filled.directory / "q.json"
    for arguments in (["db-backup", "--portable"], ["db-migrate-data", "self", "--yes", "--backup-to"]):
        result = filled.run(*arguments, str(refused))
        assert result.status == 21, result.stderr
        assert "bag (2 rows)" in result.stderr
        assert "flask db-backup" in result.stderr
        assert not refused.exists()
    result = filled.ok("db-restore", str(portable), "--yes")
    assert "bag (2 rows)" in result.stderr


def test_an_ordinary_backup_has_them_all(filled: Foreign) -> None:
    filled.ok("db-backup")
    sql(filled.live, "DELETE FROM memo")
    filled.ok("db-restore", "--yes")
    assert sql(filled.live, "SELECT * FROM memo") == [("one", "first")]
    filled.add("four", "three", "op.add_column('thing', sa.Column('x', sa.Integer))")
    filled.ok("db-migrate-data", "self", "--yes")
    assert sql(filled.live, "SELECT * FROM memo") == [("one", "first")]
    assert len(sql(filled.live, "SELECT * FROM place")) == 2


def test_a_restore_names_what_the_snapshot_does_not_have(host: Foreign) -> None:
    host.at("two")
    portable = host.directory / "p.json"
    host.ok("db-backup", "--portable", str(portable))
    sql(host.live, "CREATE TABLE mine (x)", "INSERT INTO mine VALUES (1)", "CREATE VIRTUAL TABLE memo USING fts5(a)")
    sql(host.live, "INSERT INTO memo VALUES ('x')")
    assert "memo (1 row), mine (1 row)" in host.ok("db-restore", str(portable), "--dry-run").stdout
    done = host.ok("db-restore", str(portable), "--yes")
    assert "memo (1 row), mine (1 row)" in done.stderr


def test_a_source_with_an_index_that_keeps_no_text_is_refused_in_true_words(host: Foreign) -> None:
    host.add("three", "two", "op.execute(\"CREATE VIRTUAL TABLE bag USING fts5(a, content='')\")")
    host.at("three")
    old = Path(shutil.move(host.live, host.directory / "old.db"))
    host.ok("db-migrate-data", str(old), "--yes")  # there is nothing in it
    sql(old, "INSERT INTO bag (rowid, a) VALUES (1, 'x')")
    result = host.run("db-migrate-data", str(old), "--yes", "--rerun")
    assert result.status == 22, result.stderr
    for words in ("bag (1 row)", "rows of their own", "--exclude bag"):
        assert words in result.stderr
    assert "no revision makes" not in result.stderr
    host.ok("db-migrate-data", str(old), "--yes", "--rerun", "--exclude", "bag")
