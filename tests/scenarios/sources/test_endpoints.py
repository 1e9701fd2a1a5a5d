"""Old APIs of any shape, read over HTTP from a process that serves every kind of pages and of log-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import FerryError, SourceIncomplete, Unauthorized
from app.transfer.endpoints import (
    APIKeyAuth,
    Auth,
    BearerTokenAuth,
    CookieAuth,
    Endpoint,
    HeaderLinkPaginator,
    HttpBasicAuth,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    RestApi,
    SinglePagePaginator,
)
from app.transfer.rows.scratch import Keys
from app.transfer.sources import paging, rest_api
from app.transfer.sources.http import HttpClient
from app.transfer.sources.parts import Part
from app.transfer.sources.rest_api import RestSource
from tests.support.library import BOOKS, LOANS, PASSWORD, UID, Library

FIELDS: dict[str, Any] = {"uid_field": "user", "password_field": "pass"}
LOG_INS: dict[str, Auth | None] = {
    "open": None,
    "json": CookieAuth("/login", **FIELDS),
    "form": CookieAuth("/login", encoding="form", **FIELDS),
    "bearer": BearerTokenAuth("/login", token_selector="token.value", **FIELDS),
    "static": BearerTokenAuth(),
    "basic": HttpBasicAuth(),
    "key": APIKeyAuth("X-Library-Key"),
}
SECRETS = {"static": "k-1", "key": "k-1"}
BY_SIZE: dict[str, Any] = {"limit_param": "size", "limit": 20}
PAGES: dict[str, dict[str, Any]] = {
    "number": {
        "data_selector": "items",
        "total_selector": "total",
        "paginator": PageNumberPaginator(**BY_SIZE, page_selector="page", has_more_path="more"),
    },
    "offset": {"data_selector": "data.rows", "total_selector": "meta.total", "paginator": OffsetPaginator(**BY_SIZE)},
    "cursor": {
        "data_selector": "data.items",
        "total_selector": "total",
        "paginator": JSONResponseCursorPaginator("data.next", "after", **BY_SIZE),
    },
    "body": {"data_selector": "results", "total_selector": "count", "paginator": JSONLinkPaginator(**BY_SIZE)},
    "link": {"total_header": "X-Total-Count", "paginator": HeaderLinkPaginator(**BY_SIZE)},
    "single": {"data_selector": "items", "count_selector": "count"},
    "limit": {"paginator": SinglePagePaginator("limit", limit=10)},
    "unproved": {"data_selector": "data.items", "paginator": JSONResponseCursorPaginator("data.next", "after")},
}
TURNED = ["number", "offset", "cursor", "body", "link"]


@pytest.fixture(scope="module")
def server() -> Iterator[Library]:
    with Library() as library:
        yield library


@pytest.fixture
def library(server: Library) -> Library:
    server.control()
    return server


def loans(style: str, **more: Any) -> Endpoint:
    return Endpoint("loans", "/loans", params={"sort": "id"}, **{**PAGES[style], **more})


@contextmanager
def source_of(
    library: Library, pages: str, *endpoints: Endpoint, log_in: str = "open", password: str | None = None, **more: Any
) -> Iterator[RestSource]:
    client = HttpClient(f"{library.url}/{log_in}/{pages}", timeout_s=3)
    api = RestApi(endpoints or (loans(pages),), LOG_INS[log_in], **more)
    try:
        yield RestSource(client, api, UID, SECRETS.get(log_in, PASSWORD) if password is None else password, 3)
    finally:
        client.close()


def read(source: RestSource, directory: Path) -> dict[str, Part]:
    source.log_in()
    endpoints, missing = source.endpoints()
    assert missing == {}
    with Keys(directory) as keys:
        return {part.name: part for part in source.extract(directory, keys, endpoints, lambda *_: None)}


def values(part: Part) -> list[Any]:
    return [json.loads(line) for line, _ in part.read()]


def by_id(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: record["id"])


def refusal(library: Library, pages: str, directory: Path, *endpoints: Endpoint, **how: Any) -> FerryError:
    with source_of(library, pages, *endpoints, **how) as source, pytest.raises(FerryError) as caught:
        read(source, directory)
    assert PASSWORD not in str(caught.value)
    return caught.value


# Pages


@pytest.mark.parametrize("style", PAGES)
def test_every_kind_of_pages(library: Library, style: str, tmp_path: Path) -> None:
    with source_of(library, style) as source:
        part = read(source, tmp_path)["loans"]
    assert values(part) == LOANS
    doubtful = {"limit", "unproved"}
    assert part.doubt == ("the API says no total" if style in doubtful else "")
    # What is said before reading is what reading showed.
    assert (loans(style).find_doubt() or "") == part.doubt
    assert all("sort=id" in line for line in library.asked if "/loans" in line)


@pytest.mark.parametrize("style", ["number", "offset"])
def test_pages_that_say_nothing_of_an_end(library: Library, style: str, tmp_path: Path) -> None:
    """They end at the total, and without one at the first empty page; never at a short one."""
    paginator = replace(PAGES[style]["paginator"], has_more_path=(), limit=50)
    for total, requests in ((PAGES[style]["total_selector"], 5), ((), 5)):
        library.control()
        with source_of(library, style, loans(style, paginator=paginator, total_selector=total)) as source:
            part = read(source, tmp_path)["loans"]
        assert values(part) == LOANS
        assert bool(part.doubt) == (total == ())
        # The look for the endpoint, three pages of 20, then the totals; or the empty page.
        assert len(library.asked) - 1 <= requests + 1, library.asked


def test_records_that_nothing_tells_apart(library: Library, tmp_path: Path) -> None:
    with source_of(library, "number", loans("number", key=())) as source:
        part = read(source, tmp_path)["loans"]
    assert (part.lines, part.doubt) == (len(LOANS), "the API says no key")
    library.control({"kind": "repeat", "times": 99})
    # The total would fit: it is the page that is known.
    error = refusal(library, "number", tmp_path, loans("number", key=()))
    assert "a page came twice" in error.details[0]


def test_what_is_read_record_by_record(library: Library, tmp_path: Path) -> None:
    books = Endpoint("books", "/books", **PAGES["number"])
    copies = Endpoint("copies", "/books/{id}/copies", "copies", parent="books", count_selector="count")
    whole = Endpoint("whole", "/books/{id}", parent="books", key="isbn")
    with source_of(library, "number", books, copies, whole) as source:
        parts = read(source, tmp_path)
    assert by_id(values(parts["copies"])) == by_id([copy for book in BOOKS for copy in book["copies"]])
    assert by_id(values(parts["whole"])) == BOOKS
    assert {part.doubt for part in parts.values()} == {""}
    library.control({"kind": "404", "path": "/books/7/copies", "times": 99})
    error = refusal(library, "number", tmp_path, books, copies)
    assert error.details[0] == "books 7 is gone since it was read"


def test_what_is_elsewhere_and_what_is_nowhere(library: Library) -> None:
    other = (replace(loans("number"), path="/loans"),)
    endpoints = [
        Endpoint("loans", "/lent", alternatives=other),
        Endpoint("fines", "/fines"),
        Endpoint("debts", "/debts"),
        Endpoint("books", "/books", "items", covers=("debts",)),
    ]
    with source_of(library, "number", *endpoints) as source:
        available, missing = source.endpoints()
    assert [endpoint.path for endpoint in available] == ["/loans", "/books"]
    assert missing == {"fines": "no endpoint at /fines (404)"}


# Log-in


@pytest.mark.parametrize("style", LOG_INS)
def test_every_log_in(library: Library, style: str, tmp_path: Path) -> None:
    with source_of(library, "cursor", log_in=style) as source:
        assert values(read(source, tmp_path)["loans"]) == LOANS
    assert PASSWORD not in str(library.asked)
    if style == "open":
        return
    library.control()
    error = refusal(library, "cursor", tmp_path, log_in=style, password="wrong")
    assert isinstance(error, Unauthorized), error
    # Known before anything is read: by the log-in, or by one look at the first list.
    assert len(library.asked) <= 3


@pytest.mark.parametrize("style", ["json", "form", "bearer"])
def test_a_log_in_that_expires(library: Library, style: str, tmp_path: Path) -> None:
    library.control({"kind": "expire", "path": "after=c20"})
    # Where who is not logged in is led to a page, it is by the status that this is known.
    with source_of(library, "cursor", log_in=style) as source:
        if style == "form":
            with pytest.raises(SourceIncomplete, match="JSON was expected and text/html came"):
                read(source, tmp_path)
            return
        assert values(read(source, tmp_path)["loans"]) == LOANS
    assert sum("POST" in line for line in library.asked) == 2


def test_a_password_that_no_header_can_hold(library: Library, tmp_path: Path) -> None:
    for style in ("key", "static"):
        for odd in ("a\nb", " secret", "secret "):
            error = refusal(library, "single", tmp_path, log_in=style, password=odd)
            assert isinstance(error, Unauthorized)
            assert odd not in str(error)
    assert library.asked == []


# Misbehaviour


OVERCOME = ["500", "429", "drop", "html", "repeat", "total", "key", "differ", "empty"]


@pytest.mark.parametrize("style", TURNED)
def test_what_can_be_overcome(library: Library, style: str, tmp_path: Path) -> None:
    for kind in OVERCOME:
        library.control({"kind": kind, "path": "/loans"}, {"kind": kind, "path": "20"})
        with source_of(library, style) as source:
            assert values(read(source, tmp_path)["loans"]) == LOANS, kind


REFUSED = {
    "500": "status 500",
    "429": "status 429",
    "drop": "failed 5 times",
    "html": "JSON was expected and text/html came",
    "redirect": "redirects to another host, http://elsewhere.example",
    "403": "may not read",
    "repeat": "a page came twice",
    "total": "the total changed from 47 to 48",
    "key": "a record without id",
    "differ": "two different records with the key",
    "empty": "that more pages follow",
}


@pytest.mark.parametrize("style", TURNED)
def test_what_is_refused(library: Library, style: str, tmp_path: Path) -> None:
    for kind, words in REFUSED.items():
        # The look for the endpoint is answered as it should be.
        library.control({"kind": kind, "path": "20", "times": 999})
        error = refusal(library, style, tmp_path)
        if kind == "empty" and style != "number":
            # Nothing on the way but the total says that something is lacking; or the way leads to itself.
            others = ("go in a circle", "there are 47 at the end", words)
            assert any(other in str(error.details) for other in others), error.details
            continue
        assert words in f"{error.message} {error.details}", (kind, error)
        assert isinstance(error, Unauthorized if kind == "403" else SourceIncomplete)


@pytest.mark.parametrize("style", ["cursor", "body", "link"])
def test_a_way_that_leads_elsewhere_or_in_a_circle(library: Library, style: str, tmp_path: Path) -> None:
    library.control({"kind": "loop", "path": "after=c20", "times": 99})
    details = refusal(library, style, tmp_path).details
    assert any("came before: the pages go in a circle" in line or "came twice" in line for line in details)
    if style == "cursor":
        return
    library.control({"kind": "elsewhere", "path": "/loans", "times": 99})
    error = refusal(library, style, tmp_path)
    assert "http://elsewhere.example, which is not this deployment; nothing was sent there" in error.message


@pytest.mark.parametrize("style", TURNED)
def test_pages_without_an_end(library: Library, style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_api, "MOST_PAGES", 9)
    monkeypatch.setattr(paging, "MOST_EMPTY", 3)
    library.control({"kind": "endless", "path": "/loans", "times": 9999})
    details = refusal(library, style, tmp_path).details
    # Behind the last record come empty pages, each with another that follows.
    assert all("empty and says that more pages follow" in line or "distinct ones came" in line for line in details)


def test_a_next_url_outside_the_prefix(library: Library, tmp_path: Path) -> None:
    client = HttpClient(f"{library.url}/open/body", timeout_s=3)
    trail = paging.Trail(loans("body"), client.base, 20)
    ask = paging.Ask("/loans")
    assert trail._find_path(ask, "?after=c1") == "/loans?after=c1"
    assert trail._find_path(ask, f"{client.base}/x") == "/x"
    for url in (
        f"{library.url}/open/other/loans",
        "/open/body/../../login",
        "//elsewhere.example/open/body/loans",
        library.url.replace("127.0.0.1", "user@127.0.0.1") + "/open/body/x",
        library.url.replace("http", "https") + "/open/body/x",
        "http://127.0.0.1:1/open/body/x",
        "javascript:alert(1)",
    ):
        with pytest.raises(SourceIncomplete, match="nothing was sent there"):
            trail._find_path(ask, url)
    client.close()
