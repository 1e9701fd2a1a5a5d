"""A proxy that closes the connection behind a byte of an answer; the deployment behind it is a real one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .loopback import Asked, Loopback

WHOLE = 1 << 30


@dataclass
class Cutter:
    """What the proxy does with answers; a test changes it while the proxy runs.

    :ivar place: cuts the answers to requests whose first line holds this.
    :ivar at: behind so many bytes, of status line and headers too.
    :ivar times: how many answers more are cut.
    :ivar cut: how many were.
    :ivar again: give what the deployment answered to a request before, instead of asking it once more.
    """

    upstream: str
    place: str = ""
    at: int = WHOLE
    times: int = 0
    cut: int = 0
    url: str = ""
    again: bool = False
    answers: dict[tuple[str, str, bytes], bytes] = field(default_factory=dict)

    def script(self, asked: Asked, send: Callable[[bytes], None]) -> None:
        answer = self.ask(asked)
        if self.place in f"{asked.method} {asked.target}" and self.times > 0:
            self.times -= 1
            self.cut += 1
            answer = answer[: self.at]
        send(answer)

    def ask(self, asked: Asked) -> bytes:
        """The whole answer of the deployment, as it came."""
        key = asked.method, asked.target, asked.body
        if not self.again or key not in self.answers:
            self.answers[key] = self._ask(asked)
        return self.answers[key]

    def _ask(self, asked: Asked) -> bytes:
        parts = urlsplit(self.upstream)
        headers = {**asked.headers, "connection": "close"}
        lines = [f"{asked.method} {asked.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        pieces = []
        with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=20) as link:
            link.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + asked.body)
            while piece := link.recv(1 << 16):
                pieces.append(piece)
        return b"".join(pieces)

    def length_of(self, place: str) -> int:
        """How long the answer is to the request that holds this."""
        [length] = {
            len(answer) for (method, target, _), answer in self.answers.items() if place in f"{method} {target}"
        }
        return length

    def at_byte(self, at: int, place: str, times: int = WHOLE) -> None:
        """Cut answers behind this byte from now on."""
        self.place, self.at, self.times, self.cut = place, at, times, 0


@contextlib.contextmanager
def cutting(upstream: str, *, again: bool = False) -> Iterator[Cutter]:
    """A proxy in front of a deployment, while the ``with`` block lasts."""
    cutter = Cutter(upstream, again=again)
    with Loopback([], cutter.script) as proxy:
        cutter.url = proxy.url
        yield cutter
