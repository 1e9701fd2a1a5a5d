"""The client: nothing that is not a whole, right answer of the one host gets through."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests

from app.errors import SourceIncomplete
from app.transfer.rows.strictjson import StrictJSONError, loads
from app.transfer.sources import http
from app.transfer.sources.http import ATTEMPTS, Answer, HttpClient, Refused, Transient
from app.transfer.sources.turns import sleep
from tests.support.limits import no_endless_wait
from tests.support.sources.loopback import Asked, Loopback, answer, certificate, serving

TIMEOUT_S = 0.6
Send = Callable[[bytes], None]


@pytest.fixture
def clients() -> Iterator[Callable[..., HttpClient]]:
    made: list[HttpClient] = []

    def make(server: Loopback | str, **options: Any) -> HttpClient:
        base = server if isinstance(server, str) else server.url
        made.append(HttpClient(base, **{"timeout_s": TIMEOUT_S, **options}))
        return made[-1]

    yield make
    for client in made:
        client.close()


def value(said: Answer) -> Any:
    return loads(said.json_text())


Clients = Callable[..., HttpClient]


def test_a_good_answer(clients: Clients) -> None:
    with serving(answer({"a": 1}), answer([2])) as server:
        client = clients(server)
        client.headers["Cookie"] = "jwt=x"
        assert client.get("/a", value, page=1, per_page=2) == {"a": 1}
        assert client.get("/b", value) == [2]
    first, second = server.asked
    assert (first.method, first.target, first.headers["cookie"]) == ("GET", "/a?page=1&per_page=2", "jwt=x")
    assert second.target == "/b"


def test_a_prefix(clients: Clients) -> None:
    with serving(answer({})) as server:
        clients(f"{server.url}/old/app").get("/api/user", value)
    assert server.asked[0].target == "/old/app/api/user"


# Bodies


def whole_gzip(text: str = '{"a": 1}') -> bytes:
    return gzip.compress(text.encode())


CHUNKED = "Transfer-Encoding: chunked"
BROKEN = {
    "gzip cut": answer(whole_gzip()[:-9], "Content-Encoding: gzip"),
    "gzip without its check": answer(whole_gzip()[:-4], "Content-Encoding: gzip"),
    "gzip damaged": answer(whole_gzip()[:-8] + b"\0\0\0\0" + whole_gzip()[-4:], "Content-Encoding: gzip"),
    "gzip that is none": answer(b'{"a": 1}', "Content-Encoding: gzip"),
    "gzip with something behind": answer(whole_gzip() + b"more", "Content-Encoding: gzip"),
    "another compression": answer(zlib.compress(b'{"a": 1}'), "Content-Encoding: deflate"),
    "shorter than its length": answer(b'{"a": 1}')[:-1],
    "no length, cut": answer('{"a": 1', length=False),
    "chunk cut": answer(b"", CHUNKED, length=False) + b'9\r\n{"a": 1',
    "no last chunk": answer(b"", CHUNKED, length=False) + b'8\r\n{"a": 1}\r\n',
    "chunk length that is none": answer(b"", CHUNKED, length=False) + b'zz\r\n{"a": 1}\r\n0\r\n\r\n',
    "no answer": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "cut in the headers": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
    "cut behind a header": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
    "cut in its length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0",
    "not JSON": answer("<html>"),
    "HTML": answer("<html>", "Content-Type: text/html"),
    "no content type": b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n{"a": 1}',
    "no length, NaN": answer('{"a": NaN}', length=False),
    "not UTF-8": answer(b'{"a": "\xe9"}'),
    "another charset": answer('{"a": 1}', "Content-Type: application/json; charset=iso-8859-1"),
    "text behind": answer('{"a": 1} <!-- 0.2 s -->'),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_whole_answer_is_asked_for_again(clients: Clients, kind: str) -> None:
    with serving(BROKEN[kind], answer({"a": 1})) as server:
        assert clients(server).get("/x", value) == {"a": 1}
    assert len(server.asked) == 2


@pytest.mark.parametrize("kind", ["gzip cut", "no length, cut", "no answer", "HTML"])
def test_what_never_is_a_whole_answer(clients: Clients, kind: str) -> None:
    with serving(BROKEN[kind]) as server, pytest.raises(SourceIncomplete) as caught:
        clients(server).get("/x", value, page=7)
    assert len(server.asked) == ATTEMPTS
    assert f"{server.url}: GET /x?page=7 failed {ATTEMPTS} times" in caught.value.message
    assert "flask db-migrate-data" in str(caught.value.hint)


@pytest.mark.parametrize("at", range(0, 107, 3))
def test_a_log_in_that_was_cut_gives_no_part_of_a_token(clients: Clients, at: int) -> None:
    """A header that breaks off is none: http.client would take it, and what comes of it for all of them."""
    whole = answer({"token": "abcdefghijkl"}, "Set-Cookie: token=abcdefghijkl", status="201 Created")
    with serving(whole[:at], whole) as server:
        given = clients(server).post_json("/log-in", {})
    assert given.cookies == {"token": "abcdefghijkl"}
    assert len(server.asked) == 2


NOT_KEPT = {
    "NaN": answer('{"a": NaN}'),
    "twice the same key": answer('{"a": 1, "a": 1}'),
    "half of a pair": answer('{"a": "\\ud800"}'),
    "an exponent": answer('{"a": 1e99999999999999999999}'),
    "nested": answer("[" * 200_000 + "]" * 200_000),
    "gzip": answer(gzip.compress(b'{"a": NaN}'), "Content-Encoding: gzip", length=False),
    "chunked": answer(b"", CHUNKED, length=False) + b'a\r\n{"a": NaN}\r\n0\r\n\r\n',
}


@pytest.mark.parametrize("kind", NOT_KEPT)
def test_what_would_be_the_same_again_is_not_asked_for_again(clients: Clients, kind: str) -> None:
    with serving(NOT_KEPT[kind]) as server, pytest.raises(SourceIncomplete, match="cannot be kept") as caught:
        clients(server).get("/x", value)
    assert len(server.asked) == 1
    assert f"{server.url}: GET /x answers" in caught.value.message
    assert "flask db-migrate-data" in str(caught.value.hint)


@pytest.mark.parametrize(
    "good",
    [
        answer(whole_gzip(), "Content-Encoding: gzip"),
        answer(whole_gzip(), "Content-Encoding: GZIP"),
        answer(b"", CHUNKED, length=False) + b'4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n',
        answer('{"a": 1}', length=False),
        answer('{"a": 1}', 'Content-Type: Application/JSON; charset="UTF-8"'),
    ],
)
def test_every_good_way_of_saying_it(clients: Clients, good: bytes) -> None:
    with serving(good) as server:
        assert clients(server).get("/x", value) == {"a": 1}
    assert len(server.asked) == 1


# Time


def dripping(server: Loopback, head: int, interval_s: float) -> Callable[[Asked, Send], None]:
    whole = answer({"a": "x" * 200})

    def script(asked: Asked, send: Send) -> None:
        del asked
        send(whole[:head])
        for byte in whole[head:]:
            server.wait(interval_s)
            send(bytes([byte]))

    return script


def test_a_deadline_for_a_body_that_drips(clients: Clients) -> None:
    with serving() as server:
        server.script = dripping(server, 120, TIMEOUT_S / 4)
        began = time.monotonic()
        # Each byte alone comes well within the time-out, all of them would take minutes.
        with no_endless_wait(), pytest.raises(SourceIncomplete, match=r"was not complete after 0\.6 s"):
            clients(server).get("/x", value)
        assert time.monotonic() - began >= TIMEOUT_S * ATTEMPTS
        assert len(server.asked) == ATTEMPTS


def test_a_deadline_for_a_handshake_that_drips(clients: Clients) -> None:
    """TLS: a record that is announced as long as one may be, and comes byte by byte."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        listener.settimeout(0.05)
        while not ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 10_000:
                        connection.sendall(bytes([byte]))
                        if ended.wait(TIMEOUT_S / 4):
                            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            with no_endless_wait(), pytest.raises(SourceIncomplete, match="timed out"):
                clients(f"https://127.0.0.1:{listener.getsockname()[1]}").get("/x", value)
        finally:
            ended.set()
            thread.join(10)


