"""The example in docs/adapters.md works as it stands there."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.errors import DoesNotFit
from app.transfer.adapters import JSON_NULL, Accounts, AdapterSet, Record

from .records import moment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"


class Found:
    """Knows one book."""

    def __init__(self) -> None:
        self.expected: list[tuple[str, Any]] = []

    def id(self, table: str, natural_key: str) -> int:
        return {("books", "978-1"): 4}[table, natural_key]

    def has_type(self, record_type: str) -> bool:
        return True

    def expect(self, table: str, primary_key: Any) -> None:
        self.expected.append((table, primary_key))


def block(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture
def example() -> AdapterSet:
    module = ModuleType("shop.adapters")
    # Here the extension is called app; in the wheel it is flask_ferry.
    exec(block("python").replace("flask_ferry.", "app."), vars(module))
    return AdapterSet.of(module)


def adapted(example: AdapterSet, kind: str, values: dict[str, Any], find: Found) -> list[tuple[str, Any]]:
    record = Record(kind, values, Accounts(), f"{kind} record 1")
    rows = list(example.adapters[kind].function(record, find))
    assert record.find_unaccounted() == []
    return rows


def test_the_example_does_what_the_page_says(example: AdapterSet) -> None:
    book, loan = (json.loads(line) for line in block("json").splitlines())
    find = Found()
    assert adapted(example, "books", book, find) == [
        ("books", {"id": 4, "isbn": "978-1", "title": "Loops", "tags": JSON_NULL}),
        ("copies", {"id": 9, "book_id": 4, "shelf": "B2"}),
    ]
    lent_on: datetime = moment(2024, 5, 31, 13, 45)
    row = {"id": 31, "book_id": 4, "copy_id": 9, "lent_on": lent_on, "reader": None}
    assert adapted(example, "loans", loan, find) == [("loans", row)]
    assert find.expected == [("copies", 9)]
    assert example.in_order(["loans", "books"]) == ["books", "loans"]


def test_the_example_refuses_a_date_it_cannot_read(example: AdapterSet) -> None:
    loan = json.loads(block("json").splitlines()[1]) | {"lentOn": "yesterday"}
    with pytest.raises(DoesNotFit, match="loans record 1"):
        adapted(example, "loans", loan, Found())
