"""A server on loopback that means harm, as a process of its own: ``python -m tests.support.sources.hostile KIND``.

It prints its port, answers whatever is asked in its one way, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import orjson
import zstandard

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.header import Header, table_to_json
from tests.support.site import ROOT

LATE = "late "
LIMIT_S = 120.0
"""No answer goes on for longer, whatever the client does."""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"

Send = Callable[[bytes], None]


def whole(body: bytes, *headers: str) -> bytes:
    """A whole answer."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return OK + f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _until() -> Iterator[None]:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        yield


def _drip(send: Send, text: bytes, seconds: float = 0.2) -> None:
    for number, _ in enumerate(_until()):
        send(text[number : number + 1] or b"x")
        time.sleep(seconds)


# What an answer to anything can be


@functools.cache
def _gzip_bomb() -> bytes:
    deflate = zlib.compressobj(9, wbits=31)
    parts = [deflate.compress(b"[" + b" " * (16 << 20))]
    parts += [deflate.compress(b" " * (16 << 20)) for _ in range(99)]
    return b"".join([*parts, deflate.flush()])


def gzip_bomb(send: Send) -> None:
    """1.5 MB that stand for 1.6 GB."""
    send(whole(_gzip_bomb(), "Content-Encoding: gzip"))


@functools.cache
def _deflate_bomb() -> bytes:
    return zlib.compress(b"[" + b" " * (200 << 20), 9)


def deflate_bomb(send: Send) -> None:
    """The same in a compression that was not asked for."""
    send(whole(_deflate_bomb(), "Content-Encoding: deflate"))


def brotli(send: Send) -> None:
    """And in one that only some clients have: 20 bytes, which stand for a megabyte."""
    send(whole(bytes.fromhex("5bffff0fe0fe0320f8ff0f00000000000000"), "Content-Encoding: br"))


def gzip_of_gzip(send: Send) -> None:
    """One bomb in another: 5 KB that stand for 1.5 MB, and those for 1.6 GB."""
    send(whole(gzip.compress(_gzip_bomb(), 9), "Content-Encoding: gzip, gzip"))


def endless_body(send: Send) -> None:
    """A body that never ends, as fast as it can be taken."""
    send(OK + b"\r\n[")
    for _ in _until():
        send(b'"x",' * 16384)


def dripped_headers(send: Send) -> None:
    """A header that comes byte by byte."""
    _drip(send, OK + b"X-Long: ")


