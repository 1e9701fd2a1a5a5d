"""Directories for their owner alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_directory(directory: Path) -> None:
    """Create a directory, and those above it, for their owner alone whatever the umask.

    One that is there stays as it is.
    What lies in a new one is no part of a repository around it: a backup with hashes is never committed by accident.

    :raises OSError: it cannot be made.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
    directory.mkdir(exist_ok=True)  # where a file has the name
    if missing:
        # Another process may have made it in this instant, with the same file.
        with contextlib.suppress(FileExistsError):
            file = os.open(directory / ".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(file, "w", encoding="ascii") as ignored:
                ignored.write("*\n")
