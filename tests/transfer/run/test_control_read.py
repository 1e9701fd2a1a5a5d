"""The control area read by one statement: what it says is what its tables say one by one, or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.model import ControlArea
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.errors import FerryError
from app.transfer.run.control import Control
from app.transfer.run.control_read import NotReadAtOnce, read_all
from app.transfer.run.ledger import Entry
from tests.dialects.rooms import ROOMS

DIALECT = SqliteDialect()


def entry(run_id: str) -> Entry:
    return Entry(run_id, "db-migrate-data", "https://old", "https://old", "1", "00000001", "", "2024-01-01T00:00:00Z")


@pytest.fixture
def area(tmp_path: Path) -> ControlArea:
    area = DIALECT.control_area(url_of(tmp_path / "live.db"))
    control = Control.open(DIALECT, area)
    control.keep("environment", "staging")
    control.keep("other", "x")
    for run_id in ("run2", "run1"):
        control.record(entry(run_id))
        control.write(run_id, "load", "done", {"rows": 1})
    control.take_lease("run3", "db-backup")
    return area


def test_it_is_what_the_tables_say_one_by_one(area: ControlArea) -> None:
    control = Control.peek(DIALECT, area)
    assert control
    read = read_all(control._alone)
    holder = control.holder()
    assert (dict(read["identity"]), read["ledger"]) == ({"environment": "staging", "other": "x"}, control.ledger())
    assert (read["journal"], len(read["journal"])) == (control.journal(), 4)
    assert holder
    assert [(one.run_id, one.pid, one.alive) for one in read["lease"]] == [("run3", holder.pid, True)]


@pytest.mark.parametrize("kind", sorted(ROOMS))
def test_each_server_says_it_without_a_warning(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    with ROOMS[kind](request, tmp_path) as room:
        room.dialect.create(room.target)
        written = Control.open(room.dialect, room.dialect.control_area(room.target))
        written.keep("environment", "staging")
        written.record(entry("run1"))
        written.take_lease("run2", "db-backup")
        control = Control.peek(room.dialect, room.dialect.control_area(room.target), with_records=True)
        assert control
        assert control._read_ahead["journal"] == written.journal()
        assert control._read_ahead["ledger"] == [entry("run1")]
        assert control._read_ahead["identity"] == [("environment", "staging")]
        [holder] = control._read_ahead["lease"]
        assert (holder.run_id, holder.alive) == ("run2", True)


def test_a_look_reads_once(area: ControlArea) -> None:
    control = Control.peek(DIALECT, area, with_records=True)
    assert control
    with control.read_once():
        with closing(sqlite3.connect(str(area.url.database))) as connection, connection:
            for table in ("identity", "ledger", "journal", "lease"):
                connection.execute(f"DELETE FROM {table}")
        holder = control.holder()
        assert holder
        assert holder.run_id == "run3"
        assert (control.environment(), control.get("none")) == ("staging", None)
        assert ([one.run_id for one in control.ledger()], len(control.journal())) == (["run2", "run1"], 4)
    assert (control.holder(), control.environment(), control.ledger()) == (None, None, [])


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE lease",
        "UPDATE ledger SET entry = '{'",
        "UPDATE journal SET detail = '[]'",
        "UPDATE lease SET started_at = 'x'",
    ],
)
def test_what_is_damaged_is_left_to_who_names_it(area: ControlArea, damage: str) -> None:
    with closing(sqlite3.connect(str(area.url.database))) as connection, connection:
        connection.execute(damage)
    control = Control(DIALECT, area)
    with pytest.raises((NotReadAtOnce, FerryError)):
        read_all(control._alone)
