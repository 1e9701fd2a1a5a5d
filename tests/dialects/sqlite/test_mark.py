"""The generation mark of a file, and the numbers in its header that are the app's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.dialects.sqlite.names import url_of

from .database import DIALECT, script

FERR = 0x46455252


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    do(path, "CREATE TABLE t (x INTEGER)", "CREATE VIEW v AS SELECT x FROM t")
    return path


def do(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [row for sql in statements for row in connection.execute(sql).fetchall()]


def numbers(path: Path) -> tuple[int, int]:
    [(version,), (application,)] = do(path, "PRAGMA user_version", "PRAGMA application_id")
    return version, application


def test_a_mark_takes_nothing_and_is_not_seen_among_objects(file: Path) -> None:
    do(file, "PRAGMA user_version = 7", "PRAGMA application_id = -2")
    before = DIALECT.schema_fingerprint(url_of(file))
    for mark in ("00000007", "7fffffff"):
        DIALECT.set_mark(url_of(file), mark)
        assert DIALECT.mark(url_of(file)) == mark
        with sa.create_engine(url_of(file)).connect() as connection:
            assert DIALECT.live_mark(connection) == mark
    assert numbers(file) == (7, -2)
    assert DIALECT.schema_fingerprint(url_of(file)) == before
    with DIALECT.reader(url_of(file)) as reader:
        assert [item.name for item in reader.objects()] == ["v"]
        assert reader.numbers() == {"user_version": 7, "application_id": -2}


@pytest.mark.parametrize(("kept", "given_back"), [(0x0BADCAFE, 0), (7, 7)])
def test_the_mark_of_an_older_version_is_read_and_its_numbers_given_back(
    file: Path, kept: int, given_back: int
) -> None:
    do(file, f"PRAGMA application_id = {FERR}", f"PRAGMA user_version = {kept}")
    assert DIALECT.mark(url_of(file)) == f"{kept:08x}"
    with sa.create_engine(url_of(file)).connect() as connection:
        assert DIALECT.live_mark(connection) == f"{kept:08x}"
    DIALECT.set_mark(url_of(file), "00000abc")
    assert DIALECT.mark(url_of(file)) == "00000abc"
    assert numbers(file) == (given_back, 0)


def test_numbers_without_a_mark_are_no_mark(file: Path) -> None:
    do(file, "PRAGMA user_version = 7")
    assert DIALECT.mark(url_of(file)) == ""


def test_staging_begins_with_the_numbers_of_the_target(file: Path, tmp_path: Path) -> None:
    do(file, "PRAGMA user_version = 7", "PRAGMA application_id = 5")
    staging = tmp_path / "staging.db"
    DIALECT.prepare_staging(url_of(staging), url_of(file))
    assert numbers(staging) == (7, 5)
    DIALECT.set_numbers(url_of(staging), {"user_version": 0, "of another kind": 3})
    assert numbers(staging) == (0, 5)


def test_a_mark_of_somebody_elses_application_is_none(path: Path) -> None:
    script(path, "PRAGMA user_version = 5", "CREATE TABLE t (x)")
    assert DIALECT.mark(url_of(path)) == ""
