"""The lines that the scale model draws through what was measured, and that its page shows what is kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.scale import RESULTS, Measured, find_bend, fit, read_results, summarise, to_table
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
    assert to_table(kept) in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_what_was_measured_of_one_route_alone_is_in_the_table() -> None:
    routes = {"a": Measured(seconds={9_997: 1.0, 100_002: 2.0, 999_997: 11.0}), "b": Measured(seconds={9_997: 3.0})}
    kept = {"routes": {name: asdict(one) for name, one in routes.items()}, "lines": summarise(routes)}
    table = to_table(json.loads(json.dumps(kept)))
    assert table.splitlines()[0].startswith("| route | 10,000 rows | 100,000 rows | 1,000,000 rows | a run |")
    assert "| a | 1.0 s | 2.0 s | 11.0 s |" in table
    assert "| b |" not in table  # one number makes no line


def test_earlier_results_can_be_added_to(tmp_path: Path) -> None:
    file = tmp_path / "scale.json"
    one = Measured(seconds={9_997: 1.0}, cpu_s={9_997: 2.0}, peak_mib={9_997: 90.0}, table_s=0.1)
    file.write_text(json.dumps({"routes": {"a": asdict(one)}}))
    assert read_results(file) == {"a": one}
