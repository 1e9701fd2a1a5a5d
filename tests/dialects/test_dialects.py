"""From a URL to its server's room; what would open another database than ours is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from app.dialects import dialect_for
from app.errors import Misconfigured, Protected


@pytest.mark.parametrize(
    ("url", "room"),
    [
        ("sqlite:////tmp/a.db", "SqliteDialect"),
        ("sqlite+pysqlite:////tmp/a.db", "SqliteDialect"),
        ("mysql://u@h/app", "MySqlDialect"),
        ("mariadb+mysqldb://u@h/app", "MySqlDialect"),
        ("postgresql+psycopg2://u@h/app", "PostgresqlDialect"),
    ],
)
def test_each_server_has_a_room_whatever_its_driver(url: str, room: str, tmp_path: Path) -> None:
    dialect = dialect_for(make_url(url), directory=tmp_path, version_table="versions")
    assert (type(dialect).__name__, dialect.version_table) == (room, "versions")


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("mssql+pyodbc://u@h/app", Protected, "mssql databases are not supported; supported: mariadb, "),
        ("mysql+other://u@h/app", Protected, "The driver mysql\\+other is not supported"),
        ("postgresql+psycopg://u@h/app?dbname=other", None, ""),
        ("mysql+pymysql://u@h/app?read_default_file=/etc/my.cnf", Protected, "leaves to read_default_file"),
        ("mysql+pymysql://u@h/app?db=other", Protected, "leaves to db "),
        ("sqlite:////tmp/a.db?db=x", None, ""),
        ("sqlite://", Protected, ""),
    ],
)
def test_what_is_no_database_of_ours(url: str, error: type[Exception] | None, words: str, tmp_path: Path) -> None:
    if error is None:
        dialect_for(make_url(url), directory=tmp_path)
        return
    with pytest.raises(error, match=words or None):
        dialect_for(make_url(url), directory=tmp_path)


def test_a_password_that_ends_too_early_is_not_shown() -> None:
    url = URL.create("mysql+pymysql", "u", "pa", "ss@h", database="app")
    with pytest.raises(Misconfigured) as caught:
        dialect_for(url)
    assert "ss@h" not in caught.value.message
