"""A command at a real terminal, with somebody who types."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import termios
import time
from types import TracebackType
from typing import Self

from tests.support.site import ROOT, Result

from .commands import LIMIT_S, Place, Started

END_OF_INPUT, INTERRUPT = "\x04", "\x03"


class Terminal:
    """A pseudo-terminal; what the command prints to stdout and stderr comes out at its other end."""

    def __init__(self, place: Place, *arguments: str, **environ: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        assert place.server
        environment = place.env(TERM="xterm", NO_COLOR="1", **environ)
        try:
            name = os.ttyname(slave)
            self.started: Started = place.server.start(arguments, environment, (), ROOT, terminal=name)
            place.waiting.append(self.started)
            self._read = ""
            # Held open until the command has opened it, or reading would end at once.
            self.until("", limit_s=0.05)
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._master)

    def _more(self, wait_s: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, wait_s))
        with contextlib.suppress(OSError):  # the other end is closed
            if ready and (data := os.read(self._master, 65536)):
                self._read += data.decode(errors="replace")
                return True
        return not ready

    def until(self, text: str, limit_s: float = LIMIT_S) -> str:
        """Read until this text has come."""
        deadline = time.monotonic() + limit_s
        while not text or text not in self._read:
            if not self._more(deadline - time.monotonic()) or time.monotonic() >= deadline:
                assert not text or text in self._read, self._read
                break
        return self._read

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self, again: str = "") -> Result:
        """Everything that was shown, in ``stdout``, and the status.

        :param again: typed once more whenever nothing happens for a second.
        """
        deadline = time.monotonic() + LIMIT_S
        before = None
        while self._more(1) and time.monotonic() < deadline:
            if before == self._read:
                self.type(again)
            before = self._read
        status = self.started.wait().status
        return Result(status, self._read.replace("\r\n", "\n"), "")
