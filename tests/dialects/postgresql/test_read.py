"""Rows in their order, few at a time where they are large; partitions and heirs."""

from __future__ import annotations

from app.dialects.postgresql.read import BATCH_BYTES, MOST_ROWS, _next_size
from tests.dialects.rooms import Room

from .schemas import staged, swap, table_of


def test_keys_come_in_the_order_of_code_points_and_of_numbers(room: Room) -> None:
    words = ["Z", "a", "B", "ä", "", "_", "z", "😀", "\ue000"]
    staging = staged(
        room,
        "CREATE TABLE w (k text COLLATE \"en-x-icu\" PRIMARY KEY); CREATE TYPE m AS ENUM ('b', 'a');"
        "CREATE TABLE e (k m PRIMARY KEY); CREATE TABLE n (k numeric PRIMARY KEY);"
        "INSERT INTO e VALUES ('b'), ('a'); INSERT INTO n VALUES (10), (9), (-1)",
    )
    room.dialect.load(staging, table_of(room, "w", staging), [[word] for word in words], batch_rows=2)
    state = room.state(staging)
    assert state["w"] == [[word] for word in sorted(words)]
    assert state["e"] == [["a"], ["b"]]
    assert state["n"] == [["-1"], ["9"], ["10"]]


def test_partitions_and_heirs(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(
        "CREATE TABLE part (id int, k text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);"
        "CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');"
        "CREATE TABLE part_b PARTITION OF part FOR VALUES IN ('b');"
        "CREATE TABLE elder (id int PRIMARY KEY); CREATE TABLE heir (more int) INHERITS (elder);"
        "INSERT INTO elder VALUES (1); INSERT INTO heir VALUES (2, 20)"
    )
    result = room.dialect.load(room.target, table_of(room, "part"), [[1, "a"], [2, "b"], [3, "c"]], batch_rows=10)
    assert [(refusal.number, "no partition" in refusal.message) for refusal in result.refused] == [(3, True)]
    expected = {"part": [[1, "a"], [2, "b"]], "elder": [[1]], "heir": [[2, 20]]}
    assert room.state() == expected
    with room.dialect.reader(room.target) as reader:
        assert {name: reader.count(name) for name in expected} == {"part": 2, "elder": 1, "heir": 1}
    copy = room.other("copy")
    room.dialect.copy(room.target, copy, timeout_s=5)
    assert room.state(copy) == expected
    with room.dialect.fence(room.target) as fence:
        token = fence.token()
        room.execute("INSERT INTO part VALUES (4, 'b')")
        assert fence.token() != token
    old = swap(room, copy)
    assert room.state() == expected
    assert room.state(old)["part"][-1] == [4, "b"]


def test_large_rows_are_fetched_few_at_a_time() -> None:
    small, large = [("x" * 10, b"y")] * 100, [("x" * (BATCH_BYTES // 2),)] * 4
    assert _next_size(small) == 400
    assert _next_size([("x",)] * MOST_ROWS) == MOST_ROWS
    assert _next_size(large) == 1
    assert _next_size([(None, 1)] * 4) == 16


def test_the_same_text_of_another_type_is_summed_up_to_another(room: Room) -> None:
    """0.1 is another number as a double than as a real, and PostgreSQL writes both so."""
    digests = []
    room.dialect.create(room.target)
    for name in ("real", "double precision"):
        room.execute(f"DROP TABLE IF EXISTS n; CREATE TABLE n (x {name}); INSERT INTO n VALUES ('0.1')")
        with room.dialect.reader(room.target) as reader:
            digests.append(reader.digest(reader.tables()["n"]))
    assert digests[0] != digests[1]
