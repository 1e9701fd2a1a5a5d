"""Extensions: those that cannot be moved are named with the way out."""

from __future__ import annotations

import pytest

from app.dialects import dialect_for
from app.errors import DoesNotFit
from tests.dialects.rooms import Room
from tests.support.servers import of_server
from tests.support.servers.postgresql import PostgreSQL


def test_an_extension_that_cannot_be_moved_is_named_with_the_way_out(
    postgresql: PostgreSQL, room: Room, owned: Room
) -> None:
    room.fill()
    room.execute("CREATE EXTENSION citext")
    with pytest.raises(DoesNotFit) as caught:
        room.dialect.preflight(room.target)
    statements = str(caught.value.hint).removeprefix("As superuser, once: ")
    for statement in filter(str.strip, statements.split(";")):
        postgresql.execute(statement, database=str(room.target.database))
    dialect = dialect_for(room.target, directory=room.directory)
    dialect.preflight(room.target)
    room.execute("CREATE TABLE t (c citext)")
    staging = dialect.staging_url(room.target, "one")
    dialect.copy(room.target, staging, timeout_s=5)
    with dialect.engine(staging).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE another (c citext)")


# Since version 17 there is no extension that has a schema of its own.
@of_server("postgresql", until=16)
def test_an_extension_that_lies_in_a_schema_of_its_own_is_in_nobodys_way(owned: Room) -> None:
    owned.execute("CREATE EXTENSION adminpack SCHEMA pg_catalog")
    owned.dialect.preflight(owned.target)
