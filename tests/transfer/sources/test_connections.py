"""Several requests at once: answers in order, errors in their place, and nothing in flight afterwards."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest

from app.transfer.sources.connections import Connections


class Client:
    """Counts what is open; a call may wait until it is stopped."""

    def __init__(self, opened: list[Client]) -> None:
        self.stopped, self.closed = threading.Event(), False
        opened.append(self)

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.closed = True


def connections(number: int, opened: list[Client]) -> Connections:
    return Connections(lambda: Client(opened), number)  # type: ignore[arg-type, return-value]


def wait(client: Any) -> str:
    assert client.stopped.wait(30)
    raise ConnectionError("stopped")


def test_answers_come_in_order_by_as_many_clients_as_allowed() -> None:
    opened: list[Client] = []
    barrier = threading.Barrier(3)

    def call(number: int) -> Any:
        def ask(client: Any) -> tuple[int, Any]:
            barrier.wait(30)
            return number, client

        return ask

    with connections(3, opened) as several:
        assert opened == []
        answers = list(several.ask_all(call(number) for number in range(9)))
    assert [number for number, _ in answers] == list(range(9))
    assert len(opened) == 3
    assert all(client.closed for client in opened)


def test_an_error_is_raised_in_its_place_and_ends_what_is_in_flight() -> None:
    opened: list[Client] = []

    def fail(_client: Any) -> str:
        raise ValueError("third")

    with connections(2, opened) as several:
        answers = several.ask_all([lambda _c: "a", lambda _c: "b", fail, wait])
        assert [next(answers), next(answers)] == ["a", "b"]
        with pytest.raises(ValueError, match="third"):
            next(answers)
        assert all(client.stopped.is_set() for client in opened)
        # Later requests are made by new threads.
        assert several.ask(lambda client: client.stopped.is_set()).result(30) is False


def test_no_more_calls_are_taken_than_are_ahead() -> None:
    asked: list[int] = []

    def calls() -> Any:
        for number in range(100):
            asked.append(number)
            yield lambda _client, number=number: number

    with connections(2, []) as several:
        answers = several.ask_all(calls())
        assert next(answers) == 0
        assert len(asked) == 4
        answers.close()
    assert len(asked) == 4


def test_a_request_ahead_is_ended_with_its_block() -> None:
    opened: list[Client] = []
    with connections(1, opened) as several:
        with several.ask_ahead(lambda _client: "done") as future:
            assert future.result(30) == "done"
        assert not opened[0].stopped.is_set()
        with several.ask_ahead(wait) as future:
            pass
        with pytest.raises((ConnectionError, CancelledError)):
            future.result(30)
    assert all(client.closed for client in opened)
