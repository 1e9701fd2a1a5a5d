"""The way down: staging brought to an older revision by the app's own downgrades, one at a time.

Few people ever run theirs. So each is told apart from the others: which one failed, which one did nothing, and whether
what they lead to is the schema that the older revision had.
"""

from __future__ import annotations

import itertools

from alembic import command
from alembic.config import Config
from sqlalchemy import URL

from ...dialects.base import Dialect
from ...dialects.model import Table
from ...errors import DatabaseUnreachable, DoesNotFit, FerryError, LiveSchemaChanged
from .alembic import Schema, data_tables
from .listen import Heard


def bring_down(
    schema: Schema, dialect: Dialect, staging: URL, revisions: list[str], heard: Heard | None = None
) -> list[str]:
    """Undo revisions on a staging database, newest first, down to the last one named, which stays.

    The guards of an upgrade are those of this: no statement reaches the live database.

    :param revisions: from the one that staging is at down to the one wanted.
    :param heard: takes what they say while they run.
    :return: those whose downgrade changed no schema.
    :raises DoesNotFit: one has no downgrade that works, with its name.
    """
    idle = []
    for undone, reached in itertools.pairwise(revisions):
        before = dialect.schema_fingerprint(staging)
        try:
            schema.carry(staging, reached, [reached], _down, heard)
        except (DatabaseUnreachable, LiveSchemaChanged):
            raise
        except FerryError as error:
            raise DoesNotFit(
                f"Revision {undone} has no downgrade that works here: {error.message}", details=error.details
            ) from error
        if dialect.schema_fingerprint(staging) == before:
            idle.append(undone)
    return idle


def _down(config: Config, revision: str) -> None:
    command.downgrade(config, revision)


def find_way_down(schema: Schema, upper: str, lower: str) -> list[str]:
    """The revisions from one down to an older one, both included; of one line without branches.

    :raises DoesNotFit: the one does not lead straight to the other.
    """
    way = [upper]
    while way[-1] != lower:
        script = schema.script.get_revision(way[-1])
        down = script.down_revision if script else None
        if not isinstance(down, str):
            raise DoesNotFit(f"Revision {upper} cannot be brought down to {lower}: at {way[-1]} histories were merged.")
        way.append(down)
    return way


def shape_of(tables: dict[str, Table]) -> dict[str, list[str]]:
    """Tables with their columns by name, to see whether two schemas are one."""
    return {name: sorted(table.column_names) for name, table in data_tables(tables).items()}
