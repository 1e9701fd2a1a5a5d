"""The noughts at the end of a NUMERIC without a scale, which no canonical value has."""

from __future__ import annotations

from sqlalchemy import URL

from tests.dialects.catching_up import copy_of
from tests.dialects.rooms import Room

TABLES = """
CREATE DOMAIN amount AS numeric;
CREATE TABLE prices (id int PRIMARY KEY, v numeric, sum amount, fixed numeric(8, 3),
    twice numeric GENERATED ALWAYS AS (v * 2) STORED);
CREATE TABLE rates (id numeric PRIMARY KEY, v numeric, r numeric UNIQUE);
CREATE TABLE uses (id int PRIMARY KEY, rate numeric REFERENCES rates (r) ON UPDATE RESTRICT);
CREATE TABLE lines (v numeric);
INSERT INTO prices VALUES (1, 1.00, 2.50, 3), (2, 2.0, 'NaN', 4), (3, 3, NULL, NULL);
INSERT INTO rates VALUES (1.50, 1.500, 4.0); INSERT INTO uses VALUES (1, 4.00); INSERT INTO lines VALUES (9.0)
"""


def load_anew(room: Room, staging: URL, source: URL, written: URL | None = None) -> None:
    """All rows of staging by way of canonical values, as they are in another schema."""
    with room.dialect.reader(source) as reader, room.dialect.loading(staging):
        tables = reader.tables()
        room.dialect.clear(staging, list(tables))
        for table in tables.values():
            assert not room.dialect.load(staging, table, reader.rows(table), batch_rows=9).refused
        room.dialect.keep_scales(staging, list(tables.values()), source, written)
    room.dialect.settle(staging)


def shown(room: Room, url: URL) -> list[str]:
    with room.connect(url) as connection:
        queries = (f"SELECT t::text FROM {name} t ORDER BY 1" for name in ("prices", "rates", "uses"))
        return [text for query in queries for (text,) in connection.exec_driver_sql(query)]


def test_values_are_shown_as_they_were_where_rows_have_a_key(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(TABLES)
    room.execute(
        "CREATE FUNCTION mean() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$; "
        "CREATE TRIGGER mean BEFORE UPDATE ON prices FOR EACH ROW EXECUTE FUNCTION mean()"
    )
    staging = copy_of(room)
    before = shown(room, room.target)
    assert "(1,1.00,2.50,3.000,2.00)" in before
    assert "(1.50,1.500,4.0)" in before
    load_anew(room, staging, room.target)
    assert shown(room, staging) == before
    with room.connect(staging) as connection:
        assert connection.exec_driver_sql("SELECT v::text FROM lines").scalar() == "9"


def test_only_what_was_written_is_taken_where_that_is_asked_for(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE prices (id int PRIMARY KEY, v numeric)")
    room.execute("INSERT INTO prices VALUES (1, 1.00), (2, 2.00), (3, 3.00), (4, 4.00)")
    was, staging = copy_of(room), room.other("two")
    room.execute("UPDATE prices SET v = 2.0000 WHERE id = 2; INSERT INTO prices VALUES (5, 5.0000)")
    room.dialect.copy(room.target, staging, timeout_s=30)
    room.execute("UPDATE prices SET v = trim_scale(v) WHERE id <> 3; UPDATE prices SET v = 7 WHERE id = 4", url=staging)
    with room.dialect.reader(staging) as reader:
        tables = list(reader.tables().values())
    room.dialect.keep_scales(staging, tables, room.target, was)
    with room.connect(staging) as connection:
        values = [v for (v,) in connection.exec_driver_sql("SELECT v::text FROM prices ORDER BY id")]
    assert values == ["1", "2.0000", "3.00", "7", "5.0000"]