def test_a_deadline_for_the_look_up_of_a_name(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer; there is none here that could be made to."""
    ended = threading.Event()

    def wait(*_: object, **__: object) -> list[Any]:
        ended.wait(200)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    began = time.monotonic()
    with no_endless_wait(), pytest.raises(SourceIncomplete, match="timed out"):
        clients("http://old.example").get("/x", value)
    ended.set()
    assert time.monotonic() - began >= TIMEOUT_S * ATTEMPTS


@pytest.mark.parametrize("host", ["a" * 300, "a..b", "old.invalid"], ids=range(3))
def test_a_host_that_is_none(clients: Clients, host: str) -> None:
    with pytest.raises(SourceIncomplete, match="failed"):
        clients(f"http://{host}", timeout_s=0.2).get("/x", value)


def test_a_server_that_says_nothing(clients: Clients) -> None:
    with serving() as server:
        server.script = lambda _asked, _send: server.wait(100)
        with no_endless_wait(), pytest.raises(SourceIncomplete, match="timed out"):
            clients(server).get("/x", value)
        assert len(server.asked) == ATTEMPTS


def test_retries_share_one_budget(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last attempt has only what is left, not a whole time-out of its own."""
    monkeypatch.setattr(http, "RETRY_BUDGET_S", 0.5)
    timeouts: list[float] = []
    request = requests.Session.request

    def noted_request(session: requests.Session, *args: Any, **options: Any) -> requests.Response:
        timeouts.append(options["timeout"])
        return request(session, *args, **options)

    monkeypatch.setattr(requests.Session, "request", noted_request)
    with serving() as server:
        server.script = lambda _asked, _send: server.wait(100)
        with pytest.raises(SourceIncomplete, match="timed out"):
            clients(server, timeout_s=1.0).get("/x", value)
    first, *others = timeouts
    assert first == 1.0
    assert others
    assert max(others) <= 0.5


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_statuses_that_pass(clients: Clients, status: int) -> None:
    with serving(answer("", status=f"{status} Wait"), answer({})) as server:
        assert clients(server).get("/x", value) == {}


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 403, 404, 405, 410, 501])
def test_statuses_that_are_final(clients: Clients, status: int) -> None:
    with serving(answer("{}", status=f"{status} No")) as server, pytest.raises(Refused) as caught:
        clients(server).get("/x", value)
    assert caught.value.status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after(clients: Clients, form: str) -> None:
    # A date is in whole seconds, so up to one second of it may be gone.
    said = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
    with serving(answer("", f"Retry-After: {said}", status="429 No"), answer({})) as server:
        began = time.monotonic()
        clients(server).get("/x", value)
    assert time.monotonic() - began >= 0.9


