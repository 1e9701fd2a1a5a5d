"""Where an old API has its records: what an app declares as ``api`` in the module of its adapters.

A declaration is data. Nothing in it is executed, and nothing that the API answers is::

    api = RestApi(
        auth=BearerTokenAuth("/login", token_selector="access_token"),
        endpoints=(
            Endpoint("books", "/books", "items", total_selector="total", paginator=PageNumberPaginator()),
            Endpoint("loans", "/loans", "loans", paginator=JSONResponseCursorPaginator("next_cursor")),
        ),
    )

The words are those of dlt's REST client (https://dlthub.com/docs/general-usage/http/rest-client). What each endpoint's
declaration promises is :meth:`Endpoint.find_doubt`; ``docs/adapters.md`` has an example of everything.

``RestApi``
  ``auth``: :class:`CookieAuth`, :class:`BearerTokenAuth`, :class:`HttpBasicAuth`, :class:`APIKeyAuth` or None
  ``endpoints``: :class:`Endpoint`, each with a ``paginator``:
    :class:`SinglePagePaginator`, :class:`PageNumberPaginator`, :class:`OffsetPaginator`,
    :class:`JSONResponseCursorPaginator`, :class:`JSONLinkPaginator` or :class:`HeaderLinkPaginator`
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import Misconfigured
from .addresses import is_inside, is_sendable

Selector = str | tuple[str, ...]
"""A place in an answer: names joined by dots, or ``$`` for the whole of it. Several: the first that is there."""

WHOLE = "$"
MOST_LIMIT = 1_000_000
_NAME = re.compile(r"\w[\w-]*", re.ASCII)
_FIELD = re.compile(r"\{([^{}]*)\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def places_of(selector: Selector) -> tuple[str, ...]:
    """The places that a selector names, in their order."""
    return (selector,) if isinstance(selector, str) else tuple(selector)


# How the pages of a list are asked for


@dataclass(frozen=True)
class SinglePagePaginator:
    """One answer holds all records.

    :param limit_param: of a list that the API would cut off: the parameter that asks for more than there is.
    :param limit: what it asks for; ten times as many where so many came.
    """

    limit_param: str | None = None
    limit: int = 100_000


@dataclass(frozen=True)
class PageNumberPaginator:
    """Pages are numbered.

    :param limit_param: how many records a page is to have; None where the API does not let one say.
    :param base_page: the number of the first page.
    :param page_selector: where an answer says which page it is; another one is refused.
    :param has_more_path: where an answer says whether more follow. Without it pages are asked for until the total came,
        or one is empty.
    """

    page_param: str = "page"
    limit_param: str | None = "per_page"
    limit: int = 200
    base_page: int = 1
    page_selector: Selector = ()
    has_more_path: Selector = ()


@dataclass(frozen=True)
class OffsetPaginator:
    """Pages begin behind so many records: as many as came, whatever the API gives at most."""

    offset_param: str = "offset"
    limit_param: str | None = "limit"
    limit: int = 200
    has_more_path: Selector = ()


@dataclass(frozen=True)
class JSONResponseCursorPaginator:
    """An answer says the value that asks for the next page; null, empty or nothing on the last."""

    cursor_path: Selector = "cursors.next"
    cursor_param: str = "after"
    limit_param: str | None = None
    limit: int = 200


@dataclass(frozen=True)
class JSONLinkPaginator:
    """An answer says the URL of the next page; null, empty or nothing on the last."""

    next_url_path: Selector = "next"
    limit_param: str | None = None
    limit: int = 200


@dataclass(frozen=True)
class HeaderLinkPaginator:
    """The ``Link`` header says the URL of the next page (RFC 8288), under this relation."""

    links_next_key: str = "next"
    limit_param: str | None = None
    limit: int = 200


Paginator = (
    SinglePagePaginator
    | PageNumberPaginator
    | OffsetPaginator
    | JSONResponseCursorPaginator
    | JSONLinkPaginator
    | HeaderLinkPaginator
)


# How somebody logs in


@dataclass(frozen=True)
class CookieAuth:
    """``FERRY_SOURCE_UID`` and ``FERRY_SOURCE_PASSWORD`` are posted; the answer's cookies are sent from then on.

    :param encoding: ``json``, or ``form`` as a browser sends it; the answer to a form may be a redirect.
    :param token_selector: where the answer may have a token, in place of a cookie or besides; it is sent as Bearer.
    :param expired: the statuses that say that the log-in is not accepted any more; no such redirect is followed.
    """

    path: str
    uid_field: str = "username"
    password_field: str = "password"  # noqa: S105 # the name of a field
    encoding: Literal["json", "form"] = "json"
    token_selector: Selector = ()
    expired: tuple[int, ...] = (401,)


@dataclass(frozen=True)
class BearerTokenAuth:
    """A token is sent as ``Authorization: Bearer``.

    :param path: where uid and password are posted for it; None where ``FERRY_SOURCE_PASSWORD`` is the token itself.
    :param token_selector: where the answer has it.
    """

    path: str | None = None
    uid_field: str = "username"
    password_field: str = "password"  # noqa: S105 # the name of a field
    encoding: Literal["json", "form"] = "json"
    token_selector: Selector = "access_token"  # noqa: S105 # a place
    expired: tuple[int, ...] = (401,)


@dataclass(frozen=True)
class HttpBasicAuth:
    """Uid and password are sent with every request (RFC 7617)."""


@dataclass(frozen=True)
class APIKeyAuth:
    """``FERRY_SOURCE_PASSWORD`` is a key that is sent with every request in this header."""

    name: str = "X-API-Key"


Auth = CookieAuth | BearerTokenAuth | HttpBasicAuth | APIKeyAuth


# Where the records are


@dataclass(frozen=True)
class Endpoint:
    """Where the records of one type are read.

    :param name: the record type, which an adapter takes.
    :param path: behind the deployment's URL. Names in braces are fields of the records of ``parent``.
    :param data_selector: where the list of records is in an answer; by default the answer is that list.
    :param key: the fields that tell records apart: whole numbers or texts. None: nothing does.
    :param key_may_be_null: records without a part of the key are all kept.
    :param total_selector, total_header: where an answer says how many records there are in all.
    :param count_selector: where an answer says how many records it has itself; these are all where it comes whole.
    :param params: what is always asked with, such as an order that pages can rely on: ``{"sort": "id"}``.
    :param parent: record types; one request is made for each record of the first of them that was read before.
    :param alternatives: asked in this one's place by a deployment that answers it with 404.
    :param covers: record types whose absence this one makes good.
    :param required: every deployment has it, and where it is answered with 404 something is wrong.
    :raises Misconfigured: something of it makes no sense.
    """

    name: str
    path: str
    data_selector: Selector = WHOLE
    key: tuple[str, ...] | str = "id"
    key_may_be_null: bool = False
    paginator: Paginator = field(default_factory=SinglePagePaginator)
    total_selector: Selector = ()
    total_header: str | None = None
    count_selector: Selector = ()
    params: Mapping[str, str] = field(default_factory=dict)
    parent: tuple[str, ...] | str = ()
    alternatives: tuple[Endpoint, ...] = ()
    covers: tuple[str, ...] = ()
    required: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be asked for."""
        problem = next(self._find_problems(), None)
        if problem:
            raise Misconfigured(f"The endpoint {self.name!r} cannot be asked for: {problem}.", hint=HINT)

    def _find_problems(self) -> Iterator[str]:
        if not _NAME.fullmatch(self.name):
            yield "its name is no word"
        yield from _problems_of_path(self.path)
        names = _FIELD.findall(self.path)
        if bool(names) != bool(self.parent) or not all(map(_NAME.fullmatch, names)):
            yield "its path has a field in braces if, and only if, it has a parent"
        if not self.data_places:
            yield "data_selector names no place"
        for selector in (self.data_selector, self.total_selector, self.count_selector):
            yield from _problems_of(selector)
        if self.total_header is not None and not _TOKEN.fullmatch(self.total_header):
            yield "total_header is no header"
        yield from _problems_of_pages(self.paginator)
        if any(other.alternatives for other in self.alternatives):
            yield "an alternative has alternatives of its own"

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields of the key."""
        return places_of(self.key)

    @property
    def parents(self) -> tuple[str, ...]:
        """The record types that may be its parent, the first that was read counts."""
        return places_of(self.parent)

    @property
    def data_places(self) -> tuple[str, ...]:
        """Where its records may be."""
        return places_of(self.data_selector)

    @property
    def has_total(self) -> bool:
        """Whether an answer says how many records there are."""
        return bool(self.total_selector or self.total_header)

    @property
    def pages(self) -> bool:
        """Whether its records come in pages."""
        return not isinstance(self.paginator, SinglePagePaginator)

    @property
    def comes_whole(self) -> bool:
        """Whether one answer has all records: without pages, and not cut off behind so many."""
        return not self.pages and self.paginator.limit_param is None

    def find_doubt(self) -> str | None:
        """Why nothing proves that all of its records came; None where that is proved: by a total and a key."""
        by_parent = bool(self.parent) and self.data_places == (WHOLE,)
        counted = self.has_total or by_parent or bool(self.count_selector and self.comes_whole)
        lacking = [what for what, there in (("total", counted), ("key", self.keys)) if not there]
        return f"the API says no {' and no '.join(lacking)}" if lacking else None


@dataclass(frozen=True)
class Files:
    """Files that records name: fetched into the directory ``FERRY_FILES``, and named in the receipt in any case.

    :param path: names in braces are fields of the records of ``parent``; a record that lacks one names no file.
    :param parent: record types; the first of them that was read counts.
    :raises Misconfigured: something of it makes no sense.
    """

    path: str
    parent: tuple[str, ...] | str

    def __post_init__(self) -> None:
        """Refuse what could not be asked for."""
        names = _FIELD.findall(self.path)
        problems = list(_problems_of_path(self.path))
        if problems or not names or not all(map(_NAME.fullmatch, names)):
            why = problems[0] if problems else "it has no field in braces"
            raise Misconfigured(f"The path of files {self.path!r} cannot be asked for: {why}.", hint=HINT)

    @property
    def parents(self) -> tuple[str, ...]:
        """The record types that may name them."""
        return places_of(self.parent)


@dataclass(frozen=True)
class RestApi:
    """An old API.

    :param endpoints: in the order in which they are read; a parent before its children.
    :param headers: sent with every request.
    :param requests_per_second: at most, of all connections together.
    :param connections: requests in flight at most, where that is fewer than ``FERRY_CONNECTIONS``.
    :param files: what records name and no record holds.
    :raises Misconfigured: something of it makes no sense.
    """

    endpoints: tuple[Endpoint, ...]
    auth: Auth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    requests_per_second: float | None = None
    connections: int | None = None
    files: tuple[Files, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be asked for."""
        problem = next(self._find_problems(), None)
        if problem:
            raise Misconfigured(f"FERRY_ADAPTERS: its api cannot be asked: {problem}.", hint=HINT)

    def _find_problems(self) -> Iterator[str]:
        if not self.endpoints:
            yield "it has no endpoints"
        # Of one endpoint and its alternatives only one is read.
        names = [name for one in self.endpoints for name in {one.name, *(other.name for other in one.alternatives)}]
        if len(set(names)) != len(names):
            yield "two endpoints have one name"
        yield from self._find_orphans()
        if isinstance(self.auth, CookieAuth | BearerTokenAuth):
            yield from _problems_of_log_in(self.auth)
        yield from self._find_odd_headers()
        if self.requests_per_second is not None and not 0.001 <= self.requests_per_second <= 1000:
            yield "requests_per_second is not from 0.001 to 1000"
        if self.connections is not None and self.connections < 1:
            yield "connections is less than 1"

    def _find_orphans(self) -> Iterator[str]:
        before: set[str] = set()
        for endpoint in self.endpoints:
            candidates = (endpoint, *endpoint.alternatives)
            for candidate in candidates:
                if candidate.parents and not before & set(candidate.parents):
                    yield f"no parent of {candidate.name!r} is read before it"
            before |= {candidate.name for candidate in candidates}

    def _find_odd_headers(self) -> Iterator[str]:
        names = [*self.headers, *([self.auth.name] if isinstance(self.auth, APIKeyAuth) else [])]
        if not all(map(_TOKEN.fullmatch, names)):
            yield "a header has a name that none can have"
        if not all(map(is_sendable, self.headers.values())):
            yield "a header has a value that none can have"

    def find_doubtful(self) -> dict[str, str]:
        """The record types that nothing proves to be read whole, with the reason."""
        doubts = ((endpoint.name, endpoint.find_doubt()) for endpoint in self.endpoints)
        return {name: doubt for name, doubt in doubts if doubt}


