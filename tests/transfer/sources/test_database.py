"""A database server as a source, which may be anybody's: what it asks for it is not given."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.dialects import dialect_for
from app.errors import DatabaseUnreachable

from .foreign import refusal_of

HANDSHAKE = (
    b"\x0a10.11.0-MariaDB\x00" + b"\x01\x00\x00\x00" + b"saltsalt\x00" + b"\xff\xf7" + b"\x2d" + b"\x02\x00"
    + b"\xff\x81" + b"\x15" + b"\x00" * 10 + b"saltsaltsalt\x00" + b"mysql_native_password\x00"
)  # fmt: skip


OK_PACKET = b"\x00\x00\x00\x02\x00\x00\x00"


class MySqlServer:
    """Speaks enough of the protocol to be asked, and answers the first question as a test says."""

    def __init__(self, first: bytes, answer: bytes | None = None) -> None:
        self._first, self._answer = first, answer
        self.received: list[bytes] = []

    def __enter__(self) -> MySqlServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._ended = threading.Event()
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(1)
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.sendall(packet(0, self._first))
        if self._answer is None:
            return
        connection.recv(65536)
        connection.sendall(packet(2, OK_PACKET))
        while asked := connection.recv(65536):
            self.received.append(asked)
            connection.sendall(packet(1, self._answer if b"SELECT" in asked else OK_PACKET))


def packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def ask(port: int) -> None:
    url = make_url(f"mysql://u:p@127.0.0.1:{port}/d")
    with dialect_for(url).reader(url) as reader:
        reader.tables()


def test_a_source_server_that_asks_for_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a file of this host\n")
    with (
        MySqlServer(HANDSHAKE, b"\xfb" + str(secret).encode()) as server,
        pytest.raises(DatabaseUnreachable, match="asked for a file that was not offered"),
    ):
        ask(server.port)
    assert server.received
    assert not any(b"a file of this host" in piece for piece in server.received)


@pytest.mark.parametrize(
    "first",
    [b"", b"\x0a", b"\x0a5.7\x00", b"\xff", b"\xff\x10\x04", b"\x09x\x00" + b"\xff" * 40, HANDSHAKE[:30], b"\x00" * 50],
    ids=range(8),
)
def test_a_server_whose_greeting_is_none(first: bytes) -> None:
    with MySqlServer(first) as server:
        words = refusal_of(lambda: ask(server.port))
    assert words is not None
    assert "127.0.0.1" in words


@pytest.mark.parametrize(
    "said", [b"\xfe", b"\xff", b"\x05", b"\xfd\xff\xff\xff", b"\x01", b"\xfe" + b"\xff" * 8, b"\x00"], ids=range(7)
)
def test_a_server_whose_answer_is_none(said: bytes) -> None:
    with MySqlServer(HANDSHAKE, said) as server:
        words = refusal_of(lambda: ask(server.port))
    assert words is not None
    assert "127.0.0.1" in words
