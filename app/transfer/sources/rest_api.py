"""An old API as its app declares it: read every type completely, keep what was said as it was said."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from ...errors import FerryError, SourceIncomplete, Unauthorized
from ..endpoints import Endpoint, HeaderLinkPaginator, RestApi
from ..rows.scratch import Keys
from ..rows.strictjson import loads
from .answer import Answer
from .connections import Connections
from .http import AGAIN, HttpClient, Refused, TooLarge
from .log_in import CREDENTIALS, LogIn
from .pages import Changed, Found, Page, keep, read_page, refuse_spoiled
from .paging import Ask, Trail, ask_behind, ask_first, may_end_with_404
from .parts import Part, PartWriter

T = TypeVar("T")

PASSES = 3
QUIET = "Run again when the old deployment is quiet, or stop its writers first: flask db-migrate-data"
MOST_PAGES = 100_000
"""Of one type: twenty million records, as a rule."""

Progress = Callable[[str, int, int | None], None]
"""Called with type, records so far, and the total where the source says one."""
Pages = Generator[Page, None, None]


class RestSource:
    """One old deployment.

    :param uid: who logs in.
    :param connections: requests in flight at most.
    :param set_aside: records that cannot be kept as they are sent are kept mended, and marked.
    """

    def __init__(
        self,
        client: HttpClient,
        api: RestApi,
        uid: str,
        password: str,
        connections: int = 1,
        *,
        set_aside: bool | None = False,
    ) -> None:
        self._client, self._api = client, api
        self._set_aside = set_aside
        self._connections = min(connections, api.connections or connections)
        self._session = LogIn(client, api.auth, uid, password, api.headers)
        self._limits: dict[str, int] = {}
        self._bare: set[str] = set()
        client.headers.update(api.headers)
        client.limit_rate(api.requests_per_second)

    def log_in(self) -> dict[str, str]:
        """Log in, and see that it was one; returns the cookies.

        :raises Unauthorized: the source refuses uid or password.
        :raises SourceIncomplete: no answer, or one without what is to be sent from then on.
        """
        cookies = self._session.log_in()
        if self._api.auth is not None and not self._session.is_proved:
            self._look_at(self._api.endpoints[0])
        return cookies

    def _look_at(self, endpoint: Endpoint) -> None:
        """:raises Unauthorized: in the place of records comes the page of the log-in."""
        ask = ask_first(endpoint, endpoint.path, 1)
        try:
            kind = self._session.get(ask.path, lambda answer: answer.content_type, **ask.params)
        except Refused as error:
            self._only_404(error, endpoint.path)
        else:
            if self._session.posts_form and kind.startswith("text/html"):
                raise Unauthorized(
                    f"{self._client.base} answers {endpoint.path} with a page and no JSON, as if nobody had logged in.",
                    hint=CREDENTIALS,
                )

    # What there is

    def endpoints(self) -> tuple[list[Endpoint], dict[str, str]]:
        """Where each type is read here, and the types that cannot be, with the reason.

        An endpoint that answers whole here is asked again in its turn: what it said before hours of reading would not
        fit what was read meanwhile.

        :raises Unauthorized: the user may not read one of them.
        """
        available: list[Endpoint] = []
        unavailable: dict[str, str] = {}
        for declared in self._api.endpoints:
            candidates = (declared, *declared.alternatives)
            names = {endpoint.name for endpoint in available}
            # What has no parent here, nothing can be asked of.
            askable = [one for one in candidates if one.required or not one.parents or names & {*one.parents}]
            endpoint = next((candidate for candidate in askable if self._answers(candidate)), None)
            if endpoint:
                available.append(endpoint)
            else:
                paths = " or ".join(candidate.path for candidate in askable)
                lacking = " or ".join(declared.parents)
                why = f"no endpoint at {paths} (404)" if paths else f"it is asked for by {lacking}, which is not there"
                unavailable[candidates[-1].name] = why
        covered = {name for endpoint in available for name in endpoint.covers}
        return available, {name: why for name, why in unavailable.items() if name not in covered}

    def _only_404(self, error: Refused, path: str) -> None:
        """:raises Unauthorized, SourceIncomplete: the status is another one than that of a path nobody has."""
        if error.status != 404:
            raise self.explain(error, path) from error

    def _answers(self, endpoint: Endpoint) -> bool:
        if endpoint.required:
            return True
        ask = ask_first(endpoint, fill(endpoint, None), 1)
        try:
            self._session.get(ask.path, lambda _answer: None, **ask.params)
        except Refused as error:
            self._only_404(error, endpoint.path)
            # What a parent that is not there has is a 404 too, but one in JSON.
            return bool(endpoint.parents) and "json" in error.content_type
        return True

    # Reading

    def extract(
        self,
        directory: Path,
        keys: Keys,
        types: Iterable[Endpoint],
        progress: Progress,
        finished_parts: Mapping[str, Part] | None = None,
    ) -> Iterator[Part]:
        """Read each type completely into a part; what changed while other types were read is read once more.

        :param finished_parts: parts of an earlier run, which are not read again unless they changed.
        :raises SourceIncomplete: three passes disagreed, or an answer stayed incomplete.
        """
        endpoints, parts = list(types), dict(finished_parts or {})
        waiting = [endpoint for endpoint in endpoints if endpoint.name not in parts]
        with Connections(self._session.open_client, self._connections) as connections:
            for _ in range(PASSES):
                for endpoint in waiting:
                    parent = _find_parent(endpoint, parts)
                    pages = partial(self._records, endpoint, parent, connections)
                    part = self._read(endpoint, directory / f"{endpoint.name}.ndjson", keys, progress, pages)
                    parts[endpoint.name] = part
                    yield part
                waiting = self._find_changed(endpoints, parts)
                if not waiting:
                    return
        raise SourceIncomplete(
            f"{', '.join(endpoint.name for endpoint in waiting)} changed again and again while the others were read.",
            hint=QUIET,
        )

    def _find_changed(self, endpoints: list[Endpoint], parts: Mapping[str, Part]) -> list[Endpoint]:
        """The types whose total is not that of their part any more, and what is read record by record of these."""
        counted = [endpoint for endpoint in endpoints if self._has_total(endpoint) and endpoint.pages]
        changed = {e.name for e in counted if self._total(e) not in (None, parts[e.name].lines)}
        for endpoint in endpoints:
            parent = _find_parent(endpoint, parts)
            if parent and parent.name in changed:
                changed.add(endpoint.name)
        return [endpoint for endpoint in endpoints if endpoint.name in changed]

    def _has_total(self, endpoint: Endpoint) -> bool:
        return endpoint.has_total and not endpoint.parents and endpoint.name not in self._bare

    def _limit(self, endpoint: Endpoint) -> int:
        return self._limits.get(endpoint.name, endpoint.paginator.limit)

    def _read(self, endpoint: Endpoint, file: Path, keys: Keys, progress: Progress, pages: Callable[[], Pages]) -> Part:
        failures: list[str] = []
        while len(failures) < PASSES:
            keys.forget(endpoint.name)
            try:
                with PartWriter(endpoint.name, file) as part, contextlib.closing(pages()) as stream:
                    return part.finish(self._pass(endpoint, part, keys, progress, stream))
            except Changed as change:
                failures.append(str(change))
            except TooLarge:
                # Few large records: of them fewer at a time, from the first page on.
                if not endpoint.pages or not endpoint.paginator.limit_param or self._limit(endpoint) == 1:
                    raise
                self._limits[endpoint.name] = max(1, self._limit(endpoint) // 8)
            except Refused as error:
                raise self.explain(error, endpoint.path) from error
        raise SourceIncomplete(
            f"{endpoint.name} could not be read completely in {PASSES} passes.",
            details=failures,
            hint=QUIET,
        )

    def _pass(self, endpoint: Endpoint, part: PartWriter, keys: Keys, progress: Progress, pages: Pages) -> str:
        """Write the records of all pages; returns why nothing proves that they are all, empty where that is proved."""
        page_count, total, counted = 0, None, True
        first: list[Found] = []
        lists = alike = 0
        for page in pages:
            page_count += 1
            counted = counted and (page.single or page.total is not None)
            refuse_spoiled(endpoint, page.records, self._client.base, set_aside=self._set_aside)
            new = sum(keep(record, endpoint, part, keys) for record in page.records)
            if endpoint.parents and page.records:
                # Records that several parents have come once for each of these.
                first = first or page.records
                lists, alike = lists + 1, alike + (page.records == first)
            elif page.records and not new:
                raise Changed("a page came twice: the source ignores paging, or rows moved between pages")
            total = None if endpoint.parents else page.total if page.total is not None else total
            progress(part.name, part.lines, total)
            if total is not None and part.lines > total:
                raise Changed(f"the source says that there are {total}, and {part.lines} distinct ones came so far")
        if self._has_total(endpoint) and (page_count != 1 or total != part.lines):
            self._check_total(endpoint, part, total)
        lacking = [what for what, there in (("total", counted), ("key", endpoint.keys)) if not there]
        doubts = [f"the API says no {' and no '.join(lacking)}"] if lacking else []
        if alike == lists > 1:
            doubts.append("the API says the same whatever it is asked for")
        return " and ".join(doubts)

    def _records(self, endpoint: Endpoint, parent: Part | None, connections: Connections) -> Pages:
        if endpoint.parents:
            yield from self._children(endpoint, parent, connections)
        elif not endpoint.pages:
            yield self._ask_for_all(endpoint, endpoint.path)
        else:
            yield from self._pages(endpoint, endpoint.path, connections)

    def _pages(self, endpoint: Endpoint, path: str, connections: Connections) -> Pages:
        """The pages of a list; each is asked for while the one before it is written."""
        trail = Trail(endpoint, self._client.base, self._limit(endpoint))
        first = ask = ask_first(endpoint, path, self._limit(endpoint))
        page = self._page(endpoint, ask)
        self._bare.discard(endpoint.name)
        # Where the next page is, a Link header says of a bare list as well.
        if page.bare and not isinstance(endpoint.paginator, HeaderLinkPaginator):
            self._check_bare(endpoint, ask, page)
            yield page
            return
        for _ in range(1, MOST_PAGES):
            following = trail.follow(ask, page)
            if following is None:
                if endpoint.parents and trail.total not in (None, trail.received):
                    raise Changed(f"{path} says that there are {trail.total}, and {trail.received} came")
                yield page
                return
            ask = following
            with connections.ask_ahead(partial(self._following, endpoint, first, ask)) as answer:
                yield page
                page = answer.result()
        raise Changed("the pages do not end")

    def _page(self, endpoint: Endpoint, ask: Ask, client: HttpClient | None = None) -> Page:
        return self._session.get(ask.path, lambda answer: read_page(answer, endpoint), client, **ask.params)

    def _following(self, endpoint: Endpoint, first: Ask, ask: Ask, client: HttpClient) -> Page:
        """A page behind the first; empty where a deployment says by 404 that there is none.

        :raises Refused: another status, or the whole list is gone now.
        """
        try:
            return self._page(endpoint, ask, client)
        except Refused as error:
            if error.status != 404 or not may_end_with_404(endpoint):
                raise
            self._page(endpoint, first, client)
            return Page([])

    def _check_bare(self, endpoint: Endpoint, ask: Ask, page: Page) -> None:
        """A list that says nothing of pages is whole if it ignores them: it is as long when one record is asked for.

        How long a page is only the server knows, which may give fewer than it is asked for. Where it cannot be asked
        for fewer, the list comes again, or nothing does, in the place of the next page.
        """
        if page.records and endpoint.paginator.limit_param:
            again = self._page(endpoint, ask_first(endpoint, ask.path, 1))
            if len(again.records) != len(page.records):
                raise Changed(f"a list of {len(page.records)} came, and one of {len(again.records)}")
        elif page.records and (behind := ask_behind(endpoint, ask, len(page.records))):
            again = self._following(endpoint, ask, behind, self._client)
            if again.records and again.records != page.records:
                raise Changed(f"a list of {len(page.records)} came, and another one in place of the next page")
        if page.total is None:
            self._bare.add(endpoint.name)

    def _check_total(self, endpoint: Endpoint, part: PartWriter, before: int | None) -> None:
        """Ask for the total once more, and compare it with the distinct records that came.

        :param before: what the pages said, which counts where that request is answered without one.
        """
        again = self._total(endpoint)
        total = before if again is None else again
        if total is not None and total != part.lines:
            raise Changed(f"the source says that there are {total} at the end, and {part.lines} distinct ones came")

    def _total(self, endpoint: Endpoint) -> int | None:
        try:
            return self._page(endpoint, ask_first(endpoint, endpoint.path, 1)).total
        except Refused as error:
            raise self.explain(error, endpoint.path) from error

    def _ask_for_all(self, endpoint: Endpoint, path: str, client: HttpClient | None = None) -> Page:
        """A list without pages; of one of which only so many come as are asked for, more than there are."""
        limit = endpoint.paginator.limit
        while True:
            page = self._page(endpoint, ask_first(endpoint, path, limit), client)
            if endpoint.comes_whole or len(page.records) < limit:
                return page
            limit *= 10

    # What is no list

    def ask_all(self, calls: Iterable[Callable[[HttpClient], T]]) -> Iterator[T]:
        """The answers to requests in their order, several of them in flight."""
        with Connections(self._session.open_client, self._connections) as connections:
            yield from connections.ask_all(calls)

    def fetch(self, path: str, most_bytes: int, client: HttpClient) -> Answer:
        """An answer, whatever it is.

        :raises Refused: a final status.
        :raises TooLarge: it is larger.
        """
        return self._session.get(path, lambda answer: answer, client, most_bytes)

    def explain(self, error: Refused, path: str) -> FerryError:
        """What to raise where something declared may not be read, or cannot."""
        if error.status in (401, 403):
            return self._session.refuse(error)
        return SourceIncomplete(f"{error} at {path}.", hint=AGAIN)

    # What is read record by record of another type

    def _children(self, endpoint: Endpoint, parent: Part | None, connections: Connections) -> Pages:
        if parent is None:
            raise SourceIncomplete(
                f"{endpoint.name} cannot be asked for: {' or '.join(endpoint.parents)} is not there.", hint=AGAIN
            )
        records = (loads(line.decode()) for line, _ in parent.read())
        if endpoint.pages:
            for record in records:
                with self._refuse_gone(endpoint, record):
                    yield from self._pages(endpoint, fill(endpoint, record), connections)
            return
        calls = (partial(self._child, endpoint, record) for record in records)
        with contextlib.closing(connections.ask_all(calls)) as pages:
            yield from pages

    def _child(self, endpoint: Endpoint, record: Any, client: HttpClient) -> Page:
        with self._refuse_gone(endpoint, record):
            page = self._ask_for_all(endpoint, path := fill(endpoint, record), client)
        if page.total not in (None, len(page.records)):
            raise Changed(f"{path} says that there are {page.total}, and {len(page.records)} came")
        return page

    @contextlib.contextmanager
    def _refuse_gone(self, endpoint: Endpoint, record: Any) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            if error.status != 404:
                raise
            names = ", ".join(str(record.get(name)) for name in _FIELD.findall(endpoint.path))
            raise Changed(f"{endpoint.parents[-1]} {names} is gone since it was read") from error


_FIELD = re.compile(r"\{([^{}]*)\}")


def _find_parent(endpoint: Endpoint, parts: Mapping[str, Part]) -> Part | None:
    """The first of an endpoint's parents that was read."""
    return next((parts[name] for name in endpoint.parents if name in parts), None)


def fill(endpoint: Endpoint, record: Any) -> str:
    """The path of an endpoint, for one record of its parent.

    :param record: None for any record: number 1.
    :raises Changed: the record lacks a field of the path.
    """

    def value(match: re.Match[str]) -> str:
        item = 1 if record is None else record.get(match[1])
        if type(item) not in (int, str) or item in ("", ".", ".."):
            raise Changed(f"a record of {endpoint.parents[0]} whose {match[1]} can be no part of a path")
        return quote(str(item), safe="")

    return _FIELD.sub(value, endpoint.path)
