"""Rows written since both tables were found to be equal are told by who wrote them, and none is missed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy import URL

from app.dialects.postgresql.catch_up import PostgresqlRound
from app.dialects.postgresql.differing import NUMBERS, is_recent, is_within
from app.dialects.rounds import Memory
from tests.dialects.catching_up import copy_of, pairs_of
from tests.dialects.rooms import Room


def fill(room: Room) -> URL:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE own (a int, b text, other text, PRIMARY KEY (a, b))")
    room.execute("INSERT INTO own SELECT n, 'b', 'a' FROM generate_series(1, 60) n")
    return copy_of(room)


def look(room: Room, staging: URL, memory: Memory, *, still: bool = False) -> list[tuple[object, ...]]:
    """What differs: the key, and on which side there is a row of it."""
    [pair] = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging, memory=memory) as turn:
        assert isinstance(turn, PostgresqlRound)
        [count] = turn.find_all([pair], still=still)
        rows = turn._ask(f"SELECT * FROM {turn._keys['own']} ORDER BY 1, 2")
    assert count == len(rows)
    return rows


def refuse_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(*_arguments: object) -> None:
        raise AssertionError("compared whole")

    monkeypatch.setattr(PostgresqlRound, "_find_whole", whole)


def test_what_was_written_since_is_found_without_a_look_at_the_rest(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, memory = fill(room), Memory()
    assert look(room, staging, memory) == []
    assert memory.equal["own"][1] == 60
    room.execute("UPDATE own SET other = 'A' WHERE a = 3")
    room.execute("UPDATE own SET other = 'a' WHERE a = 4")  # written, and the same
    room.execute("DELETE FROM own WHERE a IN (7, 60)")
    room.execute("INSERT INTO own VALUES (0, 'b', NULL), (7, 'c', 'a')")
    room.execute("UPDATE own SET b = 'c' WHERE a = 9")
    expected = look(room, staging, Memory())
    assert [row[:2] for row in expected] == [(0, "b"), (3, "b"), (7, "b"), (7, "c"), (9, "b"), (9, "c"), (60, "b")]
    kept = Memory(equal=dict(memory.equal))
    refuse_whole(monkeypatch)
    assert look(room, staging, memory, still=True) == expected
    # What differs is equal no more, until it is looked at again.
    assert memory.equal == {}
    assert look(room, staging, kept) == expected


def test_a_transaction_that_was_under_way_when_both_were_equal(room: Room) -> None:
    """Its number is lower than that of many that were over; and so are those of what it did behind a savepoint."""
    staging, memory = fill(room), Memory()
    with room.connect() as writer, room.connect() as other:
        writer.exec_driver_sql("UPDATE own SET other = 'early' WHERE a = 1")
        writer.exec_driver_sql("SAVEPOINT one")
        writer.exec_driver_sql("INSERT INTO own VALUES (1000, 'b', 'saved')")
        writer.exec_driver_sql("RELEASE one")
        for number in range(5):
            other.exec_driver_sql(f"UPDATE own SET other = 'a' WHERE a = {number + 20}")
            other.commit()
        assert look(room, staging, memory) == []
        writer.exec_driver_sql("DELETE FROM own WHERE a = 2")
        writer.commit()
    assert [row[0] for row in look(room, staging, memory)] == [1, 2, 1000]


def test_a_prepared_transaction_is_under_way(room: Room) -> None:
    staging, memory = fill(room), Memory()
    with room.connect() as writer:
        if writer.exec_driver_sql("SHOW max_prepared_transactions").scalar() == "0":
            writer.exec_driver_sql("UPDATE own SET other = 'early' WHERE a = 1")
            assert look(room, staging, memory) == []
            writer.commit()
        else:
            writer.exec_driver_sql("UPDATE own SET other = 'early' WHERE a = 1")
            writer.exec_driver_sql("PREPARE TRANSACTION 'one'")
            assert look(room, staging, memory) == []
            room.execute("COMMIT PREPARED 'one'")
    assert [row[0] for row in look(room, staging, memory)] == [1]


def test_rows_that_are_moved_and_frozen(room: Room) -> None:
    staging, memory = fill(room), Memory()
    assert look(room, staging, memory) == []
    room.execute("UPDATE own SET other = 'b' WHERE a = 5")
    room.execute("DELETE FROM own WHERE a < 4")
    engine = sa.create_engine(room.target, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("VACUUM (FULL, FREEZE) own")
    engine.dispose()
    assert [row[0] for row in look(room, staging, memory)] == [1, 2, 3, 5]


def test_what_was_brought_over_is_equal_then(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    staging, memory = fill(room), Memory()
    room.execute("UPDATE own SET other = 'b' WHERE a = 5")
    room.execute("DELETE FROM own WHERE a = 6")
    [pair] = pairs_of(room, staging)
    with room.dialect.catching_up(room.target, staging, memory=memory) as turn:
        assert turn.find_all([pair]) == [2]
        turn.apply([pair])
        assert turn.agree(pair)
    assert memory.equal["own"][1] == 59
    room.execute("DELETE FROM own WHERE a = 7")
    refuse_whole(monkeypatch)
    assert [row[0] for row in look(room, staging, memory)] == [7]


def test_a_count_that_does_not_come_out_is_answered_by_a_whole_look(room: Room) -> None:
    staging, memory = fill(room), Memory()
    assert look(room, staging, memory) == []
    # Behind the back of the rounds, which nobody does: of staging nobody else knows.
    room.execute("INSERT INTO own VALUES (99, 'b', 'a')", url=staging)
    memory.equal["own"] = memory.equal["own"][0], 61
    room.execute("DELETE FROM own WHERE a = 1")
    room.execute("UPDATE own SET other = 'z' WHERE a = 2", url=staging)
    memory.equal["own"] = memory.equal["own"][0], 70
    assert [row[0] for row in look(room, staging, memory)] == [1, 2, 99]


def test_parts_of_a_table_are_compared_whole(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE own (a int, b text, other text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a)")
    room.execute("CREATE TABLE low PARTITION OF own FOR VALUES FROM (0) TO (10)")
    room.execute("CREATE TABLE high PARTITION OF own FOR VALUES FROM (10) TO (100)")
    room.execute("INSERT INTO own SELECT n, 'b', 'a' FROM generate_series(1, 60) n")
    staging, memory = copy_of(room), Memory()
    assert look(room, staging, memory) == []
    room.execute("UPDATE own SET a = 70 WHERE a = 1")
    room.execute("UPDATE own SET other = 'A' WHERE a = 20")
    assert [row[0] for row in look(room, staging, memory)] == [1, 20, 70]


@pytest.mark.parametrize(
    ("since", "numbers", "recent"),
    [
        (1000, (3, 999, 1000, 1001, 5000), (1000, 1001, 5000)),
        (NUMBERS + 5, (4, 5, 6, NUMBERS - 10), (5, 6)),
        (NUMBERS * 3 - 2, (NUMBERS - 3, NUMBERS - 2, NUMBERS - 1, 3, 100), (NUMBERS - 2, NUMBERS - 1, 3, 100)),
    ],
)
def test_numbers_that_go_round(room: Room, since: int, numbers: Sequence[int], recent: Sequence[int]) -> None:
    room.dialect.create(room.target)
    values = ", ".join(f"('{number}'::xid)" for number in numbers)
    with room.connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT xmin::text FROM (VALUES {values}) l (xmin) WHERE {is_recent('l', since)}"
        )
        assert sorted(int(number) for (number,) in rows) == sorted(recent)


def test_too_many_numbers_were_given_out() -> None:
    assert is_within(1000, 1000)
    assert is_within(1000, 1000 + NUMBERS // 4 - 1)
    assert not is_within(1000, 1000 + NUMBERS // 4)
    assert not is_within(1001, 1000)
