"""What a worker of a cluster says of itself before it is given any part of a run's work."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path

import xxhash

PACKAGES = ("dialects", "transfer")
"""What parts are carried out by."""


@dataclass(frozen=True)
class WorkerHere:
    """A worker as it is.

    :ivar code: a digest of the extension's own code: two of one version may differ while somebody works on it.
    """

    python: str
    code: str


def python_version() -> str:
    """Which rows are written and read alike: the first two numbers."""
    return ".".join(map(str, sys.version_info[:2]))


@functools.cache
def code_digest() -> str:
    """Of the code that carries out parts, in hex."""
    root, digest = Path(__file__).parents[2], xxhash.xxh3_128()
    for file in sorted(path for name in PACKAGES for path in (root / name).rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def look_here() -> WorkerHere:
    """In a worker: what it is. It is told nothing for it."""
    return WorkerHere(python_version(), code_digest())
