"""Parts loaded once, as each server that several may load has to do it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from app.dialects import once
from app.dialects.model import Values
from app.errors import FerryError, LoadError, PartLoaded
from tests.dialects.rooms import PARENTS, Room

MORE: list[Values] = [[10, "ten"], [11, "eleven"]]


def empty(room: Room) -> None:
    """A staging with the two tables and no row."""
    room.fill()
    staging = room.other("staging")
    room.dialect.prepare_staging(staging, room.target)
    room.fill(staging)
    room.dialect.clear(staging, ["children", "parents"])


def load(room: Room, rows: Iterator[Values] | list[Values], part: str) -> int:
    staging = room.other("staging")
    with room.dialect.reader(staging) as reader:
        table = reader.tables()["parents"]
    return room.dialect.load(staging, table, rows, batch_rows=100, part=part).loaded


def read(room: Room) -> list[Values]:
    with room.dialect.reader(room.other("staging")) as reader:
        return list(reader.rows(reader.tables()["parents"]))


def check_once(room: Room) -> None:
    """A part goes in once, and wholly or not at all; then it may come again."""
    empty(room)
    with room.dialect.sharing(room.other("staging")):
        assert load(room, PARENTS, "1") == len(PARENTS)
        with pytest.raises(PartLoaded):
            load(room, MORE, "1")
        with pytest.raises(LoadError, match="part 2"):
            load(room, [*MORE, PARENTS[0]], "2")
        assert read(room) == PARENTS
        assert load(room, MORE, "2") == len(MORE)
    assert read(room) == [*PARENTS, *MORE]
    with room.dialect.reader(room.other("staging")) as reader:
        assert set(reader.tables()) == {"children", "parents"}


def check_end(room: Room) -> None:
    """Who is at work is waited for, by another one with the same part and by the end; who comes later is refused."""
    empty(room)
    goes_on, is_at_work = threading.Event(), threading.Event()
    times: dict[str, float] = {}

    def rows() -> Iterator[Values]:
        yield PARENTS[0]
        is_at_work.set()
        assert goes_on.wait(30)
        yield from PARENTS[1:]

    def work() -> None:
        load(room, rows(), "1")
        times["lost"] = time.monotonic()

    def work_again() -> None:
        with pytest.raises(PartLoaded):
            load(room, PARENTS, "1")
        times["again"] = time.monotonic()

    lost, again = threading.Thread(target=work), threading.Thread(target=work_again)
    with room.dialect.sharing(room.other("staging")):
        lost.start()
        assert is_at_work.wait(30)
        again.start()
        threading.Timer(0.5, goes_on.set).start()
        again.join(30)
    assert times["lost"] <= times["again"] + 0.1
    lost.join(30)
    assert read(room) == PARENTS
    with pytest.raises(FerryError):
        load(room, MORE, "2")
    assert read(room) == PARENTS


def check_cut_off(room: Room, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Who is cut off in the middle of a part is waited for so long, by the server or by the end, and loads nothing."""
    empty(room)
    monkeypatch.setattr(once, limit, 1)
    goes_on, is_at_work, problems = threading.Event(), threading.Event(), list[Exception]()

    def rows() -> Iterator[Values]:
        is_at_work.set()
        yield PARENTS[0]
        assert goes_on.wait(30)
        yield PARENTS[1]

    def work() -> None:
        try:
            load(room, rows(), "1")
        except (FerryError, *room.dialect.driver_errors) as error:
            problems.append(error)

    lost = threading.Thread(target=work)
    start = time.monotonic()
    with room.dialect.sharing(room.other("staging")):
        lost.start()
        assert is_at_work.wait(30)
        time.sleep(0.2)
    assert time.monotonic() - start < 20
    goes_on.set()
    lost.join(30)
    assert len(problems) == 1
    assert read(room) == []
