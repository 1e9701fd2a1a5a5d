"""Values written by hand: each type takes its own forms, makes them canonical, and takes nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.handwritten import canonical_row
from app.transfer.rows.strictjson import loads

GOOD = {
    "bool": {"true": True, "false": False},
    "int": {"5": 5, "-1": -1, "18446744073709551615": 2**64 - 1},
    "float": {"1.5": 1.5, "2": 2.0, "1e300": 1e300},
    "decimal": {'"12.5"': "12.50", "12.5": "12.50", "3": "3.00", '"-0"': "0.00"},
    "text": {'""': "", '"null"': "null"},
    "bytes": {'"eA=="': "eA==", '""': ""},
    "date": {'"2026-01-31"': "2026-01-31"},
    "time": {'"23:59:59"': "23:59:59.000000"},
    "timestamp": {'"2026-01-31 23:59:59"': "2026-01-31 23:59:59.000000"},
    "timestamptz": {'"2026-01-31 23:59:59+01:00"': "2026-01-31 22:59:59.000000+00:00"},
    "interval": {'"-1 02:03:04.000005"': "-1 02:03:04.000005"},
    "json": {r'"{\"a\": 1}"': '{"a": 1}', '"null"': "null"},
    "uuid": {'"6FA459EA-EE8A-3CA4-894E-DB77E160355E"': "6fa459ea-ee8a-3ca4-894e-db77e160355e"},
    "any": {'{"$text": "x"}': {"$text": "x"}},
}
BAD = {
    "bool": ["1", '"true"'],
    "int": ["1.5", '"5"', "true", "18446744073709551616"],
    "float": ['"1.5"', "1e999", "true"],
    "decimal": ['"x"', '"NaN"', '"1e999999999"', "true", "[]"],
    "text": ["5", "[]", "true"],
    "bytes": ['"e"', '"ü"', "5"],
    "date": ['"31.1.2026"', '"2026-02-30"', '"2026-W05-1"'],
    "time": ['"25:00:00"'],
    "timestamp": ['"2026-01-31"', '"2026-01-31T23:59:59"'],
    "timestamptz": ['"2026-01-31 23:59:59"'],
    "interval": ['"1 day"', '"02:03:04"', "5"],
    "json": ['"{"', '{"a": 1}', "5"],
    "uuid": ['"x"'],
    "any": ['"x"', "5"],
}
CASES = [(kind, text, form) for kind, forms in GOOD.items() for text, form in forms.items()]


def made(kind: str, text: str) -> tuple[Any, list[str]]:
    column = Column("c", LogicalType(kind), scale=2 if kind == "decimal" else None)
    row, wrong = canonical_row(Table("t", (column,)), {"c": loads(text)})
    return row["c"], wrong


@pytest.mark.parametrize(("kind", "text", "form"), CASES)
def test_a_form(kind: str, text: str, form: Any) -> None:
    found, wrong = made(kind, text)
    assert wrong == []
    assert (found, type(found)) == (form, type(form))
    # What is canonical stays as it is.
    assert made(kind, json.dumps(found)) == (found, [])


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_no_form(kind: str, text: str) -> None:
    _, [wrong] = made(kind, text)
    # The form is told and never the value, which may be a secret.
    assert wrong.startswith("column c takes ")
    assert wrong.endswith(", or null")


@pytest.mark.parametrize("kind", [str(kind) for kind in LogicalType])
def test_null_and_tagged_values_may_be_anywhere(kind: str) -> None:
    assert made(kind, "null") == (None, [])
    for text in ('{"$int": "5"}', '{"$float": "inf"}', '{"$text": "x"}', '{"$bytes": "eA=="}'):
        assert made(kind, text) == (loads(text), [])
    for text in ('{"$int": 5}', '{"$int": "x"}', '{"$bytes": "e"}', '{"$date": "x"}', "{}"):
        assert made(kind, text)[1]


def test_columns_that_are_missing_or_unknown() -> None:
    table = Table("t", (Column("a", LogicalType.INT), Column("b", LogicalType.INT)))
    _, wrong = canonical_row(table, {"a": 1, "c": 2})
    assert wrong == ["there is no column c", "column b is missing"]
