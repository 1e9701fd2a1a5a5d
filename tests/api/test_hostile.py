"""Whatever is sent to any route is answered with a status below 500, and without a traceback."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.auth import COOKIE
from app.config import secret_key
from app.extensions import db, limiter
from tests.support.local import Local
from tests.support.places import new_name
from tests.support.serving import Server

from .sites import KEY, SERVERS, deploy_site, serve_site, token_of

pytestmark = pytest.mark.usefixtures("cheap_dummy")

LOG_IN = "/api/authenticate"
DEEP = "[" * 200_000
LONG_NUMBER = "9" * 10_000
SOON = datetime.now(UTC) + timedelta(hours=1)

BODIES = [
    b"",
    b"\0",
    b"\xff\xfe\xfd",
    DEEP.encode(),
    b"[" * 15_000,
    b'{"uid":' * 2_000,
    b'{"uid": ' + b"[" * 7_000 + b"]" * 7_000 + b', "password": "x"}',
    b'{"uid": 1e999999999, "password": -1e999999999}',
    b'{"uid": ' + LONG_NUMBER.encode() + b', "password": 1}',
    b'{"uid": NaN, "password": Infinity}',
    b'{"uid": "\\ud800", "password": "\\udfff"}',
    b'{"uid": "a\\u0000b", "password": "a\\u0000b"}',
    b'{"uid": "\xed\xa0\x80", "password": "x"}',
    b'{"uid": "toby", "uid": null, "password": {}}',
    b'{"uid": true, "password": [[]]}',
    b'{"uid": "' + "😀".encode() * 3_000 + b'", "password": "x"}',
    b'{"uid": "%s%(x)s{0}\'\\"\\\\;--", "password": "$$"}',
    '{"uid": "toby", "password": "x"}'.encode("utf-16"),
    b'"toby"',
    b"null",
    b"1e999999999",
    LONG_NUMBER.encode(),
]
CONTENT_TYPES = [
    *("application/json", "", "application/x-www-form-urlencoded", "text/plain", "application/json; charset=x"),
    *("multipart/form-data", "multipart/form-data; boundary=", "\xff", ";;;", "application/json" * 1000),
]
AUTHORIZATIONS = [
    *("", " ", "Bearer", "Bearer ", "Bearer  x", "bearer a.b", "Bearer a.b.c", "Bearer ....", "Bearer \xfc\xff"),
    *("Basic", "Basic !!!", "Basic bm8gY29sb24=", "Basic /w==", "Digest", 'Digest username="x', "Digest a=b,,=,"),
    *("\xff", "Bearer a=b, c=d", "Bearer " + "x" * 100_000, "Nonsense x=y"),
]
NAMES = [
    *("nothing", "%00", "%FF", "%ED%A0%80", "%F0%9F%98%80", "..%2F..%2Fetc%2Fpasswd", "%s", "users%20"),
    "x" * 10_000,
]
NUMBERS = ["", "0", "-1", "1.5", "x", "%00", "%FF", "NaN", "1e9", "1_0", "%EF%BC%91", "999999", str(2**31), str(2**63)]
NUMBERS += [str(2**63 - 1), str(-(2**63)), "9" * 4300, LONG_NUMBER, "-" + LONG_NUMBER]
QUERIES = [f"{key}={number}" for key in ("page", "per_page") for number in NUMBERS]
QUERIES += [f"page={number}&per_page={number}" for number in NUMBERS]
QUERIES += ["page=1&page=2", "page[]=1", "&&&=", "identity=%00", "identity=%ED%A0%80", "identity=" + "x" * 10_000]


def encoded(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def odd_claims() -> Iterator[dict[str, Any]]:
    """Claims that only somebody with the key can sign: former versions of the app had it, too."""
    good = {"sub": "1", "bound": "x", "exp": SOON}
    yield from ({name: value for name, value in good.items() if name != leave_out} for leave_out in good)
    subs = (
        "x",
        "",
        "1.0",
        "-1",
        "+1",
        " 1",
        "１",
        "²",
        "0x1",
        LONG_NUMBER,
        str(2**63),
        "9" * 18,
        "\0",
        "\ud800",
        "toby",
    )
    yield from (good | {"sub": sub} for sub in subs)
    yield from (good | {"sub": sub} for sub in (1, 1.5, None, True, [], {}, 10**30))
    yield from (good | {"bound": bound} for bound in (None, 1, [], {}, "\ud800", "é", "x" * 100_000))
    yield from (good | {"exp": exp} for exp in ("x", None, [], {}, float("inf"), float("nan"), 10**400, -1, "1"))
    yield from (good | {name: value} for name in ("iat", "nbf") for value in ("x", [], float("inf"), 10**400))
    yield from (good | {name: value} for name in ("aud", "iss", "jti") for value in ("x", 1, [], {}))


def odd_tokens(key: str) -> Iterator[str]:
    claims = {"sub": "1", "bound": "x", "exp": int(SOON.timestamp())}
    for header in (
        *({"alg": alg, "typ": "JWT"} for alg in ("none", "None", "RS256", "HS999", "", None, 1, [], {}, ["HS256"])),
        {"alg": "HS256", "kid": 1},
        {"alg": "HS256", "crit": ["x"]},
        {"alg": "HS256", "b64": False},
        {},
        [],
        "null",
        "1e999999999",
        LONG_NUMBER,
        "[" * 6_000,
        DEEP,
        '{"alg": ' + "[" * 6_000,
    ):
        yield f"{encoded(header)}.{encoded(claims)}.{encoded('x')}"
    yield jwt.encode(claims, None, "none")
    yield jwt.encode(claims, key * 2, "HS512")
    yield from ("..", "...", "a.b.c", "a" * 100_000, "é.é.é", f"{encoded({'alg': 'HS256'})}.{encoded(DEEP)}.")
    jws = jwt.PyJWS()
    for payload in (
        b"",
        b"null",
        b"[]",
        b"1",
        DEEP.encode(),
        b'{"sub": ' + b"[" * 6_000,
        LONG_NUMBER.encode(),
        b"\xff",
    ):
        yield jws.encode(payload, key, "HS256")
    for odd in odd_claims():
        yield jws.encode(json.dumps(odd, default=lambda moment: int(moment.timestamp())).encode(), key, "HS256")


@pytest.fixture(scope="module", params=SERVERS)
def anywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app on each server, at head. Nothing is written here, so that one does for all."""
    url = None if request.param == "sqlite" else request.getfixturevalue(request.param).url(new_name())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLASK_SKIP_DOTENV", "1")
        app = serve_site(deploy_site(tmp_path_factory.mktemp("deployed"), url))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An error that nobody expected is logged with its traceback, whatever the caller is told."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def paths(app: Flask) -> Iterator[tuple[str, set[str]]]:
    """Every route with its methods; where a part of the path is free, with odd ones."""
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) | {"PUT", "DELETE", "BREW"}
        for name in NAMES if rule.arguments else [""]:
            yield re.sub(r"<[^>]*>", lambda _, name=name: name, rule.rule), methods  # type: ignore[misc]


