"""What the documentation shows is what a run of ``make bench`` wrote."""

from __future__ import annotations

import orjson

from benchmarks.speed.__main__ import list_missing
from benchmarks.speed.contenders import Contender, Job, Route
from benchmarks.speed.plot import plot
from benchmarks.speed.process import Cost
from benchmarks.speed.results import Comparison, Series, from_json, left_out_lines, table
from benchmarks.speed.show import SHOWN, SHOWN_LARGE
from tests.support.site import ROOT

PAGE = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")


def cost(seconds: float) -> Cost:
    return Cost(seconds, cpu_s=1, server_cpu_s=1, peak_mib=10)


def test_the_page_shows_the_results_that_are_kept() -> None:
    results = from_json(orjson.loads(SHOWN.read_bytes()))
    assert table(results) in PAGE
    assert left_out_lines(results) in PAGE
    assert (ROOT / "docs" / "speed.svg").read_text(encoding="utf-8") == plot(results)


def test_the_page_shows_those_of_five_times_the_rows() -> None:
    results = from_json(orjson.loads(SHOWN_LARGE.read_bytes()))
    assert (results.size, results.rows) == ("L", 405_040)
    assert table(results) in PAGE


def test_the_results_survive_their_file() -> None:
    data = orjson.loads(SHOWN.read_bytes())
    assert from_json(data).to_json() == data


def test_a_ratio_is_of_one_round() -> None:
    """The machine was slow in the second: the ratio of the medians would say half as much."""
    ours, peer = Series("ours", [cost(1), cost(10), cost(1)]), Series("peer", [cost(2), cost(20), None])
    comparison = Comparison("r", "r", 1, [ours, peer])
    assert comparison.ratio(peer) == 2
    assert peer.median == cost(11)


def test_a_contender_that_failed_is_named() -> None:
    ours, peer = Series("ours", [cost(1)]), Series("peer", [None], ["0 of 9 rows arrived"])
    results = from_json(orjson.loads(SHOWN.read_bytes()))
    results.routes = [Comparison("r", "There", 9, [ours, peer])]
    assert "| peer | failed |" in table(results)
    assert "There, peer: 1 of 1 runs failed (0 of 9 rows arrived)" in left_out_lines(results)


def test_a_tool_that_is_not_installed_is_named() -> None:
    def prepare() -> Job:
        raise AssertionError("it is never run")

    tools = (Contender("ours", prepare), Contender("theirs", prepare, "no-such-program"))
    assert list_missing([Route("r", "There", tools)]) == {"theirs": "is not installed"}
