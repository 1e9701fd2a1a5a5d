"""Rows loaded while others are read: the whole table, or it is named to be loaded again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.dialects.model import Values
from app.errors import DatabaseUnreachable
from app.transfer.rows.canonical import encode_row
from app.transfer.run.run import Run
from app.transfer.run.throttle import Throttle
from app.transfer.run.workers import Workers
from app.transfer.staging import ahead
from app.transfer.staging.ahead import LoadAhead
from tests.dialects.rooms import CHILDREN, PARENTS, ROOMS, Room

MANY: list[Values] = [[number, f"parent {number}"] for number in range(1000)]
PART = 100


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def room(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setattr(ahead, "PART_BYTES", PART * 10)
    with ROOMS[request.param](request, tmp_path) as room:
        room.fill()
        room.dialect.prepare_staging(room.other("staging"), room.target)
        room.fill(room.other("staging"))
        room.dialect.clear(room.other("staging"), ["children", "parents"])
        yield room


@pytest.fixture
def workers() -> Iterator[Workers]:
    these = Workers(1)
    yield these
    these.close()


def begin(room: Room, workers: Workers, begun: list[str], begin_with: Callable[[], object] | None = None) -> LoadAhead:
    run: Any = SimpleNamespace(
        target=room.target,
        staging=room.other("staging"),
        directory=room.directory,
        settings=SimpleNamespace(tls_ca=None),
        host=SimpleNamespace(version_table="alembic_version"),
        dialect=room.dialect,
        throttle=Throttle(None, lambda *_: None),
    )
    loader = LoadAhead(cast("Run", run), workers)
    with room.dialect.reader(room.other("staging")) as reader:
        tables = reader.tables()
    loader.allow([tables["parents"], tables["children"]], tables, begin_with or (lambda: begun.append("begun")))
    return loader


def give(loader: LoadAhead, name: str, rows: list[Values]) -> None:
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        loader.take(name, b",\n".join(map(encode_row, part)), len(part))


def count(room: Room) -> int:
    with room.dialect.reader(room.other("staging")) as reader:
        return reader.count("parents")


def test_all_rows_of_a_table(room: Room, workers: Workers) -> None:
    begun: list[str] = []
    loader = begin(room, workers, begun)
    give(loader, "parents", MANY)
    give(loader, "children", CHILDREN[1:2])
    loaded = loader.finish(is_of_these=True)
    assert {name: rows for name, (rows, _) in loaded.rows.items()} == {"parents": 1000, "children": 1}
    assert loaded.spoiled == frozenset()
    assert begun == ["begun"]
    with room.dialect.reader(room.other("staging")) as reader:
        assert list(reader.rows(reader.tables()["parents"])) == MANY


def test_a_part_of_short_rows_has_no_more_of_them(
    room: Room, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As values of Python's they take thirty times as much as their lines."""
    monkeypatch.setattr(ahead, "PART_BYTES", 1 << 30)
    monkeypatch.setattr(ahead, "PART_ROWS", 2 * PART)
    counts: list[int] = []
    submit = workers.submit

    def submit_noted(work: Any, *arguments: Any, size: int = 0) -> Any:
        counts.append(arguments[3])
        return submit(work, *arguments, size=size)

    monkeypatch.setattr(workers, "submit", submit_noted)
    loader = begin(room, workers, [])
    loader._workers.executor  # noqa: B018 # started
    give(loader, "parents", MANY)
    assert loader.finish(is_of_these=True).rows["parents"][0] == 1000
    assert counts
    assert max(counts) == 2 * PART


def test_what_is_small_is_left_to_the_run_itself(room: Room, workers: Workers) -> None:
    begun: list[str] = []
    loader = begin(room, workers, begun)
    give(loader, "parents", PARENTS)
    loaded = loader.finish(is_of_these=True)
    assert (loaded.rows, loaded.spoiled, begun) == ({}, frozenset(), [])
    assert not workers.are_there


def test_a_refused_row_spoils_its_table_alone(room: Room, workers: Workers) -> None:
    loader = begin(room, workers, [])
    give(loader, "parents", [*MANY[:900], [5000, MANY[0][1]], *MANY[900:]])
    give(loader, "children", CHILDREN[1:2])
    loaded = loader.finish(is_of_these=True)
    assert loaded.spoiled == {"parents"}
    assert loaded.rows.keys() <= {"children"}


def test_rows_of_another_source_are_none_of_this_one(room: Room, workers: Workers) -> None:
    loader = begin(room, workers, [])
    give(loader, "parents", MANY)
    loaded = loader.finish(is_of_these=False)
    assert (loaded.rows, loaded.spoiled) == ({}, {"parents"})


def test_a_worker_that_dies_spoils_what_it_had(room: Room, workers: Workers) -> None:
    loader = begin(room, workers, [])
    give(loader, "parents", MANY[:300])
    os.kill(workers.executor.submit(os.getpid).result(20), signal.SIGKILL)
    give(loader, "parents", MANY[300:])
    loaded = loader.finish(is_of_these=True)
    # Either all of its parts were done, and the run went on by itself, or the table is loaded again.
    assert loaded.spoiled == {"parents"} or loaded.rows["parents"][0] == count(room) == len(MANY)


def test_staging_that_is_not_ready_is_no_error_of_the_source(room: Room, workers: Workers) -> None:
    """Such an error, raised while rows are read, would let an old snapshot stand in for a source that is well."""

    def fail() -> None:
        begun.append("begun")
        raise DatabaseUnreachable("the target's server is gone")

    begun: list[str] = []
    loader = begin(room, workers, begun, fail)
    give(loader, "parents", MANY)
    with pytest.raises(DatabaseUnreachable, match="the target's server is gone"):
        loader.finish(is_of_these=True)
    assert begun == ["begun"]
    assert count(room) == 0
