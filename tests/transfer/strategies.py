"""Values and tables for hypothesis."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.dialects.model import Column, LogicalType, Table, Values
from app.dialects.values import tag, to_base64, to_decimal, to_interval

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
JSON_TEXTS = JSON_VALUES.map(json.dumps) | JSON_VALUES.map(
    lambda value: json.dumps(value, ensure_ascii=False, indent=1)
)

FORMS: dict[LogicalType, st.SearchStrategy[Any]] = {
    LogicalType.BOOL: st.booleans(),
    LogicalType.INT: st.integers(-(2**63), 2**64 - 1),
    LogicalType.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    LogicalType.DECIMAL: st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20).map(
        lambda value: to_decimal(Decimal(value), 2)
    ),
    LogicalType.TEXT: TEXT,
    LogicalType.BYTES: st.binary(max_size=20).map(to_base64),
    LogicalType.DATE: st.dates().map(str),
    LogicalType.TIME: st.times().map(lambda value: value.isoformat(timespec="microseconds")),
    LogicalType.TIMESTAMP: st.datetimes().map(lambda value: value.isoformat(sep=" ", timespec="microseconds")),
    LogicalType.TIMESTAMPTZ: st.datetimes().map(
        lambda value: value.isoformat(sep=" ", timespec="microseconds") + "+00:00"
    ),
    LogicalType.UUID: st.uuids().map(str),
    LogicalType.JSON: JSON_TEXTS,
    LogicalType.INTERVAL: st.timedeltas().map(to_interval),
}
TAGGED = (st.integers() | st.floats(allow_nan=False) | TEXT | st.binary(max_size=9)).map(tag)
FORMS[LogicalType.ANY] = TAGGED

COLUMNS = tuple(Column(str(kind), kind, scale=2 if kind is LogicalType.DECIMAL else None) for kind in LogicalType)
TABLE = Table("every kind", COLUMNS, (str(LogicalType.INT),))
ROW: st.SearchStrategy[Values] = st.tuples(*(st.none() | TAGGED | FORMS[column.type] for column in COLUMNS)).map(list)
ROWS = st.lists(ROW, max_size=8)
