"""What a deployment remembers of its manifest: never more than what its database holds."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, make_url
from sqlalchemy.pool import NullPool

from app.dialects import dialect_for
from app.dialects.model import Table
from app.export import export_blueprint
from app.export import memory as memory_module
from app.export.memory import Memory, memory_of_process
from app.transfer.proof.checksums import checksums
from app.transfer.rows.header import sort_columns
from app.transfer.rows.snapshot import check
from app.transfer.schema.alembic import data_tables
from tests.support.places import new_name
from tests.support.site import ROOT

PLACES = ["sqlite delete", "sqlite truncate", "sqlite wal", "mariadb", "postgresql"]
MADE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('0001')",
    "CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, x INTEGER, t VARCHAR(20))",
    "CREATE TABLE b (id INTEGER NOT NULL PRIMARY KEY, x INTEGER)",
    "INSERT INTO a VALUES (1, 10, 'one'), (2, 20, 'two'), (3, NULL, NULL)",
    "INSERT INTO b VALUES (1, 10)",
)
WRITES = {
    "insert": ("INSERT INTO a VALUES (4, 40, 'four')",),
    "update": ("UPDATE a SET t = 'One' WHERE id = 1",),
    "delete": ("DELETE FROM a WHERE id = 2",),
    "exchange": ("UPDATE a SET x = 30 - x WHERE id < 3",),
    "same number of rows": ("DELETE FROM a WHERE id = 3", "INSERT INTO a VALUES (5, NULL, NULL)"),
    "the other table": ("UPDATE b SET x = NULL",),
    "a column more": ("ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7",),
    "a column of another name": ("ALTER TABLE a RENAME COLUMN x TO b",),
    "a table more": ("CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY)", "INSERT INTO c VALUES (1)"),
    "a table less": ("DROP TABLE b",),
    "another revision": ("UPDATE alembic_version SET version_num = '0002'",),
}
LONG = (
    "CREATE TABLE z (id INTEGER NOT NULL PRIMARY KEY, t TEXT)",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
    "INSERT INTO z SELECT i, hex(zeroblob(100)) FROM n",
)
"""More than an export gives at once."""
BY_ANOTHER_PROCESS = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); [c.execute(s) for s in sys.argv[2:]]; c.commit()"
)


@dataclass
class Deployment:
    """An app that serves its database."""

    url: URL
    client: FlaskClient
    directory: Path

    def manifest(self) -> Any:
        """All of it but the size, of which a server may think otherwise each time."""
        answer = self.client.get("/ferry/manifest")
        assert answer.status_code == 200, answer.text
        members = answer.get_json()
        assert type(members["size"]) is int
        assert members.pop("size") > 0
        return members

    def count(self) -> dict[str, int]:
        """The rows of each table, of a manifest without checksums."""
        answer = self.client.get("/ferry/manifest", query_string={"checksums": "no"})
        assert answer.status_code == 200, answer.text
        tables = answer.get_json()["tables"]
        assert not any("checksum" in table for table in tables.values())
        return {name: table["rows"] for name, table in tables.items()}

    def export(self, to: str = "export.zst", **words: str) -> Path:
        with self.client.get("/ferry/export", query_string=words) as answer:
            (self.directory / to).write_bytes(answer.data)
        return self.directory / to

    def write(self, *statements: str) -> None:
        """Over a connection of its own, and of SQLite from a process of its own."""
        if self.url.drivername == "sqlite":
            line = [sys.executable, "-c", BY_ANOTHER_PROCESS, str(self.url.database), *statements]
            subprocess.run(line, check=True, timeout=60)
            return
        engine = sa.create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def truth(self) -> dict[str, tuple[int, str]]:
        """Rows and checksum of each table, read by itself."""
        with dialect_for(self.url, directory=self.directory).app_reader(self.url) as reader:
            tables = {name: sort_columns(table) for name, table in data_tables(reader.tables()).items()}
            return {name: (sums.rows, str(sums)) for name, sums in checksums(reader, tables).items()}


def stated(manifest: Any) -> dict[str, tuple[int, str]]:
    return {name: (table["rows"], table["checksum"]) for name, table in manifest["tables"].items()}


def serve(url: URL, directory: Path) -> Deployment:
    app = Flask("remembering", instance_path=str(directory))
    app.config["SQLALCHEMY_DATABASE_URI"] = url.render_as_string(hide_password=False)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"poolclass": NullPool}
    SQLAlchemy(app)
    app.register_blueprint(export_blueprint(authorize=lambda: None))
    return Deployment(url, app.test_client(), directory)


def make_file(path: Path, mode: str = "delete", *more: str) -> URL:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (f"PRAGMA journal_mode = {mode}", *MADE, *more):
            connection.execute(statement)
    return make_url(f"sqlite:///{path}")


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """The process's, empty."""
    one = Memory()
    monkeypatch.setattr(memory_module, "_memory", one)
    yield one
    one.close()


