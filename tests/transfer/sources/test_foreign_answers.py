"""Anything in place of an answer: of the protocol, of the log-in, of the records, of a MySQL server."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from app.dialects import dialect_for
from app.errors import DatabaseUnreachable, FerryError, SourceIncomplete
from app.transfer.rows.scratch import Keys
from app.transfer.sources import rest_api
from app.transfer.sources.classic_endpoints import Endpoint
from app.transfer.sources.ferry_protocol import FerrySource, speaks_ferry
from app.transfer.sources.http import HttpClient
from app.transfer.sources.rest_api import ClassicSource
from tests.support.sources.loopback import Asked, Loopback, answer

ODD = st.none() | st.booleans() | st.sampled_from([-1, 0, 1, 3, 2**63, 2**64, 1.5, "", "x", "3", "0" * 32, "\0é"])
JUNK = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
# JSON that Python would not write.
RAW = st.sampled_from(
    [
        "1e999999999",
        "-1e999999999",
        "9" * 1_000_000,
        "1e99999999999999999999",
        "NaN",
        "[" * 200_000 + "]" * 200_000,
        "[" * 900 + "]" * 900,
        '{"a":' * 900 + "1" + "}" * 900,
        '"\\ud800"',
        '{"a": 1, "a": 2}',
        "",
        "nul",
    ]
)
TEXTS = JUNK.map(json.dumps) | RAW


def refusal_of(read: Callable[[], object]) -> str | None:
    """What an error of ours says, or None where there was none; any other error is a failure of the test."""
    try:
        read()
    except FerryError as error:
        return error.message
    return None


class Said:
    """Answers by path; a deployment that says whatever a test wants."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}

    def script(self, asked: Asked, send: Callable[[bytes], None]) -> None:
        path = asked.target.partition("?")[0]
        send(answer(self.answers[path]) if path in self.answers else answer("{}", status="404 Not Found"))


@pytest.fixture(scope="module")
def said() -> Said:
    return Said()


@pytest.fixture(scope="module")
def server(said: Said) -> Iterator[Loopback]:
    with Loopback([], said.script) as found:
        yield found


@pytest.fixture
def client(server: Loopback) -> Iterator[HttpClient]:
    # Pauses between attempts grow with the time-out.
    made = HttpClient(server.url, timeout_s=0.2)
    made._wait = lambda number, error: 0.0  # type: ignore[method-assign] # attempts without pauses
    yield made
    made.close()


GOOD_MANIFEST: dict[str, Any] = {
    "format": "ferry-snapshot",
    "version": 1,
    "database": "d",
    "revision": "r",
    "tables": {"t": {"rows": 1, "checksum": "0" * 32}},
}
KEYS = [None, "version", "database", "revision", "tables", "t", "rows", "checksum"]


def spoilt(key: str | None, text: str) -> str:
    """A good manifest, with a text in the place of one value."""
    if key is None:
        return text
    mark = "a mark that is there once"
    changed = json.loads(json.dumps(GOOD_MANIFEST))
    if key in ("rows", "checksum"):
        changed["tables"]["t"][key] = mark
    elif key == "t":
        changed["tables"]["t"] = mark
    else:
        changed[key] = mark
    return json.dumps(changed).replace(f'"{mark}"', text)


@given(st.sampled_from(KEYS), TEXTS)
def test_any_manifest(said: Said, client: HttpClient, key: str | None, text: str) -> None:
    said.answers = {"/api/authenticate": '{"token": "t"}', "/ferry/manifest": spoilt(key, text)}
    source = FerrySource(client, "u", "p")

    def read() -> None:
        manifest = source.manifest()
        assert isinstance(manifest.database_uid, str)
        assert all(0 <= table.rows < 2**63 and 0 <= table.total < 2**128 for table in manifest.tables.values())

    words = refusal_of(read)
    assert words is None or client.base in words


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("tables", "[]", "tables is not an object"),
        ("t", "[]", "tables: t is not an object"),
        ("rows", '"1"', "rows is not a count"),
        ("rows", "-1", "rows is not a count"),
        ("rows", "true", "rows is not a count"),
        ("rows", "1e999999999", "rows is not a count"),
        ("rows", "9" * 1_000_000, "rows is not a count"),
        ("checksum", '"zz"', "checksum is not a text of 32 hex digits"),
        ("revision", "{}", "revision is not a text"),
        ("database", "1", "database is not a text"),
        ("version", '"1"', "version is not a count"),
        ("version", "2", "speaks version 2; this program reads 1"),
        (None, "[]", "the answer is not an object"),
    ],
    ids=range(13),
)
def test_a_manifest_that_is_none(said: Said, client: HttpClient, key: str, text: str, words: str) -> None:
    said.answers = {"/api/authenticate": '{"token": "t"}', "/ferry/manifest": spoilt(key, text)}
    with pytest.raises(SourceIncomplete, match=words):
        FerrySource(client, "u", "p").manifest()


