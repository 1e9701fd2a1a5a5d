"""Where a dry run puts its scratch database and files: in a private directory, removed afterwards."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .run import Run


@contextlib.contextmanager
def look_only(run: Run) -> Iterator[Path]:
    """A private directory for temporary files; a scratch database that is a file lies there as well.

    On a server the scratch database stays one of the target's server: only that says what it takes.
    """
    with run.dialect.leave_as_is(run.target), tempfile.TemporaryDirectory(prefix="ferry-look-") as name:
        directory = Path(name)
        if run.dialect.identity(run.target).is_file:
            run.scratch_of = run.target.set(database=str(directory / "app.db"))
        try:
            yield directory
        finally:
            if run.dialect.exists(run.scratch):
                run.dialect.drop(run.scratch)
            run.scratch_of = run.target
