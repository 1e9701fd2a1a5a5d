"""The lines that the scale model draws through what was measured, and that its page shows what is kept."""

from __future__ import annotations

import json

import pytest

from benchmarks.scale import RESULTS, Measured, find_bend, fit, summarise
from tests.support.site import ROOT


def test_a_line_through_points_on_it() -> None:
    run_s, row_s = fit([(10_000, 4.1), (100_000, 5.0), (1_000_000, 14.0)])
    assert run_s == pytest.approx(4.0)
    assert row_s == pytest.approx(1e-5)


def test_a_run_costs_never_less_than_nothing() -> None:
    assert fit([(10_000, 0.01), (100_000, 1.0)])[0] == 0.0


def test_the_bend_is_that_of_the_cost_of_a_row() -> None:
    assert find_bend([(10_000, 1.0), (100_000, 2.0)]) is None
    assert find_bend([(10_000, 1.0), (100_000, 2.0), (1_000_000, 12.0)]) == pytest.approx(1.0)
    assert find_bend([(10_000, 1.0), (100_000, 2.0), (1_000_000, 32.0)]) == pytest.approx(3.0)


def test_what_was_measured_once_has_no_line() -> None:
    measured = Measured(seconds={10_000: 1.0})
    assert summarise({"a": measured}) == {}
    measured.seconds[1_000_000] = 10.9
    assert summarise({"a": measured})["a"]["billion_h"] == pytest.approx(2.8)


def test_the_page_shows_the_results_that_are_kept() -> None:
    kept = json.loads(RESULTS.read_bytes())
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    for name, line in kept["lines"].items():
        row = next(text for text in page.splitlines() if text.startswith(f"| {name} |"))
        assert f" {line['run_s']:.1f} s " in row, name
        assert f" {line['row_us']:.0f} µs " in row, name
        assert f" {line['billion_h']:.0f} h " in row, name