HINT = "See docs/adapters.md."


def _problems_of_path(path: str) -> Iterator[str]:
    if not path.startswith("/") or path.startswith("//"):
        yield f"the path {path!r} does not begin with one slash"
    if any(mark in path for mark in "?#\\") or not path.isascii() or not path.isprintable() or " " in path:
        yield f"the path {path!r} has a character that no path has; parameters go into params"
    if not is_inside(path, ""):
        yield f"the path {path!r} leads upwards"


def _problems_of_log_in(auth: CookieAuth | BearerTokenAuth) -> Iterator[str]:
    if auth.path is not None:
        yield from _problems_of_path(auth.path)
    yield from _problems_of(auth.token_selector)
    if auth.encoding not in ("json", "form"):
        yield "the encoding of its log-in is neither json nor form"
    if any(not 300 <= status <= 599 for status in auth.expired):
        yield "expired has a status that is none of a redirect or an error"


def _problems_of(selector: Selector) -> Iterator[str]:
    for place in places_of(selector):
        if place != WHOLE and not all(place.split(".")):
            yield f"{place!r} is no place: names joined by dots, or $"


def _problems_of_pages(paginator: Paginator) -> Iterator[str]:
    if not 1 <= paginator.limit <= MOST_LIMIT:
        yield f"the limit of its pages is not from 1 to {MOST_LIMIT:,}"
    for name in ("page_selector", "has_more_path", "cursor_path", "next_url_path"):
        yield from _problems_of(getattr(paginator, name, ()))
