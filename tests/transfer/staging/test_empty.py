"""The tables of a revision without a row, by the revisions, or of a stand-in where one of them fails."""

from __future__ import annotations

from app.transfer.run.run import Run
from app.transfer.staging.empty import build_empty, build_tables

from .tables import count_rows


def test_rows_that_a_revision_inserts_are_not_there(run: Run) -> None:
    with run.host.app_context():
        tables = build_tables(run, run.staging, "one")
        assert {name: table.column_names for name, table in tables.items()} == {"t": ("id", "x")}
        assert count_rows(run) == {"t": 0, "alembic_version": 1}
        # A second time in the place of what was there.
        build_empty(run, run.staging, "one")
        assert count_rows(run) == {"t": 0, "alembic_version": 1}
