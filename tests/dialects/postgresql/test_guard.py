"""A guard lets no COMMIT pass while a schema's name is away."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from app.dialects.postgresql.guard import NO_NAME, guard_schema, lift_guard, set_guard
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL


def rename(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT oid FROM pg_namespace WHERE nspname = 'public'").fetchone()
    connection.execute("ALTER SCHEMA public RENAME TO away")
    assert row
    return int(row[0])


@pytest.mark.parametrize("statement", ["COMMIT", "END", "COMMIT AND CHAIN", "SET CONSTRAINTS ALL IMMEDIATE"])
def test_no_commit_passes_a_guard_while_the_name_is_away(postgresql: PostgreSQL, owned: Room, statement: str) -> None:
    with postgresql.connect(str(owned.target.database)) as connection:
        connection.execute("BEGIN")
        oid = rename(connection)
        guard = set_guard(connection, oid, "public")
        connection.execute("CREATE TABLE away.made (x int)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement.encode())
        assert caught.value.sqlstate == NO_NAME
        connection.execute("ROLLBACK")
        assert (
            connection.execute("SELECT to_regclass('public.made'), to_regnamespace('away')").fetchone() == (None,) * 2
        )
    assert guard is not None


def test_a_guard_lets_pass_what_gave_the_name_back(postgresql: PostgreSQL, owned: Room) -> None:
    with postgresql.connect(str(owned.target.database)) as connection:
        for _ in range(2):
            with connection.transaction():
                oid = rename(connection)
                with guard_schema(connection, oid, "public"):
                    connection.execute("ALTER SCHEMA away RENAME TO public")
        connection.execute("BEGIN")
        guard = set_guard(connection, rename(connection), "public")
        connection.execute("CREATE SCHEMA public")
        with pytest.raises(psycopg.Error, match="before the live schema had its name back"):
            lift_guard(connection, guard)
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ 'ferry_guard'").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_proc WHERE proname ~ 'ferry_guard'").fetchone() == (0,)


def test_without_the_right_to_temporary_tables_there_is_no_guard(postgresql: PostgreSQL, owned: Room) -> None:
    owned.execute(
        f'REVOKE TEMPORARY ON DATABASE "{owned.target.database}" FROM PUBLIC; GRANT CREATE ON SCHEMA public TO app'
    )
    where: dict[str, Any] = {"host": "127.0.0.1", "port": owned.target.port, "dbname": owned.target.database}
    with psycopg.connect(**where, user="app", password="app's: own\\") as connection:
        guard = set_guard(connection, 2200, "public")
        lift_guard(connection, guard)
    assert guard is None
