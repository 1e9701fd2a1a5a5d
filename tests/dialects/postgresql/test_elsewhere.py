"""Types and functions of other schemas that a transaction made, altered or dropped, and not those that others did."""

from __future__ import annotations

import pytest

from app.dialects.postgresql.connect import Connection, connect
from app.dialects.postgresql.elsewhere import LOCKED, OBJECTS, Objects, find_changed, read_objects
from tests.dialects.rooms import Room

MADE = (
    "CREATE SCHEMA building; CREATE SCHEMA other; CREATE TYPE other.mood AS ENUM ('calm'); CREATE FUNCTION other.one()"
)
MADE += " RETURNS int LANGUAGE sql AS 'SELECT 1'"
AGAIN = "CREATE OR REPLACE FUNCTION other.one() RETURNS int LANGUAGE sql AS 'SELECT 2'"


def open_connection(room: Room) -> Connection:
    room.dialect.create(room.target)
    connection = connect(room.target, None)
    connection.autocommit = False
    return connection


def look(connection: Connection) -> Objects:
    building = "(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'building')"
    return read_objects(row for (row,) in connection.execute(OBJECTS.format(staging=building).encode()))


def changed_since(connection: Connection, before: Objects) -> list[str]:
    locked = [row for (row,) in connection.execute(LOCKED.encode())]
    return find_changed(connection, before, look(connection), locked)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("CREATE TYPE building.mood AS ENUM ('x'); DROP TYPE building.mood; CREATE DOMAIN building.d AS int", []),
        ("CREATE TABLE other.t (x other.mood)", []),  # a table is another one's to see
        ("CREATE DOMAIN other.d AS int", ["other.d"]),
        ("SAVEPOINT a; CREATE TYPE other.size AS ENUM ('s'); RELEASE SAVEPOINT a", ["other.size"]),
        ("SAVEPOINT a; CREATE TYPE other.size AS ENUM ('s'); ROLLBACK TO SAVEPOINT a", []),
        ("ALTER TYPE other.mood ADD VALUE 'wild'", ["other.mood"]),
        ("ALTER TYPE other.mood RENAME TO temper", ["other.temper"]),
        ("DROP TYPE other.mood; DROP FUNCTION other.one()", ["other.mood", "other.one"]),
        (AGAIN, ["other.one"]),
        ("SELECT other.one(), 'calm'::other.mood", []),
        ("CREATE EXTENSION citext SCHEMA other", []),
    ],
)
def test_what_a_transaction_did(owned: Room, statement: str, names: list[str]) -> None:
    with open_connection(owned) as connection:
        connection.execute(MADE)
        connection.commit()
        before = look(connection)
        connection.execute(statement.encode())
        assert changed_since(connection, before) == names
        connection.rollback()
        assert changed_since(connection, look(connection)) == []


def test_what_others_did_meanwhile_is_not_its_own(owned: Room) -> None:
    with open_connection(owned) as connection, open_connection(owned) as second:
        connection.execute(MADE)
        connection.commit()
        before = look(connection)
        second.execute("CREATE DOMAIN other.d AS int")
        second.execute(AGAIN)
        second.commit()
        assert len(look(connection)) == len(before) + 1
        assert changed_since(connection, before) == []
