"""The app's own code on staging, by psycopg and by psycopg2: what it means, and that nothing of it reaches live."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions
import psycopg2.extras
import psycopg2.sql
import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine

from app.dialects.base import OutsideStaging
from app.dialects.postgresql.texts import divide
from tests.dialects.rooms import Room

DRIVERS = ["psycopg", "psycopg2"]


@dataclass
class Upgraded:
    """A live schema and staging beside it, both with the same rows, and an engine for the app's code."""

    room: Room
    staging: URL
    engine: Engine

    def names(self, url: URL | None = None) -> list[Any]:
        return sorted(row[1] for row in self.room.state(url)["parents"])

    def has_index(self, name: str) -> bool:
        return name in self.room.index_names("parents", self.staging)

    def spoil(self, statement: str) -> None:
        with self.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("UPDATE public.parents SET name = 'spoiled' WHERE id = 1")
            connection.exec_driver_sql(statement)


BEFORE, AFTER = ["drei 😀", "one", "two"], ["DREI 😀", "ONE", "TWO"]


@pytest.fixture
def upgraded(room: Room, driver: str) -> Iterator[Upgraded]:
    room.fill()
    staging = room.staged("one", more=0)
    engine = room.dialect.engine(staging.set(drivername=f"postgresql+{driver}"))
    assert engine.dialect.driver == driver
    live = room.everything()
    yield Upgraded(room, staging, engine)
    assert room.everything() == live, "something reached the live schema"
    engine.dispose()


def by_texts(*texts: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        for text in texts:
            connection.execute(sa.text(text))

    return work


def by_autocommit(connection: Connection) -> None:
    alone = connection.execution_options(isolation_level="AUTOCOMMIT")
    with pytest.raises(sa.exc.ProgrammingError):
        alone.exec_driver_sql("SELECT nothing")
    alone.exec_driver_sql("UPDATE public.parents SET name = upper(name)")
    alone.exec_driver_sql("CREATE INDEX CONCURRENTLY loud ON public.parents (name)")
    alone.exec_driver_sql("VACUUM public.parents")


def by_stream(connection: Connection) -> None:
    query = sa.text("SELECT name FROM public.parents").execution_options(stream_results=True)
    rows = connection.execute(query)
    assert sorted(rows.scalars()) == BEFORE
    by_texts("UPDATE parents SET name = upper(name)")(connection)


EITHER = {
    "a text": by_texts("UPDATE public.parents SET name = upper(name)"),
    "a bound value": lambda connection: connection.execute(
        sa.text("UPDATE public.parents SET name = upper(name) WHERE name <> :no AND name NOT LIKE '50%'"), {"no": "x"}
    ),
    "percent signs": by_texts(
        "UPDATE parents SET name = '%', id = 7 % 4 WHERE false", "UPDATE parents SET name = upper(name)"
    ),
    "COMMIT": by_texts(
        "COMMIT", "CREATE INDEX CONCURRENTLY loud ON parents (name)", "UPDATE public.parents SET name = upper(name)"
    ),
    "COMMIT among others": by_texts(
        "UPDATE parents SET name = upper(name); COMMIT; CREATE INDEX CONCURRENTLY loud ON public.parents (name)"
    ),
    "BEGIN and COMMIT in one text": by_texts(
        "BEGIN;\n-- COMMIT;\nUPDATE public.parents SET name = upper(name); /* ; */ END;"
    ),
    "a new value of a type": by_texts(
        "CREATE TYPE mood AS ENUM ('calm'); ALTER TABLE parents ADD COLUMN feels mood",
        "COMMIT",
        "ALTER TYPE public.mood ADD VALUE 'wild'",
        "COMMIT",
        "UPDATE parents SET feels = 'wild', name = upper(name)",
    ),
    "VALIDATE CONSTRAINT": by_texts(
        "ALTER TABLE parents ADD CONSTRAINT named CHECK (name <> '') NOT VALID; COMMIT;"
        "ALTER TABLE public.parents VALIDATE CONSTRAINT named",
        "UPDATE parents SET name = upper(name)",
    ),
    "autocommit": by_autocommit,
    "a stream": by_stream,
    "many": lambda connection: connection.exec_driver_sql(
        "UPDATE parents SET name = upper(name) WHERE id = %s", [(1,), (2,), (3,)]
    ),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", list(EITHER))
def test_what_it_means(upgraded: Upgraded, kind: str) -> None:
    with upgraded.engine.connect() as connection:
        EITHER[kind](connection)
        connection.commit()
    assert upgraded.names(upgraded.staging) == AFTER
    assert upgraded.has_index("loud") == (kind in ("COMMIT", "COMMIT among others", "autocommit"))


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_a_commit_in_a_text_keeps_and_what_follows_loses(upgraded: Upgraded) -> None:
    with upgraded.engine.connect() as connection:
        connection.execute(sa.text("UPDATE parents SET name = upper(name); COMMIT; DELETE FROM public.children"))
        connection.rollback()
    assert upgraded.names(upgraded.staging) == AFTER
    assert len(upgraded.room.state(upgraded.staging)["children"]) == len(upgraded.room.state()["children"]) > 0


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN COMMIT; UPDATE public.parents SET name = 'x'; END $$",
        "ROLLBACK; UPDATE public.parents SET name = 'x'",
        "SELECT 1; COMMIT; SELECT 2; ABORT; DELETE FROM public.children",
        "ROLLBACK AND CHAIN",
        "COMMIT AND CHAIN",
        "SELECT 1; COMMIT AND CHAIN; DELETE FROM public.children",
        "UPDATE ferry_hold.parents SET name = 'x'",
        "COMMIT; UPDATE ferry_hold.parents SET name = 'x'; COMMIT",
    ],
)
def test_what_reaches_out_is_refused(upgraded: Upgraded, statement: str) -> None:
    with pytest.raises((OutsideStaging, sa.exc.DBAPIError)):
        upgraded.spoil(statement)


