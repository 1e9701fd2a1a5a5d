"""Another host: it records who calls and whether credentials came along."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from .requestlog import LoggedRequest, safe_query

STOP_LIMIT_S = 5.0


class OtherHost:
    """A listener on another loopback address, for redirects.

    :param body: what it answers to everything, as JSON with status 200.
    """

    def __init__(self, host: str = "127.0.0.2", *, body: str = "{}") -> None:
        self.requests: list[LoggedRequest] = []
        self._server = ThreadingHTTPServer((host, 0), _handler(self.requests, body.encode()))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(STOP_LIMIT_S)


def _handler(seen: list[LoggedRequest], body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            seen.append(_logged(self))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Keep quiet."""

    return Handler


def _logged(handler: BaseHTTPRequestHandler) -> LoggedRequest:
    url = urlsplit(handler.path)
    return LoggedRequest(
        method=handler.command,
        path=url.path,
        query=safe_query(url.query),
        host=handler.headers.get("Host", ""),
        cookie="Cookie" in handler.headers,
        authorization="Authorization" in handler.headers,
        body=bool(int(handler.headers.get("Content-Length", 0))),
        at=time.time(),
    )