def ask(client: FlaskClient, what: str, *args: Any, **options: Any) -> int:
    limiter.reset()
    answer = client.open(*args, **options)
    assert answer.status_code < 500, what
    assert b"Traceback" not in answer.data, what
    answer.close()
    return answer.status_code


def test_every_route_with_odd_bodies_and_types(anywhere: Flask) -> None:
    client = anywhere.test_client()
    for path, methods in paths(anywhere):
        for method in methods:
            for number, body in enumerate(BODIES):
                what = f"{method} {path} body {number}"
                ask(client, what, path, method=method, data=body, content_type="application/json")
        for kind in CONTENT_TYPES:
            ask(client, f"{path} {kind}", path, method="POST", data=b'{"uid": "x"}', headers={"Content-Type": kind})


def test_every_route_with_odd_numbers(anywhere: Flask) -> None:
    for uid in ("toby", "niko", None):
        client = anywhere.test_client()
        if uid:
            token_of(client, uid)
        for path, _ in paths(anywhere):
            for query in QUERIES if uid == "toby" else QUERIES[:3]:
                if path.startswith("/ferry/") and "identity" not in query:
                    continue  # they read everything, and no page
                ask(client, f"{path}?{query}", f"{path}?{query}")


def test_every_route_with_odd_authorizations(app: Flask) -> None:
    client = app.test_client()
    for path, _ in paths(app):
        for text in AUTHORIZATIONS:
            status = ask(client, f"{path} {text!r}", path, headers={"Authorization": text})
            if path.startswith("/api/export/") or path in ("/api/user", "/ferry/export", "/ferry/manifest"):
                assert status == (404 if "%2F" in path else 401), text


