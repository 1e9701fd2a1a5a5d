"""The tables of a revision, also where an old revision no longer runs: then of a database that has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from ...dialects.model import Table
from ...errors import DoesNotFit
from ..run.evidence_files import SCHEMA, name_unfinished
from ..run.run import Run
from ..sources.base import Source
from .empty import build_empty, build_tables


@dataclass(frozen=True)
class StandIn:
    """Where the tables of a revision are besides in the revisions.

    :ivar find: finds a backup file of a database at the revision, or nothing.
    :ivar otherwise: what to do where there is none; an empty text where the revision must be fixed.
    """

    find: Callable[[], Path | None] = lambda: None
    otherwise: str = ""


NO_STAND_IN = StandIn()


def build_past(
    run: Run, staging: URL, revision: str, stand_in: StandIn = NO_STAND_IN
) -> tuple[dict[str, Table], Path | None]:
    """Build the tables of a revision by the revisions, or of the stand-in where one of them fails.

    :return: the tables, and the file that they were made of where no revisions made them.
    :raises DoesNotFit: a revision failed, and there is no stand-in.
    """
    try:
        return build_tables(run, staging, revision), None
    except DoesNotFit as error:
        schema = stand_in.find()
        if schema is None and stand_in.otherwise:
            raise error.with_hint(stand_in.otherwise) from error
        if schema is None:
            raise
        run.note(f"{error.message} Revision {revision} is taken as the source itself has it, from there on up.")
        return build_tables(run, staging, revision, schema), schema


def keep_source_schema(run: Run, source: Source, revision: str) -> Path | None:
    """Write a backup file of the source without its rows into the run's directory, and let staging be that.

    :return: None where the source is no database on the target's kind of server.
    """
    # Under this name the next run removes it, should this one be killed: all rows of the source are in it.
    whole, path = run.directory / name_unfinished(Path("source.backup"), run.id), run.directory / SCHEMA
    try:
        if not source.keep_schema(run, whole):
            return None
        build_empty(run, run.staging, revision, whole)
    finally:
        whole.unlink(missing_ok=True)
    run.dialect.dump_empty(run.staging, path)
    return path
