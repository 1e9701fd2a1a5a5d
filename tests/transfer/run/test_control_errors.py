"""Errors of a control area: whose fault it is decides on status and hint; where it lies is always named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import psycopg
import pymysql
import pytest
from sqlalchemy import make_url

from app.dialects.model import ControlArea
from app.dialects.mysql.dialect import MySqlDialect
from app.dialects.postgresql.dialect import PostgresqlDialect
from app.dialects.sqlite.dialect import SqliteDialect
from app.errors import DatabaseUnreachable, FerryError, LockHeld, NotGranted, OutOfSpace, Protected
from app.transfer.run.control import Control
from app.transfer.run.control_errors import place_of, unwritable

MYSQL = MySqlDialect(Path("runs"), None)
POSTGRESQL = PostgresqlDialect(Path("runs"), None)
READ_ONLY = pymysql.OperationalError(1290, "The server is running with the --read-only option")


@pytest.mark.parametrize(
    ("dialect", "url", "error", "kind"),
    [
        (MYSQL, "mysql://app:s3cret@db/app__ferry", READ_ONLY, Protected),
        (MYSQL, "mysql://app:s3cret@db/app__ferry", pymysql.OperationalError(1040, "Too many"), DatabaseUnreachable),
        (MYSQL, "mysql://app:s3cret@db/app__ferry", pymysql.OperationalError(1114, "table is full"), OutOfSpace),
        (MYSQL, "mysql://app:s3cret@db/app__ferry", OSError(13, "Permission denied"), FerryError),
        (POSTGRESQL, "postgresql://app:s3cret@db/app", psycopg.errors.ReadOnlySqlTransaction("no"), Protected),
        (POSTGRESQL, "postgresql://app:s3cret@db/app", psycopg.errors.DiskFull("no"), OutOfSpace),
        (POSTGRESQL, "postgresql://app:s3cret@db/app", psycopg.errors.InsufficientPrivilege("no"), NotGranted),
        (POSTGRESQL, "postgresql://app:s3cret@db/app", psycopg.errors.SerializationFailure("no"), LockHeld),
        (POSTGRESQL, "postgresql://app:s3cret@db/app", psycopg.errors.TooManyConnections("no"), DatabaseUnreachable),
        (POSTGRESQL, "postgresql://app:s3cret@db/app", psycopg.errors.SyntaxError("no"), FerryError),
    ],
)
def test_whose_fault_it_is(dialect: Any, url: str, error: Exception, kind: type[FerryError]) -> None:
    explained = unwritable(dialect, ControlArea(make_url(url), Path("runs")), error)
    assert type(explained) is kind
    assert explained.message.startswith("The control area ")
    assert "@db" in explained.message
    assert "s3cret" not in explained.message
    assert explained.hint


def test_a_file_is_named_by_its_directory(tmp_path: Path) -> None:
    area = ControlArea(make_url(f"sqlite:///{tmp_path}/control.db"), tmp_path)
    assert place_of(area) == str(tmp_path)


def test_one_that_others_keep_locked_is_not_damaged(tmp_path: Path) -> None:
    """Whoever moved it away for that would lose the ledger."""
    dialect = SqliteDialect()
    area = ControlArea(make_url(f"sqlite:///{tmp_path / 'control.db'}?timeout=0.1"), tmp_path)
    Control.open(cast(Any, dialect), area)
    with closing(sqlite3.connect(tmp_path / "control.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockHeld, match="stayed locked") as caught:
            Control.peek(cast(Any, dialect), area)
    assert caught.value.hint
