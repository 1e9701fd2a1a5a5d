"""Rows in their order, few at a time where they are large; partitions and heirs."""

from __future__ import annotations

import pytest

from app.dialects.postgresql.read import BATCH_BYTES, MOST_ROWS, PostgresqlReader, _digest_query, _next_size
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


VALUES = [
    ("float8", "0", "-0"),
    ("float4", "0", "-0"),
    ("numeric", "1.0", "1.00"),
    ("interval", "1 day", "24:00"),
    ("text", "a", "a "),
    ("char(3)", "a", "b"),
    ('"char"', "a", "b"),
    ("bit(3)", "101", "100"),
    ("json", '{"a":1}', '{"a": 1}'),
    ("jsonb", "1.0", "1.00"),
    ("timestamptz", "2026-01-01 00:00:00.000001+00", "2026-01-01 00:00:00+00"),
    ("int[]", "{1,2}", "{2,1}"),
    ("inet", "10.0.0.1", "10.0.0.1/8"),
    ("xml", "<a/>", "<a></a>"),
    ("mood", "sad", "ok"),
    ("short", "sad", "ok"),
    ("pair", "(1,2)", "(1,)"),
    ("int4range", "[1,2)", "[1,3)"),
    ("varbit", "101", "1010"),
    ("timetz", "10:00+01", "09:00+00"),
    ("money", "1", "2"),
    ("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:04"),
]


@pytest.mark.parametrize("version", [13_00_00, 15_00_00])
def test_every_other_value_is_summed_up_to_another(room: Room, version: int) -> None:
    """Whether by bytes, or by text before version 14, and NULL to something else again."""
    room.dialect.create(room.target)
    room.execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(3)")
    room.execute("CREATE TYPE pair AS (x int, y int)")
    for number, (kind, one, other) in enumerate(VALUES):
        values = [f"'{one}'", f"'{other}'", "NULL", f"'{one}'"]
        room.execute(
            "; ".join(
                f"CREATE TABLE n{number}_{i} (x {kind}); INSERT INTO n{number}_{i} VALUES ({value})"
                for i, value in enumerate(values)
            )
        )
    with room.dialect.reader(room.target) as reader:
        assert isinstance(reader, PostgresqlReader)
        tables = reader.tables()
        for number, (kind, *_) in enumerate(VALUES):
            names = [f"n{number}_{i}" for i in range(4)]
            queries = [_digest_query(reader._columns(tables[name]), name, version) for name in names]
            sums = [reader._connection.execute(query.encode()).fetchone() for query in queries]
            assert sums[0] == sums[3], kind
            assert len(set(sums)) == 3, kind


def test_functions_of_others_are_not_called(room: Room) -> None:
    """Not even where one of them fits better."""
    room.dialect.create(room.target)
    for name in ("hash_record_extended", "hashtextextended", "record_send"):
        room.execute(
            f"CREATE FUNCTION {name}(record, int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''called''; END';"
            f"CREATE FUNCTION {name}(text, int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''called''; END'"
        )
    room.execute("CREATE TABLE n (x int); INSERT INTO n VALUES (1)")
    with room.dialect.reader(room.target) as reader:
        assert reader.digest(reader.tables()["n"])


def test_the_same_text_of_another_type_is_summed_up_to_another(room: Room) -> None:
    """0.1 is another number as a double than as a real, and PostgreSQL writes both so."""
    digests = []
    room.dialect.create(room.target)
    for name in ("real", "double precision"):
        room.execute(f"DROP TABLE IF EXISTS n; CREATE TABLE n (x {name}); INSERT INTO n VALUES ('0.1')")
        with room.dialect.reader(room.target) as reader:
            digests.append(reader.digest(reader.tables()["n"]))
    assert digests[0] != digests[1]
