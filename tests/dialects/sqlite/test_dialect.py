"""Quirks of SQLite: names, journals, pages, and what lies beside a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.dialects.model import Values
from app.dialects.sqlite.names import url_of
from app.errors import FerryError

from .database import DIALECT, NO_OLD, reflected, rows, script


@pytest.mark.parametrize(
    "name", ["with space", 'quo"te', "per%cent", "emoji 😀", "order", "semi;colon", "a.b", "[x]", "`tick`", "'one'"]
)
def test_names_of_any_kind(path: Path, area: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    script(
        path,
        f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY, x TEXT REFERENCES {quoted} ({quoted}) UNIQUE)",
        f"INSERT INTO {quoted} VALUES (1, NULL)",
    )
    table = reflected(path, name)
    assert (table.column_names, table.primary_key) == ((name, "x"), (name,))
    assert table.unique == (("x",),)
    assert DIALECT.load(url_of(path), table, [[2, "x"]], batch_rows=5).loaded == 1
    assert rows(path, name) == [[1, None], [2, "x"]]
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    DIALECT.carry(url_of(path), staging, [name])
    with DIALECT.reader(staging) as reader:
        assert list(reader.rows(reader.tables()[name])) == [[1, None], [2, "x"]]


def test_a_database_file_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "ünïcode #1?100%25 😀.db"
    script(path, "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    DIALECT.open_control(DIALECT.control_area(url_of(path)))
    assert rows(path, "t") == [[1]]
    DIALECT.copy(url_of(path), DIALECT.staging_url(url_of(path), "s"), timeout_s=1)
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(DIALECT.staging_url(url_of(path), "s"), url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "t") == [[1]]


def test_a_thousand_columns(path: Path) -> None:
    names = [f"c{number}" for number in range(1000)]
    script(path, f"CREATE TABLE t ({', '.join(f'{name} INTEGER' for name in names)})")
    table = reflected(path, "t")
    wide: list[Values] = [list(range(1000)), [None] * 1000]
    assert DIALECT.load(url_of(path), table, wide, batch_rows=500).loaded == 2
    assert rows(path, "t") == wide


# Journals


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_restored_file_is_fit_for_a_target_of_another_page_size(
    path: Path, area: Path, tmp_path: Path, mode: str
) -> None:
    script(path, "PRAGMA page_size = 8192", f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)")
    backup = script(tmp_path / "b.db", "PRAGMA page_size = 1024", "PRAGMA journal_mode = wal", "CREATE TABLE b (x)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.restore(backup, staging)
    DIALECT.fit_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "b") == []


def killed(path: Path, *statements: str) -> None:
    """Run statements in a process that dies in the middle of the last transaction."""
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for s in sys.argv[2:]: c.execute(s)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path), *statements], timeout=60, check=False)


def test_a_hot_journal_is_read_past_and_stays_as_it_is(path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER, filler TEXT)", "INSERT INTO t VALUES (1, hex(zeroblob(200000)))")
    # A cache of a few pages spills to the file, so that it is half changed.
    killed(path, "PRAGMA cache_size = 2", "BEGIN IMMEDIATE", "UPDATE t SET x = 2, filler = hex(randomblob(200000))")
    journal = path.with_name("a.db-journal")
    assert journal.stat().st_size > 0
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert rows(path, "t")[0][0] == 1
    assert DIALECT.mark(url_of(path)) == ""
    copy = path.with_name("copy.db")
    DIALECT.copy(url_of(path), url_of(copy), timeout_s=1)
    copied = rows(copy, "t")
    copy.unlink()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert copied[0][0] == 1


def test_a_wal_that_a_killed_program_left_is_read(path: Path) -> None:
    killed(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)", "BEGIN")
    wal = path.with_name("a.db-wal")
    before = (path.read_bytes(), wal.read_bytes())
    assert before[1]
    assert rows(path, "t") == [[7]]
    assert (path.read_bytes(), wal.read_bytes()) == before
    assert DIALECT.size_bytes(url_of(path)) == len(before[0]) + len(before[1])


def test_a_source_in_wal_mode_is_not_written(path: Path) -> None:
    """SQLite itself puts an empty WAL and its index beside the file of such a database; the file stays as it is."""
    script(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)")
    before = path.read_bytes()
    assert rows(path, "t") == [[7]]
    assert path.read_bytes() == before
    assert {file.name: file.stat().st_size for file in path.parent.iterdir()}.get("a.db-wal", 0) == 0


def test_no_database_at_all(path: Path) -> None:
    with pytest.raises(FerryError, match=r"a\.db"), DIALECT.reader(url_of(path)):
        pass
    assert not path.exists()


# Copies


def test_drop_takes_the_journals_along(path: Path) -> None:
    script(path, "CREATE TABLE t (x)")
    for suffix in ("-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).touch()
    DIALECT.drop(url_of(path))
    assert list(path.parent.iterdir()) == []


def test_a_hard_linked_or_replaced_file_is_another_database(path: Path, tmp_path: Path) -> None:
    script(path, "CREATE TABLE t (x)")
    first = DIALECT.identity(url_of(path)).uid
    shutil.copy(path, tmp_path / "b.db")
    (tmp_path / "b.db").replace(path)
    assert DIALECT.identity(url_of(path)).uid != first


def test_control_area_that_cannot_be_made(path: Path) -> None:
    path.with_name("a.db.ferry").touch()
    with pytest.raises(OSError, match="exists"):
        DIALECT.open_control(DIALECT.control_area(url_of(path)))


def test_a_mark_of_somebody_elses_application_is_none(path: Path) -> None:
    script(path, "PRAGMA user_version = 5", "CREATE TABLE t (x)")
    assert DIALECT.mark(url_of(path)) == ""


def test_listeners_of_the_host_do_not_turn_foreign_keys_on(path: Path) -> None:
    script(path, "CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE c (p INTEGER REFERENCES p (id))")
    program = (
        "import sys; from pathlib import Path; from sqlalchemy import event, Engine\n"
        "from app.dialects.sqlite.dialect import SqliteDialect; from app.dialects.sqlite.names import url_of\n"
        "@event.listens_for(Engine, 'connect')\n"
        "def on(connection, record): connection.execute('PRAGMA foreign_keys = ON')\n"
        "with SqliteDialect().engine(url_of(Path(sys.argv[1]))).begin() as c:\n"
        "    c.exec_driver_sql('INSERT INTO c VALUES (5)')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], timeout=60, check=False)
    assert done.returncode == 0
    assert rows(path, "c") == [[5]]
