"""One logical type as another: exactly, or tagged."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialects.model import Column, LogicalType
from app.transfer.rows.coerce import coercion, is_out_of_place

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
        (T.TEXT, UUID.replace("-", ""), T.UUID, {"$text": UUID.replace("-", "")}),
        (T.TEXT, UUID.upper(), T.UUID, {"$text": UUID.upper()}),
        (T.TEXT, "007", T.INT, {"$text": "007"}),
        (T.TEXT, "7", T.INT, 7),
        (T.TEXT, "1_0", T.DECIMAL, {"$text": "1_0"}),
        (T.DECIMAL, str(2**64), T.INT, {"$text": str(2**64)}),
        (T.FLOAT, -0.0, T.DECIMAL, {"$float": "-0.0"}),
        (T.ANY, {"$text": "101"}, T.INT, {"$text": "101"}),
        (T.ANY, {"$text": "{}"}, T.JSON, {"$text": "{}"}),
        (T.INTERVAL, "-1 23:59:59.500000", T.TIMESTAMP, "1969-12-31 23:59:59.500000"),
        (T.TIMESTAMP, AT, T.INTERVAL, "19782 23:59:59.000001"),
        (T.INTERVAL, {"$text": "1 mon"}, T.TIMESTAMP, {"$text": "1 mon"}),
        (T.INTERVAL, "99999999 00:00:00.000000", T.TIMESTAMP, {"$text": "99999999 00:00:00.000000"}),
        (T.TEXT, "1 day", T.INTERVAL, {"$text": "1 day"}),
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
    uuid, digits = Column("c", T.UUID), Column("c", T.TEXT, length=32)
    there, back = coercion(uuid, digits), coercion(digits, uuid)
    assert there is not None
    assert back is not None
    assert there(UUID) == UUID.replace("-", "")
    assert back(UUID.replace("-", "")) == UUID
    assert back(UUID) == {"$text": UUID}


@pytest.mark.parametrize(
    ("target", "value", "is_out"),
    [
        (T.TIMESTAMP, AT, False),
        (T.TIMESTAMP, {"$text": "infinity"}, True),
        (T.FLOAT, {"$float": "inf"}, False),
        (T.FLOAT, {"$float": "nan"}, True),
        (T.BOOL, {"$int": "2"}, False),
        (T.JSON, {"$text": '"\\ud800"'}, False),
        (T.JSON, {"$text": "{}"}, True),
        (T.JSON, {"$text": "{a"}, True),
        (T.ANY, {"$text": "x"}, False),
        (T.TEXT, {"$int": "5"}, True),
    ],
)
def test_what_no_application_could_read_is_out_of_place(target: LogicalType, value: Any, is_out: bool) -> None:
    assert is_out_of_place(Column("c", target), value) is is_out


def test_decimals_get_the_digits_of_their_column() -> None:
    change = coercion(Column("c", T.DECIMAL, scale=4), Column("c", T.DECIMAL, scale=2))
    assert change is not None
    assert change("1.5000") == "1.50"
    assert change("1.2345") == "1.2345"


@pytest.mark.parametrize("kind", list(LogicalType))
def test_the_same_type_is_left_alone(kind: LogicalType) -> None:
    assert coercion(Column("c", kind, scale=2), Column("c", kind, scale=2)) is None
