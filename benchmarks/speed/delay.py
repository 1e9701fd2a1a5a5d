"""A proxy that delays what it forwards, as a network does: by time, whatever the amount."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time

PIECE_BYTES = 1 << 16
CARRIES = "delaying-proxy"
"""The name of the thread that a connection ends with."""

_Pieces = queue.SimpleQueue[tuple[float, bytes]]


class DelayingProxy:
    """Forwards a loopback port to another until the process ends.

    :param round_trip_s: the time that a question and its answer are on their way, together.
    """

    def __init__(self, to_port: int, round_trip_s: float) -> None:
        self._to = to_port
        self._one_way_s = round_trip_s / 2
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no further connection."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return  # closed
            server = socket.create_connection(("127.0.0.1", self._to), timeout=10)
            server.settimeout(None)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(client, server), name=CARRIES, daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        threads: list[threading.Thread] = []
        for origin, to in ((client, server), (server, client)):
            pieces: _Pieces = queue.SimpleQueue()
            threads.append(threading.Thread(target=self._receive, args=(origin, pieces), daemon=True))
            threads.append(threading.Thread(target=_send, args=(to, pieces), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
        server.close()

    def _receive(self, origin: socket.socket, pieces: _Pieces) -> None:
        piece = b"begin"
        while piece:
            try:
                piece = origin.recv(PIECE_BYTES)
            except OSError:
                piece = b""  # reset by its end: as good as closed
            pieces.put((time.monotonic() + self._one_way_s, piece))


def _send(to: socket.socket, pieces: _Pieces) -> None:
    while True:
        due, piece = pieces.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not piece:
                break
            to.sendall(piece)
        except OSError:
            break  # nobody listens any more
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)