def endless_continue(send: Send) -> None:
    """``100 Continue`` again and again."""
    for _ in _until():
        send(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        time.sleep(0.01)


def endless_headers(send: Send) -> None:
    """One header after another."""
    send(OK)
    for number, _ in zip(itertools.count(), _until(), strict=False):
        send(f"X-Header-{number}: {'x' * 1000}\r\n".encode())


def long_header(send: Send) -> None:
    """One header without an end."""
    send(OK + b"X-Long: ")
    for _ in _until():
        send(b"x" * 65536)


def dripped_body(send: Send) -> None:
    """A body that comes byte by byte."""
    send(OK + b"Content-Length: 1000000\r\n\r\n")
    _drip(send, b"[")


def endless_trailers(send: Send) -> None:
    """A last chunk, and trailers without an end."""
    send(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n")
    for _ in _until():
        send(b"X-Trailer: x\r\n" * 1000)


def silence(send: Send) -> None:
    """Nothing at all."""
    del send
    time.sleep(LIMIT_S)


def nested(send: Send) -> None:
    """200,000 lists in one another."""
    send(whole(b"[" * 200_000 + b"]" * 200_000))


def many_values(send: Send) -> None:
    """60 MB of the smallest values there are: they would take 2 GB."""
    send(whole(b"[" + b"[]," * (20 << 20) + b"[]]"))


def exponent(send: Send) -> None:
    """A number of a thousand million digits."""
    send(whole(b'{"version": 1e999999999, "users": [{"id": 1e999999999}], "total": 1e999999999, "token": 1e999999999}'))


ANYTHING: dict[str, Callable[[Send], None]] = {
    function.__name__: function
    for function in (
        gzip_bomb, deflate_bomb, brotli, gzip_of_gzip, endless_body, dripped_headers, endless_continue,
        endless_headers, long_header, dripped_body, endless_trailers, silence, nested, many_values, exponent,
    )
}  # fmt: skip

PAGES = "endless_pages"
"""Of the old API's records: each page has other ones, and says that more follow."""


def _endless_page(target: str, send: Send) -> None:
    number = target.partition("page=")[2].partition("&")[0] or "1"
    records = [{"id": f"{number}-{index}", "text": "x" * 1000} for index in range(100)]
    send(whole(orjson.dumps({"users": records, "page": int(number), "has_next": True})))


# What an export can be, behind a good protocol and a good manifest

THINGS = Table("things", (Column("id", LogicalType.INT, nullable=False),), ("id",))


def _snapshot(rows: Iterator[list[Any]]) -> Iterator[bytes]:
    header = Header("rows", "s", "i", "2026-01-01T00:00:00Z", "0001_classic", (THINGS,))
    return encode(header, iter([("things", hash_rows(THINGS, rows))]))


def _export(send: Send, pieces: Iterator[bytes]) -> None:
    send(OK + b"\r\n")
    compressor = zstandard.ZstdCompressor().compressobj()
    for piece in pieces:
        send(compressor.compress(piece) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    send(compressor.flush())


def _begin() -> bytes:
    """The beginning of an export, up to its first row: whatever does not begin so is refused at once."""
    begin, _, _ = b"".join(_snapshot(iter(([1],)))).partition(b"[1]")
    return begin


@functools.cache
def _zstd_bomb(piece: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(level=19).compressobj()
    parts = [compressor.compress(_begin())]
    parts += [compressor.compress(piece * (16_000_000 // len(piece))) for _ in range(64)]
    return b"".join([*parts, compressor.flush()])


ENDLESS_LINE, LINES = b" ", b"[1]" + b" " * 1000 + b",\n"


def zstd_bomb(send: Send) -> None:
    """32 KB that stand for 1 GB of one line."""
    send(whole(_zstd_bomb(ENDLESS_LINE)))


def zstd_bomb_of_lines(send: Send) -> None:
    """The same of lines."""
    send(whole(_zstd_bomb(LINES)))


PREPARED: dict[str, Callable[[], bytes]] = {
    "gzip_bomb": _gzip_bomb,
    "deflate_bomb": _deflate_bomb,
    "gzip_of_gzip": _gzip_bomb,
    "zstd_bomb": lambda: _zstd_bomb(ENDLESS_LINE),
    "zstd_bomb_of_lines": lambda: _zstd_bomb(LINES),
}
"""What takes longer to make than a client waits."""


def zstd_window(send: Send) -> None:
    """A frame that asks for a window of 2 GB."""
    send(whole(b"\x28\xb5\x2f\xfd" + bytes([0, 21 << 3]) + b"\x01\x00\x00"))


def endless_rows(send: Send) -> None:
    """Rows without an end, as fast as they can be taken."""
    _export(send, _snapshot([number] for number, _ in zip(itertools.count(), _until(), strict=False)))


def endless_line(send: Send) -> None:
    """A row without an end, which cannot be compressed."""
    piece = os.urandom(8 << 20).hex().encode()
    _export(send, itertools.chain([_begin()], (piece for _ in _until())))


def dripped_export(send: Send) -> None:
    """An export of a few bytes a second."""
    send(OK + b"\r\n")
    packed = zstandard.compress(b"".join(_snapshot(iter([[number] for number in range(100_000)]))))
    for start in range(0, len(packed), 20):
        send(packed[start : start + 20])
        time.sleep(0.1)


def silent_export(send: Send) -> None:
    """The beginning of an export, and nothing more."""
    send(OK + b"\r\n" + zstandard.compress(b"x" * 100)[:8])
    time.sleep(LIMIT_S)


EXPORTS: dict[str, Callable[[Send], None]] = {
    function.__name__: function
    for function in (
        zstd_bomb,
        zstd_bomb_of_lines,
        zstd_window,
        endless_rows,
        endless_line,
        dripped_export,
        silent_export,
    )
}


def _answer_protocol(kind: str, target: str, send: Send) -> None:
    if target.startswith("/ferry/export"):
        EXPORTS[kind](send)
    elif target.startswith("/ferry/manifest"):
        tables = {"things": {**table_to_json(THINGS), "rows": 3, "checksum": "0" * 32}}
        send(
            whole(orjson.dumps({
                "format": "ferry-snapshot", "version": 1, "database": "other", "revision": "0001_classic",
                "tables": tables,
            }))
        )  # fmt: skip
    elif target.startswith("/ferry/"):
        send(whole(b'{"format": "ferry-snapshot", "version": 1}'))
    else:
        send(whole(b'{"token": "t"}'))


def _answer_late(kind: str, target: str, send: Send) -> None:
    """Harm where the classic API has its records, behind a good log-in."""
    if target.startswith("/ferry/"):
        send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif target.startswith("/api/authenticate"):
        send(whole(b'{"token": "t"}'))
    elif kind == PAGES:
        _endless_page(target, send)
    else:
        ANYTHING[kind](send)


def _handle(kind: str, connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(LIMIT_S)
        asked = b""
        while b"\r\n\r\n" not in asked:
            piece = connection.recv(65536)
            if not piece:
                return
            asked += piece
        target = asked.split(b" ")[1].decode("latin-1")
        if kind in EXPORTS:
            _answer_protocol(kind, target, connection.sendall)
        elif kind.startswith(LATE) or kind == PAGES:
            _answer_late(kind.removeprefix(LATE), target, connection.sendall)
        else:
            ANYTHING[kind](connection.sendall)
        connection.shutdown(socket.SHUT_WR)


def main(kind: str) -> None:
    """Serve until standard input ends."""
    PREPARED.get(kind.removeprefix(LATE), bytes)()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=_handle, args=(kind, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        sys.stdin.read()


class Hostile:
    """The process, while the ``with`` block lasts."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.sources.hostile", self._kind],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{json.loads(self._process.stdout.readline())['port']}"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.communicate(timeout=120)


if __name__ == "__main__":
    main(sys.argv[1])
