"""One logical type as another: exactly, or tagged."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialects.base import Column, LogicalType
from app.transfer.coerce import coercion

T = LogicalType
UUID = "00010203-0405-0607-0809-0a0b0c0d0e0f"
AT = "2024-02-29 23:59:59.000001"


@pytest.mark.parametrize(
    ("source", "value", "target", "form"),
    [
        (T.BOOL, True, T.INT, 1),
        (T.BOOL, False, T.TEXT, {"$int": "0"}),
        (T.INT, 1, T.BOOL, True),
        (T.INT, 2, T.BOOL, {"$int": "2"}),
        (T.INT, 2**64 - 1, T.DECIMAL, "18446744073709551615.00"),
        (T.INT, 2**53 + 1, T.FLOAT, {"$int": str(2**53 + 1)}),
        (T.INT, 7, T.FLOAT, 7.0),
        (T.DECIMAL, "7.00", T.INT, 7),
        (T.DECIMAL, "7.50", T.INT, {"$text": "7.50"}),
        (T.DECIMAL, "0.1", T.FLOAT, 0.1),
        (T.DECIMAL, "0.12345678901234567890123", T.FLOAT, {"$text": "0.12345678901234567890123"}),
        (T.FLOAT, 0.1, T.DECIMAL, "0.10"),
        (T.FLOAT, 1.5, T.INT, {"$float": "1.5"}),
        (T.FLOAT, 2.0, T.INT, 2),
        (T.TEXT, UUID, T.UUID, UUID),
        (T.TEXT, UUID.replace("-", ""), T.UUID, UUID),
        (T.TEXT, "none", T.UUID, {"$text": "none"}),
        (T.UUID, UUID, T.TEXT, UUID),
        (T.TIMESTAMP, AT, T.TIMESTAMPTZ, AT + "+00:00"),
        (T.TIMESTAMPTZ, AT + "+00:00", T.TIMESTAMP, AT),
        (T.TEXT, AT[:19], T.TIMESTAMP, "2024-02-29 23:59:59.000000"),
        (T.TEXT, "soon", T.TIMESTAMP, {"$text": "soon"}),
        (T.DATE, "2024-02-29", T.TIMESTAMP, "2024-02-29 00:00:00.000000"),
        (T.TIMESTAMP, "2024-02-29 00:00:00.000000", T.DATE, "2024-02-29"),
        (T.TIMESTAMP, AT, T.DATE, {"$text": AT}),
        (T.TEXT, '{"a": 1}', T.JSON, '{"a": 1}'),
        (T.TEXT, "{", T.JSON, {"$text": "{"}),
        (T.JSON, "null", T.TEXT, "null"),
        (T.BYTES, "AP8=", T.TEXT, {"$bytes": "AP8="}),
        (T.TEXT, "x", T.BYTES, {"$text": "x"}),
        (T.TEXT, "x", T.ANY, {"$text": "x"}),
        (T.INT, 5, T.ANY, {"$int": "5"}),
        (T.ANY, {"$int": "5"}, T.INT, 5),
        (T.ANY, {"$text": "x"}, T.TEXT, "x"),
        (T.ANY, {"$text": "x"}, T.INT, {"$text": "x"}),
        (T.ANY, {"$float": "inf"}, T.FLOAT, {"$float": "inf"}),
        (T.BOOL, {"$int": "2"}, T.INT, 2),
        (T.ANY, {"$bytes": "AP8="}, T.INT, {"$bytes": "AP8="}),
    ],
)
def test_exactly_or_tagged(source: LogicalType, value: Any, target: LogicalType, form: Any) -> None:
    change = coercion(Column("c", source), Column("c", target, scale=2 if target is T.DECIMAL else None))
    assert change is not None
    found = change(value)
    assert (found, type(found)) == (form, type(form))


def test_a_uuid_where_a_server_has_none_is_32_digits() -> None:
    change = coercion(Column("c", T.UUID), Column("c", T.TEXT, length=32))
    assert change is not None
    assert change(UUID) == UUID.replace("-", "")


def test_decimals_get_the_digits_of_their_column() -> None:
    change = coercion(Column("c", T.DECIMAL, scale=4), Column("c", T.DECIMAL, scale=2))
    assert change is not None
    assert change("1.5000") == "1.50"
    assert change("1.2345") == "1.2345"


@pytest.mark.parametrize("kind", list(LogicalType))
def test_the_same_type_is_left_alone(kind: LogicalType) -> None:
    assert coercion(Column("c", kind, scale=2), Column("c", kind, scale=2)) is None
