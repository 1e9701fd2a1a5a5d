"""Quirks of MySQL and MariaDB: types, values that the server would change, rules, and reading."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.dialects.model import Values
from tests.dialects.rooms import Room
from tests.dialects.things import load, rows, table
from tests.support.servers.mariadb import ON_MYSQL

from .columns import TYPES

# Types

ALL_BYTES = (
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJT"
    "VFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaan"
    "qKmqq6ytrq+wsbKztLW2t7i5uru8vb6/wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7"
    "/P3+/w=="
)
POINT = "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="
VALUES: dict[str, list[Any]] = {
    "yes": [True, False, {"$int": "2"}, {"$int": "-128"}, {"$int": "127"}],
    "tiny": [-128, 127],
    "small": [0, 65535],
    "medium": [-8388608, 8388607],
    "big": [-(2**63), 2**63 - 1],
    "huge": [0, 2**64 - 1],
    "zeros": [0, 7, 2**32 - 1],
    "bits": [0, 1, 49, 2**64 - 1],
    "made": [0, 1901, 2000, 2155],
    "price": ["0.00", "-0.01", "9999999999.99", "-9999999999.99"],
    "exact": ["0." + "0" * 29 + "1", "-" + "9" * 35 + "." + "9" * 30],
    "whole": ["0", "-99999999999999999999"],
    "padded": ["0.000", "7.500", "999999.999"],
    "one": [0.0, 16777218.0, 0.10000000149011612, 1.401298464324817e-45, 3.4028234663852886e38, -1.5],
    "two": [0.0, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -1e16, 123456789.12345678, 2.2250738585072014e-308],
    "cut": [1.12, -99999.99],
    "fixed": [1234.568, -0.001, 999999999999.999],
    "c": ["", "abc", " a", "é😀ü\t"],
    "v": ["", " ", "x  ", "NULL", "\\N", "\\", "'", '"', "a\tb\nc\rd\0e\x1af", "😀", "مرحبا", "%s %(x)s", "x" * 300],
    "t": ["x" * 70_000, "ß" * 70_000, "\r\n", "\\\n\\t"],
    "latin": ["é€", "a "],
    "old": ["é中"],
    "e": ["a", "b'c", "x,y", "back\\slash", "", "Ä"],
    "s": ["", "x", "x,z", "x,y,z"],
    "b": ["AAAAAA==", "AP8nXA==", "ICAgIA=="],
    "vb": ["", "AA==", ALL_BYTES, "IA=="],
    "lb": ["", ALL_BYTES],
    "d": ["0001-01-01", "9999-12-31", "2024-02-29", {"$text": "0000-00-00"}, {"$text": "2024-00-10"},
          {"$text": "2023-02-31"}],
    "t0": ["00:00:00.000000", "23:59:59.000000", {"$text": "838:59:59.000000"}, {"$text": "-838:59:59.000000"},
           {"$text": "24:00:00.000000"}],
    "t6": ["23:59:59.999999", {"$text": "-25:00:00.500000"}, {"$text": "-00:00:00.000001"}],
    "dt0": ["1000-01-01 00:00:00.000000", {"$text": "0000-00-00 00:00:00.000000"}],
    "dt6": ["9999-12-31 23:59:59.999999", "0001-01-01 00:00:00.000001", {"$text": "2023-02-31 01:00:00.000000"}],
    "ts": [
        "1970-01-01 00:00:01.000000+00:00",
        "2038-01-19 03:14:07.999000+00:00",
        {"$text": "0000-00-00 00:00:00.000000"},
    ],
    "j": ["null", '""', "1.0", str(2**64 - 1), '{"a": [1.5, "é\\\\ 😀"], "b": 1}', "[]"]
    if ON_MYSQL
    else ["null", '""', "1.0", "12345678901234567890123", '{"b": 1, "a": [1.50, "\\u00e9\\\\ 😀"]}', "[]"],
    "u": ["00000000-0000-0000-0000-000000000000", "123e4567-e89b-12d3-a456-426614174000"],
    "i4": ["0.0.0.0", "255.255.255.255"],
    "i6": ["::", "::1", "2001:db8::ff", "::ffff:1.2.3.4"],
    "g": [POINT],
}  # fmt: skip


def wide_rows() -> list[Values]:
    """Rows of :data:`TYPES`: each value of each column once, the first row with the key 0, one with nothing."""
    most = max(map(len, VALUES.values()))
    found: list[Values] = [[0, *[values[0] for values in VALUES.values()]]]
    for index in range(1, most):
        found.append([index * 7, *[values[index] if index < len(values) else None for values in VALUES.values()]])
    return [*found, [2**31 - 1, *[None] * len(VALUES)]]


NOT_IN_FILES = ("bits", "b", "vb", "lb", "i4", "i6", "g")
"""Columns that LOAD DATA is not used for."""


@pytest.mark.parametrize("columns", ["all", "those for files"])
def test_every_value_of_every_type_comes_back_as_it_was_loaded(room: Room, way: str, columns: str) -> None:
    to, wanted = table(room, TYPES), wide_rows()
    if columns == "those for files":
        room.execute(f"ALTER TABLE things {', '.join(f'DROP COLUMN {name}' for name in NOT_IN_FILES)}")
        kept = [index for index, name in enumerate(to.column_names) if name not in NOT_IN_FILES]
        to = replace(to, columns=tuple(to.columns[index] for index in kept))
        wanted = [[row[index] for index in kept] for row in wanted]
    result = room.dialect.load(room.target, to, wanted, batch_rows=4)
    assert result.refused == []
    assert bool(result.note) is (way == "INSERT" and columns == "those for files")
    assert rows(room) == wanted
    with room.dialect.reader(room.target) as reader:
        for column in to.column_names[1:]:
            assert sorted(map(repr, reader.values(to, column))) == sorted(map(repr, VALUES[column])), column


def test_new_keys_go_on_above_those_that_were_loaded(room: Room, way: str) -> None:
    staging = room.other("one")
    room.dialect.prepare_staging(staging, room.target)
    to = table(room, "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT", url=staging)
    with room.dialect.loading(staging):
        assert room.dialect.load(staging, to, [[0, 1], [70, 2], [-5, 3]], batch_rows=10).loaded == 3
    room.execute("INSERT INTO things (n) VALUES (4)", url=staging)
    assert room.state(staging)["things"] == [[-5, 3], [0, 1], [70, 2], [71, 4]]


def test_a_table_without_a_key_keeps_its_equal_rows(room: Room, way: str) -> None:
    to = table(room, "n INT, words VARCHAR(10)")
    assert to.primary_key == ()
    wanted: list[Values] = [[1, "a"], [1, "a"], [None, None], [2, "b"]]
    assert load(room, to, wanted, batch_rows=2) == []
    assert sorted(map(repr, rows(room))) == sorted(map(repr, wanted))
