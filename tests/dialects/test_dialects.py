"""From a URL to its server's room; what would open another database than ours is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from app.dialects import dialect_for, is_same_place
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


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mysql+pymysql://u:p@localhost/app", "mariadb+mysqldb://v@127.0.0.1:3306/app?charset=utf8mb4", True),
        ("mysql://u@db.example/app", "mysql://u@DB.example.:3306/app", True),
        ("mysql://u@/app?host=db.example&port=3307", "mysql://u@db.example:3307/app", True),
        ("mysql://u@db.example/app?host=other", "mysql://u@db.example/app", False),
        ("mysql://u@db.example/app", "mysql://u@db.example:3307/app", False),
        ("mysql://u@db.example/app", "mysql://u@db.example/App", False),
        ("mysql://u@/app?unix_socket=/run/a/../m.sock", "mysql://u@localhost/app?unix_socket=/run/m.sock", True),
        ("mysql://u@localhost/app", "postgresql://u@localhost/app", False),
        ("mysql://u@localhost/app", "mssql+pyodbc://u@localhost/app", False),
        ("postgresql://u@localhost/app", "postgresql+psycopg2://v@[::1]:5432/app?options=-csearch_path%3Dpublic", True),
        ("postgresql://u@/app?host=db.example", "postgresql://u@db.example/app?sslmode=require", True),
        ("postgresql://u@/app?host=a:5433", "postgresql://u@a:5433/app", True),
        ("postgresql://u@h/app?options=-csearch_path%3Da", "postgresql://u@h/app?options=-c%20search_path%3Da,b", True),
        ("postgresql://u@h/app?options=-csearch_path%3Da", "postgresql://u@h/app", False),
        ("sqlite:////tmp/x/../a.db", "sqlite+pysqlite:////tmp/a.db?timeout=5", True),
        ("sqlite:////tmp/a.db", "sqlite:///file:/tmp/a.db?uri=true", True),
        ("sqlite:////tmp/a.db", "sqlite://", False),
    ],
)
def test_urls_of_one_database_are_the_same_place(
    one: str, other: str, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPORT", raising=False)
    assert is_same_place(make_url(one), make_url(other)) is same
    assert is_same_place(make_url(other), make_url(one)) is same
