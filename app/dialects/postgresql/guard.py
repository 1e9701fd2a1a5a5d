"""PostgreSQL: a transaction that cannot be committed while a schema does not have its name.

Whoever runs text of others between renames of the live schema sets a guard behind the first rename and lifts it behind
the last one. A COMMIT in between, however it came about, is an error, and everything is rolled back: a deferred
trigger, which the server runs at COMMIT, looks whether the schema has its name.

The trigger lies on a temporary table, which nobody else sees, and which can neither be dropped nor altered while the
trigger is pending; ``SET CONSTRAINTS ... IMMEDIATE`` only runs it early (15, seen). But its owner may drop the trigger
itself (15, seen): this is a second line, against a COMMIT that came through the first one, and no sandbox for code.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Protocol

import psycopg

from .names import literal


class Executes(Protocol):
    """A connection of psycopg, or a cursor of whatever driver that has psycopg's way to execute."""

    def execute(self, query: Any, params: Any = None, /) -> Any:
        """Run a statement; returns something with ``fetchone()`` and the rows."""


NO_NAME = "FERRY"
"""SQLSTATE of the error."""

MAY = """
SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') AND EXISTS (
    SELECT FROM pg_catalog.pg_language WHERE lanname = 'plpgsql' AND pg_catalog.has_language_privilege(oid, 'USAGE'))
"""

_SET = """
CREATE TEMPORARY TABLE {name} () ON COMMIT DROP;
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF pg_catalog.current_setting('ferry.early', true) = '{trigger}' THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE oid = {oid} AND nspname = {schema}) THEN
        RAISE EXCEPTION 'a COMMIT came before the live schema had its name back' USING ERRCODE = '{state}';
    END IF;
    RETURN NULL;
END $guard$;
CREATE CONSTRAINT TRIGGER {trigger} AFTER INSERT ON {name} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION {name}();
INSERT INTO {name} DEFAULT VALUES
"""


def set_guard(connection: Executes, oid: int, schema: str) -> str | None:
    """Let the transaction that is open fail at COMMIT unless a schema has its name.

    :param oid: of the schema.
    :param schema: the name it is to have.
    :return: what :func:`lift_guard` takes; None where this user may make no temporary objects: there is no guard then.
    """
    row = connection.execute(MAY).fetchone()
    if row is None or not row[0]:
        return None
    name, script = write_guard(oid, schema)
    connection.execute(script.encode())
    return name


def write_guard(oid: int, schema: str) -> tuple[str, str]:
    """What :func:`lift_guard` takes, and the statements that set it, for who sends more at once."""
    # No text of others can know the name beforehand.
    trigger = f"ferry_guard_{secrets.token_hex(8)}"
    name = f"pg_temp.{trigger}"
    return name, _SET.format(name=name, trigger=trigger, oid=int(oid), schema=literal(schema), state=NO_NAME)


def run_deferred(connection: Executes, guard: str | None) -> None:
    """Run now what was put off to the COMMIT, while the schema does not have its name; the guard stays set."""
    if guard is None:
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return
    trigger = guard.removeprefix("pg_temp.")
    connection.execute(
        f"SELECT pg_catalog.set_config('ferry.early', '{trigger}', true); SET CONSTRAINTS ALL IMMEDIATE; "
        f"SET CONSTRAINTS {guard} DEFERRED; INSERT INTO {guard} DEFAULT VALUES; "
        "SELECT pg_catalog.set_config('ferry.early', '', true)".encode()
    )


def lift_guard(connection: Executes, guard: str | None) -> None:
    """Let it look now, and remove it.

    :raises psycopg.Error: with the SQLSTATE :data:`NO_NAME`: the schema does not have its name.
    """
    if guard is not None:
        connection.execute(write_lift(guard).encode())


def write_lift(guard: str) -> str:
    """The statements of :func:`lift_guard`."""
    return f"SET CONSTRAINTS {guard} IMMEDIATE; DROP TABLE {guard}; DROP FUNCTION {guard}()"


@contextlib.contextmanager
def guard_schema(connection: psycopg.Connection[Any], oid: int, schema: str) -> Iterator[None]:
    """A block within a transaction, at whose end a schema has its name again; see :func:`set_guard`."""
    guard = set_guard(connection, oid, schema)
    yield
    lift_guard(connection, guard)
