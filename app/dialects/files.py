"""Files and directories for their owner alone, durable on disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO


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


def fsync_directory(directory: Path) -> None:
    """Make a rename in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def create_private(path: Path) -> None:
    """Create a file that only its owner can read, before anything is in it.

    :raises OSError: it cannot be made, or is a link, which somebody may have laid to a file of yours.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def open_private(path: Path) -> IO[bytes]:
    """Open a file to write it anew, which only its owner can read even where it was there with another mode.

    :raises OSError: it cannot be written, or is a link, which somebody may have laid to a file of yours.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "wb")