@given(TEXTS | TEXTS.map(lambda text: f'{{"token": {text}}}'), TEXTS)
def test_any_answer_to_the_log_in_and_to_the_question_of_the_protocol(
    said: Said, client: HttpClient, text: str, other: str
) -> None:
    said.answers = {"/api/authenticate": text, "/ferry/": other}
    words = refusal_of(lambda: ClassicSource(client, "u", "p").log_in())
    assert words is None or client.base in words
    assert speaks_ferry(client) is False


@pytest.mark.parametrize("token", ['"a\\r\\nX: y"', '"\\u20ac"', '"' + "x" * 100_000 + '"', '"\\u0000"'], ids=range(4))
def test_a_token_that_no_header_can_hold(said: Said, client: HttpClient, token: str) -> None:
    said.answers = {"/api/authenticate": f'{{"token": {token}}}'}
    with pytest.raises(SourceIncomplete, match="without a token"):
        ClassicSource(client, "u", "p").log_in()


USERS = "/api/export/users"
RECORDS = st.one_of(
    TEXTS,
    TEXTS.map(lambda text: f'{{"users": {text}, "total": 1}}'),
    TEXTS.map(lambda text: f'{{"users": [{text}], "total": 1}}'),
    TEXTS.map(lambda text: f'{{"users": [{{"id": {text}}}], "total": 1}}'),
    TEXTS.map(lambda text: f'{{"users": [{{"id": 1, "more": {text}}}], "total": 1}}'),
    st.tuples(st.sampled_from(["total", "count", "page", "has_next", "pagination"]), TEXTS).map(
        lambda pair: f'{{"users": [{{"id": 1}}], "{pair[0]}": {pair[1]}}}'
    ),
)


@given(RECORDS)
def test_any_records(said: Said, client: HttpClient, tmp_path: Path, text: str) -> None:
    said.answers = {USERS: text}
    source = ClassicSource(client, "u", "p")
    endpoint = Endpoint("users", USERS, "users", paged=True)

    def read() -> None:
        with Keys(tmp_path) as keys:
            list(source.extract(tmp_path, keys, [endpoint], lambda *_: None))

    words = refusal_of(read)
    assert words is None or client.base in words or "users" in words


def test_records_without_an_end(
    said: Said, client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Loopback
) -> None:
    """Pages that always have a next one: they end where the total says, and without a total after so many."""
    monkeypatch.setattr(rest_api, "MOST_PAGES", 50)
    said.answers = {}
    endpoint = Endpoint("users", USERS, "users", paged=True)
    for total in (', "total": 1000', ""):

        def page(asked: Asked, send: Callable[[bytes], None], total: str = total) -> None:
            number = asked.target.partition("page=")[2].partition("&")[0]
            send(answer(f'{{"users": [{{"id": {number}}}], "page": {number}, "has_next": true{total}}}'))

        with Loopback([], page) as endless:
            other = HttpClient(endless.url, timeout_s=1)
            with Keys(tmp_path) as keys, pytest.raises(SourceIncomplete) as caught:
                list(ClassicSource(other, "u", "p").extract(tmp_path, keys, [endpoint], lambda *_: None))
            other.close()
        assert "the pages do not end" in str(caught.value.details)


def test_fewer_records_at_a_time_where_they_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An honest page of large records is asked for again, smaller."""
    monkeypatch.setattr(HttpClient.get, "__defaults__", (100_000,))
    records = [{"id": number, "text": "x" * 3000} for number in range(60)]

    def page(asked: Asked, send: Callable[[bytes], None]) -> None:
        said = dict(pair.split("=") for pair in asked.target.partition("?")[2].split("&"))
        first, size = (int(said["page"]) - 1) * int(said["per_page"]), int(said["per_page"])
        some = records[first : first + size]
        send(answer({"users": some, "total": 60, "page": int(said["page"]), "has_next": first + size < 60}))

    with Loopback([], page) as server:
        client = HttpClient(server.url, timeout_s=2)
        with Keys(tmp_path) as keys:
            endpoint = Endpoint("users", USERS, "users", paged=True)
            [part] = ClassicSource(client, "u", "p").extract(tmp_path, keys, [endpoint], lambda *_: None)
        client.close()
    assert part.lines == 60
    asked = [one.target for one in server.asked]
    assert any("per_page=200" in target for target in asked)
    assert any("per_page=25" in target for target in asked)


# A MySQL server

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
