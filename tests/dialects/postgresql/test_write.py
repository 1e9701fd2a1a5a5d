"""A value that the server would change is refused by its row."""

from __future__ import annotations

import re

from app.dialects.model import Values
from tests.dialects.rooms import Room

from .schemas import REFUSED, kinds, table_of


def test_what_would_be_changed_is_refused_by_row_and_the_others_go_in(room: Room) -> None:
    staging = kinds(room, "first")
    table = table_of(room, "kinds", staging)
    rows: list[Values] = []
    for number, (name, value, _) in enumerate(REFUSED):
        for good in (False, True):
            row: Values = [2 * number + good, *[None] * (len(table.columns) - 1)]
            if not good:
                row[table.column_names.index(name)] = value
            rows.append(row)
    result = room.dialect.load(staging, table, rows, batch_rows=16)
    assert {refusal.number for refusal in result.refused} == {2 * n + 1 for n in range(len(REFUSED))}
    for refusal, (name, value, words) in zip(result.refused, REFUSED, strict=True):
        assert refusal.row == rows[refusal.number - 1]
        assert re.search(words, refusal.message), (name, value, refusal.message)
    assert [row[0] for row in room.state(staging)["kinds"]] == [2 * n + 1 for n in range(len(REFUSED))]
