"""What needs the connection itself: answers outside of HTTP's rules, and waiting that ends with the client."""

from __future__ import annotations

import select
import socket
import time

from flask import request

LONGEST_WAIT_S = 300.0
STEP_S = 0.1


def connection() -> socket.socket:
    """Return the client's connection, which gunicorn hands to the app."""
    found: socket.socket = request.environ["gunicorn.socket"]
    return found


def hang_up(raw: bytes) -> None:
    """Send ``raw`` as it is and close; what the server then writes goes nowhere."""
    client = connection()
    client.sendall(raw)
    client.shutdown(socket.SHUT_RDWR)


def wait(seconds: float) -> None:
    """Sleep, at most five minutes; stop when the client has left, so that no thread stays taken."""
    until = time.monotonic() + min(seconds, LONGEST_WAIT_S)
    while time.monotonic() < until and not _client_left():
        time.sleep(STEP_S)


def _client_left() -> bool:
    client = connection()
    readable, _, _ = select.select([client], [], [], 0)
    return bool(readable) and client.recv(1, socket.MSG_PEEK) == b""
