"""From one page to the next, as a paginator says: never to another server, never in a circle, never without an end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from ...errors import SourceIncomplete
from ..addresses import is_inside
from ..endpoints import (
    Endpoint,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    Selector,
    SinglePagePaginator,
)
from ..rows.canonical import hash_line
from ..rows.strictjson import StrictJSONError
from .http import FIX
from .pages import Changed, Page, find

MOST_EMPTY = 10
"""Pages in a row that may be empty and lead on, where only the API knows the way."""
MOST_URL = 16 << 10


@dataclass(frozen=True)
class Ask:
    """One request for a page.

    :ivar path: with a query behind a question mark where the API gave that: it is for no message.
    :ivar number: the page's, for people.
    """

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    number: int = 1


def ask_first(endpoint: Endpoint, path: str, limit: int) -> Ask:
    """The request for the first page.

    :param path: of the endpoint, with the fields of its parent.
    :param limit: how many records it is to have, where that can be asked for.
    """
    paginator = endpoint.paginator
    params: dict[str, Any] = dict(endpoint.params)
    if isinstance(paginator, PageNumberPaginator):
        params[paginator.page_param] = paginator.base_page
    if isinstance(paginator, OffsetPaginator):
        params[paginator.offset_param] = 0
    if paginator.limit_param:
        params[paginator.limit_param] = limit
    return Ask(path, params, paginator.base_page if isinstance(paginator, PageNumberPaginator) else 1)


def ask_behind(endpoint: Endpoint, first: Ask, count: int) -> Ask | None:
    """The request for what lies behind a first page of so many records; None where only an answer knows the way."""
    match endpoint.paginator:
        case PageNumberPaginator(page_param=name):
            return Ask(first.path, {**first.params, name: first.number + 1}, first.number + 1)
        case OffsetPaginator(offset_param=name):
            return Ask(first.path, {**first.params, name: count}, first.number + 1)
    return None


def may_end_with_404(endpoint: Endpoint) -> bool:
    """Whether pages are asked for until there are none, which some APIs say with 404."""
    paginator = endpoint.paginator
    return isinstance(paginator, PageNumberPaginator | OffsetPaginator) and not paginator.has_more_path


class Trail:
    """The way through the pages of one list: what was said and seen on it.

    :param base: the deployment's URL, which no next URL may leave.
    :param limit: how many records a page is asked to have.
    :ivar total: what the first page that said one said.
    :ivar received: records so far.
    """

    def __init__(self, endpoint: Endpoint, base: str, limit: int) -> None:
        self._endpoint, self._base, self._limit = endpoint, base, limit
        self._marks: set[int] = set()
        self._empty = 0
        self.total: int | None = None
        self.received = 0

    def follow(self, ask: Ask, page: Page) -> Ask | None:
        """The request for the page behind this one; None behind the last.

        :raises Changed: the page contradicts an earlier one, or leads back to it.
        :raises SourceIncomplete: it leads to another server.
        """
        self._check(ask, page)
        self.received += len(page.records)
        following = self._find_next(ask, page)
        if following is not None and not page.records:
            self._empty += 1
            if self._empty > (0 if following.params else MOST_EMPTY):
                raise Changed(f"page {ask.number} is empty and says that more pages follow")
        elif page.records:
            self._empty = 0
        return following

    def _check(self, ask: Ask, page: Page) -> None:
        self.total = page.total if self.total is None else self.total
        if page.total is not None and page.total != self.total:
            raise Changed(f"the total changed from {self.total} to {page.total} while pages were read")
        if page.number is not None and page.number != ask.number:
            raise Changed(f"page {ask.number} was asked for and page {page.number} came")
        if page.records and not page.single:
            # Where nothing tells records apart, two pages are not alike to the letter all the same.
            self._remember("\n".join(text for text, _ in page.records), "a page came twice: the source ignores paging")

    def _remember(self, text: str, words: str) -> None:
        mark = hash_line(text.encode(errors="replace"))
        if mark in self._marks:
            raise Changed(words)
        self._marks.add(mark)

    def _find_next(self, ask: Ask, page: Page) -> Ask | None:
        match self._endpoint.paginator:
            case PageNumberPaginator() as paginator:
                moved = {paginator.page_param: ask.number + 1}
                return self._move(ask, moved) if self._has_more(page, paginator.has_more_path) else None
            case OffsetPaginator() as paginator:
                moved = {paginator.offset_param: self.received}
                return self._move(ask, moved) if self._has_more(page, paginator.has_more_path) else None
            case JSONResponseCursorPaginator() as paginator:
                return self._follow_cursor(ask, paginator, find(page.says, paginator.cursor_path))
            case JSONLinkPaginator() as paginator:
                return self._follow_url(ask, find(page.says, paginator.next_url_path))
            case HeaderLinkPaginator() as paginator:
                return self._follow_url(ask, find_link(page.headers.get("Link", ""), paginator.links_next_key))
            case SinglePagePaginator():
                return None

    def _has_more(self, page: Page, selector: Selector) -> bool:
        if selector:
            return bool(find(page.says, selector))
        return bool(page.records) and (self.total is None or self.received < self.total)

    def _move(self, ask: Ask, params: Mapping[str, Any]) -> Ask:
        return Ask(ask.path, {**ask.params, **params}, ask.number + 1)

    def _follow_cursor(self, ask: Ask, paginator: JSONResponseCursorPaginator, cursor: Any) -> Ask | None:
        if cursor is None or cursor in ("", False):
            return None
        # Half of a surrogate pair, which JSON can spell, no URL can hold.
        text = str(cursor)
        if type(cursor) not in (int, str) or len(text) > MOST_URL or _HALF.search(text):
            raise Changed(f"the cursor that page {ask.number} gives is no number or text")
        self._remember(text, f"the cursor that page {ask.number} gives came before: the pages go in a circle")
        path, _, _ = ask.path.partition("?")
        params = {**self._endpoint.params, paginator.cursor_param: cursor}
        if paginator.limit_param:
            params[paginator.limit_param] = self._limit
        return Ask(f"{path}?{urlencode(params)}", {}, ask.number + 1)

    def _follow_url(self, ask: Ask, url: Any) -> Ask | None:
        if url is None or url in ("", False):
            return None
        if not isinstance(url, str) or len(url) > MOST_URL or not url.isprintable():
            raise Changed(f"the next URL that page {ask.number} gives is none")
        path = self._find_path(ask, url)
        self._remember(path, f"the next URL that page {ask.number} gives came before: the pages go in a circle")
        return Ask(path, {}, ask.number + 1)

    def _find_path(self, ask: Ask, url: str) -> str:
        """What the URL has behind the deployment's."""
        here = urlsplit(self._base)
        try:
            there = urlsplit(urljoin(self._base + ask.path, url))
            same = (there.scheme, there.hostname, _port(there)) == (here.scheme, here.hostname, _port(here))
        except ValueError as error:
            raise Changed(f"the next URL that page {ask.number} gives is none") from error
        place = f"{there.scheme}://{there.netloc.rpartition('@')[2]}"
        if not same or not is_inside(there.path, here.path) or "@" in there.netloc:
            where = place if not same else f"{place}{there.path}"
            raise SourceIncomplete(
                f"{self._base}: page {ask.number} of {self._endpoint.name} says that the next one is at {where}, "
                "which is not this deployment; nothing was sent there.",
                hint=FIX,
            )
        return there.path[len(here.path) :] + (f"?{there.query}" if there.query else "")


def _port(parts: Any) -> int | None:
    """:raises ValueError: the port is no number."""
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


_HALF = re.compile("[\ud800-\udfff]")
_LINK = re.compile(r"<([^<>]*)>((?:[^,\"<>]|\"[^\"]*\")*)")
_RELATION = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


def find_link(header: str, relation: str) -> str | None:
    """The target of the first link of this relation in a ``Link`` header (RFC 8288, 3).

    :raises StrictJSONError: the header is too long to be one.
    """
    if len(header) > MOST_URL:
        raise StrictJSONError("the Link header of the answer is too long")
    for target, parameters in _LINK.findall(header):
        match = _RELATION.search(parameters)
        if match and relation.lower() in (match[1] or match[2] or "").lower().split():
            return str(target).strip()
    return None
