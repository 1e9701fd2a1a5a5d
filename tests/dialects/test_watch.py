"""A watch on a server: the token is of the very read it comes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from app.dialects.watch import TokenWatch


class Server:
    """A server of one number, whose reads see it as it was when they began."""

    def __init__(self) -> None:
        self.value, self.reads = 1, 0

    @contextlib.contextmanager
    def open_reader(self) -> Iterator[int]:
        self.reads += 1
        try:
            yield self.value
        finally:
            self.reads -= 1


def token_of(value: object) -> bytes | None:
    return b"%d" % value if isinstance(value, int) and value else None


def test_a_token_is_of_its_read_and_a_write_is_seen_afterwards() -> None:
    server = Server()
    watch = TokenWatch(server.open_reader, token_of)  # type: ignore[type-var]
    with watch.read() as (reader, token):
        server.value = 2
        assert (reader, token, server.reads) == (1, b"1", 1)
    assert (watch.token(), server.reads) == (b"2", 0)


def test_where_there_is_no_exact_token_there_is_none() -> None:
    server = Server()
    server.value = 0
    assert TokenWatch(server.open_reader, token_of).token() is None  # type: ignore[type-var]


def test_a_read_that_fails_is_ended() -> None:
    server = Server()

    def fail(_value: object) -> bytes:
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        TokenWatch(server.open_reader, fail).token()  # type: ignore[type-var]
    assert server.reads == 0
