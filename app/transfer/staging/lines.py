"""Lines of a snapshot loaded, and looked for, by another process, which knows nothing of the app or the run."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from ...dialects import dialect_for
from ...dialects.base import Dialect
from ...dialects.model import KeyRange, Table, Values
from ...dialects.sessions import hold_sessions
from ...dialects.wording import count_rows
from ...errors import FerryError, PartLoaded
from ..rows.canonical import decode_rows
from ..rows.spelled import Spelled

if TYPE_CHECKING:
    from ..run.run import Run

Ranges = Sequence[tuple[KeyRange | None, Spelled]]
"""Ranges of a table's key, or None for all rows there are, each with its lines."""
DECODED_ROWS = 100
"""Of lines that are values at one time: some megabytes of them are more than a processor has at hand."""
_HELD = contextlib.ExitStack()


@dataclass(frozen=True)
class Place:
    """A staging database, for another process."""

    target: URL
    url: URL
    directory: Path
    tls_ca: Path | None
    version_table: str
    named_schema: str | None

    @classmethod
    def of(cls, run: Run) -> Place:
        """A run's staging."""
        settings, dialect = run.settings, run.dialect
        version_table = run.host.version_table
        return cls(run.target, run.staging, run.directory, settings.tls_ca, version_table, dialect.named_schema)

    def open(self) -> Dialect:
        """The room of its server."""
        return dialect_for(
            self.target,
            directory=self.directory,
            tls_ca=self.tls_ca,
            version_table=self.version_table,
            named_schema=self.named_schema,
        )


@functools.cache
def open_room(place: Place) -> Dialect:
    """The room of a server, whose sessions are this process's until it ends."""
    _HELD.enter_context(hold_sessions())
    atexit.register(_HELD.close)
    return place.open()


@dataclass(frozen=True)
class Outcome:
    """What became of some lines.

    :ivar problem: why not all of them are there; an empty text where they are.
    """

    rows: int
    note: str = ""
    problem: str = ""
    by: str = ""


def load_lines(place: Place, table: Table, lines: bytes, count: int, batch_rows: int, part: str = "") -> Outcome:
    """Load lines from a process of its own; see :func:`load_into`.

    :param part: given where the process is not the run's own: it keeps nothing of it, no session either.
    """
    if not part:
        return load_into(open_room(place), place.url, table, lines, count, batch_rows)
    with hold_sessions():
        outcome = load_into(place.open(), place.url, table, lines, count, batch_rows, part)
    return replace(outcome, by=f"{socket.gethostname()}, process {os.getpid()}")


def reach(place: Place) -> str:
    """Why the target's server cannot be reached from a process; an empty text where it can."""
    with hold_sessions():
        dialect = place.open()
        expected: tuple[type[Exception], ...] = (FerryError, SQLAlchemyError, *dialect.driver_errors)
        try:
            dialect.exists(place.target)
        except expected as error:
            return f"it does not reach the target's server: {error}"
    return ""


def are_spelled(place: Place, table: Table, ranges: Ranges, *, elsewhere: bool = False) -> bool:
    """In a process of its own: whether the rows of a table are spelled as these lines; see :func:`fit`.

    :param elsewhere: the process is not of the run's own machine, see :func:`load_lines`.
    """
    if not elsewhere:
        return fit(open_room(place), place.url, table, ranges)
    with hold_sessions():
        return fit(place.open(), place.url, table, ranges)


def fit(dialect: Dialect, staging: URL, table: Table, ranges: Ranges) -> bool:
    """Whether all rows of ranges of a table are spelled as their lines, in one read; not, where they cannot be read."""
    expected: tuple[type[Exception], ...] = (FerryError, SQLAlchemyError, *dialect.driver_errors)
    with contextlib.suppress(*expected), dialect.reader(staging) as reader:
        return all(lines.fits(reader.rows(table, within=within)) for within, lines in ranges)
    return False


def _decode(lines: bytes) -> Iterator[Values]:
    each = lines.split(b"\n")
    for place in range(0, len(each), DECODED_ROWS):
        yield from decode_rows(each[place : place + DECODED_ROWS])


def load_into(
    dialect: Dialect, staging: URL, table: Table, lines: bytes, count: int, batch_rows: int, part: str = ""
) -> Outcome:
    """Load lines, in a transaction of their own.

    Nothing is said of single rows: whoever asked loads all of the table again where one is refused.

    :param lines: with a comma and a line's end between them.
    :param part: what they are called where they may be loaded by somebody else as well, and are to go in once.
    """
    expected: tuple[type[Exception], ...] = (FerryError, SQLAlchemyError, *dialect.driver_errors)
    try:
        result = dialect.load(staging, table, _decode(lines), batch_rows=batch_rows, part=part)
    except PartLoaded:
        return Outcome(count)
    except expected as error:
        return Outcome(0, problem=str(error))
    problem = "" if result.loaded == count and not result.refused else f"of {count_rows(count)} {result.loaded} went in"
    return Outcome(result.loaded, result.note, problem)
