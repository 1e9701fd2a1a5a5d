"""Functions and collations of the app on connections of our own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.functions import Functions
from app.dialects.sqlite.names import url_of
from app.errors import Protected


def compare(left: str, right: str) -> int:
    return (left.casefold() > right.casefold()) - (left.casefold() < right.casefold())


def outfit(connection: Any, _record: Any) -> None:
    connection.create_collation("unicase", compare)
    connection.create_function("slug", 1, str.casefold, deterministic=True)


def knowing(*listeners: Any) -> Functions:
    engine = sa.create_engine("sqlite://")
    for listener in listeners:
        sa.event.listen(engine, "connect", listener)
    functions = Functions()
    functions.take_from(engine)
    return functions


def test_what_sqlalchemy_registers_is_there_without_an_engine() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        Functions().give(connection)
        assert connection.execute("SELECT 'about-us' REGEXP '^[a-z-]+$', floor(1.5)").fetchone() == (1, 1)


def test_what_a_listener_registers_is_all_that_is_taken_from_it(tmp_path: Path) -> None:
    other = tmp_path / "other.db"

    def busy(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"ATTACH '{other}' AS other")
        connection.row_factory = sqlite3.Row
        record.info["seen"] = True
        outfit(connection, record)
        connection.execute("SELECT * FROM settings_of_the_app")

    def broken(connection: Any, record: Any) -> None:
        raise KeyError("settings")

    functions = knowing(busy, broken)
    with closing(sqlite3.connect(":memory:")) as connection:
        functions.give(connection)
        assert connection.execute("SELECT slug('A'), 'a' = 'A' COLLATE unicase").fetchone() == ("a", 1)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (0,)
        assert len(connection.execute("PRAGMA database_list").fetchall()) == 1
    assert not other.exists()


def test_staging_has_what_the_instance_of_the_app_registers(tmp_path: Path) -> None:
    engine = sa.create_engine("sqlite://")
    sa.event.listen(engine, "connect", outfit)
    dialect = SqliteDialect()
    dialect.know_app(engine)
    with dialect.engine(url_of(tmp_path / "s.db")).connect() as connection:
        assert connection.exec_driver_sql("SELECT slug('A')").scalar() == "a"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0
        with pytest.raises(sa.exc.DatabaseError, match="not authorized"):
            connection.exec_driver_sql(f"ATTACH '{tmp_path / 'other.db'}' AS other")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A file whose schema needs what a bare connection does not have."""
    path = tmp_path / "foreign.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        outfit(connection, None)
        connection.execute("CREATE TABLE tag (name TEXT COLLATE unicase PRIMARY KEY, n INTEGER)")
        connection.execute("CREATE TABLE flat (name TEXT COLLATE unicase PRIMARY KEY) WITHOUT ROWID")
        connection.execute("CREATE TABLE page (id INTEGER PRIMARY KEY, t TEXT, s TEXT AS (slug(t)) STORED)")
        connection.execute("INSERT INTO tag VALUES ('b', 1), ('A', 2), ('C', 3)")
        connection.execute("INSERT INTO flat VALUES ('b')")
        connection.execute("INSERT INTO page (t) VALUES ('X')")
    return path


def test_rows_are_read_by_bytes_where_nobody_registers_the_collation(foreign: Path) -> None:
    dialect = SqliteDialect()
    with dialect.reader(url_of(foreign)) as reader:
        tables = reader.tables()
        assert reader.count("tag") == 3
        assert list(reader.rows(tables["tag"])) == [["A", 2], ["C", 3], ["b", 1]]
        assert list(reader.rows(tables["page"])) == [[1, "X"]]
        with pytest.raises(Protected, match="table flat needs the collation unicase"):
            list(reader.rows(tables["flat"]))


def test_what_lacks_is_named_with_its_table(foreign: Path) -> None:
    dialect = SqliteDialect()
    assert dialect.find_lacking(url_of(foreign)) == [
        "table flat needs the collation unicase",
        "table page needs the function slug",
        "table tag needs the collation unicase",
    ]
    with pytest.raises(Protected, match="table page needs the function slug"):
        dialect.problems(url_of(foreign))
    engine = sa.create_engine("sqlite://")
    sa.event.listen(engine, "connect", outfit)
    dialect.know_app(engine)
    assert dialect.find_lacking(url_of(foreign)) == dialect.problems(url_of(foreign)) == []
