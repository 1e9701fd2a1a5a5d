"""Anything in place of an answer of the old API: of the log-in, of the records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.classic.api import api
from app.errors import SourceIncomplete
from app.transfer.endpoints import Endpoint, JSONResponseCursorPaginator
from app.transfer.rows.scratch import Keys
from app.transfer.sources import rest_api
from app.transfer.sources.http import HttpClient
from app.transfer.sources.rest_api import RestSource
from tests.support.sources.loopback import Asked, Loopback, answer

from .foreign import TEXTS, Said, refusal_of


@pytest.mark.parametrize("token", ['"a\\r\\nX: y"', '"\\u20ac"', '"' + "x" * 100_000 + '"', '"\\u0000"'], ids=range(4))
def test_a_token_that_no_header_can_hold(said: Said, client: HttpClient, token: str) -> None:
    said.answers = {"/api/authenticate": f'{{"token": {token}}}'}
    with pytest.raises(SourceIncomplete, match="without a token"):
        RestSource(client, api, "u", "p").log_in()


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
    source = RestSource(client, api, "u", "p")
    endpoint = api.endpoints[0]

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
    endpoint = api.endpoints[0]
    for total in (', "total": 1000', ""):

        def page(asked: Asked, send: Callable[[bytes], None], total: str = total) -> None:
            number = asked.target.partition("page=")[2].partition("&")[0]
            send(answer(f'{{"users": [{{"id": {number}}}], "page": {number}, "has_next": true{total}}}'))

        with Loopback([], page) as endless:
            other = HttpClient(endless.url, timeout_s=1)
            with Keys(tmp_path) as keys, pytest.raises(SourceIncomplete) as caught:
                list(RestSource(other, api, "u", "p").extract(tmp_path, keys, [endpoint], lambda *_: None))
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
            endpoint = api.endpoints[0]
            [part] = RestSource(client, api, "u", "p").extract(tmp_path, keys, [endpoint], lambda *_: None)
        client.close()
    assert part.lines == 60
    asked = [one.target for one in server.asked]
    assert any("per_page=200" in target for target in asked)
    assert any("per_page=25" in target for target in asked)


def test_a_cursor_that_no_url_can_hold(said: Said, client: HttpClient, tmp_path: Path) -> None:
    """Found by tests/fuzz: JSON can spell half of a surrogate pair."""
    said.answers = {"/users": '[{"id": 1}]', "/cursor": '{"users": [{"id": 1}], "next": "\\ud800"}'}
    endpoint = Endpoint("users", "/cursor", "users", paginator=JSONResponseCursorPaginator(cursor_path="next"))
    with Keys(tmp_path) as keys, pytest.raises(SourceIncomplete) as caught:
        list(RestSource(client, api, "u", "p").extract(tmp_path, keys, [endpoint], lambda *_: None))
    assert "the cursor that page 1 gives is no number or text" in str(caught.value.details)
