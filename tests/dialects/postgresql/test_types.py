"""Types of the server in logical words, and their values."""

from __future__ import annotations

from app.dialects.model import LogicalType
from tests.dialects.rooms import Room

from .schemas import VALUES, kinds, rows_of_kinds, table_of


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
