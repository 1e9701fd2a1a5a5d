"""Declared types in logical words."""

from __future__ import annotations

import pytest

from app.dialects.model import LogicalType
from app.dialects.sqlite.types import logical_type


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("INTEGER", LogicalType.INT),
        ("BIGINT", LogicalType.INT),
        ("BOOLEAN", LogicalType.BOOL),
        ("VARCHAR(255)", LogicalType.TEXT),
        ("TEXT", LogicalType.TEXT),
        ("CHAR(32)", LogicalType.TEXT),
        ("BLOB", LogicalType.BYTES),
        ("FLOAT", LogicalType.FLOAT),
        ("DOUBLE PRECISION", LogicalType.FLOAT),
        ("NUMERIC(10, 2)", LogicalType.DECIMAL),
        ("DECIMAL", LogicalType.DECIMAL),
        ("DATETIME", LogicalType.TIMESTAMP),
        ("TIMESTAMP", LogicalType.TIMESTAMP),
        ("DATE", LogicalType.DATE),
        ("TIME", LogicalType.TIME),
        ("JSON", LogicalType.JSON),
        ("", LogicalType.ANY),
        ("STRING", LogicalType.ANY),
        ("enum('a','b')", LogicalType.ANY),
        ("POINT", LogicalType.INT),
    ],
)
def test_declared_types(declared: str, found: LogicalType) -> None:
    assert logical_type(declared)[0] is found
    assert logical_type(declared.lower())[0] is found


def test_lengths_and_scales() -> None:
    assert logical_type("VARCHAR(255)") == (LogicalType.TEXT, 255, None)
    assert logical_type("NUMERIC( 10 , 2 )") == (LogicalType.DECIMAL, None, 2)
