"""Let the documentation show a run: ``python -m benchmarks.speed.show benchmarks/results/FILE.json``.

One of size L has a place of its own, with no plot.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from tests.support.site import ROOT

from .plot import plot
from .results import Results, from_json, left_out_lines, table

SHOWN = ROOT / "benchmarks" / "results" / "shown.json"
SHOWN_LARGE = SHOWN.with_stem("shown-L")
PAGE = ROOT / "docs" / "speed.md"
PLOT = PAGE.with_suffix(".svg")


def fill_in(page: str, results: Results) -> str:
    """The page with the table of these results, and what was not measured."""
    loads = ", ".join(f"{load:g}" for load in results.load)
    counts = {len(series.runs) for comparison in results.routes for series in comparison.series if series.runs}
    rounds = " to ".join(map(str, sorted({min(counts), max(counts)})))
    of_all = "one round" if rounds == "1" else f"medians of {rounds} rounds"
    head = (
        f"{results.rows:,} rows (size {results.size}), {of_all}; {results.cores} cores, load average "
        f"{loads} at the beginning and after each whole round.\n\n"
    )
    text = f"{head}{table(results)}\nNot measured, or failed:\n\n{left_out_lines(results)}"
    name = "large results" if results.size == "L" else "results"
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def main(file: str) -> None:
    data = orjson.loads(Path(file).read_bytes())
    results = from_json(data)
    is_large = results.size == "L"
    shown = SHOWN_LARGE if is_large else SHOWN
    shown.write_bytes(orjson.dumps(results.to_json(), option=orjson.OPT_INDENT_2) + b"\n")
    if not is_large:
        PLOT.write_text(plot(results), encoding="utf-8")
    PAGE.write_text(fill_in(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
