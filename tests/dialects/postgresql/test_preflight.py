"""What is looked at before anything is done, and named with the statement that helps."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from app.dialects import dialect_for
from app.errors import DoesNotFit, Protected
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL


def test_preflight_names_the_statement_for_whoever_may_too_little(postgresql: PostgreSQL, room: Room) -> None:
    room.fill()
    database, user = str(room.target.database), f"poor{secrets.token_hex(3)}"
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'poor'")
    url = room.target.set(username=user, password="poor")
    dialect = dialect_for(url, directory=room.directory)
    hints: list[str] = []
    for _ in range(8):
        try:
            dialect.preflight(url)
            break
        except DoesNotFit as error:
            hints.append(str(error.hint))
            for statement in hints[-1].split(";"):
                if statement.strip():
                    postgresql.execute(statement, database=database)
    else:
        pytest.fail(str(hints))
    assert [hint.split(" ")[0:2] for hint in hints] == [["ALTER", "TABLE"], ["GRANT", "CREATE"], ["ALTER", "SCHEMA"]]
    assert f'OWNER TO "{user}"' in hints[0]
    staging = dialect.staging_url(url, "one")
    dialect.prepare_staging(staging, url)
    with dialect.fence(url) as fence:
        old = dialect.generation_url(url, "0000000c-old")
        dialect.swap(staging, url, old, fence, fence.token(), timeout_s=5)
    for place in (old,):
        dialect.drop(place)
    postgresql.execute(f"DROP OWNED BY {user} CASCADE", database=database)
    postgresql.execute(f"REASSIGN OWNED BY {user} TO postgres", database=database)


def test_preflight_of_an_absent_database_needs_createdb(postgresql: PostgreSQL, tmp_path: Path) -> None:
    user = f"poor{secrets.token_hex(3)}"
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'poor'")
    url = postgresql.url("not_there", user, "poor")
    with pytest.raises(DoesNotFit, match="not_there") as caught:
        dialect_for(url, directory=tmp_path).preflight(url)
    assert caught.value.hint == f'CREATE DATABASE "not_there" OWNER "{user}" ENCODING \'UTF8\' TEMPLATE template0;'


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("CREATE SCHEMA o; CREATE TABLE o.x (p int REFERENCES public.parents)", "x_p_fkey"),
        ("CREATE SCHEMA o; CREATE VIEW o.x AS SELECT * FROM parents", "o.x"),
        ("CREATE SCHEMA o; CREATE FUNCTION o.f(parents) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function o.f"),
        ("CREATE SCHEMA o; CREATE TABLE o.x () INHERITS (children)", "o.x"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM ferry_gen_x.f(); END'", "f"),
        ("CREATE PUBLICATION pub FOR TABLE parents", "pub"),
    ],
)
def test_preflight_refuses_what_would_stay_with_the_old_tables(room: Room, script: str, words: str) -> None:
    room.fill()
    room.dialect.preflight(room.target)
    room.execute(script)
    with pytest.raises(Protected) as caught:
        room.dialect.preflight(room.target)
    assert words in " ".join([caught.value.message, *caught.value.details])


def test_an_encoding_that_cannot_hold_every_text_is_refused(postgresql: PostgreSQL, tmp_path: Path) -> None:
    postgresql.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = postgresql.url("latin")
    with pytest.raises(Protected, match="LATIN1"):
        dialect_for(url, directory=tmp_path).preflight(url)
