"""The plot: for each route and peer, how many times as fast we are, on a scale where twice and half are as far."""

from __future__ import annotations

import math
from html import escape

from .results import Results

LABELS, WIDTH, ROW, TOP = 430, 860, 22, 46
FIGURES = 60
"""Room for the number at a row's end."""


def plot(results: Results) -> str:
    """An SVG picture, black on white."""
    points = [
        (f"{comparison.title}: {series.name}", ratio)
        for comparison in results.routes
        for series in comparison.series[1:]
        if (ratio := comparison.ratio(series)) is not None
    ]
    highest = max((abs(math.log10(ratio)) for _, ratio in points), default=1.0)
    decades = max(1, math.ceil(highest))
    height = TOP + ROW * len(points) + 14
    parts = [_frame(height, results), *_grid(decades, height)]
    for number, (label, ratio) in enumerate(points):
        parts += _row(TOP + ROW * number + ROW // 2, label, ratio, decades)
    return "\n".join([*parts, "</svg>\n"])


def _x(ratio: float, decades: int) -> float:
    room = WIDTH - LABELS - FIGURES
    return round(LABELS + room * (math.log10(ratio) + decades) / (2 * decades), 1)


def _frame(height: int, results: Results) -> str:
    title = f"Times as fast as the other tool (size {results.size})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        f'<text x="8" y="16" font-weight="bold">{escape(title)}</text>'
    )


def _grid(decades: int, height: int) -> list[str]:
    lines = []
    for power in range(-decades, decades + 1):
        x, name = _x(10.0**power, decades), "level" if power == 0 else f"{10.0**power:g}"
        colour = "#000" if power == 0 else "#ccc"
        lines.append(f'<line x1="{x}" y1="{TOP - 4}" x2="{x}" y2="{height - 8}" stroke="{colour}"/>')
        lines.append(f'<text x="{x}" y="{TOP - 10}" text-anchor="middle">{name}</text>')
    return lines


def _row(y: int, label: str, ratio: float, decades: int) -> list[str]:
    level, x = _x(1.0, decades), _x(ratio, decades)
    return [
        f'<text x="{LABELS - 10}" y="{y + 4}" text-anchor="end">{escape(label)}</text>',
        f'<line x1="{level}" y1="{y}" x2="{x}" y2="{y}" stroke="#36c" stroke-width="2"/>',
        f'<circle cx="{x}" cy="{y}" r="4" fill="#36c"/>',
        f'<text x="{WIDTH - 8}" y="{y + 4}" text-anchor="end">{ratio:.2f}</text>',
    ]
