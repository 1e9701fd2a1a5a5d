"""Where rows lie that nobody is to keep: removed when the run ends, and by the next command when it was killed."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import FerryError, SourceIncomplete
from .run import Run

NAME = "private"
LOCK = "private.lock"
FETCHED = ".fetched-"
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@contextlib.contextmanager
def private_directory(run: Run) -> Iterator[Path]:
    """A directory of mode 0700 in the run's own; what the source gave goes there."""
    with _hold_private(run.directory) as path:
        yield path


@contextlib.contextmanager
def fetched_directory(backups: Path) -> Iterator[Path]:
    """A directory of mode 0700 for what a storage gave, decrypted; a rename makes a backup of it.

    :param backups: the directory of backups, which is there.
    :raises OSError: it cannot be made.
    """
    above = Path(tempfile.mkdtemp(prefix=FETCHED, dir=backups))
    try:
        with _hold_private(above) as path:
            yield path
    finally:
        with contextlib.suppress(OSError):  # where what lies in it could not be removed, that is the error
            above.rmdir()


@contextlib.contextmanager
def _hold_private(above: Path) -> Iterator[Path]:
    """A lock beside it is held for as long as this process lives: whoever gets it knows that nobody needs the files."""
    path = above / NAME
    with FileLock(above / LOCK, timeout=0, mode=0o600):
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            _remove(path)
            (above / LOCK).unlink(missing_ok=True)


@contextlib.contextmanager
def withhold_values(wanted: bool) -> Iterator[None]:
    """What cannot be read is often told by what was read: where nobody is to keep a value, without the values."""
    try:
        yield
    except SourceIncomplete as error:
        if wanted:
            raise error.with_details(
                _QUOTED.sub("'...'", error.message),
                ["what came is not shown, as it may be personal; a run without a profile shows it"],
            ) from None
        raise


def remove_abandoned(area: Path, backups: Path) -> None:
    """Remove what killed runs left, whatever command this is; a run that lives keeps its own.

    :param area: the directory of a control area.
    :param backups: the directory of backups.
    :raises FerryError: a directory cannot be removed.
    """
    for path in (*area.glob(f"runs/*/{NAME}"), *backups.glob(f"{FETCHED}*/{NAME}")):
        with contextlib.suppress(Timeout), FileLock(path.with_name(LOCK), timeout=0, mode=0o600):
            _remove(path)
            path.with_name(LOCK).unlink(missing_ok=True)
            if path.parent.parent == backups:
                with contextlib.suppress(OSError):
                    path.parent.rmdir()


def _remove(path: Path) -> None:
    try:
        if path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise FerryError(
            f"{path} holds rows as they were, and cannot be removed: {error.strerror}.",
            hint="Remove the directory by hand, then run the command again.",
        ) from error
