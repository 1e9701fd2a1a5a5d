"""Commands that a hint tells to type next, without what was typed before: that is for whoever shows the hint."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def migrate_without(tables: Iterable[str]) -> str:
    """The command that migrates without some tables."""
    return " ".join(["flask db-migrate-data", *(f"--exclude {shlex.quote(name)}" for name in tables)])
