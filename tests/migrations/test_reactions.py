"""Splitting reactions out of a JSON text, and putting them back."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import migrations

PATH = Path(next(iter(migrations.__path__)), "versions", "0004_reactions.py")
spec = importlib.util.spec_from_file_location("reactions_revision", PATH)
assert spec
assert spec.loader
revision: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(revision)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
users = st.lists(st.integers(-2, 5) | st.booleans() | st.integers(2**31 - 2, 2**31 + 2), max_size=4)
reactions = st.dictionaries(st.text(max_size=3), users | values, max_size=4)
objects = st.dictionaries(st.sampled_from(["reactions", "replies", "a"]), reactions | values)
styles = st.sampled_from([{}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"indent": 1}, {"sort_keys": True}])


@given(value=objects, style=styles)
def test_what_is_split_comes_together_again(value: dict[str, Any], style: dict[str, Any]) -> None:
    data = json.dumps(value, **style)
    rest, entries = revision.split(data)
    if not entries:
        assert rest == data
        return
    was = None if revision.merge(rest, entries) == data else data
    assert revision._put_back(1, rest, entries, was) == data


@given(data=st.text())
def test_no_text_is_too_odd(data: str) -> None:
    assert revision.split(data)[1] == []


@pytest.mark.parametrize("number", ["1.0", "1.5", "-0.0", "1e+16", "7", "-3", "0"])
def test_numbers_that_python_writes_alike(number: str) -> None:
    data = f'{{"reactions": {{"x": [1]}}, "n": {number}}}'
    rest, entries = revision.split(data)
    assert entries == [("x", 1)]
    assert revision.merge(rest, entries) == data


@pytest.mark.parametrize("number", ["1.50", "1E5", "-0", "NaN", "Infinity", "1e999", "0.1000000000000000001"])
def test_other_numbers_stay_as_they_are(number: str) -> None:
    data = f'{{"reactions": {{"x": [1]}}, "n": {number}}}'
    assert revision.split(data) == (data, [])
