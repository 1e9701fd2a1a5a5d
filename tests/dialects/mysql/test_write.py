"""Values that the server would change are refused."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pytest

from app.dialects.model import Values
from tests.dialects.rooms import Room
from tests.dialects.things import load, rows, table
from tests.support.servers.mariadb import ON_MYSQL

POINT = "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="


OF_MYSQL: list[tuple[str, list[Any]]] = [
    (
        "JSON",
        [
            "[12345678901234567890123]",
            "0.12345678901234567890",
            "1e400",
            "1e99999999999999999999",
            '{"a": 1, "b": [{"c": 1, "c": 2}]}',
        ],
    ),
]
OF_MARIADB: list[tuple[str, list[Any]]] = [
    ("UUID", ["123E4567-E89B-12D3-A456-426614174000", "123e4567e89b12d3a456426614174000", "x"]),
    ("INET4", ["1.2.3.04", "256.0.0.0"]),
    ("INET6", ["2001:DB8::1", "0::1", "::0:1", "x"]),
]


def test_numbers_of_any_bits_are_exact(room: Room, way: str) -> None:
    source = random.Random(7)
    doubles = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(3000)]
    singles = [struct.unpack("<f", source.randbytes(4))[0] for _ in range(3000)]
    pairs = [(a, b) for a, b in zip(doubles, singles, strict=True) if math.isfinite(a) and math.isfinite(b)]
    wanted: list[Values] = [[n, a, b] for n, (a, b) in enumerate(pairs)]
    assert load(room, table(room, "id INT PRIMARY KEY, two DOUBLE, one FLOAT"), wanted) == []
    assert rows(room) == wanted


@pytest.mark.parametrize(
    ("definition", "values"),
    [
        ("INT", [True, "1", 1.0, 2**31, {"$int": "1"}, {"$text": "1"}]),
        ("TINYINT(1)", [1, "1", {"$int": "1"}, {"$int": "128"}, {"$float": "0.5"}, {"$text": "2"}]),
        ("BIGINT UNSIGNED", [-1, 2**64]),
        ("BIT(3)", [8, -1, "1"]),
        ("YEAR", [1, 99, 1900, 2156, "2000"]),
        ("DECIMAL(5,2)", ["1.234", "1.5", "1000.00", "-0.00", "01.00", "1e2", "NaN", 1.5, 1]),
        # MySQL keeps a zero's sign.
        ("FLOAT", [0.1, 1e39, 1e-46, 1, "1.0", {"$float": "inf"}, math.nan, *([] if ON_MYSQL else [-0.0])]),
        ("DOUBLE", [1, {"$float": "-inf"}, math.inf, *([] if ON_MYSQL else [-0.0])]),
        ("DOUBLE(15,3)", [0.0001]),
        ("FLOAT(10,2)", [12345678.91, 1.1200000047683716]),
        ("CHAR(3)", ["a ", "   ", "abcd", 1, {"$int": "1"}]),
        ("VARCHAR(3)", ["abcd", "abc ", "\ud800", b"x", {"$bytes": "eA=="}]),
        ("VARCHAR(3) CHARACTER SET latin1", ["中"]),
        ("VARCHAR(3) CHARACTER SET utf8mb3", ["😀"]),
        ("TEXT", ["x" * 65536]),
        ("ENUM('a','1')", ["A", "2", "b", "a ", ""]),
        ("SET('x','y')", ["y,x", "X", "x,x", "x,", "z"]),
        ("BINARY(3)", ["eA==", "eHh4eA==", "not base64", "eA"]),
        ("VARBINARY(2)", ["eHh4"]),
        ("DATE", ["2024-2-1", "2024-02-30", "24-01-01", {"$text": "2024-02-01"}, {"$text": "x"}]),
        ("DATE", [{"$text": "2024-13-00"}, {"$text": "2024-02-32"}]),
        ("TIME", ["10:00:00", "10:00:00.000001", {"$text": "839:00:00.000000"}, {"$text": "10:00:00.000000"}]),
        ("TIME(3)", ["10:00:00.000100"]),
        ("DATETIME", ["2024-01-01 00:00:00", "2024-01-01 00:00:00.500000", "2024-01-01T00:00:00.000000"]),
        ("DATETIME(2)", ["2024-01-01 00:00:00.129999"]),
        (
            "TIMESTAMP NULL",
            [f"{day}.000000+00:00" for day in ("1969-12-31 23:59:59", "1970-01-01 00:00:00", "2107-01-01 00:00:00")],
        ),
        ("JSON", ["{", "", '"\\ud800"', {"$text": "{"}, {"$text": "1"}, 1]),
        *(OF_MYSQL if ON_MYSQL else OF_MARIADB),
        ("POINT", ["AAA="]),
        ("INT CHECK (v > 5)", [5]),
    ],
)  # fmt: skip
def test_what_the_server_would_change_is_refused(room: Room, way: str, definition: str, values: list[Any]) -> None:
    to = table(room, f"id INT PRIMARY KEY, v {definition}")
    wanted: list[Values] = [[0, None], *([n, value] for n, value in enumerate(values, 1)), [99, None]]
    refused = load(room, to, wanted)
    assert [number for number, _ in refused] == list(range(2, len(values) + 2))
    assert all(words for _, words in refused)
    assert rows(room) == [[0, None], [99, None]]
