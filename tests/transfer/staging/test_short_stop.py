"""Staging brought to a live database that goes on: what is brought, what is shown, and what is given up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.base import Fence
from app.dialects.rounds import CannotCatchUp
from app.transfer.proof.checksums import fingerprint, read_contents
from app.transfer.schema.alembic import data_tables
from app.transfer.staging.row_by_row import pair_same
from app.transfer.staging.short_stop import ShortStop

SCHEMA = (
    "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER REFERENCES users (id), title TEXT)",
    "CREATE TABLE log (line TEXT)",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('0001')",
    "INSERT INTO users VALUES (1, 'ada'), (2, 'Bob')",
    "INSERT INTO posts VALUES (1, 1, 'first'), (2, 2, NULL)",
    "INSERT INTO log VALUES ('begun')",
)


class Place:
    """A live file and a staging file that was a copy of it when this was made."""

    def __init__(self, directory: Path) -> None:
        self.live = URL.create("sqlite", database=str(directory / "live.db"))
        self.dialect = dialect_for(self.live)
        self.dialect.open_control(self.dialect.control_area(self.live))
        self.dialect.create(self.live)
        self.staging = self.dialect.staging_url(self.live, "one")
        self.run(*SCHEMA)
        self.dialect.copy(self.live, self.staging, timeout_s=5)

    def run(self, *statements: str, url: URL | None = None) -> None:
        engine = self.dialect.engine(url or self.live)
        with engine.begin() as connection:
            for sql in statements:
                connection.exec_driver_sql(sql)
        engine.dispose()

    @contextlib.contextmanager
    def watched(self) -> Iterator[Fence]:
        with self.dialect.fence(self.live) as fence:
            yield fence

    def open(self, fence: Fence, *, summed: bool = True) -> ShortStop:
        with self.dialect.reader(self.staging) as reader:
            contents, sums = read_contents(reader), fingerprint(reader) if summed else {}
            tables = pair_same(data_tables(reader.tables()))
        return ShortStop(self.dialect, self.live, self.staging, fence, contents, fence.look().schema, tables, sums)

    def sums(self, url: URL) -> object:
        with self.dialect.reader(url) as reader:
            return fingerprint(reader)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_was_written_is_brought_over_and_the_sums_are_kept(place: Place) -> None:
    with place.watched() as fence:
        stop = place.open(fence)
        stop.begin(is_copy=False)
        place.run("INSERT INTO users VALUES (3, 'cy')", "UPDATE posts SET title = 'First' WHERE id = 1")
        stop.approach()
        place.run("INSERT INTO posts VALUES (3, 3, '')", "DELETE FROM posts WHERE id = 2")
        with fence.hold(5):
            assert stop.finish() == fence.token()
        assert stop.sums == place.sums(place.staging) == place.sums(place.live)
        brought = {name: (one.rows, one.while_waiting) for name, one in stop.brought.items()}
        assert brought == {"users": (1, 1), "posts": (3, 3)}
        assert stop.name_of("users") == "users"
        assert stop.is_same("users")


def test_what_was_brought_is_looked_at_again_where_more_is_written(place: Place) -> None:
    with place.watched() as fence:
        stop = place.open(fence)
        stop.begin(is_copy=False)
        for number in (10, 11):
            place.run(f"INSERT INTO users VALUES ({number}, 'x')")
            stop.approach()
            with fence.hold(5):
                stop.finish()
        assert stop.sums == place.sums(place.live)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("INSERT INTO log VALUES ('more')", "log was written: no key of it was kept"),
        ("UPDATE alembic_version SET version_num = '0002'", "alembic_version was written"),
        ("ALTER TABLE users ADD COLUMN age INTEGER", "the live schema was changed"),
        ("CREATE TABLE more (id INTEGER PRIMARY KEY)", "the live schema was changed"),
    ],
)
def test_what_cannot_be_brought_over_is_given_up(place: Place, sql: str, words: str) -> None:
    with place.watched() as fence:
        stop = place.open(fence)
        stop.begin(is_copy=False)
        stop.approach()
        place.run(sql)
        with fence.hold(5), pytest.raises(CannotCatchUp, match=words):
            stop.finish()


def test_rows_that_break_a_new_rule_or_refer_to_nothing(place: Place) -> None:
    place.run("CREATE UNIQUE INDEX one_name ON users (name)", url=place.staging)
    with place.watched() as fence:
        stop = place.open(fence)
        stop.begin(is_copy=False)
        place.run("INSERT INTO users VALUES (3, 'ada')")
        stop.approach()
        with fence.hold(5), pytest.raises(CannotCatchUp, match="UNIQUE"):
            stop.finish()
    with place.watched() as fence:
        stop = place.open(fence)
        place.run("DELETE FROM users WHERE id = 3", "INSERT INTO posts VALUES (9, 99, 'nobody')")
        stop.begin(is_copy=False)
        stop.approach()
        with fence.hold(5), pytest.raises(CannotCatchUp, match="refer to rows of users that are not there"):
            stop.finish()


def test_a_table_whose_values_the_upgrade_changed_is_not_brought_over(place: Place) -> None:
    with place.watched() as fence:
        stop = place.open(fence)
        place.run("UPDATE users SET name = 'Ada' WHERE id = 1", url=place.staging)
        stop.begin(is_copy=False)
        stop.approach()
        place.run("INSERT INTO users VALUES (3, 'cy')")
        with fence.hold(5), pytest.raises(CannotCatchUp, match="users was written: the upgrade changed values"):
            stop.finish()


def test_a_copy_of_no_instant_becomes_one(place: Place) -> None:
    with place.watched() as fence:
        stop = place.open(fence, summed=False)
        place.run("DELETE FROM posts", url=place.staging)
        stop.begin(is_copy=True)
        stop.approach()
        with fence.hold(5):
            stop.finish()
        assert place.sums(place.staging) == place.sums(place.live)
