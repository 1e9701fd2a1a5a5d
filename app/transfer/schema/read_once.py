"""Alembic's commands, of which each would read all revisions anew: a run sends one for each revision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from alembic.config import Config
from alembic.script import ScriptDirectory


@contextlib.contextmanager
def read_once(config: Config) -> Iterator[None]:
    """Let commands that are given this configuration work on the same revisions, as one command for all would.

    They are read when the first command asks, and not kept behind the block: what a revision remembers in its module
    is of one database.
    """
    former, method = ScriptDirectory.from_config, vars(ScriptDirectory)["from_config"]
    scripts: list[ScriptDirectory] = []

    def from_config(other: Config) -> ScriptDirectory:
        if other is not config:
            return former(other)
        if not scripts:
            scripts.append(former(config))
        return scripts[0]

    ScriptDirectory.from_config = from_config  # type: ignore[assignment,method-assign] # a command takes no revisions
    try:
        yield
    finally:
        ScriptDirectory.from_config = method  # type: ignore[method-assign]
