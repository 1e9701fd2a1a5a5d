"""The tables of a revision without a row, by the revisions, or of a stand-in where one of them fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import DoesNotFit
from app.transfer.run.run import Run
from app.transfer.staging.empty import build_empty, build_tables
from app.transfer.staging.stand_in import StandIn, build_past
from tests.transfer.hosts import made_run
from tests.transfer.schema.made import ADD, CREATE, Made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Made(tmp_path)
    made.add("one", None, f"{CREATE}\nop.execute('INSERT INTO t VALUES (1, 2)')")
    made.add("two", "one", f"{ADD}\nraise ValueError('not any more')")
    run = made_run(tmp_path)
    run.dialect.open_control(run.dialect.control_area(run.target))
    return run


def rows(run: Run) -> dict[str, int]:
    with run.dialect.reader(run.staging) as reader:
        return {name: reader.count(name) for name in reader.tables()}


def test_rows_that_a_revision_inserts_are_not_there(run: Run) -> None:
    with run.host.app_context():
        tables = build_tables(run, run.staging, "one")
        assert {name: table.column_names for name, table in tables.items()} == {"t": ("id", "x")}
        assert rows(run) == {"t": 0, "alembic_version": 1}
        # A second time in the place of what was there.
        build_empty(run, run.staging, "one")
        assert rows(run) == {"t": 0, "alembic_version": 1}


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
        assert rows(run) == {"t": 0, "alembic_version": 1}
        assert "not any more" in run.report.notes[0]
        assert build_past(run, run.staging, "one", StandIn(lambda: schema))[1] is None
