"""Idle sessions: each is one user's at a time, under what it was opened with, and gone with its command."""

from __future__ import annotations

import contextvars
import threading

import pytest

from app.dialects.sessions import Sessions, forget, held_sessions, hold_sessions, remember


class Connection:
    """Counts how often it is ended."""

    ends = 0

    def close_for_good(self) -> None:
        self.ends += 1


def test_a_session_is_taken_once_and_by_its_own_key() -> None:
    sessions, one, other = Sessions(), Connection(), Connection()
    assert sessions.take("a") is None
    assert sessions.keep("a", one)
    assert sessions.keep("b", other)
    assert (sessions.take("b"), sessions.take("b"), sessions.take("a"), sessions.take("a")) == (other, None, one, None)


def test_what_is_idle_ends_with_the_command_and_what_is_in_use_does_not() -> None:
    sessions, idle, used = Sessions(), Connection(), Connection()
    sessions.keep("a", idle)
    sessions.close()
    sessions.close()
    assert (idle.ends, used.ends) == (1, 0)
    assert not sessions.keep("a", used)
    assert sessions.take("a") is None
    assert used.ends == 0


def test_a_command_in_a_command_has_sessions_of_its_own() -> None:
    assert held_sessions() is None
    idle = Connection()
    with hold_sessions():
        outer = held_sessions()
        assert outer is not None
        outer.keep("a", idle)
        with hold_sessions():
            inner = held_sessions()
            assert inner is not None
            assert inner.take("a") is None
        assert held_sessions() is outer
        assert idle.ends == 0
    assert (held_sessions(), idle.ends) == (None, 1)


def test_they_are_closed_where_the_command_fails() -> None:
    idle = Connection()

    def fail() -> None:
        with hold_sessions():
            sessions = held_sessions()
            assert sessions is not None
            sessions.keep("a", idle)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 # raised just above
        fail()
    assert idle.ends == 1


def test_another_thread_has_them_only_where_it_was_given_the_context() -> None:
    seen: list[object] = []
    with hold_sessions():
        for run in (lambda: seen.append(held_sessions()), contextvars.copy_context().run):
            arguments = () if not seen else (lambda: seen.append(held_sessions()),)
            thread = threading.Thread(target=run, args=arguments)
            thread.start()
            thread.join()
        assert seen == [None, held_sessions()]


def test_one_that_suits_is_taken_before_others() -> None:
    sessions, one, other = Sessions(), Connection(), Connection()
    sessions.keep("a", one)
    sessions.keep("a", other)
    assert sessions.take("a", lambda idle: idle is one) is one
    assert sessions.take("a", lambda idle: idle is one) is other


def test_what_a_server_said_is_asked_once_for_a_command() -> None:
    answers = iter(range(10))

    def ask() -> int:
        return next(answers)

    assert [remember("a", ask), remember("a", ask)] == [0, 1]
    for expected in (2, 4):
        with hold_sessions():
            assert [remember("a", ask), remember("a", ask)] == [expected] * 2
            forget("a")
            assert remember("a", ask) == expected + 1
    forget("a")
