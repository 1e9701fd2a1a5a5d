"""What may be declared of an old API, and what is refused when it is declared."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from app.classic.api import api as classic
from app.errors import Misconfigured
from app.transfer.adapters import AdapterSet, adapter
from app.transfer.endpoints import (
    APIKeyAuth,
    CookieAuth,
    Endpoint,
    Files,
    JSONLinkPaginator,
    PageNumberPaginator,
    RestApi,
    SinglePagePaginator,
)
from app.transfer.rows.strictjson import StrictJSONError
from app.transfer.sources.paging import find_link
from app.transfer.sources.turns import Turns

BOOKS = Endpoint("books", "/books")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "b ks"}, "name"),
        ({"path": "books"}, "one slash"),
        ({"path": "//elsewhere.example/books"}, "one slash"),
        ({"path": "/a/../b"}, "upwards"),
        ({"path": "/a/%2e%2e/b"}, "upwards"),
        ({"path": "/books?page=1"}, "parameters go into params"),
        ({"path": "/b oks"}, "character"),
        ({"path": "/b\u00f6oks"}, "character"),
        ({"path": "/books/{id}"}, "parent"),
        ({"parent": "readers"}, "parent"),
        ({"path": "/books/{id.__class__}", "parent": "readers"}, "parent"),
        ({"data_selector": ""}, "no place"),
        ({"data_selector": ()}, "no place"),
        ({"total_selector": "a..b"}, "no place"),
        ({"total_header": "X Total"}, "no header"),
        ({"paginator": PageNumberPaginator(limit=0)}, "limit"),
        ({"paginator": JSONLinkPaginator("a.")}, "no place"),
        ({"alternatives": (Endpoint("books", "/b", alternatives=(BOOKS,)),)}, "alternatives of its own"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_for(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        Endpoint(**{"name": "books", "path": "/books", **more})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"endpoints": ()}, "no endpoints"),
        ({"endpoints": (BOOKS, BOOKS)}, "one name"),
        ({"endpoints": (BOOKS, Endpoint("loans", "/loans", alternatives=(BOOKS,)))}, "one name"),
        ({"endpoints": (Endpoint("copies", "/b/{id}", parent="books"), BOOKS)}, "no parent of 'copies'"),
        ({"auth": CookieAuth("login")}, "one slash"),
        ({"auth": CookieAuth("/login", encoding="xml")}, "neither json nor form"),  # type: ignore[arg-type]
        ({"auth": CookieAuth("/login", expired=(200,))}, "expired has a status"),
        ({"auth": APIKeyAuth("X-Key: a\r\nX")}, "header has a name"),
        ({"headers": {"X": "a\r\nY: b"}}, "header has a value"),
        ({"headers": {"X": " a"}}, "header has a value"),
        ({"requests_per_second": 0}, "requests_per_second"),
        ({"connections": 0}, "connections"),
    ],
)
def test_an_api_that_cannot_be_asked(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        RestApi(**{"endpoints": (BOOKS,), **more})


@pytest.mark.parametrize("path", ["uploads/{a}", "/uploads", "/uploads/{a b}", "/../{a}"])
def test_files_that_cannot_be_asked_for(path: str) -> None:
    with pytest.raises(Misconfigured, match="files"):
        Files(path, "books")


def test_a_module_that_declares_what_is_none() -> None:
    @adapter("books", makes=("books",))
    def books(record: Any, _find: Any) -> Any:
        yield "books", {"id": record["id"]}

    module = ModuleType("shop")
    vars(module).update(revision="1", books=books)
    assert AdapterSet.of(module).api is None
    module.api = RestApi((BOOKS,))  # type: ignore[attr-defined]
    assert AdapterSet.of(module).api == RestApi((BOOKS,))
    for odd, words in ((RestApi((Endpoint("loans", "/l"),)), "no adapter takes .* loans"), ({}, "no RestApi")):
        module.api = odd  # type: ignore[attr-defined]
        with pytest.raises(Misconfigured, match=words):
            AdapterSet.of(module)


def test_what_a_declaration_promises() -> None:
    paged = {"paginator": PageNumberPaginator()}
    doubts = {
        "the API says no total": [
            {},
            {**paged},
            # Of a page, how many records it has itself says nothing of the others.
            {**paged, "count_selector": "count"},
            {"path": "/b/{id}/copies", "parent": "books", "data_selector": "copies"},
            # Nor one of a list that may be cut off.
            {"paginator": SinglePagePaginator("limit"), "count_selector": "count"},
        ],
        "the API says no key": [{"key": (), "total_selector": "total"}],
        "the API says no total and no key": [{"key": ()}],
        None: [
            {**paged, "total_selector": "total"},
            {**paged, "total_header": "X-Total"},
            {"count_selector": "count"},
            {"path": "/b/{id}", "parent": "books"},
        ],
    }
    for doubt, declarations in doubts.items():
        for more in declarations:
            assert Endpoint(**{"name": "b", "path": "/b", **more}).find_doubt() == doubt, more
    assert classic.find_doubtful() == {}
    [besides] = next(one for one in classic.endpoints if one.name == "leaderboard").alternatives
    assert isinstance(besides.paginator, SinglePagePaginator)
    assert besides.find_doubt() == "the API says no total"


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://a/b?c=1,2>; rel="next"', "https://a/b?c=1,2"),
        ('</1>; rel="first", </2>; title="a, <x>; rel=next"; rel=next', "/2"),
        ('</2>; REL="prev Next"', "/2"),
        ('</2>; rel="previous"', None),
        ("", None),
        ("<", None),
        ('</2>; rel="next', None),
        ('</2>; relative="next"', None),
        ("nonsense, </3>;rel=next", "/3"),
    ],
)
def test_a_link_header(header: str, target: str | None) -> None:
    assert find_link(header, "next") == target


def test_a_link_header_without_an_end() -> None:
    with pytest.raises(StrictJSONError):
        find_link("<" * 20_000, "next")
    assert find_link("<;" * 8000, "next") is None
    assert find_link('<a>;"' * 3000, "next") is None


def test_the_rate_is_one_for_all_connections() -> None:
    turns = Turns()
    turns.interval_s = 1000.0
    assert [round(turns._take_place(), -2) for _ in range(4)] == [0, 1000, 2000, 3000]
