"""The nouns of a round."""

from __future__ import annotations

from app.dialects.model import Column, LogicalType, Table
from app.dialects.rounds import Pair

COLUMNS = tuple(Column(name, LogicalType.INT) for name in ("a", "b", "c"))


def test_a_key_has_a_name_on_either_side() -> None:
    columns = (("a", "x"), ("b", "b"), ("c", "y"))
    pair = Pair(Table("one", COLUMNS), Table("two", COLUMNS), columns, ("c", "a"))
    assert pair.pairs_of_key == [("c", "y"), ("a", "x")]
