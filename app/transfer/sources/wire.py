"""The wire under :mod:`.http`: one deadline for everything that a socket does, and decompression in bounded pieces.

``requests`` and ``http.client`` count their time-outs per read: a server that drips its headers, or answers ``100
Continue`` again and again, keeps them for ever. Here each read of a socket is given what is left until one deadline,
and so are the look-up of the name, the connecting and the TLS handshake.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import queue
import socket
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import zstandard
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import connection as connecting

CONNECT_S = 10.0
"""For one address of a host."""
LEAST_RATE = 1024
"""Bytes a second, as they travel, below which a stream is given up: a tenth of what a modem of 1994 carried."""
WINDOW_BYTES = 8 << 20
"""The largest window of a Zstandard frame: what RFC 8878 (3.1.1.1.2) wants every decoder to have, and the levels up to
19 use. A frame may ask for terabytes."""
MOST_RATIO = 1000
"""Bytes that one byte of a stream may stand for; text of databases has 3 to 50. Deflate ends at 1032, Zstandard at
32,000."""
RATIO_FREE_BYTES = 256 << 20
"""A stream may be any ratio until it has given so much: a table of equal rows is honest, and does no harm so far."""
PIECE_BYTES = 1 << 20
_TOGETHER_BYTES = 1 << 17
"""What is less waits for what comes behind it: each piece is passed on some times."""
_ZSTD_STEP = 1024
"""Compressed bytes at a time: they stand for 32 MiB at most."""


class TooLong(Exception):
    """A peer sends more than it may; what is too long, and the limit, in words."""


class Clock:
    """The instant by which a socket's next read has to end; one for all connections of a client."""

    def __init__(self) -> None:
        self.until = 0.0
        self._stopped = False
        self._link: socket.socket | None = None

    def allow(self, seconds: float) -> None:
        """Set the deadline, from now on."""
        self.until = time.monotonic() + seconds

    def left_s(self) -> float:
        """What is left until the deadline.

        :raises TimeoutError: nothing.
        """
        rest_s = self.until - time.monotonic()
        if rest_s <= 0 or self._stopped:
            raise TimeoutError("timed out")
        return rest_s

    def watch(self, link: socket.socket) -> None:
        """The socket that is read next: the one to wake."""
        self._link = link

    def stop(self) -> None:
        """Nothing is left from now on; a thread that waits for bytes is woken."""
        self._stopped = True
        if self._link:
            with contextlib.suppress(OSError):
                # Not the method of an SSLSocket, which takes the encryption away under the thread that reads.
                socket.socket.shutdown(self._link, socket.SHUT_RDWR)


class Pace:
    """How long a stream may take for its next piece: silence is borrowed, and paid back by bytes.

    :param patience_s: the longest silence; a stream slower than :data:`LEAST_RATE` uses it up drop by drop.
    """

    def __init__(self, clock: Clock, patience_s: float) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._left_s = patience_s

    def read(self, response: Any, size: int) -> bytes:
        """The next piece of a body.

        :raises TimeoutError: the stream is too slow.
        """
        self._clock.allow(self._left_s)
        began = time.monotonic()
        piece: bytes = response.raw.read1(size, decode_content=False)
        gained = len(piece) / LEAST_RATE - (time.monotonic() - began)
        self._left_s = min(self._patience_s, self._left_s + gained)
        return piece


class _Timed(io.RawIOBase):
    """A socket's bytes, each read until the clock's deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, clock: Clock) -> None:
        self._raw, self._sock, self._clock = raw, sock, clock
        self.has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._clock.left_s())
        size = self._raw.readinto(buffer)
        self.has_ended = size == 0
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def _pools(clock: Clock) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools whose connections heed a clock; classes, because urllib3 makes the connections by itself."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
            super().__init__(sock, *arguments, **named)
            clock.watch(sock)
            self._timed = _Timed(self.fp.detach(), sock, clock)
            self.fp = io.BufferedReader(self._timed)

        def begin(self) -> None:
            # http.client takes a header that breaks off for a whole one, and the last one for the end of them.
            super().begin()
            if self._timed.has_ended:
                raise http.client.HTTPException("the connection was closed within the headers")

    class Plain(HTTPConnection):
        response_class = Response

        def _new_conn(self) -> socket.socket:
            return _connect(self, self._dns_host, clock)

    class Encrypted(HTTPSConnection):
        response_class = Response

        def _new_conn(self) -> socket.socket:
            return _connect(self, self._dns_host, clock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


class Adapter(HTTPAdapter):
    """The transport of ``requests``, with every wait under a clock, and no retries of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._clock)

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = _pools(self._clock)
        return manager


