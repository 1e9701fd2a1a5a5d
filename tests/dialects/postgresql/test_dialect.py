"""PostgreSQL: names, places and types."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.model import LogicalType, Values
from app.dialects.postgresql.names import first_schema, parse, schema_named, with_schema
from app.dialects.postgresql.read import BATCH_BYTES, MOST_ROWS, _next_size
from app.errors import FerryError, Protected
from tests.dialects.rooms import Room
from tests.support.servers.postgresql import PostgreSQL

from .schemas import REFUSED, VALUES, ask, kinds, rows_of_kinds, staged, swap, table_of

# Names


def test_names_beside_a_target_are_reversible_and_apart() -> None:
    assert parse("ferry_staging_20261123T154658_abc123_scratch") == (
        "public",
        "ferry_staging_",
        "20261123T154658-abc123-scratch",
    )
    assert parse("app__ferry_gen_0badcafe_old") == ("app", "ferry_gen_", "0badcafe-old")
    assert parse("ferry") == ("public", "", "")
    assert parse("a__b__ferry") == ("a__b", "", "")
    assert parse("x__ferry_y__ferry_gen_a_old") == ("x__ferry_y", "ferry_gen_", "a-old")
    assert [parse(name) for name in ("public", "ferryman", "ferry_staging_", "ferry_stage", "x_ferry")] == [None] * 5
    assert parse("ferry_staging_a__ferry_gen_b") == ("public", "ferry_staging_", "a--ferry-gen-b")


@pytest.mark.parametrize(
    ("options", "schema"),
    [
        ("", None),
        ("-c statement_timeout=5s", None),
        ("-csearch_path=app", "app"),
        ("-c search_path=a -csearch_path=b,c", "b"),
        ("--search-path=App,public", "app"),
        ('-c search_path="App"', "App"),
        ('-c search_path=\\"$user\\",\\ public', "public"),
        ('-csearch_path="a""b\\ c"', 'a"b c'),
    ],
)
def test_the_schema_that_a_url_names(options: str, schema: str | None) -> None:
    url = URL.create("postgresql", database="x", query={"options": options} if options else {})
    assert schema_named(url) == schema
    for name in ("ferry_staging_X", 'we"ird \\ name'):
        assert schema_named(with_schema(url, name)) == name
    assert first_schema('"$user", public') == "public"


def test_a_schema_that_no_server_cut_off_is_named(room: Room) -> None:
    room.dialect.create(room.target)
    for name in ('we"ird \\ näme', "UPPER lower"):
        quoted = '"' + name.replace('"', '""') + '"'
        room.execute(f"CREATE SCHEMA {quoted}")
        assert ask(room, "SELECT current_schema()", url=with_schema(room.target, name)) == [name]


@pytest.mark.parametrize("schema", ["ferry", "ferry_staging_x", "app__ferry_gen_a_old", "pg_temp", "x" * 16])
def test_a_target_without_room_for_names_is_refused(schema: str) -> None:
    url = with_schema(URL.create("postgresql", host="localhost", database="x"), schema)
    with pytest.raises(Protected, match=schema[:20]):
        dialect_for(url)


def test_a_url_without_a_database_is_refused() -> None:
    with pytest.raises(Protected, match="names no database"):
        dialect_for(URL.create("postgresql", host="localhost"))


def test_two_apps_in_two_schemas_of_one_database_do_not_meet(room: Room) -> None:
    room.fill()
    other = room.target.update_query_dict({"options": "-c statement_timeout=60s -csearch_path=second"})
    assert not room.dialect.exists(other)
    assert room.dialect.create(other)
    assert not room.dialect.create(other)
    assert room.state(other) == {}
    first, second = room.other("a"), room.dialect.staging_url(other, "a")
    assert room.dialect.control_area(room.target) != room.dialect.control_area(other)
    room.dialect.prepare_staging(second, other)
    assert (room.dialect.exists(first), room.dialect.exists(second)) == (False, True)
    assert room.dialect.beside(room.target) == []
    assert [item.url for item in room.dialect.beside(other)] == [second]
    assert room.dialect.identity(other).uid != room.dialect.identity(room.target).uid
    assert ask(room, "SHOW statement_timeout", url=second) == ["1min"]
    room.execute("CREATE TABLE t (x int); INSERT INTO t VALUES (1)", url=second)
    with room.dialect.fence(other) as fence:
        old = room.dialect.generation_url(other, "0000000c-old")
        room.dialect.swap(second, other, old, fence, fence.token(), timeout_s=5)
    assert room.state(other) == {"t": [[1]]}
    assert set(room.state()) == {"parents", "children"}


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


# Types


def test_every_type_travels_as_it_is(room: Room) -> None:
    first, second = kinds(room, "first"), kinds(room, "second")
    table = table_of(room, "kinds", first)
    assert set(VALUES) == set(table.column_names) - {"id"}
    rows = rows_of_kinds(table)
    assert room.dialect.load(first, table, rows, batch_rows=7).refused == []
    found = room.state(first)["kinds"]
    assert found == rows
    assert [repr(row) for row in found] == [repr(row) for row in rows]
    assert room.dialect.load(second, table, found, batch_rows=500).refused == []
    with room.connect(first) as one, room.connect(second) as other:
        query = "SELECT kinds::text FROM kinds ORDER BY id"
        assert one.exec_driver_sql(query).fetchall() == other.exec_driver_sql(query).fetchall()
    with room.dialect.reader(first) as reader:
        for column in table.columns:
            expected = [row[table.column_names.index(column.name)] for row in rows]
            values = list(reader.values(table, column.name))
            assert sorted(map(repr, values)) == sorted(repr(value) for value in expected if value is not None)


def test_types_in_logical_words(room: Room) -> None:
    table = table_of(room, "kinds", kinds(room, "first"))
    found = {column.name: (column.type, column.length, column.scale) for column in table.columns}
    assert found["object"][0] is LogicalType.INT
    assert found["price"] == (LogicalType.DECIMAL, None, 2)
    assert found["tens"] == (LogicalType.DECIMAL, None, 0)
    assert found["exact"] == (LogicalType.DECIMAL, None, None)
    assert found["inner_"] == found["cut"] == found["padded"] == (LogicalType.TEXT, 5, None)
    assert found["feels"] == (LogicalType.TEXT, None, None)
    assert found["moment"][0] is LogicalType.TIMESTAMPTZ
    assert found["key"][0] is LogicalType.UUID
    assert found["span"][0] is LogicalType.INTERVAL
    assert found["docb"][0] is LogicalType.JSON
    assert {found[name][0] for name in ("attz", "list", "twin", "ip", "bits", "tree")} == {LogicalType.ANY}


def test_what_would_be_changed_is_refused_by_row_and_the_others_go_in(room: Room) -> None:
    staging = kinds(room, "first")
    table = table_of(room, "kinds", staging)
    rows: list[Values] = []
    for number, (name, value, _) in enumerate(REFUSED):
        for good in (False, True):
            row: Values = [2 * number + good, *[None] * (len(table.columns) - 1)]
            if not good:
                row[table.column_names.index(name)] = value
            rows.append(row)
    result = room.dialect.load(staging, table, rows, batch_rows=16)
    assert {refusal.number for refusal in result.refused} == {2 * n + 1 for n in range(len(REFUSED))}
    for refusal, (name, value, words) in zip(result.refused, REFUSED, strict=True):
        assert refusal.row == rows[refusal.number - 1]
        assert re.search(words, refusal.message), (name, value, refusal.message)
    assert [row[0] for row in room.state(staging)["kinds"]] == [2 * n + 1 for n in range(len(REFUSED))]


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
