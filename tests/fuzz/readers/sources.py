"""Answers of an old deployment, byte for byte as they come over a socket: log-ins, records, manifests, exports."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Iterator
from typing import Any

import zstandard

from app.classic.api import api as classic
from app.transfer.endpoints import (
    BearerTokenAuth,
    CookieAuth,
    Endpoint,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    RestApi,
    SinglePagePaginator,
)
from app.transfer.rows.scratch import Keys
from app.transfer.rows.snapshot import check
from app.transfer.rows.strictjson import loads
from app.transfer.sources import ferry_protocol, wire
from app.transfer.sources.ferry_protocol import FerrySource, speaks_ferry
from app.transfer.sources.http import HttpClient
from app.transfer.sources.http import Refused as StatusRefused
from app.transfer.sources.rest_api import RestSource

from ..target import expect, refusals, scratch
from .rows import seal

NEXT = b"\n====\n"
"""Between two answers; the last one is given again and again."""
BASE = "http://127.0.0.1:9"
ATTEMPTS = 2
"""An input may ask for as many attempts as the product makes, without the pauses between them."""


class Wires:
    """In the place of connections to a deployment: socket pairs, whose other ends have said what they had to say."""

    def __init__(self, data: bytes) -> None:
        self._answers = data.split(NEXT)[:8]
        self._ends: list[socket.socket] = []

    def connect(self, *_: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._ends.append(theirs)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        theirs.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            theirs.send(answer)
        theirs.shutdown(socket.SHUT_WR)
        return ours

    def close(self) -> None:
        for end in self._ends:
            end.close()


@contextlib.contextmanager
def client_for(data: bytes) -> Iterator[HttpClient]:
    """A client of a deployment that answers these bytes; everything above the socket is the product's own."""
    wires, connect, attempts = Wires(data), wire._connect, ferry_protocol.ATTEMPTS
    wire._connect = wires.connect  # type: ignore[assignment] # the socket is the test's
    ferry_protocol.ATTEMPTS = ATTEMPTS
    client = HttpClient(BASE, timeout_s=2)
    client._wait = lambda number, error: 0.0  # type: ignore[method-assign] # attempts without pauses
    try:
        yield client
    finally:
        client.close()
        wires.close()
        wire._connect, ferry_protocol.ATTEMPTS = connect, attempts


# Of every paging that an API may declare, the first byte says which.
PAGINGS = (
    PageNumberPaginator(page_selector="page", has_more_path="has_next"),
    PageNumberPaginator(),
    OffsetPaginator(),
    JSONResponseCursorPaginator(cursor_path="next"),
    JSONLinkPaginator(next_url_path="next"),
    HeaderLinkPaginator(),
    SinglePagePaginator(),
)


def _endpoint(number: int) -> Endpoint:
    totals: dict[str, Any] = {"total_selector": "total", "total_header": "X-Total", "count_selector": "count"}
    paging = PAGINGS[number % len(PAGINGS)]
    if number & 8:
        totals = {}
    return Endpoint("users", "/users", ("users", "$"), ("id",), paginator=paging, **totals)


def records(data: bytes) -> None:
    """Pages of records, under each way of paging."""
    endpoint = _endpoint(data[0] if data else 0)
    api = RestApi(endpoints=(endpoint,))
    with client_for(data[1:]) as client, refusals(BASE, "users"):
        source = RestSource(client, api, "u", "p", set_aside=bool(data[:1] >= b"\x10"))
        with Keys(scratch()) as keys:
            parts = list(source.extract(scratch(), keys, [endpoint], lambda *_: None))
        lines = (scratch() / "users.ndjson").read_bytes().splitlines()
        expect(len(lines) == parts[-1].lines, "a part has another number of lines than it says")
        for line in lines:
            loads(line.decode())


FORMS = (
    classic.auth,
    CookieAuth("/login", encoding="form"),
    BearerTokenAuth("/token", token_selector=("access_token", "data.token")),
)


def log_in(data: bytes) -> None:
    """What answers a log-in, and what it gives to be sent from then on."""
    auth = FORMS[(data[0] if data else 0) % len(FORMS)]
    api = RestApi(endpoints=(_endpoint(0),), auth=auth)
    with client_for(data[1:]) as client, refusals(BASE):
        RestSource(client, api, "u", "p").log_in()
        for value in client.headers.values():
            expect("\n" not in value and "\r" not in value, "a header with a line break")


def manifest_answer(data: bytes) -> None:
    """The probe of Ferry's protocol, the log-in, the manifest."""
    with client_for(data) as client, refusals(BASE):
        speaks_ferry(client)
        manifest = FerrySource(client, "u", "p").manifest()
        expect(all(rows >= 0 for rows in manifest.rows.values()), "a count below nothing")


def export_answer(data: bytes) -> None:
    """The streamed export: head and compressed body as they come."""
    _export(data)


def packed_export(data: bytes) -> None:
    """An export whose compression and digests fit, whatever it says."""
    body = zstandard.ZstdCompressor(level=1).compress(seal(data))
    _export(b"HTTP/1.1 200 OK\r\nContent-Type: application/zstd\r\nConnection: close\r\n\r\n" + body)


def _export(data: bytes) -> None:
    path = scratch() / "export.json"
    path.unlink(missing_ok=True)
    with client_for(data) as client:
        client.timeout_s = 1e-6  # pauses between attempts grow with it
        client._clock.allow = functools.partial(_allow, client._clock)  # type: ignore[method-assign] # a second all the same
        with refusals(BASE, path, own=(StatusRefused,)):
            FerrySource(client, "u", "p").write_snapshot(path, "identity", lambda *_: None)
            header, footer = check(path)
            expect(set(header.sections) == set(footer.checksums), "another file than was read")
    expect(not list(scratch().glob(".export.json*")), "a file is left beside")


def _allow(clock: wire.Clock, seconds: float) -> None:
    wire.Clock.allow(clock, max(seconds, 2.0))
