"""Several requests to one deployment at once, each by a thread with a client of its own.

Threads do HTTP and nothing else: whatever has a database session, or writes, is the business of who asks.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from .http import HttpClient

T = TypeVar("T")
Call = Callable[[HttpClient], T]


class Connections:
    """Threads with a client each, started when there is something to ask; use as a context manager.

    :param open_client: makes the client of one thread.
    :param number: requests in flight at most.
    """

    def __init__(self, open_client: Callable[[], HttpClient], number: int) -> None:
        self._open_client, self._number = open_client, number
        self._pool: _Pool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.recall()

    def ask(self, call: Call[T]) -> Future[T]:
        """Make a request in another thread; what it raises, the future's result raises."""
        if self._pool is None:
            self._pool = _Pool(self._open_client, self._number)
        return self._pool.ask(call)

    @contextlib.contextmanager
    def ask_ahead(self, call: Call[T]) -> Iterator[Future[T]]:
        """A request in flight while the block lasts; it is ended with the block, if it was not answered by then."""
        future = self.ask(call)
        try:
            yield future
        finally:
            if not future.done():
                self.recall()

    def ask_all(self, calls: Iterable[Call[T]]) -> Generator[T, None, None]:
        """The answers in the order of the calls, which are taken as answers are: twice as many as connections ahead.

        What a call raises is raised in its place; requests in flight are ended then.
        """
        waiting: deque[Future[T]] = deque()
        try:
            for call in calls:
                waiting.append(self.ask(call))
                if len(waiting) >= 2 * self._number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            if waiting:
                self.recall()

    def recall(self) -> None:
        """End all requests in flight, whatever they wait for; later ones are made by new threads."""
        pool, self._pool = self._pool, None
        if pool:
            pool.end()


class _Pool:
    def __init__(self, open_client: Callable[[], HttpClient], number: int) -> None:
        self._open_client = open_client
        self._mine = threading.local()
        self._clients: list[HttpClient] = []
        self._ended = False
        self._executor = ThreadPoolExecutor(number, "ferry-http", self._start)

    def _start(self) -> None:
        self._mine.client = self._open_client()
        self._clients.append(self._mine.client)
        if self._ended:
            self._mine.client.stop()

    def ask(self, call: Call[T]) -> Future[T]:
        return self._executor.submit(lambda: call(self._mine.client))

    def end(self) -> None:
        self._ended = True
        for client in tuple(self._clients):
            client.stop()
        self._executor.shutdown(cancel_futures=True)
        for client in self._clients:
            client.close()
