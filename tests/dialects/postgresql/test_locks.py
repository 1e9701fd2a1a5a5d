"""Locks of the cut-over: others are named, waited for, and never in a circle with us."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy import URL

from app.dialects.model import LateWrite
from app.dialects.postgresql import locks
from app.dialects.postgresql.locks import Locking
from app.errors import LockHeld
from tests.dialects.rooms import Room
from tests.support.limits import no_endless_wait
from tests.support.runs.commands import until

from .schemas import ask


def old(room: Room, number: int = 12) -> URL:
    return room.dialect.generation_url(room.target, f"{number:08x}-old")


@pytest.mark.parametrize("mode", ["swap", "hold"])
def test_blockers_are_named_within_the_time(room: Room, mode: str) -> None:
    room.fill()
    staging = room.staged()
    before = room.everything()
    with room.connect(application_name="slow report") as blocker, room.dialect.fence(room.target) as fence:
        pid = blocker.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        blocker.exec_driver_sql("UPDATE parents SET name = 'x' WHERE id = 1")
        token = fence.token()
        began = time.monotonic()

        def held() -> None:
            with fence.hold(1.5):
                pytest.fail("held")

        def swapped() -> None:
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=1.5)

        with no_endless_wait(), pytest.raises(LockHeld) as caught:
            (swapped if mode == "swap" else held)()
        assert time.monotonic() - began > 1.2
        blocker.rollback()
    for words in (f"process {pid}", "user app", "'slow report'", "idle in transaction", "since 20"):
        assert words in caught.value.message
    assert f"pg_terminate_backend({pid})" in str(caught.value.hint)
    assert room.everything() == before


def test_a_reader_blocks_the_swap_but_not_the_hold(room: Room) -> None:
    room.fill()
    staging = room.staged()
    with room.connect(application_name="long read") as reader, room.dialect.fence(room.target) as fence:
        reader.exec_driver_sql("SELECT * FROM parents").fetchall()
        with fence.hold(1):
            token = fence.token()
        with pytest.raises(LockHeld, match="long read"):
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=0.5)
        reader.rollback()
        room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
    assert len(room.state()["parents"]) == 4


def test_whoever_waits_for_the_hold_with_a_table_read_gives_way_to_the_swap(room: Room) -> None:
    """The server looks for a deadlock once, a second after the wait began: then there is none yet."""
    room.fill()
    staging = room.staged()
    said: list[str] = []

    def write() -> None:
        with room.connect() as connection:
            for _ in range(2):
                try:
                    connection.exec_driver_sql("SELECT count(*) FROM parents").scalar()
                    connection.exec_driver_sql("INSERT INTO children (a, b) VALUES (77, 'new')")
                    connection.commit()
                    return
                except sa.exc.DBAPIError as error:
                    connection.rollback()
                    said.append(str(error.orig))

    writer = threading.Thread(target=write)
    with room.dialect.fence(room.target) as fence, fence.hold(30):
        token = fence.token()
        writer.start()
        time.sleep(1.5)
        room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=30)
    writer.join(timeout=30)
    assert said == ["canceling statement due to user request"]
    assert [77, "new"] in [row[:2] for row in room.state()["children"]]


def test_in_a_deadlock_we_give_way_first(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE a (x int); CREATE TABLE b (x int)")
    with contextlib.ExitStack() as stack:
        fence = stack.enter_context(room.dialect.fence(room.target))
        connection = stack.enter_context(fence._reconnect())  # type: ignore[attr-defined]
        connection.execute("BEGIN")
        locking = Locking(connection, fence._reconnect, "public", "ACCESS EXCLUSIVE")  # type: ignore[attr-defined]
        locking.touched["a"] = 1000
        writer = stack.enter_context(room.connect())
        writer.exec_driver_sql("INSERT INTO b VALUES (1)")
        locker = threading.Thread(target=locking.lock, args=(10,))
        locker.start()
        locks = "SELECT pid FROM pg_locks WHERE relation = 'a'::regclass AND mode LIKE 'AccessExcl%%'"
        until(lambda: ask(room, locks))
        # Were it to wait for a second, the server would look for a deadlock, and end one of the two for it.
        writer.exec_driver_sql("INSERT INTO a VALUES (1)")
        writer.commit()
        locker.join(timeout=30)
        assert not locker.is_alive()
        held = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation IN (%s)"
        assert len(ask(room, held % "'a'::regclass, 'b'::regclass")) == 2


@pytest.mark.parametrize(
    "change",
    [
        "COMMENT ON TABLE parents IS 'x'",
        "COMMENT ON COLUMN parents.name IS 'x'",
        "COMMENT ON INDEX by_day IS 'x'",
        "COMMENT ON CONSTRAINT parents_pkey ON parents IS 'x'",
        "ALTER TABLE parents ALTER name SET STATISTICS 500",
    ],
)
def test_what_no_definition_says_is_noticed(room: Room, change: str) -> None:
    room.fill()
    staging = room.staged()
    with room.dialect.fence(room.target) as fence:
        before = fence.look()
        assert fence.look() == before
        room.execute(change)
        assert fence.look().schema != before.schema
        with pytest.raises(LateWrite):
            room.dialect.swap(staging, room.target, old(room), fence, before.token, timeout_s=5)


def test_rows_are_looked_at_once_in_one_transaction(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.fill()
    staging, looks = room.staged(), list[int]()
    ask_all = locks.ask_all
    monkeypatch.setattr(locks, "ask_all", lambda queries, *more: looks.append(len(queries)) or ask_all(queries, *more))
    with room.dialect.fence(room.target) as fence:
        with fence.hold(5):
            token = fence.token()
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
        assert looks == [2]
        # What was looked at in another transaction is looked at again.
        with fence.hold(5):
            token = fence.token()
        room.execute("UPDATE parents SET name = 'late' WHERE id = 1")
        again = room.staged()
        with fence.hold(5), pytest.raises(LateWrite):
            room.dialect.swap(again, room.target, old(room, 13), fence, token, timeout_s=5)


def test_an_object_that_comes_while_writers_wait_is_seen(room: Room) -> None:
    room.fill()
    staging = room.staged()
    with room.dialect.fence(room.target) as fence, fence.hold(5):
        token = fence.token()
        room.execute("CREATE TABLE late (id int)")
        with pytest.raises(LateWrite):
            room.dialect.swap(staging, room.target, old(room), fence, token, timeout_s=5)
