"""The app's own code on staging, by psycopg and by psycopg2: what it means, and that nothing of it reaches live."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import psycopg
import psycopg2.extensions
import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from app.dialects.base import OutsideStaging

from .upgraded import AFTER, BEFORE, DRIVERS, Upgraded


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
        "SELECT 1 /* /* */ don't */; ROLLBACK; UPDATE public.parents SET name = 'x' WHERE name <> 'don''t'",
        "SELECT 1 AS a$b$c; ROLLBACK; UPDATE public.parents SET name = 'x'; SELECT 1 AS a$b$c",
        "SELECT name'\\'; ROLLBACK; UPDATE public.parents SET name = 'x' WHERE name <> ''",
        "DECLARE later CURSOR WITH HOLD FOR SELECT name FROM public.parents",
    ],
)
def test_what_reaches_out_is_refused(upgraded: Upgraded, statement: str) -> None:
    with pytest.raises((OutsideStaging, sa.exc.DBAPIError)):
        upgraded.spoil(statement)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_reading_engine_writes_nothing(upgraded: Upgraded, driver: str) -> None:
    engine = upgraded.room.dialect.read_only_engine(upgraded.room.target.set(drivername=f"postgresql+{driver}"))
    with engine.connect() as connection:
        assert connection.dialect.driver == driver
        assert connection.exec_driver_sql("SELECT count(*) FROM parents").scalar() == 3
        with pytest.raises(sa.exc.DBAPIError, match="read-only"):
            connection.exec_driver_sql("DELETE FROM children")
    engine.dispose()


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("setting", ["client_encoding = 'SJIS'", "standard_conforming_strings = off"])
def test_a_session_whose_texts_are_read_otherwise_gets_none(upgraded: Upgraded, setting: str) -> None:
    with upgraded.engine.connect() as connection:
        connection.exec_driver_sql(f"SET {setting}")
        with pytest.raises((OutsideStaging, sa.exc.DBAPIError), match="looked at before it is sent"):
            connection.exec_driver_sql("UPDATE public.parents SET name = 'x'")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_cursor_of_another_class_does_not_commit(upgraded: Upgraded, driver: str) -> None:
    """It is sent where no schema is renamed yet, and would reach the live rows."""
    with upgraded.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        cursor = psycopg.ClientCursor(raw) if driver == "psycopg" else psycopg2.extensions.cursor(raw)
        cursor.execute("DELETE FROM public.children")
        with pytest.raises(OutsideStaging, match="past the app's connection"):
            raw.commit()


@pytest.mark.parametrize("driver", DRIVERS)
def test_two_phases_are_refused(upgraded: Upgraded) -> None:
    with upgraded.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        with pytest.raises(OutsideStaging, match="two phases"):
            raw.tpc_begin(raw.xid(1, "a", "b"))


@pytest.mark.parametrize("driver", ["psycopg"])
def test_blocks_and_modes_of_psycopg(upgraded: Upgraded) -> None:
    with upgraded.engine.begin() as connection:
        raw: Any = connection.connection.driver_connection
        with raw.transaction():
            raw.execute("UPDATE public.parents SET name = upper(name)")
        with contextlib.suppress(psycopg.errors.UndefinedColumn), raw.transaction():
            raw.execute("DELETE FROM public.children")
            raw.execute("SELECT nothing")
        raw.set_autocommit(True)
        raw.execute("CREATE INDEX CONCURRENTLY loud ON public.parents (name)")
        raw.set_autocommit(False)
    assert upgraded.names(upgraded.staging) == AFTER
    assert upgraded.has_index("loud")
    assert len(upgraded.room.state(upgraded.staging)["children"]) == len(upgraded.room.state()["children"]) > 0


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "statement", ["SELECT lo_unlink(77)", "SELECT lo_put(77, 0, 'X')", "SELECT lo_from_bytea(78, '')"]
)
def test_large_objects_of_the_live_rows(upgraded: Upgraded, statement: str) -> None:
    """They are in no schema: what a revision does to them it does to the live rows."""
    upgraded.room.execute("SELECT lo_from_bytea(77, 'first')")
    with upgraded.engine.connect() as connection:
        connection.exec_driver_sql(statement)
        if "78" in statement:  # one that nobody has yet
            connection.commit()
        else:
            with pytest.raises(OutsideStaging, match="large objects"):
                connection.commit()
    with upgraded.room.connect() as connection:
        assert connection.exec_driver_sql("SELECT lo_get(77)").scalar() == b"first"