def test_odd_tokens_are_refused(anywhere: Flask) -> None:
    client, key = anywhere.test_client(), secret_key(anywhere) or ""
    good = token_of(client)
    for token in odd_tokens(key):
        for path in ("/api/user", "/api/export/users", "/ferry/manifest"):
            what = f"{path} {token[:200]}"
            assert ask(anywhere.test_client(), what, path, headers={"Authorization": f"Bearer {token}"}) == 401, what
            assert ask(anywhere.test_client(), what, path, headers={"Cookie": f"{COOKIE}={token}"}) == 401, what
    assert ask(anywhere.test_client(), "", "/api/user", headers={"Authorization": f"Bearer {good}"}) == 200


def test_odd_bodies_of_a_log_in(app: Flask) -> None:
    client = app.test_client()
    for number, body in enumerate(BODIES):
        status = ask(client, str(number), LOG_IN, method="POST", data=body, content_type="application/json")
        assert status == 413 if len(body) > 16_384 else status in (400, 401), number


def test_bodies_of_unknown_length_and_odd_bytes_over_the_wire(tmp_path: Path) -> None:
    """Real processes: what a test client does not send."""
    site = Local(tmp_path)
    site.ok("db-init", "--yes")
    environ = site.env(SECRET_KEY=KEY, FLASK_INSTANCE_PATH=str(tmp_path), PYTHONWARNINGS="")
    with Server("app:create_app()", environ, tmp_path / "log") as server:
        for size in (15_000, 40_000):
            # In chunks, without a length: what is longer than the limit is cut off there.
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
                client.request("POST", LOG_IN, iter([b"[" * size]), {"Content-Type": "application/json"})
                assert client.getresponse().status == 400
        for line in (
            b"Authorization: \xff\x01\xfe",
            b"Authorization: Bearer \xc3\xa9.\xff.x",
            b"Cookie: \xff=\xff;=;;",
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
                wire.sendall(b"GET /api/user HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n")
                assert wire.recv(4096).split(b" ")[1] in (b"400", b"401"), line
    assert "Traceback" not in (tmp_path / "log").read_text(errors="replace")


def test_odd_hosts(anywhere: Flask) -> None:
    token = token_of(anywhere.test_client())
    for host in ("", "[", "a b", "x" * 10_000, "é", "%00", "h:99999999", "127.0.0.1:80:80", "a/../b"):
        for path in ("/api/user", "/ferry/", "/ferry/export", "/nothing"):
            headers = {"Host": host, "Authorization": f"Bearer {token}"}
            ask(anywhere.test_client(), f"{path} {host}", path, headers=headers)


def test_a_database_at_no_revision_is_named(app: Flask) -> None:
    admin = app.test_client()
    token_of(admin)
    for path in ("/ferry/manifest", "/ferry/export"):
        answer = admin.get(path)
        assert answer.status_code == 503
        assert "at no revision" in answer.text
    assert app.test_client().get("/ferry/manifest").status_code == 401


# What nobody may keep


def test_answers_with_personal_data_or_tokens_are_never_stored(anywhere: Flask) -> None:
    clients = [anywhere.test_client() for _ in range(3)]
    token_of(clients[0], "toby")
    token_of(clients[1], "niko")
    seen = set()
    for path in ["/api/user", "/api/user?page=1", "/api/export/all", "/ferry/manifest", "/ferry/export"]:
        for client in clients:
            answer = client.get(path)
            seen.add(answer.status_code)
            assert answer.headers.getlist("Cache-Control") == ["no-store"], path
            answer.close()
    for kind in ("users", "posts", "study", "user_personas", "nothing"):
        assert clients[0].get(f"/api/export/{kind}").headers["Cache-Control"] == "no-store"
    for password, status in (("123Hana!", 200), ("x", 401)):
        answer = clients[2].post(LOG_IN, json={"uid": "hana", "password": password})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
    assert seen == {200, 401, 403}
