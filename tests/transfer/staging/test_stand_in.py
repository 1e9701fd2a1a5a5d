"""What the tables of a revision are made of where it no longer runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import DoesNotFit
from app.transfer.run.run import Run
from app.transfer.staging.empty import build_empty
from app.transfer.staging.stand_in import StandIn, build_past

from .tables import count_rows


def test_a_revision_that_fails_stops_or_is_stood_in_for(run: Run, tmp_path: Path) -> None:
    with run.host.app_context():
        build_empty(run, run.staging, "one")
        with run.dialect.engine(run.staging).begin() as connection:
            connection.exec_driver_sql("ALTER TABLE t ADD COLUMN y INTEGER")
            connection.exec_driver_sql("INSERT INTO t VALUES (1, 2, 3)")
        schema = tmp_path / "schema.backup"
        with run.dialect.image(run.staging, run.old_generation, None) as image:
            image.dump(schema)
        for stand_in, hint in ((StandIn(), None), (StandIn(otherwise="do that"), "do that")):
            with pytest.raises(DoesNotFit, match="not any more") as caught:
                build_past(run, run.staging, "two", stand_in)
            assert hint is None or caught.value.hint == hint
        tables, file = build_past(run, run.staging, "two", StandIn(lambda: schema))
        assert (tables["t"].column_names, file) == (("id", "x", "y"), schema)
        assert count_rows(run) == {"t": 0, "alembic_version": 1}
        assert "not any more" in run.report.notes[0]
        assert build_past(run, run.staging, "one", StandIn(lambda: schema))[1] is None
