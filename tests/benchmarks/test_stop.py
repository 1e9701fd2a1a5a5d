"""The results of ``make stop`` are kept beside those of other runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson

from benchmarks.stop import Stop, keep

STOP = Stop("sqlite", "XS", 4090, 10, "short", 0, 1.5, 10.0, 12, 15, (3, 1), 0, 0, 0.1, [])


def test_a_run_takes_the_place_of_one_of_the_same(tmp_path: Path) -> None:
    file = tmp_path / "stop.json"
    for stop in (STOP, replace(STOP, rate=100), replace(STOP, waited_ms=20)):
        keep(file, stop)
    assert [(one["rate"], one["waited_ms"]) for one in orjson.loads(file.read_bytes())] == [(100, 12), (10, 20)]
