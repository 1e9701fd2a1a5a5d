"""Quirks of SQLite: names, journals, pages, and what lies beside a file."""

from __future__ import annotations

import shutil
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
