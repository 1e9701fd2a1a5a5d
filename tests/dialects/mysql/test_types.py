"""Columns as the server has them, in logical words."""

from __future__ import annotations

from tests.dialects.rooms import Room
from tests.dialects.things import table
from tests.support.servers.mariadb import ON_MYSQL

from .columns import TYPES

LOGICAL = {
    "id": "int", "yes": "bool", "tiny": "int", "small": "int", "medium": "int", "big": "int", "huge": "int",
    "zeros": "int", "bits": "int", "made": "int", "price": "decimal", "exact": "decimal", "whole": "decimal",
    "padded": "decimal", "one": "float", "two": "float", "cut": "float", "fixed": "float", "c": "text", "v": "text",
    "t": "text", "latin": "text", "old": "text", "e": "text", "s": "text", "b": "bytes", "vb": "bytes", "lb": "bytes",
    "d": "date", "t0": "time", "t6": "time", "dt0": "timestamp", "dt6": "timestamp", "ts": "timestamptz", "j": "json",
    "u": "text" if ON_MYSQL else "uuid", "i4": "text", "i6": "text", "g": "bytes",
}  # fmt: skip


def test_every_type_is_described(room: Room) -> None:
    found = table(room, TYPES)
    assert {column.name: str(column.type) for column in found.columns} == LOGICAL
    columns = {column.name: column for column in found.columns}
    assert (columns["v"].length, columns["c"].length, columns["id"].length) == (300, 5, None)
    assert (columns["price"].scale, columns["whole"].scale, columns["fixed"].scale) == (2, 0, None)
    assert [name for name, column in columns.items() if not column.nullable] == ["id"]
