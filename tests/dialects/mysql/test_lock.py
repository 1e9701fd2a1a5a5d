"""One run at a time works on a database, by whatever address."""

from __future__ import annotations

import threading

import pytest

from app.errors import LockHeld
from tests.dialects.rooms import Room


def test_the_lock_is_of_the_database_and_not_of_its_url(room: Room) -> None:
    with room.dialect.lock(room.target, 0):
        with pytest.raises(LockHeld, match="root"), room.dialect.lock(room.target.set(host="localhost"), 0):
            pytest.fail("two holders")
        with room.dialect.lock(room.target.set(database="another"), 0):
            pass


def test_a_lock_that_its_holder_gives_back_is_waited_for(room: Room) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with room.dialect.lock(room.target, 0):
            held.set()
            done.wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    with room.dialect.lock(room.target, 10):
        pass
    holder.join()
