"""Who loaded how many rows, read out of a receipt, and the table of it."""

from __future__ import annotations

import json

from app.transfer.run.workers import describe_rows
from benchmarks.divided import RESULTS, Divided, find_rows, numbers, to_table
from tests.support.site import ROOT


def test_rows_of_each_process_are_read_as_a_receipt_says_them() -> None:
    text = describe_rows(
        "Loaded", {"worker-1.example, process 17": 86_000, "worker-2.example, process 4": 1, "": 25_300}
    )
    notes = ["Something else", text, describe_rows("Read", {"worker-1.example, process 17": 12})]
    assert find_rows(notes, "Loaded") == {17: 86_000, 4: 1}
    assert find_rows(notes, "Read") == {17: 12}
    assert find_rows(notes[:2], "Read") == {}


def test_a_run_is_a_line() -> None:
    line = to_table([Divided("a-b", "2 workers", 3.04, 1.0, 0.5, [1.25, 0.5], [86_000, 12], [9, 1_000])]).splitlines()[
        -1
    ]
    assert line == "| a-b | 2 workers | 3.0 | 1.0 | 1.2; 0.5 | 9; 1,000 | 86,000; 12 | 0.5 |"


def test_numbers_come_as_make_gives_them() -> None:
    assert numbers("1,2 4") == [1, 2, 4]


def test_the_page_shows_the_results_that_are_kept() -> None:
    runs = json.loads((RESULTS / "divided.json").read_bytes())["runs"]
    assert to_table([Divided(**run) for run in runs]) in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
