"""When a deployment misbehaves: the control file, which every worker reads on every request, and its counters."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .settings import CONTROL, COUNTERS


@dataclass(frozen=True)
class Rule:
    """One misbehaviour and when it happens.

    :param path: a shell pattern for the request's path.
    :param page: only requests for this ``page`` (a request without one asks for page 1).
    :param times: happen this often, then never again; ``None`` for always.
    :param after: let this many matching requests pass first.
    :param every: of the rest, happen at each n-th only.
    """

    kind: str
    path: str
    page: int | None = None
    times: int | None = None
    after: int = 0
    every: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def concerns(self, path: str, page: int) -> bool:
        """Whether a request for this path and page matches."""
        return fnmatchcase(path, self.path) and self.page in (None, page)

    def strikes(self, number: int) -> bool:
        """Whether it happens at the matching request with this number, counted from 0."""
        turn, rest = divmod(number - self.after, self.every)
        return turn >= 0 and rest == self.every - 1 and (self.times is None or turn < self.times)


def write_rules(directory: Path, rules: list[Rule]) -> None:
    """Put the rules in force; a reader sees the former file or this one, never half of one."""
    beside = directory / f"{CONTROL}.new"
    beside.write_text(json.dumps([asdict(rule) for rule in rules]), encoding="utf-8")
    beside.replace(directory / CONTROL)


def read_rules(directory: Path) -> list[Rule]:
    """Return the rules in force."""
    try:
        text = (directory / CONTROL).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [Rule(**entry) for entry in json.loads(text)]


def next_number(directory: Path, name: str) -> int:
    """Return 0, 1, 2, ...: each number once, whichever thread or process asks.

    ``flock`` belongs to the open file, so it keeps threads of one process apart too.
    """
    counters = directory / COUNTERS
    counters.mkdir(exist_ok=True)
    handle = os.open(counters / name, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(handle, "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        number = int(file.read() or 0)
        file.seek(0)
        file.write(str(number + 1))
        file.flush()
    return number


def count(directory: Path, name: str) -> int:
    """Return how many numbers were given out under ``name``."""
    try:
        return int((directory / COUNTERS / name).read_text(encoding="ascii") or 0)
    except FileNotFoundError:
        return 0


def struck(directory: Path, path: str, page: int, wanted: Callable[[Rule], bool]) -> list[Rule]:
    """Return the wanted rules that happen at this request, and count it for every one it matches."""
    matching = [rule for rule in read_rules(directory) if wanted(rule) and rule.concerns(path, page)]
    return [rule for rule in matching if rule.strikes(next_number(directory, rule.id))]
