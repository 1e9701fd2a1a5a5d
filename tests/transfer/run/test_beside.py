"""Work beside a run: its value, its error, and that nothing of it goes on."""

from __future__ import annotations

import threading
import time

import pytest

from app.dialects.postgresql.connect import connect
from app.dialects.sessions import hold_sessions, remember
from app.transfer.run.beside import Beside, Ended
from tests.support.servers.postgresql import PostgreSQL


def test_its_value_and_its_error_are_the_run_s() -> None:
    with Beside(lambda: threading.current_thread().name) as beside:
        beside.begin()
        beside.begin()
        assert beside.result() != threading.current_thread().name

    def fail() -> None:
        raise ValueError("no room")

    with Beside(fail) as failing, pytest.raises(ValueError, match="no room"):
        failing.result()


def test_it_has_what_the_command_remembers() -> None:
    with hold_sessions():
        assert remember("what", lambda: 1) == 1
        with Beside(lambda: remember("what", lambda: 2)) as beside:
            assert beside.result() == 1


def test_what_was_not_begun_is_nothing_to_end() -> None:
    begun: list[int] = []
    with Beside(lambda: begun.append(1)):
        pass
    assert begun == []


def test_with_a_run_that_fails_it_ends_and_tidies_up() -> None:
    steps: list[object] = []
    at_work = threading.Event()

    def work() -> None:
        try:
            while True:
                at_work.set()
                time.sleep(0.01)
        except Ended:
            steps.append("ended")
            raise
        finally:
            steps.append("tidied up")

    def fail() -> None:
        with Beside(work) as beside:
            beside.begin()
            assert at_work.wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert steps == ["ended", "tidied up"]


def test_a_statement_that_it_waits_for_is_ended_on_the_server(postgresql: PostgreSQL) -> None:
    asking = threading.Event()

    def work() -> None:
        with connect(postgresql.url("postgres"), None) as link:
            asking.set()
            link.execute(b"SELECT pg_sleep(60)")

    def fail() -> None:
        with Beside(work) as beside:
            beside.begin()
            assert asking.wait(10)
            time.sleep(0.3)
            raise KeyError

    began = time.monotonic()
    with pytest.raises(KeyError):
        fail()
    assert time.monotonic() - began < 30
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
    assert postgresql.execute(asleep) == [(0,)]
