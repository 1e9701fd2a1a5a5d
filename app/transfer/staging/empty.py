"""The tables of a revision, without a row."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from ...dialects.model import Table
from ..run.run import Run
from ..schema.alembic import data_tables


def build_empty(run: Run, staging: URL, revision: str, schema: Path | None = None) -> None:
    """The tables of a revision, without a row, in the place of what was there.

    Rows that a revision inserts are in the source, as far as nobody changed or deleted them there.

    :param schema: a backup file of a database at this revision: the tables are those in it, and no revision is run.
    """
    if schema is None:
        run.dialect.prepare_staging(staging, run.target)
        run.schema.build(staging, revision)
    else:
        # What it says of large objects was said when those of the source were brought.
        run.dialect.restore(schema, staging)
        run.dialect.fit_staging(staging, run.target)
        run.schema.rename_versions(staging, revision)
    with run.dialect.reader(staging) as reader:
        filled = [name for name, rows in reader.counts(data_tables(reader.tables())).items() if rows]
    if filled:
        with run.dialect.loading(staging):
            run.dialect.clear(staging, filled)


def build_tables(run: Run, staging: URL, revision: str, schema: Path | None = None) -> dict[str, Table]:
    """Build the tables of a revision, and describe them; see :func:`build_empty`."""
    build_empty(run, staging, revision, schema)
    with run.dialect.reader(staging) as reader:
        return data_tables(reader.tables())
