"""The proxy that stands for a network: everything arrives, and later."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.speed.delay import CARRIES, DelayingProxy

ROUND_TRIP_S = 0.05


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers one client with what it says."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                while piece := client.recv(1 << 16):
                    client.sendall(piece)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(timeout=10)


def test_an_answer_takes_the_round_trip_whatever_its_length(echo: int) -> None:
    proxy = DelayingProxy(echo, ROUND_TRIP_S)
    data = bytes(range(256)) * 4000
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        start = time.monotonic()
        client.sendall(b"?")
        assert client.recv(1) == b"?"
        assert time.monotonic() - start >= ROUND_TRIP_S
        threading.Thread(target=client.sendall, args=(data,)).start()
        answer = b""
        while len(answer) < len(data):
            answer += client.recv(1 << 16)
        assert answer == data
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    proxy.close()
    for thread in threading.enumerate():
        if thread.name == CARRIES:
            thread.join(timeout=10)