def serve_on(server: Any, directory: Path) -> Deployment:
    """The same tables on a server."""
    name = new_name()
    server.execute(f"CREATE DATABASE {name}")
    deployment = serve(server.url(name), directory)
    deployment.write(*MADE)
    return deployment


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    kind, _, mode = request.param.partition(" ")
    if kind == "sqlite":
        return serve(make_file(tmp_path / "live.db", mode), tmp_path)
    return serve_on(request.getfixturevalue(kind), tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Deployment:
    return serve(make_file(tmp_path / "live.db", "wal"), tmp_path)


@pytest.fixture
def long(tmp_path: Path) -> Deployment:
    return serve(make_file(tmp_path / "long.db", "wal", *LONG), tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables whose rows were read for a manifest."""
    names: list[str] = []
    inner = memory_module.checksum

    def count(table: Table, rows: Any) -> Any:
        names.append(table.name)
        return inner(table, rows)

    monkeypatch.setattr(memory_module, "checksum", count)
    return names


# What is not read again


def test_where_nobody_wrote_no_row_is_read_again(place: Deployment, read: list[str]) -> None:
    first = place.manifest()
    assert (stated(first), sorted(read)) == (place.truth(), ["a", "b"])
    assert [place.manifest(), place.manifest()] == [first, first]
    assert len(read) == 2


def test_behind_an_export_of_a_file_no_row_is_read(file: Deployment, read: list[str]) -> None:
    _, footer = check(file.export())
    assert stated(file.manifest()) == {name: (sums.rows, str(sums)) for name, sums in footer.checksums.items()}
    assert read == []
    assert stated(file.manifest()) == file.truth()


def test_a_manifest_without_checksums_reads_no_row(place: Deployment, read: list[str]) -> None:
    assert (place.count(), read) == ({name: rows for name, (rows, _) in place.truth().items()}, [])
    # What is known stays known.
    first = place.manifest()
    del read[:]
    assert (place.count(), place.manifest(), read) == ({"a": 3, "b": 1}, first, [])
    place.write(*WRITES["insert"])
    assert place.count() == {"a": 4, "b": 1}


def test_behind_an_export_that_is_to_be_remembered_no_row_is_read(place: Deployment, read: list[str]) -> None:
    _, footer = check(place.export(remember="yes"))
    assert stated(place.manifest()) == {name: (sums.rows, str(sums)) for name, sums in footer.checksums.items()}
    assert read == []
    assert stated(place.manifest()) == place.truth()


def test_on_a_server_only_what_was_written_is_read_again(
    mariadb: Any, postgresql: Any, tmp_path: Path, read: list[str]
) -> None:
    for server in (mariadb, postgresql):
        name = new_name()
        server.execute(f"CREATE DATABASE {name}")
        deployment = serve(server.url(name), tmp_path)
        deployment.write(*MADE)
        deployment.manifest()
        del read[:]
        deployment.write(*WRITES["the other table"])
        assert (stated(deployment.manifest()), read) == (deployment.truth(), ["b"])


# What was written is never hidden


@pytest.mark.parametrize("write", WRITES)
def test_what_was_written_since_is_in_the_next_manifest(place: Deployment, write: str) -> None:
    place.manifest()
    before = place.manifest()
    place.write(*WRITES[write])
    after = place.manifest()
    assert after != before
    assert stated(after) == place.truth()
    assert place.manifest() == after


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("words", [{}, {"remember": "yes"}], ids=["", "remembered"])
def test_what_was_written_behind_an_export_is_in_the_next_manifest(
    place: Deployment, write: str, words: dict[str, str]
) -> None:
    place.export(**words)
    before = place.manifest()
    place.write(*WRITES[write])
    assert (stated(place.manifest()), place.manifest() != before) == (place.truth(), True)


def test_each_of_many_commits_is_in_the_manifest_that_is_asked_for_behind_it(place: Deployment) -> None:
    engine = sa.create_engine(place.url, poolclass=NullPool)
    for number in range(10, 40):
        with engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO b VALUES ({number}, 1)")
        assert place.manifest()["tables"]["b"]["rows"] == number - 8


def test_commits_while_others_ask_are_not_hidden(place: Deployment) -> None:
    """Whoever asks behind a commit is told of it, whatever the requests of others remember meanwhile."""
    app, engine = place.client.application, sa.create_engine(place.url, poolclass=NullPool)

    def ask(_number: int) -> int:
        rows: int = app.test_client().get("/ferry/manifest").get_json()["tables"]["b"]["rows"]
        return rows

    with ThreadPoolExecutor(3) as pool:
        for number in range(10, 30):
            others = [pool.submit(ask, number) for _ in range(2)]
            with engine.begin() as connection:
                connection.exec_driver_sql(f"INSERT INTO b VALUES ({number}, 1)")
            mine = place.manifest()["tables"]["b"]["rows"]
            assert mine == number - 8
            assert {one.result() for one in others} <= {mine, mine - 1}
    assert stated(place.manifest()) == place.truth()


def test_what_was_written_while_an_export_ran_is_in_the_manifest_behind_it(tmp_path: Path, long: Deployment) -> None:
    with long.client.get("/ferry/export", buffered=False) as answer:
        long.write("UPDATE z SET t = 'x' WHERE id = 2000")
        (tmp_path / "export.zst").write_bytes(answer.data)
    _, footer = check(tmp_path / "export.zst")
    manifest = long.manifest()
    assert stated(manifest)["z"] != (2000, str(footer.checksums["z"]))
    assert stated(manifest) == long.truth()


@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
def test_what_was_written_while_an_export_ran_on_a_server_is_in_the_manifest_behind_it(
    request: pytest.FixtureRequest, tmp_path: Path, server: str, read: list[str]
) -> None:
    """Of the export's own instant is what is remembered: the table that was written is read again, and it alone."""
    place = serve_on(request.getfixturevalue(server), tmp_path)
    place.write(
        "CREATE TABLE z (id INTEGER NOT NULL PRIMARY KEY, t VARCHAR(200))",
        "INSERT INTO z WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
        "SELECT i, repeat('x', 150) FROM n",
    )
    before = place.truth()
    with place.client.get("/ferry/export?remember=yes", buffered=False) as answer:
        pieces = iter(answer.iter_encoded())
        got = [next(pieces)]
        place.write(*WRITES["update"], "UPDATE z SET t = 'y' WHERE id = 900")
        (tmp_path / "export.zst").write_bytes(b"".join([*got, *pieces]))
    _, footer = check(tmp_path / "export.zst")
    assert {name: (sums.rows, str(sums)) for name, sums in footer.checksums.items()} == before
    assert stated(place.manifest()) == place.truth()
    assert sorted(read) == ["a", "z"]


def test_an_export_that_nobody_reads_to_its_end_is_not_remembered(long: Deployment, read: list[str]) -> None:
    with long.client.get("/ferry/export?remember=yes", buffered=False) as answer:
        next(iter(answer.iter_encoded()))
    assert stated(long.manifest()) == long.truth()
    assert sorted(read) == ["a", "b", "z"]


def test_a_transaction_that_is_open_is_in_none(place: Deployment, read: list[str]) -> None:
    first, engine = place.manifest(), sa.create_engine(place.url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(*WRITES["update"])
        assert place.manifest() == first
        connection.rollback()
    assert (place.manifest(), len(read)) == (first, 2)
    assert stated(first) == place.truth()


# Whose it is


def test_a_file_that_another_one_replaced(tmp_path: Path, file: Deployment, read: list[str]) -> None:
    file.manifest()
    make_file(tmp_path / "other.db", "delete", *WRITES["insert"])
    (tmp_path / "live.db-wal").unlink(missing_ok=True)
    (tmp_path / "other.db").replace(tmp_path / "live.db")
    for _ in range(2):
        assert stated(file.manifest()) == file.truth()
    assert file.manifest()["tables"]["a"]["rows"] == 4
    del read[:]
    file.manifest()
    assert read == []


def test_a_backup_that_was_copied_over_the_file_and_written_since(tmp_path: Path) -> None:
    """SQLite alone cannot tell: the number of commits in the file is the same as before, and so is its size."""
    place = serve(make_file(tmp_path / "live.db"), tmp_path)
    shutil.copyfile(tmp_path / "live.db", tmp_path / "backup.db")
    place.write("UPDATE b SET x = 1")
    place.manifest()
    shutil.copyfile(tmp_path / "backup.db", tmp_path / "live.db")
    place.write("UPDATE b SET x = 2")
    assert stated(place.manifest()) == place.truth()


def test_each_of_two_apps_of_one_process_has_its_own(tmp_path: Path, file: Deployment, memory: Memory) -> None:
    """What one's connection says has nothing to do with what another's does, though the numbers are the same."""
    other = serve(make_file(tmp_path / "other.db", "wal", *WRITES["insert"]), tmp_path)
    for _ in range(3):
        assert file.manifest()["tables"]["a"]["rows"] == 3
        assert other.manifest()["tables"]["a"]["rows"] == 4
    with file.client.get("/ferry/export") as answer:
        other.manifest()
        assert answer.data
    assert stated(other.manifest()) == other.truth()
    assert memory._known is not None
    assert {name: one.sums.rows for name, one in memory._known[1].items()} == {"a": 4, "b": 1}


def test_an_export_that_ends_when_another_watch_has_begun_says_nothing_to_that(
    file: Deployment, long: Deployment
) -> None:
    """Both count from the same number on."""
    with long.client.get("/ferry/export", buffered=False) as answer:
        file.manifest()
        long.write(*WRITES["insert"])
        long.manifest()
        assert answer.data
    assert stated(long.manifest()) == long.truth()


def test_the_locks_of_an_app_at_work_outlast_its_manifests(tmp_path: Path) -> None:
    """Where a descriptor of the file were closed, another process could write in the middle of a transaction."""
    place = serve(make_file(tmp_path / "live.db"), tmp_path)
    other = serve(make_file(tmp_path / "other.db"), tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "live.db", isolation_level=None)) as at_work:
        at_work.execute("BEGIN IMMEDIATE")
        at_work.execute(*WRITES["insert"])
        place.manifest()
        other.manifest()
        with pytest.raises(subprocess.CalledProcessError):
            place.write("PRAGMA busy_timeout = 0", *WRITES["update"])
        at_work.execute("COMMIT")
    assert stated(place.manifest()) == place.truth()


def test_a_forked_worker_begins_anew(tmp_path: Path) -> None:
    make_file(tmp_path / "live.db", "wal")
    script = """
        import os, sys, sqlite3
        from pathlib import Path
        from sqlalchemy import make_url
        from app.export.memory import memory_of_process
        from tests.export.test_memory import serve, stated
        place = serve(make_url("sqlite:///" + sys.argv[1]), Path(sys.argv[1]).parent)
        place.manifest()
        assert memory_of_process()._known
        child = os.fork()
        if not child:
            try:
                assert memory_of_process()._known is None
                place.write("INSERT INTO b VALUES (2, 2)")
                assert place.manifest()["tables"]["b"]["rows"] == 2
                memory_of_process().close()
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert place.manifest()["tables"]["b"]["rows"] == 2
        assert stated(place.manifest()) == place.truth()
    """
    lines = "\n".join(line[8:] for line in script.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", lines, str(tmp_path / "live.db")], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_database_that_is_not_there_is_said(tmp_path: Path) -> None:
    place = serve(make_url(f"sqlite:///{tmp_path / 'none.db'}"), tmp_path)
    answer = place.client.get("/ferry/manifest")
    assert (answer.status_code, "no database file" in answer.text) == (503, True)
    make_file(tmp_path / "none.db")
    assert stated(place.manifest()) == place.truth()


def test_where_no_commit_can_be_seen_all_rows_are_read(tmp_path: Path, read: list[str]) -> None:
    """A journal that nobody may roll back lies beside the file."""
    place = serve(make_file(tmp_path / "live.db"), tmp_path)
    place.manifest()
    shutil.copyfile(tmp_path / "live.db", tmp_path / "live.db-journal")
    (tmp_path / "live.db-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(600))
    del read[:]
    place.manifest()
    place.manifest()
    assert sorted(read) == ["a", "a", "b", "b"]


# What PostgreSQL keeps elsewhere


def test_values_that_change_without_a_write_to_a_row(postgresql: Any, tmp_path: Path) -> None:
    name = new_name()
    postgresql.execute(f"CREATE DATABASE {name}")
    place = serve(postgresql.url(name), tmp_path)
    place.write(
        *MADE,
        "CREATE SCHEMA elsewhere",
        "CREATE TYPE elsewhere.mood AS ENUM ('sad', 'glad')",
        "CREATE TABLE moods (id INTEGER PRIMARY KEY, mood elsewhere.mood)",
        "INSERT INTO moods VALUES (1, 'sad')",
        "CREATE TABLE parts (id INTEGER PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE elsewhere.part PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "INSERT INTO parts VALUES (1)",
    )
    for write in (
        "ALTER TYPE elsewhere.mood RENAME VALUE 'sad' TO 'blue'",
        "INSERT INTO elsewhere.part VALUES (2)",
        "TRUNCATE elsewhere.part",
    ):
        before = place.manifest()
        place.write(write)
        after = place.manifest()
        assert (stated(after), after != before) == (place.truth(), True), write


def test_a_word_of_an_enum_that_changes_while_an_export_runs(postgresql: Any, tmp_path: Path) -> None:
    """No transaction sees it as it was, and no row is written: whoever asks behind that is told of it."""
    place = serve_on(postgresql, tmp_path)
    place.write(
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE TABLE moods (id INTEGER PRIMARY KEY, mood mood, t TEXT)",
        "INSERT INTO moods SELECT i, 'sad', repeat('x', 100) FROM generate_series(1, 5000) AS g (i)",
    )
    with place.client.get("/ferry/export?remember=yes", buffered=False) as answer:
        pieces = iter(answer.iter_encoded())
        next(pieces)
        place.write("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
        assert list(pieces)
    assert stated(place.manifest()) == place.truth()


def test_the_memory_of_a_process_is_one() -> None:
    assert memory_of_process() is memory_of_process()
