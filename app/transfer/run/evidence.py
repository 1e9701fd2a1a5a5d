"""Differences as evidence: the first ones for people, all of them in a file of the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...dialects.reader import Reader
from ...dialects.wording import count_of
from ..proof.compare import SHOWN, Difference, compare_databases
from ..rows.files import to_plain_json, write
from .run import Run

KEPT_DIFFERENCES = 10_000
"""So many are in the file: a database that is another one altogether is not written into it."""
REPORTED = 100
NAME = "differences.json"


@dataclass(frozen=True)
class Kept:
    """Differences that were found, of which the first are in ``file``.

    :ivar more: there were more than the file has.
    """

    found: list[Difference]
    more: bool
    file: Path

    @property
    def count(self) -> str:
        """How many, for people: of rows."""
        return self.count_as("row")

    def count_as(self, noun: str) -> str:
        """How many of what a noun says, for people."""
        number = count_of(len(self.found), noun)
        return f"more than {number}" if self.more else number

    def lines(self) -> list[str]:
        """The first ones, and where all of them are."""
        lines = [str(item) for item in self.found[:SHOWN]]
        rest = f"and {len(self.found) - SHOWN} more; " if len(self.found) > SHOWN else ""
        return [*lines, f"{rest}{'the first' if self.more else 'all'} {len(self.found)}: {self.file}"]


def keep_differences(run: Run, differences: Iterable[Difference]) -> Kept | None:
    """Write differences to a file of the run, and name them in its report; None when there are none."""
    items = list(islice(differences, KEPT_DIFFERENCES + 1))
    if not items:
        return None
    evidence = Kept(items[:KEPT_DIFFERENCES], len(items) > KEPT_DIFFERENCES, run.directory / NAME)
    write(evidence.file, [to_plain_json([item.to_json() for item in evidence.found])], keep_former=False)
    run.report.differences = [item.to_json() for item in evidence.found[:REPORTED]]
    run.report.differences_file = str(evidence.file)
    return evidence


def keep_lines(run: Run, differences: Iterable[Difference]) -> list[str]:
    """Keep differences; the first ones and the file as lines, or none."""
    evidence = keep_differences(run, differences)
    return evidence.lines() if evidence else []


def databases_differ(run: Run, left: Reader, right: Reader) -> list[str]:
    """Compare two databases and keep the differences; ``left`` is the expected one."""
    return keep_lines(run, compare_databases(left, right, run.directory))