@pytest.mark.parametrize("said", ["", "soon", "-1", "\u00b2", "Thu, 99 Foo 2024", "1.5"])
def test_a_retry_after_that_says_nothing(clients: Clients, said: str) -> None:
    with serving(answer("", f"Retry-After: {said}", status="429 No"), answer({})) as server:
        assert clients(server).get("/x", value) == {}


def test_a_retry_after_beyond_the_budget(clients: Clients) -> None:
    with serving(answer("", "Retry-After: 61", status="503 No")) as server:
        refused = pytest.raises(SourceIncomplete, match="failed 1 times; the last time: status 503")
        with no_endless_wait(), refused:
            clients(server).get("/x", value)
    assert len(server.asked) == 1


def test_waits_get_longer(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def noted_sleep(seconds: float, stop: threading.Event) -> None:
        waits.append(seconds)
        sleep(seconds, stop)

    monkeypatch.setattr(http, "sleep", noted_sleep)
    script = lambda _asked, send: send(answer("", status="502 No"))  # noqa: E731
    with serving(script=script) as server, pytest.raises(SourceIncomplete):
        clients(server).get("/x", value)
    assert len(waits) == ATTEMPTS - 1
    for number, wait in enumerate(waits):
        assert 0.8 <= wait / (TIMEOUT_S / 60 * 2**number) <= 1.2


def test_what_is_called_before_a_further_attempt(clients: Clients) -> None:
    seen: list[str] = []
    with serving(answer("", status="500 No"), answer({})) as server:
        client = clients(server)
        client.before_retry = lambda error: seen.append(str(error))
        client.get("/x", value)
    assert seen == ["status 500"]


# Hosts and credentials


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host(clients: Clients, status: int) -> None:
    with serving(answer({})) as other:
        away = answer("", f"Location: {other.url}/x", status=f"{status} Away")
        with serving(away) as server:
            client = clients(server)
            client.headers["Cookie"] = "jwt=secret"
            with pytest.raises(SourceIncomplete) as caught:
                client.post_json("/x", {"password": "secret"})
    assert other.asked == []
    assert other.url in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("place", ["/y", "y", "{url}/y", "//{host}/y"])
def test_a_redirect_on_the_same_host(clients: Clients, place: str) -> None:
    with serving() as server:
        here = place.format(url=server.url, host=server.url.partition("//")[2])
        server.answers = [answer("", f"Location: {here}", status="302 Found"), answer({})]
        assert clients(server).get("/x", value, page=1) == {}
    assert [asked.target for asked in server.asked] == ["/x?page=1", "/y"]


@pytest.mark.parametrize("place", ["https://{host}/x", "http://[", "//other.invalid/x", "http://localhost:{port}/x"])
def test_a_redirect_elsewhere(clients: Clients, place: str) -> None:
    with serving() as server:
        place = place.format(host=server.url.partition("//")[2], port=server.port)
        server.answers = [answer("", f"Location: {place}", status="302 Found")]
        with pytest.raises(SourceIncomplete, match="redirects to"):
            clients(server).get("/x", value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("place", ["/login", "/old/%2e%2e/login", "/old/..%2flogin"])
def test_a_redirect_out_of_the_prefix(clients: Clients, place: str) -> None:
    with serving(answer("", f"Location: {place}", status="302 Found")) as server:
        with pytest.raises(SourceIncomplete, match="not of this deployment; nothing was sent there"):
            clients(f"{server.url}/old").get("/x", value)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("place", "header"),
    [
        ("http://u:secret@127.0.0.1:1/x", "k"),
        ("http://u:secret@[/x", "k"),
        ("http://u:secret@127.0.0.1:port/x?key=secret", "k"),
        ("{url}/x?cursor=secret", "k"),
        ("{url}/x", " secret"),
    ],
)
def test_no_message_says_what_may_be_a_secret(clients: Clients, place: str, header: str) -> None:
    with serving() as server:
        server.answers = [answer("", f"Location: {place.format(url=server.url)}", status="302 Found")]
        client = clients(server)
        client.headers["X-Key"] = header
        with pytest.raises(SourceIncomplete) as caught:
            client.get("/x?cursor=secret", value)
    assert "secret" not in f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"


def test_a_redirect_in_a_circle(clients: Clients) -> None:
    endless = pytest.raises(SourceIncomplete, match="/x redirects without an end")
    with serving(answer("", "Location: /x", status="302 Found")) as server, endless:
        clients(server).get("/x", value)
    assert len(server.asked) == 5


def test_cookies_are_read_as_they_were_sent(clients: Clients) -> None:
    headers = (
        "Set-Cookie: jwt=a.b=c; Domain=old.example; Secure; HttpOnly; SameSite=None",
        'Set-Cookie: other="quoted value"; Expires=Thu, 01 Jan 2032 00:00:00 GMT; Path=/deep',
        "Set-Cookie: empty=",
    )
    with serving(answer({}, *headers), answer({})) as server:
        client = clients(server)
        said = client.post_json("/login", {"uid": "a"})
        assert said.cookies == {"jwt": "a.b=c", "other": '"quoted value"', "empty": ""}
        client.get("/x", value)
    # Nothing is sent along unless it is said by hand.
    assert "cookie" not in server.asked[1].headers


def test_a_netrc_gives_no_credentials(clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(answer({})) as server:
        client = clients(server)
        client.get("/x", value)
        client.headers["Authorization"] = "Bearer mine"
        client.get("/x", value)
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, "Bearer mine"]


def test_no_server(clients: Clients) -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(SourceIncomplete, match="refused"):
        clients(url).get("/x", value)


# TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    return certificate(tmp_path_factory.mktemp("tls"))


def test_a_certificate_nobody_knows(clients: Clients, tls: Any) -> None:
    with Loopback([answer({})], tls=tls[0]) as server, pytest.raises(SourceIncomplete) as caught:
        clients(server).get("/x", value)
    assert "certificate" in caught.value.message
    assert "FERRY_TLS_CA" in str(caught.value.hint)
    assert server.asked == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_ca_of_ones_own(clients: Clients, tls: Any, monkeypatch: pytest.MonkeyPatch, elsewhere: bool) -> None:
    if elsewhere:
        # The configured CA counts, whatever the environment says.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    with Loopback([answer({})], tls=tls[0]) as server:
        assert clients(server, tls_ca=tls[1]).get("/x", value) == {}


def test_a_certificate_of_another_host(clients: Clients, tls: Any) -> None:
    with Loopback([answer({})], tls=tls[0]) as server, pytest.raises(SourceIncomplete, match="certificate"):
        clients(server.url.replace("127.0.0.1", "localhost"), tls_ca=tls[1]).get("/x", value)


# A long body


def test_a_stream(clients: Clients) -> None:
    text = "".join(f"line {number}\n" for number in range(50_000))
    packed = answer(whole_gzip(text), "Content-Encoding: gzip")
    with serving(packed) as server, clients(server).stream("/x", identity="é&=") as pieces:
        assert b"".join(pieces).decode() == text
    assert server.asked[0].target == "/x?identity=%C3%A9%26%3D"


@pytest.mark.parametrize("kind", ["gzip cut", "gzip without its check", "shorter than its length", "no last chunk"])
def test_a_stream_that_breaks_off(clients: Clients, kind: str) -> None:
    broken = pytest.raises(Transient, match=r"broke off|too early")
    with serving(BROKEN[kind]) as server, clients(server).stream("/x") as pieces, broken:
        list(pieces)


def test_a_stream_that_is_refused(clients: Clients) -> None:
    with serving(answer("", status="403 No")) as server, pytest.raises(Refused), clients(server).stream("/x"):
        pytest.fail("not reached")


def test_an_answer_says_what_it_is() -> None:
    def said(content_type: str, body: bytes = b"{}") -> Answer:
        return Answer(200, content_type, body, {})

    assert said("application/json").json_text() == "{}"
    for content_type in ("", "text/json", "application/jsonp", "text/html; charset=utf-8"):
        with pytest.raises(StrictJSONError, match="JSON was expected"):
            said(content_type).json_text()
    with pytest.raises(StrictJSONError, match="byte 2"):
        said("application/json", b'{"\xff"}').text()
