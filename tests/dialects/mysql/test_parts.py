"""Rows that are longer than a packet: their values put together in variables."""

from __future__ import annotations

import re

from app.dialects.mysql.parts import SHORT, TOO_LONG, write_in_parts


def _quote(value: bytes) -> bytes:
    return b"'" + value + b"'"


def test_long_values_are_put_together_and_short_ones_stay() -> None:
    data, text = b"ab" * SHORT, "\u00e4".encode() * SHORT
    raw = [b"7", None, data, text]
    literals = [b"7", b"NULL", b"x'...'" * SHORT, _quote(text)]
    statements, values = write_in_parts(raw, literals, [False, True, False, True], 4 * SHORT, _quote)
    assert values == [b"7", b"NULL", b"@ferry_part_2", b"CONVERT(@ferry_part_3 USING utf8mb4)"]
    guard = b"SET SESSION sql_mode = IF(%s IS NULL, '" + TOO_LONG + b"', @@sql_mode)"
    guards = [sql for sql in statements if b"sql_mode" in sql]
    assert guards == [guard % b"@ferry_part_2", guard % b"@ferry_part_3"]
    assert statements[-1] == guards[-1], "a value is looked at when it is whole"
    variables: dict[bytes, bytes] = {}
    for sql in statements:
        assert len(sql) < 4 * SHORT
        if sql in guards:
            assert len(variables) == guards.index(sql) + 1
            continue
        match = re.fullmatch(rb"SET (@\w+) = (?:CONCAT\((@\w+), )?_binary'([^']*)'\)?", sql)
        assert match
        assert match[2] in (None, match[1])
        variables[match[1]] = (variables[match[2]] if match[2] else b"") + match[3]
    assert variables == {b"@ferry_part_2": data, b"@ferry_part_3": text}
