"""The instant of a read, lent to other sessions: what they see, and where it is not lent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.dialects.lent import Instant, Lends
from app.dialects.model import KeyRange
from app.errors import DatabaseUnreachable, FerryError
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL

from .schemas import superuser_room

SIZE = 64 << 10
FILL = """
CREATE TABLE letters (id {kind} PRIMARY KEY, body text);
INSERT INTO letters SELECT n * 3 - 3000, repeat(md5(n::text), 9) FROM generate_series(1, 2000) n;
"""


@pytest.fixture
def lender(room: Room) -> Room:
    room.dialect.create(room.target)
    room.execute(FILL.format(kind="bigint"))
    return room


def room_of(room: Room) -> Lends:
    assert isinstance(room.dialect, Lends)
    return room.dialect


def test_others_see_what_the_read_sees_and_ranges_are_all_rows(lender: Room) -> None:
    lends = room_of(lender)
    with lender.dialect.reader(lender.target) as reader:
        table = reader.tables()["letters"]
        rows = list(reader.rows(table))
        instant, ranges = lends.lend(reader), lends.divide(reader, table, SIZE)
        assert instant is not None
        lender.execute("DELETE FROM letters WHERE id < 0")
        lender.execute("INSERT INTO letters VALUES (-9000, 'late'), (90000, 'late')")
        seen = []
        for within in ranges:
            with lends.reader_at(lender.target, instant) as other:
                seen += list(other.rows(table, within=within))
    assert len(rows) == 2000
    assert seen == rows
    assert 5 < len(ranges) < 20
    assert (ranges[0].above, ranges[-1].up_to) == (None, None)


def test_an_instant_is_that_of_one_server_while_it_lasts(lender: Room) -> None:
    lends = room_of(lender)
    with lender.dialect.reader(lender.target) as reader:
        instant = lends.lend(reader)
        assert instant is not None
        elsewhere = replace(instant, server="2001-01-01 00:00:00+00")
        with (
            pytest.raises(DatabaseUnreachable, match="leads to another server"),
            lends.reader_at(lender.target, elsewhere),
        ):
            pytest.fail("it was read")
    for gone in (instant, Instant("0000FFFF-00000001-1", instant.server)):
        with pytest.raises(FerryError, match="napshot"), lends.reader_at(lender.target, gone):
            pytest.fail("it was read")


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE more (id text PRIMARY KEY, body text)",
        "CREATE TABLE more (id bigint, n bigint, body text, PRIMARY KEY (n, id))",
        "CREATE TABLE more (id bigint, body text)",
        "CREATE TABLE more (id numeric(20) PRIMARY KEY, body text)",
    ],
)
def test_what_has_no_whole_number_for_a_key_is_not_divided(lender: Room, table: str) -> None:
    lender.execute(table)
    columns = "id, 1, body" if " n " in table else "id, body"
    lender.execute(f"INSERT INTO more SELECT {columns} FROM letters")
    with lender.dialect.reader(lender.target) as reader:
        assert room_of(lender).divide(reader, reader.tables()["more"], SIZE) == []
        assert room_of(lender).divide(reader, reader.tables()["letters"], SIZE << 10) == []


def test_a_key_of_several_columns_is_divided_by_the_first(lender: Room) -> None:
    lender.execute("CREATE TABLE more (id bigint, name text, body text, PRIMARY KEY (id, name))")
    lender.execute("INSERT INTO more SELECT id / 10, body || id, body FROM letters")
    with lender.dialect.reader(lender.target) as reader:
        table = reader.tables()["more"]
        ranges = room_of(lender).divide(reader, table, SIZE)
        assert len(ranges) > 5
        assert [row for within in ranges for row in reader.rows(table, within=within)] == list(reader.rows(table))


def test_the_ends_of_all_keys_are_in_a_range(lender: Room) -> None:
    lender.execute("INSERT INTO letters VALUES (-9223372036854775808, 'first'), (9223372036854775807, 'last')")
    with lender.dialect.reader(lender.target) as reader:
        table = reader.tables()["letters"]
        ranges = room_of(lender).divide(reader, table, SIZE)
        assert [row for within in ranges for row in reader.rows(table, within=within)] == list(reader.rows(table))
        assert all(isinstance(within, KeyRange) for within in ranges)


def test_nothing_is_lent_of_large_objects_or_where_it_may_not(postgresql: PostgreSQL, tmp_path: Path) -> None:
    with superuser_room(postgresql, tmp_path) as owned:
        owned.dialect.create(owned.target)
        owned.execute(FILL.format(kind="integer"))
        with owned.dialect.reader(owned.target) as reader:
            assert room_of(owned).lend(reader) is not None
        owned.execute("SELECT lo_from_bytea(0, 'x')")
        with owned.dialect.reader(owned.target) as reader:
            assert room_of(owned).lend(reader) is None


def test_a_user_who_may_not_lend(lender: Room, postgresql: PostgreSQL) -> None:
    name = str(lender.target.database)
    postgresql.execute("REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC", database=name)
    with lender.dialect.reader(lender.target) as reader:
        assert room_of(lender).lend(reader) is None
        assert reader.count("letters") == 2000
