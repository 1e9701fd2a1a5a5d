"""Which schema is the target, and which may be dropped."""

from __future__ import annotations

import pytest

from app.dialects import dialect_for
from app.dialects.postgresql import beside
from app.dialects.postgresql.names import schema_named
from app.dialects.postgresql.server import name_aside
from app.errors import FerryError, LockHeld
from tests.dialects.rooms import Room
from tests.support.limits import no_endless_wait
from tests.support.servers.postgresql import PostgreSQL


def test_the_target_is_where_the_role_looks_first(postgresql: PostgreSQL, room: Room) -> None:
    room.fill()
    postgresql.execute(f'ALTER DATABASE "{room.target.database}" SET search_path = mine, public')
    fresh = dialect_for(room.target, directory=room.directory)
    assert fresh.identity(room.target).database == room.target.database
    room.execute("CREATE SCHEMA mine")
    fresh = dialect_for(room.target, directory=room.directory)
    assert fresh.identity(room.target).database == f"{room.target.database}.mine"
    assert schema_named(fresh.staging_url(room.target, "a")) == "mine__ferry_staging_a"


def test_nothing_but_staging_and_generations_is_dropped_or_replaced(room: Room) -> None:
    room.fill()
    before = room.everything()
    dump = room.dump(room.directory / "dump")
    for act in (
        lambda: room.dialect.drop(room.target),
        lambda: room.dialect.drop(room.dialect.control_area(room.target).url),
        lambda: room.dialect.prepare_staging(room.target, room.target),
        lambda: room.dialect.restore(dump, room.target),
        lambda: room.dialect.copy(room.target, room.target, timeout_s=1),
        lambda: room.dialect.keep(room.target, room.target),
    ):
        with pytest.raises(FerryError, match="neither a staging schema nor a generation"):
            act()
    assert room.everything() == before


def test_a_staging_schema_that_something_depends_on_is_not_dropped(room: Room) -> None:
    room.fill()
    staging = room.staged()
    room.execute(f"CREATE VIEW peek AS SELECT * FROM {schema_named(staging)}.parents")
    with pytest.raises(FerryError, match="not dropped") as caught:
        room.dialect.drop(staging)
    assert "peek" in str(caught.value.details)


def test_a_staging_schema_that_somebody_looks_at_is_not_waited_for_long(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "DROP_WAIT", "200ms")
    room.fill()
    staging = room.staged()
    with room.connect() as other, other.begin():
        other.exec_driver_sql(f"SELECT * FROM {schema_named(staging)}.parents")
        with no_endless_wait(20), pytest.raises(LockHeld, match="Others kept what is needed locked"):
            room.dialect.drop(staging)
    room.dialect.drop(staging)
    assert not room.dialect.exists(staging)


@pytest.mark.parametrize("table", ["", "CREATE TABLE theirs (id INT)"], ids=["empty", "with somebody's table"])
def test_a_database_that_a_killed_dry_run_put_aside_is_taken_back(
    postgresql: PostgreSQL, room: Room, table: str
) -> None:
    """It had a name by chance, which nobody looked for again."""
    assert room.dialect.create(room.target)
    name, aside = str(room.target.database), name_aside(str(room.target.database))
    if table:
        room.execute(table)
    postgresql.execute(f'ALTER DATABASE "{name}" RENAME TO "{aside}"')
    with dialect_for(room.target, directory=room.directory).leave_as_is(room.target):
        dialect_for(room.target, directory=room.directory).create(room.target)
    there = {row[0] for row in postgresql.execute("SELECT datname FROM pg_database")}
    assert aside not in there
    assert (name in there) is bool(table)
    if table:
        assert list(room.state()) == ["theirs"]
