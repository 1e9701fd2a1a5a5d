"""All routes of all kinds, run once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .carry import Place
from .exported import exported
from .routes import GROUPS, Cells, Source, route, source


@dataclass
class Outcome:
    """What came of all routes: by (source, target) the cells, and by source the kinds that the export gives exactly."""

    sources: dict[str, Source]
    cells: dict[tuple[str, str], Cells]
    exported: dict[str, set[str]]


def run(places: Mapping[str, Place]) -> Outcome:
    sources = {name: source(at) for name, at in places.items()}
    cells = {(one, other): route(begin, at) for one, begin in sources.items() for other, at in places.items()}
    return Outcome(sources, cells, {name: _exported(begin) for name, begin in sources.items()})


def _exported(begin: Source) -> set[str]:
    found = exported(begin.at, begin.at.directory)
    return {kind.title for group in GROUPS if found[group.name] == begin.lines[group.name] for kind in group.kinds}
