"""A TCP proxy that drops or stalls connections in the middle."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType

PIECE_BYTES = 1 << 14


@dataclass
class Trap:
    """Cuts one connection at a statement that a client sends, once.

    :ivar at: the statement's last bytes.
    :ivar behind: what the same connection sent before it.
    :ivar arrives: whether the server still gets it, and answers; else nothing of it is sent on.
    :ivar closes: all other connections are cut, too, and nobody gets through any more.
    :ivar caught: set when it was sent.
    """

    at: bytes
    behind: bytes
    arrives: bool
    closes: bool = False
    caught: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Forwards a loopback port to another.

    :ivar cut_after: bytes from the server after which every connection is cut, once; None never cuts.
    :ivar stalled: while set, nothing is forwarded in either direction.
    :ivar trap: where a connection is cut next.
    """

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.cut_after: int | None = None
        self.cuts = 0
        self.stalled = threading.Event()
        self.trap: Trap | None = None
        self._seen = 0
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._closing.set()
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)

    def cut(self) -> None:
        """Close every connection at once, as a broken link does."""
        for opened in list(self._open):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                ready = select.select([self._listening], [], [], 0.2)[0]
                client = self._listening.accept()[0] if ready else None
            except (OSError, ValueError):
                return
            if client is not None:
                thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, client: socket.socket) -> None:
        if self.trap and self.trap.closes and self.trap.caught.is_set():
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._to), timeout=10)
        except OSError:
            client.close()
            return
        self._open |= {client, server}
        try:
            self._forward(client, server)
        except OSError:
            pass  # one side went away: both do
        finally:
            self._open -= {client, server}
            client.close()
            server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        sent = b""
        while not self._closing.is_set():
            if self.stalled.is_set():
                self._closing.wait(0.05)
                continue
            for side in select.select([client, server], [], [], 0.2)[0]:
                piece = side.recv(PIECE_BYTES)
                if not piece:
                    return
                if side is server and self._is_enough(len(piece)):
                    return
                if side is client and self.trap:
                    sent += piece
                    if self._is_caught(self.trap, sent, piece, server):
                        return
                other[side].sendall(piece)

    def _is_caught(self, trap: Trap, sent: bytes, piece: bytes, server: socket.socket) -> bool:
        if trap.caught.is_set() or not piece.endswith(trap.at) or trap.behind not in sent:
            return False
        if trap.arrives:
            server.sendall(piece)
            server.recv(PIECE_BYTES)  # its answer, which nobody gets
        trap.caught.set()
        if trap.closes:
            self.cut()
        return True

    def _is_enough(self, count: int) -> bool:
        self._seen += count
        if self.cut_after is None or self._seen <= self.cut_after:
            return False
        self.cut_after = None
        self.cuts += 1
        self.cut()
        return True