def as_dictionaries(connection: Any) -> None:
    cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    cursor.execute("SELECT id, name FROM public.parents WHERE name <> %s", ("",))
    changed = [(row["id"], row["name"].upper()) for row in cursor.fetchall()]
    statement = "UPDATE public.parents SET name = v.name FROM (VALUES %s) AS v (id, name) WHERE parents.id = v.id"
    psycopg2.extras.execute_values(cursor, statement, changed)


def by_values_in_one_text(connection: Any) -> None:
    statement = "UPDATE public.parents SET name = CONCAT(upper(name), %s) WHERE id = 1; "
    statement += "UPDATE parents SET name = upper(name) WHERE name <> %s"
    connection.cursor().execute(statement, ("", "a;COMMIT;'%s"))


def by_composed(connection: Any) -> None:
    name = psycopg2.sql.Identifier("public", "parents")
    connection.cursor().execute(psycopg2.sql.SQL("UPDATE {} SET name = upper(name)").format(name))


def by_copies(connection: Any) -> None:
    cursor, rows = connection.cursor(), io.StringIO()
    cursor.copy_expert("COPY (SELECT id, upper(name) FROM public.parents) TO STDOUT", rows)
    rows.seek(0)
    cursor.execute("CREATE TABLE words (id int, name text)")
    cursor.copy_from(rows, "words")
    statement = "UPDATE parents p SET name = n.name FROM public.words n WHERE n.id = p.id AND n.id <> %s"
    cursor.executemany(statement, [(0,)])
    copied = io.StringIO()
    cursor.copy_to(copied, "words", columns=["name"])
    assert sorted(copied.getvalue().split("\n")) == ["", *AFTER]
    cursor.callproc("upper", ("a",))
    assert cursor.fetchone() == ("A",)
    cursor.execute("DROP TABLE words")


def by_isolation_level(connection: Any) -> None:
    connection.cursor().execute("DELETE FROM children")
    connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)  # rolls back, as psycopg2 does
    connection.cursor().execute("UPDATE public.parents SET name = upper(name)")
    connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED)
    connection.cursor().execute("DELETE FROM public.children")
    connection.rollback()
    assert not connection.autocommit


def by_named_cursor(connection: Any) -> None:
    named = connection.cursor("one", cursor_factory=psycopg2.extras.DictCursor)
    named.execute("SELECT name FROM public.parents")
    assert sorted(row["name"] for row in named) == BEFORE
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE public.parents SET name = upper(name)")


PSYCOPG2 = {
    "dictionaries": as_dictionaries,
    "values": by_values_in_one_text,
    "composed": by_composed,
    "copies": by_copies,
    "isolation level": by_isolation_level,
    "named": by_named_cursor,
}


@pytest.mark.parametrize("driver", ["psycopg2"])
@pytest.mark.parametrize("kind", list(PSYCOPG2))
def test_what_only_psycopg2_has(upgraded: Upgraded, kind: str) -> None:
    with upgraded.engine.begin() as connection:
        PSYCOPG2[kind](connection.connection.driver_connection)
    assert upgraded.names(upgraded.staging) == AFTER
    assert len(upgraded.room.state(upgraded.staging)["children"]) == len(upgraded.room.state()["children"])


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_reading_engine_writes_nothing(upgraded: Upgraded, driver: str) -> None:
    engine = upgraded.room.dialect.read_only_engine(upgraded.room.target.set(drivername=f"postgresql+{driver}"))
    with engine.connect() as connection:
        assert connection.dialect.driver == driver
        assert connection.exec_driver_sql("SELECT count(*) FROM parents").scalar() == 3
        with pytest.raises(sa.exc.DBAPIError, match="read-only"):
            connection.exec_driver_sql("DELETE FROM children")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1; SELECT 2"]),
        ("SELECT 1; COMMIT; SELECT 2", ["SELECT 1", " COMMIT", " SELECT 2"]),
        ("COMMIT;", ["COMMIT"]),
        ("SELECT 'a; COMMIT; b'; SELECT 2", ["SELECT 'a; COMMIT; b'; SELECT 2"]),
        ("a; b; end work ; c; d;", ["a; b", " end work ", " c; d"]),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2",
            ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2"],
        ),
        ("DO $$ BEGIN; END; $$", ["DO $$ BEGIN; END; $$"]),
    ],
)
def test_pieces_of_a_text(text: str, pieces: list[str]) -> None:
    assert divide(text) == pieces