def _connect(connection: HTTPConnection, host: str, clock: Clock) -> socket.socket:
    """Connect to the first address of a host that answers.

    :raises NameResolutionError, ConnectTimeoutError, NewConnectionError, LocationParseError: as urllib3 does.
    """
    last: OSError = OSError("the host has no address")
    try:
        for address in _addresses(host, connection.port, clock):
            try:
                link = connecting.create_connection(
                    (address, connection.port),
                    min(CONNECT_S, clock.left_s()),
                    source_address=connection.source_address,
                    socket_options=connection.socket_options,
                )
                try:
                    # The handshake is one operation with one deadline.
                    link.settimeout(clock.left_s())
                except TimeoutError:
                    link.close()
                    raise
                clock.watch(link)
                return link
            except OSError as error:
                last = error
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    except UnicodeError as error:
        raise LocationParseError(host) from error
    except TimeoutError as error:
        last = error
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, f"Connection to {host} timed out.") from last
    raise NewConnectionError(connection, f"Failed to establish a new connection: {last}") from last


def _addresses(host: str, port: int, clock: Clock) -> list[str]:
    """The addresses of a host. The look-up has no time-out of its own and cannot be interrupted: it runs beside."""
    try:
        return [str(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        pass
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(entry[4][0]) for entry in entries])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    answer: list[str] | Exception
    try:
        answer = answers.get(timeout=clock.left_s())
    except queue.Empty:
        answer = TimeoutError("timed out")
    if isinstance(answer, Exception):
        raise answer
    return answer


def inflate(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Gzip, decompressed in pieces of :data:`PIECE_BYTES` at most.

    :raises zlib.error: it is damaged.
    :raises EOFError: it ends too early, or something comes after its end.
    """
    decompressor = zlib.decompressobj(wbits=31)
    for piece in pieces:
        if decompressor.eof:
            raise EOFError("there are bytes behind the compressed answer")
        waiting, more = piece, True
        while more:
            plain = decompressor.decompress(waiting, PIECE_BYTES)
            if plain:
                yield plain
            waiting = decompressor.unconsumed_tail
            more = bool(waiting) or len(plain) == PIECE_BYTES
        if decompressor.unused_data:
            raise EOFError("there are bytes behind the compressed answer")
    if not decompressor.eof:
        raise EOFError("the compressed answer ends too early")


def _empty(waiting: list[bytes]) -> bytes:
    """What waits, together; nothing waits then."""
    joined = waiting[0] if len(waiting) == 1 else b"".join(waiting)
    waiting.clear()
    return joined


def expand(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Zstandard, decompressed in pieces of 33 MiB at most; usually of some hundred KiB.

    :raises zstandard.ZstdError: it is damaged, or asks for a window of more than :data:`WINDOW_BYTES`.
    :raises EOFError: it ends too early, or something comes after its end.
    :raises TooLong: it is a bomb.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
    received = plain_size = yielded_size = 0
    waiting: list[bytes] = []
    for piece in pieces:
        received += len(piece)
        for start in range(0, len(piece), _ZSTD_STEP):
            if decompressor.eof:
                raise EOFError("there are bytes behind the compressed export")
            waiting.append(decompressor.decompress(piece[start : start + _ZSTD_STEP]))
            plain_size += len(waiting[-1])
            if plain_size > RATIO_FREE_BYTES and plain_size > MOST_RATIO * received:
                raise TooLong(
                    f"{received:,} bytes stand for more than {plain_size:,}, and one may stand for {MOST_RATIO:,} at "
                    "most"
                )
            if plain_size - yielded_size >= _TOGETHER_BYTES:
                yielded_size = plain_size
                # They may be long, and the next ones are made while nobody needs them any more.
                yield _empty(waiting)
    if waiting:
        yield _empty(waiting)
    if not decompressor.eof:
        raise EOFError("the compressed export ends too early")
    if decompressor.unused_data:
        raise EOFError("there are bytes behind the compressed export")
