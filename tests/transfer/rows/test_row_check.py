"""A line of a snapshot is a row of its table, or is refused before it is made one."""

from __future__ import annotations

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.row_check import LONG_BYTES, NotARow, row_check

TABLE = Table(
    "t",
    tuple(
        Column(name, kind)
        for name, kind in (
            ("i", LogicalType.INT),
            ("f", LogicalType.FLOAT),
            ("b", LogicalType.BOOL),
            ("t", LogicalType.TEXT),
            ("j", LogicalType.JSON),
            ("a", LogicalType.ANY),
        )
    ),
)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b'[1, 2, true, "x", "{}", null]', [1, 2, True, "x", "{}", None]),
        (b"[null, null, null, null, null, null]", [None] * 6),
        (
            b'[{"$float": "0.5"}, 1.5, false, {"$bytes": "AA=="}, "[1]", {"$int": "5"}]',
            [{"$float": "0.5"}, 1.5, False, {"$bytes": "AA=="}, "[1]", {"$int": "5"}],
        ),
    ],
)
def test_rows(line: bytes, row: list[object]) -> None:
    check = row_check(TABLE)
    assert check(line) == row
    assert check(line) == row


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not a row"),
        (b'{"i": 1}', "no list"),
        (b"[1, 2, true]", "3 values for the 6 columns of t"),
        (b'[1, 2, true, "x", "{}", null, 5]', "7 values"),
        (b'[true, 2, true, "x", "{}", null]', r"t\.i is of type int"),
        (b'[1.0, 2, true, "x", "{}", null]', r"t\.i is of type int"),
        (b'[1, "2", true, "x", "{}", null]', r"t\.f is of type float"),
        (b'[1, 2, 1, "x", "{}", null]', r"t\.b is of type bool"),
        (b'[1, 2, true, 5, "{}", null]', r"t\.t is of type text"),
        (b'[1, 2, true, "x", "{", null]', r"t\.j is not JSON"),
        (b'[1, 2, true, "x", "{}", 5]', r"t\.a is of type any"),
        (b'[{"$int": "x"}, 2, true, "x", "{}", null]', r"t\.i is of type int"),
        (b'[{"$what": "1"}, 2, true, "x", "{}", null]', r"t\.i is of type int"),
        (b'[{"$int": "1", "$float": "1"}, 2, true, "x", "{}", null]', r"t\.i is of type int"),
        (b'[1, 2, true, [], "{}", null]', r"t\.t is of type text"),
    ],
)
def test_no_rows(line: bytes, words: str) -> None:
    with pytest.raises(NotARow, match=words):
        row_check(TABLE)(line)


def test_a_good_row_vouches_for_no_tagged_value_of_the_next() -> None:
    check = row_check(TABLE)
    check(b'[{"$int": "1"}, null, null, null, null, null]')
    with pytest.raises(NotARow, match="of type int"):
        check(b'[{"$int": "x"}, null, null, null, null, null]')


def test_a_long_line_is_looked_at_before_it_is_made_objects() -> None:
    check = row_check(TABLE)
    long = b"x" * LONG_BYTES
    assert check(b'[1, 2, true, "%s\\"", "{}", null]' % long)[3] == long.decode() + '"'
    for line in (b"[" + b"[]," * LONG_BYTES + b"1]", b'["' + b'","' * LONG_BYTES + b'"]'):
        with pytest.raises(NotARow, match="more values than the 6 columns"):
            check(line)
