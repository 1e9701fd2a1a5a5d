"""What the runs gave: medians, ratios, the table, the file."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from .process import Cost


@dataclass
class Series:
    """One contender's runs, in order; None for one that failed.

    :ivar failures: what it said then.
    """

    name: str
    runs: list[Cost | None] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def median(self) -> Cost | None:
        """Each figure's median, of the runs that did not fail."""
        costs = [cost for cost in self.runs if cost]
        if not costs:
            return None
        return Cost(**{name: statistics.median(getattr(cost, name) for cost in costs) for name in asdict(costs[0])})


@dataclass
class Comparison:
    """A route's contenders; the first is ours."""

    name: str
    title: str
    rows: int
    series: list[Series]

    @property
    def is_measured(self) -> bool:
        """Whether all contenders ran; not so where ``make bench`` was interrupted before."""
        return all(series.runs for series in self.series)

    def ratio(self, peer: Series) -> float | None:
        """How many times as fast as a peer we are: the median over the rounds, as a machine's load changes."""
        pairs = zip(self.series[0].runs, peer.runs, strict=False)
        ratios = [other.seconds / ours.seconds for ours, other in pairs if ours and other]
        return statistics.median(ratios) if ratios else None


@dataclass
class Results:
    """One ``make bench``.

    :ivar load: the machine's load average when it began and after each round.
    :ivar left_out: what was not measured, with the reason.
    """

    size: str
    rows: int
    repeats: int
    cores: int
    load: list[float]
    programs: dict[str, str]
    left_out: dict[str, str]
    routes: list[Comparison]

    def to_json(self) -> dict[str, Any]:
        """All of it, with medians and ratios."""
        data = asdict(self)
        for comparison, item in zip(self.routes, data["routes"], strict=True):
            for series, entry in zip(comparison.series, item["series"], strict=True):
                entry["median"] = asdict(series.median) if series.median else None
                entry["ratio"] = None if series is comparison.series[0] else comparison.ratio(series)
        return data


def from_json(data: dict[str, Any]) -> Results:
    """Results of a file."""
    return Results(**{**data, "routes": [_comparison(item) for item in data["routes"]]})


def _comparison(item: dict[str, Any]) -> Comparison:
    series = [
        Series(entry["name"], [Cost(**run) if run else None for run in entry["runs"]], entry["failures"])
        for entry in item["series"]
    ]
    return Comparison(item["name"], item["title"], item["rows"], series)


HEAD = "| route | | seconds | times as fast | CPU s | server CPU s | peak MiB |\n|---|---|--:|--:|--:|--:|--:|\n"


def table(results: Results) -> str:
    """Markdown: a row per contender, medians; "times as fast" is ours beside this peer."""
    return HEAD + "".join(
        _row(comparison, series)
        for comparison in results.routes
        if comparison.is_measured
        for series in comparison.series
    )


def _row(comparison: Comparison, series: Series) -> str:
    ours = series is comparison.series[0]
    title, name = comparison.title if ours else "", series.name.replace("|", "\\|")
    cost, ratio = series.median, comparison.ratio(series)
    if cost is None:
        return f"| {title} | {name} | failed | | | | |\n"
    times = "" if ours or ratio is None else f"{ratio:.2f}"
    figures = f"{cost.seconds:.2f} | {times} | {cost.cpu_s:.2f} | {cost.server_cpu_s:.2f} | {cost.peak_mib:.0f}"
    return f"| {title} | {name} | {figures} |\n"


def left_out_lines(results: Results) -> str:
    """A line for each thing that was not measured, or failed."""
    lines = [f"- {name}: {reason}.\n" for name, reason in results.left_out.items()]
    for comparison in results.routes:
        if not comparison.is_measured:
            lines.append(f"- {comparison.title}: not run.\n")
        for series in comparison.series:
            if series.failures:
                counts = f"{len(series.failures)} of {len(series.runs)} runs failed"
                lines.append(f"- {comparison.title}, {series.name}: {counts} ({_first_line(series.failures[0])}).\n")
    return "".join(lines)


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(".")[:200]
