"""Lines of a snapshot loaded by themselves: all of them, or a problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dialects.model import Values
from app.transfer.rows.canonical import encode_row
from app.transfer.run.workers import Workers
from app.transfer.staging.lines import Outcome, Place, load_into, load_lines
from tests.dialects.rooms import PARENTS, ROOMS, Room

BATCH_ROWS = 500


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    with ROOMS[request.param](request, tmp_path) as room:
        room.fill()
        room.dialect.prepare_staging(room.other("staging"), room.target)
        room.fill(room.other("staging"))
        room.dialect.clear(room.other("staging"), ["children", "parents"])
        yield room


def write(rows: list[Values]) -> bytes:
    return b",\n".join(map(encode_row, rows))


def read(room: Room) -> list[Values]:
    with room.dialect.reader(room.other("staging")) as reader:
        return list(reader.rows(reader.tables()["parents"]))


def table_of(room: Room):  # type: ignore[no-untyped-def] # a table
    with room.dialect.reader(room.other("staging")) as reader:
        return reader.tables()["parents"]


def test_all_lines_are_loaded(room: Room) -> None:
    """As a worker does, which is given nothing but words; the second time its sessions are there."""
    place = Place(room.target, room.other("staging"), room.directory, None, "alembic_version", None)
    table = table_of(room)
    workers = Workers(1)
    try:
        for rows in (PARENTS[:1], PARENTS[1:]):
            part = workers.executor.submit(load_lines, place, table, write(rows), len(rows), BATCH_ROWS)
            assert part.result(60) == Outcome(len(rows))
    finally:
        workers.close()
    assert read(room) == PARENTS


def test_a_row_that_is_refused_is_a_problem(room: Room) -> None:
    rows = [*PARENTS, [4, PARENTS[0][1]]]
    outcome = load_into(room.dialect, room.other("staging"), table_of(room), write(rows), 4, BATCH_ROWS)
    assert outcome.problem == "of 4 rows 3 went in"


def test_another_number_of_lines_is_a_problem(room: Room) -> None:
    outcome = load_into(room.dialect, room.other("staging"), table_of(room), write(PARENTS), 4, BATCH_ROWS)
    assert outcome.problem == "of 4 rows 3 went in"


def test_a_table_that_is_gone_is_a_problem(room: Room) -> None:
    table = table_of(room)
    room.execute("DROP VIEW names", url=room.other("staging"))
    room.execute("DROP TABLE children", url=room.other("staging"))
    room.execute("DROP TABLE parents", url=room.other("staging"))
    outcome = load_into(room.dialect, room.other("staging"), table, write(PARENTS), 3, BATCH_ROWS)
    assert outcome.rows == 0
    assert "parents" in outcome.problem


def test_a_place_shows_no_password() -> None:
    """A worker of a cluster writes what it was given into its log, where it fails."""
    url = sa.make_url("mysql+pymysql://app:s3cret-word@db.example.org/shop")
    assert "s3cret-word" not in repr(Place(url, url.set(database="staging"), Path(), None, "alembic_version", None))
