"""A database whose names and values are SQL, format strings and markup: they are names and values to the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.places import ServerSite, connected
from tests.support.site import Site

Deploy = Callable[[str], ServerSite | Site]
QUOTES = {"mariadb": "`", "postgresql": '"', "sqlite": '"'}
TEXTS = [
    "'; DROP TABLE users; --",
    "\\'; DROP TABLE users; #",
    "%s %(users)s {0} {users} :users ${users} $1 ?",
    "$$; DROP TABLE users; $$",
    "*/ DROP TABLE users; /*",
    "COPY x FROM stdin;\n\\.\nDROP TABLE users;\n",
    '<script>alert("users")</script>',
]


def url_of(site: Any) -> sa.URL:
    return site.url if isinstance(site, ServerSite) else sa.make_url(f"sqlite:///{site.database}")


def hostile(quote: str) -> sa.Table:
    """A table whose names would end themselves, had nobody quoted them."""
    name = f"x{quote}; DROP TABLE users; --%s:a"
    columns = [sa.Column(f"c{quote}{number} %(a)s", sa.String(80)) for number in range(len(TEXTS))]
    return sa.Table(
        name, sa.MetaData(), sa.Column(f"id{quote}", sa.Integer, primary_key=True, autoincrement=False), *columns
    )


def fill(url: sa.URL, table: sa.Table) -> None:
    engine = sa.create_engine(url)
    table.create(engine)
    with engine.begin() as connection:
        for number in range(len(TEXTS)):
            texts = [*TEXTS[number:], *TEXTS[:number]]
            connection.execute(table.insert().values([number + 1, *texts]))
    engine.dispose()


def rows_of(url: sa.URL, table: sa.Table) -> list[tuple[Any, ...]]:
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(sa.text("1")))]


def count_users(url: sa.URL) -> int:
    with connected(url) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM users").scalar())


@pytest.mark.parametrize("name", QUOTES, ids=["MariaDB", "PostgreSQL", "SQLite"])
def test_names_and_values_that_are_statements(deployed: Deploy, name: str, taken: Path, tmp_path: Path) -> None:
    site, table = deployed(name), hostile(QUOTES[name])
    url = url_of(site)

    def done(*arguments: str) -> None:
        result = site.flask(*arguments)
        assert result.status == 0, result.stderr

    done("db-init")
    fill(url, table)
    rows = rows_of(url, table)
    assert len(rows) == len(TEXTS)
    seeded = count_users(url)
    for arguments, users in (
        (("db-migrate-data", str(taken), "--rerun", "--yes", "--report", str(tmp_path / "report.html")), 60),
        (("db-backup",), 60),
        (("db-verify",), 60),
        (("db-rollback", "--yes"), seeded),
        (("db-restore", "--yes"), 60),
        (("db-status",), 60),
    ):
        done(*arguments)
        assert rows_of(url, table) == rows, arguments
        assert count_users(url) == users, arguments
    assert TEXTS[-1] not in (tmp_path / "report.html").read_text(encoding="utf-8")
