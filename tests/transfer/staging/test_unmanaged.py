"""What no revision made is live again as it is at the cut-over, whatever becomes of it while the run is at work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.scenarios.small_host import DATABASE, SmallHost, host_on, host_on_file
from tests.support.places import connected, execute

CREATE = "CREATE TABLE letter (id INTEGER PRIMARY KEY, body VARCHAR(40) NOT NULL)"
BESIDE = "CREATE TABLE beside (id INTEGER PRIMARY KEY, body VARCHAR(40) NOT NULL)"
VIEW = "CREATE VIEW bodies AS SELECT body FROM letter"
STATEMENTS, DONE = "UNMANAGED_STATEMENTS", "UNMANAGED_DONE"


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> SmallHost:
    host = host_on(request, tmp_path, CREATE)
    host.done("db", "upgrade")
    for sql in (BESIDE, "INSERT INTO beside VALUES (1, 'theirs')", VIEW):
        execute(host.url, sql)
    return host


@pytest.fixture
def old(tmp_path: Path) -> SmallHost:
    host = host_on_file(tmp_path / "old", CREATE)
    execute(host.url, "INSERT INTO letter VALUES (1, 'a letter')")
    return host


def write_once(when: str, step: str, _about: object) -> None:
    """A hook: somebody writes to the live database when everything was brought for the first time."""
    done = Path(os.environ[DONE])
    if (when, step) == ("after", "objects") and not done.exists():
        done.touch()
        for sql in os.environ[STATEMENTS].split(";"):
            execute(sa.make_url(os.environ[DATABASE]), sql)


def migrate(new: SmallHost, old: SmallHost, *statements: str) -> tuple[int, str]:
    """Status, and what was said."""
    ended = new.flask(
        *("db-migrate-data", "--yes"),
        FLASK_FERRY_SOURCE=old.url.render_as_string(hide_password=False),
        FLASK_FERRY_HOOKS=f"{write_once.__module__}:write_once",
        **{STATEMENTS: ";".join(statements), DONE: str(new.directory / "done")},
    )
    assert (new.directory / "done").exists()
    return ended.status, ended.stdout + ended.stderr


def rows_of(host: SmallHost, table: str) -> list[tuple[object, ...]]:
    with connected(host.url) as connection:
        return sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (("DROP TABLE beside",), "table beside"),
        (("DROP VIEW bodies",), "view bodies"),
        (("DROP VIEW bodies", "CREATE VIEW bodies AS SELECT id FROM letter"), "view bodies"),
    ],
)
def test_what_was_taken_away_meanwhile_does_not_come_back(
    new: SmallHost, old: SmallHost, statements: tuple[str, ...], named: str
) -> None:
    status, words = migrate(new, old, *statements)
    assert status == 23, words
    assert "was changed or dropped in the live database while the run was at work" in words
    assert named in words
    assert rows_of(new, "letter") == []
    status, words = migrate(new, old)
    assert status == 0, words
    assert rows_of(new, "letter") == [(1, "a letter")]
    with connected(new.url) as connection:
        there = sa.inspect(connection)
        names = {*there.get_table_names(), *there.get_view_names()}
    assert ("beside" in names, "bodies" in names) == (
        "TABLE" not in statements[0],
        len(statements) > 1 or "VIEW" not in statements[0],
    )


@pytest.mark.parametrize(
    ("statements", "rows"),
    [
        (("INSERT INTO beside VALUES (2, 'later')",), [(1, "theirs"), (2, "later")]),
        (("DROP TABLE beside", BESIDE, "INSERT INTO beside VALUES (7, 'anew')"), [(7, "anew")]),
    ],
)
def test_what_was_written_meanwhile_comes_along(
    new: SmallHost, old: SmallHost, statements: tuple[str, ...], rows: list[tuple[object, ...]]
) -> None:
    status, words = migrate(new, old, *statements)
    assert status == 0, words
    assert rows_of(new, "beside") == rows
    assert rows_of(new, "bodies") == [("a letter",)]
    assert rows_of(new, "letter") == [(1, "a letter")]
