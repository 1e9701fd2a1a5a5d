"""Rows that are spelled as a snapshot's lines are, and those that are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.dialects.model import KeyRange, Table, Values
from app.transfer.rows import spelled
from app.transfer.rows.canonical import encode_row
from app.transfer.rows.encode import hash_rows, write_snapshot
from app.transfer.rows.snapshot import check_file
from app.transfer.rows.spelled import KeyedSpelling, Spelled, Spelling

from .snapshots import USERS, header

ROWS: list[Values] = [[number, f"text {number}"] for number in range(1000)]


def spell(rows: list[Values], part: int = 100) -> Spelled:
    spelling = Spelling()
    for start in range(0, len(rows), part):
        lines = [encode_row(row) for row in rows[start : start + part]]
        spelling.add(b"".join(lines), len(lines))
    return spelling.finish()


def fits(lines: Spelled, rows: Iterable[Values]) -> bool:
    rest = iter(rows)
    _, digest = lines.begin(rest)
    return digest is not None and lines.goes_on(digest, rest)


@pytest.mark.parametrize("part", [1, 7, 100, 5000])
@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS], ids=["none", "one", "many"])
def test_the_same_rows_fit_however_they_were_put_together(rows: list[Values], part: int) -> None:
    assert fits(spell(rows, part), rows)


OTHERS = {
    "one fewer at the end": ROWS[:-1],
    "one fewer at the beginning": ROWS[1:],
    "one more": [*ROWS, [1000, "text 1000"]],
    "one twice": [*ROWS, ROWS[-1]],
    "another order": [*ROWS[:500], ROWS[501], ROWS[500], *ROWS[502:]],
    "another value": [*ROWS[:700], [700, "Text 700"], *ROWS[701:]],
    "a NULL": [*ROWS[:-1], [999, None]],
    "a value that moved over the end of a column": [*ROWS[:3], [3, "text 3]["], *ROWS[4:]],
    "none at all": [],
}


@pytest.mark.parametrize("rows", OTHERS.values(), ids=OTHERS.keys())
def test_other_rows_do_not_fit(rows: list[Values]) -> None:
    assert not fits(spell(ROWS), rows)


def test_rows_do_not_fit_where_there_were_none() -> None:
    assert not fits(spell([]), ROWS[:1])


def test_another_spelling_is_seen_early() -> None:
    taken = []

    def rows() -> Iterator[Values]:
        for row in ROWS:
            taken.append(row)
            yield [row[0], f'"{row[1]}"']

    begin, digest = spell(ROWS).begin(rows())
    assert digest is None
    assert len(begin) == len(taken) == 100


def test_a_file_that_is_written_and_one_that_is_read_say_the_same(tmp_path: Path) -> None:
    file = write_snapshot(tmp_path / "s.json", header(USERS), [("users", hash_rows(USERS, ROWS))])
    for footer in (file.footer, check_file(file.path).footer):
        assert fits(footer.spelled["users"], ROWS)
        assert not fits(footer.spelled["users"], ROWS[1:])


def spell_keyed(rows: list[Values], table: Table | None = USERS, batch: int = 50) -> Spelled:
    spelling = KeyedSpelling(table)
    for start in range(0, len(rows), batch):
        lines = [encode_row(row) for row in rows[start : start + batch]]
        spelling.add(b"".join(lines), len(lines), lines[-1])
    return spelling.finish()


def within(rows: list[Values], keys: KeyRange) -> Iterator[Values]:
    low, high = keys.above, keys.up_to
    return iter([row for row in rows if (low is None or row[0] > low) and (high is None or row[0] <= high)])


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelled, "RANGE_BYTES", 3000)


def test_ranges_are_all_rows_there_can_be(small_ranges: None) -> None:
    lines = spell_keyed(ROWS)
    assert lines == spell(ROWS, 50)
    keys = [keys for keys, _ in lines.parts]
    assert len(keys) > 3
    assert (keys[0].above, keys[-1].up_to) == (None, None)
    assert [one.up_to for one in keys[:-1]] == [one.above for one in keys[1:]]
    assert all(part.fits(within(ROWS, one)) for one, part in lines.parts)
    assert sum(part.size for _, part in lines.parts) == lines.size


@pytest.mark.parametrize(
    "rows",
    [rows for name, rows in OTHERS.items() if "order" not in name] + [[[-5, "text"], *ROWS], [*ROWS, [5000, "text"]]],
)
def test_other_rows_do_not_fit_one_range_at_least(rows: list[Values], small_ranges: None) -> None:
    assert not all(part.fits(within(rows, keys)) for keys, part in spell_keyed(ROWS).parts)


@pytest.mark.parametrize(
    ("rows", "table"),
    [
        (ROWS, None),
        (ROWS[::-1], USERS),
        ([[f"{number:05}", text] for number, text in ROWS], USERS),
        (ROWS, replace(USERS, primary_key=())),
        (ROWS, replace(USERS, primary_key=USERS.column_names[:2])),
        (ROWS, replace(USERS, primary_key=USERS.column_names[1:2])),
        (ROWS[:20], USERS),
    ],
    ids=["records", "another order", "no numbers", "no key", "two columns", "a text", "little"],
)
def test_what_is_not_divided(rows: list[Values], table: Table | None, small_ranges: None) -> None:
    lines = spell_keyed(rows, table)
    assert lines.parts == ()
    assert lines.fits(iter(rows))
