"""What the app's own code may do with psycopg2 and with no other driver, on staging."""

from __future__ import annotations

import io
from typing import Any

import psycopg2.extensions
import psycopg2.extras
import psycopg2.sql
import pytest
import sqlalchemy as sa

from app.dialects.ahead import asked_ahead
from app.dialects.base import OutsideStaging
from tests.dialects.rooms import Room

from .upgraded import AFTER, BEFORE, Upgraded


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


@pytest.mark.parametrize("driver", ["psycopg2"])
def test_a_name_that_is_none_is_not_called(upgraded: Upgraded) -> None:
    with upgraded.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        with pytest.raises(OutsideStaging):
            raw.cursor().callproc("now(); ROLLBACK; DELETE FROM public.children; SELECT upper", ("a",))


@pytest.mark.parametrize("driver", ["psycopg2"])
def test_many_rows_are_counted(upgraded: Upgraded) -> None:
    """As SQLAlchemy's ORM counts what it changed."""
    with upgraded.engine.begin() as connection:
        cursor: Any = connection.connection.driver_connection.cursor()
        cursor.executemany("UPDATE parents SET name = upper(name) WHERE id = %s", [(1,), (2,), (3,), (77,)])
        assert cursor.rowcount == 3
        cursor.execute("SELECT 1")
        assert cursor.rowcount == 1
    assert upgraded.names(upgraded.staging) == AFTER


@pytest.mark.parametrize("path", ["", "elsewhere"])
def test_what_is_asked_ahead_has_the_values_of_the_driver(room: Room, path: str) -> None:
    """Only while a listener of the app lets it look where our session looks."""
    room.fill()
    engine = room.dialect.read_only_engine(room.target.set(drivername="postgresql+psycopg2"))
    sql = sa.text(
        "SELECT 1::int8, 'a b'::name, NULL::text, ARRAY['x', NULL], true, 1.50::numeric, 'r'::\"char\", "
        """'{"a": [1]}'::json, '\\x00ff'::bytea, DATE '2024-02-29', '1 2'::int2vector, :more"""
    )

    def look_elsewhere(connection: Any, _record: object) -> None:
        connection.autocommit = True
        connection.cursor().execute(f"SET search_path = {path}")
        connection.autocommit = False

    if path:
        sa.event.listen(engine, "connect", look_elsewhere)
    with engine.connect() as connection:
        plainly = [repr(tuple(map(as_bytes, row))) for row in connection.execute(sql, {"more": "50%"})]
    reached: list[str] = []

    def count(_cursor: Any, statement: str, *_: Any) -> None:
        reached.append(statement)

    with asked_ahead(engine, lambda connection: [lambda: connection.execute(sql, {"more": "50%"})]):
        sa.event.listen(engine, "do_execute", count)
        with engine.connect() as connection:
            rows = connection.execute(sql, {"more": "50%"}).all()
    assert [repr(tuple(map(as_bytes, row))) for row in rows] == plainly
    assert len(reached) == bool(path)
    engine.dispose()


def as_bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
