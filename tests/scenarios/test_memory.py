"""Memory is bounded by the largest row and a fixed batch, not by the number of rows."""

from __future__ import annotations

from pathlib import Path

from benchmarks.memory import compare

SIZES = (1_000, 10_000)
"""``make memory`` takes 10,000 and 100,000."""

MOST_MIB = 20


def test_ten_times_the_posts_need_no_more_memory(tmp_path: Path) -> None:
    for kind, (small, large) in compare(tmp_path, SIZES).items():
        assert large.peak_mib - small.peak_mib < MOST_MIB, kind
