"""The classic API of old deployments: log in, read every type completely, keep what was said as it was said."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...errors import SourceIncomplete, Unauthorized
from ..rows.scratch import Keys
from ..rows.strictjson import loads
from .answers import Changed, Page, find_token, is_sendable, keep, read_page, read_record, refuse_spoiled
from .classic_endpoints import PAGED, UNPAGED, Endpoint
from .connections import Connections
from .http import AGAIN, ATTEMPTS, Answer, HttpClient, Refused, TooLarge, Transient
from .parts import Part, PartWriter
from .turns import Headers

PER_PAGE = 200
PASSES = 3
QUIET = "Run again when the old deployment is quiet, or stop its writers first: flask db-migrate-data"
MOST_PAGES = 100_000
"""Of one type: twenty million records."""
CREDENTIALS = (
    "Set FLASK_FERRY_SOURCE_UID and FLASK_FERRY_SOURCE_PASSWORD to an admin of the old deployment, "
    "then run again: flask db-migrate-data"
)

Progress = Callable[[str, int, int | None], None]
"""Called with type, records so far, and the total where the source says one."""
Pages = Generator[Page, None, None]


class ClassicSource:
    """One old deployment.

    :param uid: who logs in; must be an admin there for more than the list of users.
    :param connections: requests in flight at most.
    :param set_aside: records that cannot be kept as they are sent are kept mended, and marked.
    """

    def __init__(
        self, client: HttpClient, uid: str, password: str, connections: int = 1, *, set_aside: bool | None = False
    ) -> None:
        self._set_aside = set_aside
        self._client = client
        self._uid = uid
        self._password = password
        self._connections = connections
        self._log_in_lock = threading.Lock()
        self._per_page = PER_PAGE
        self._bare: set[str] = set()
        client.before_retry = partial(self._after_failure, client)

    def log_in(self) -> dict[str, str]:
        """Log in and keep the token; returns the cookies.

        :raises Unauthorized: the source refuses uid or password.
        :raises SourceIncomplete: no answer, or one without a token.
        """
        return self._log_in(self._client)

    def _log_in(self, client: HttpClient) -> dict[str, str]:
        headers = Headers({"X-Origin": "client"})
        try:
            answer = client.post_json("/api/authenticate", {"uid": self._uid, "password": self._password}, headers)
        except Refused as error:
            if error.status in (400, 401, 403):
                raise Unauthorized(
                    f"{self._client.base} refuses the credentials of {self._uid!r} (status {error.status}).",
                    hint=CREDENTIALS,
                ) from error
            raise SourceIncomplete(
                f"{self._client.base} has no log-in at /api/authenticate (status {error.status}).",
                hint="Check the URL: flask db-migrate-data URL",
            ) from error
        token = find_token(answer)
        if not answer.cookies and not token:
            raise SourceIncomplete(
                f"{self._client.base} answered the log-in without a token.",
                hint="Check the URL: flask db-migrate-data URL",
            )
        if answer.cookies:
            cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
            if not is_sendable(cookie):
                raise SourceIncomplete(
                    f"{self._client.base} answered the log-in with a cookie that no header can hold.",
                    hint="Check the URL: flask db-migrate-data URL",
                )
            headers["Cookie"] = cookie
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client.headers = headers
        return answer.cookies

    def _open_client(self) -> HttpClient:
        client = self._client.open_another()
        client.before_retry = partial(self._after_failure, client)
        return client

    def _after_failure(self, client: HttpClient, error: Exception) -> None:
        # Older servers answer a token that expired with 500.
        if isinstance(error, Transient) and error.status == 500 and "X-Origin" in self._client.headers:
            self._renew(client)

    def _renew(self, client: HttpClient) -> bool:
        """Log in once more, unless another connection did so since this one sent its request.

        :return: False where that was of no use: a new token was refused before anything accepted it.
        """
        with self._log_in_lock:
            if client.sent is not self._client.headers:
                return True
            if client.sent.renewed and not client.sent.accepted:
                return False
            former, client.before_retry = client.before_retry, lambda _error: None
            try:
                self._log_in(client)
            finally:
                client.before_retry = former
            self._client.headers.renewed = True
            return True

    def _get(self, path: str, parse: Callable[[Answer], Any], client: HttpClient | None = None, **params: Any) -> Any:
        client = client or self._client
        for number in range(1, ATTEMPTS + 1):
            try:
                value = client.get(path, parse, **params)
            except Refused as error:
                client.sent.accepted = client.sent.accepted or error.status != 401
                if error.status != 401 or number == ATTEMPTS or not self._renew(client):
                    raise
            else:
                client.sent.accepted = True
                return value
        raise AssertionError("unreachable")

    # What there is

    def endpoints(self) -> tuple[list[Endpoint], dict[str, str]]:
        """Where each type is read here, and the types that cannot be, with the reason.

        An endpoint without pages answers whole here, too, and is asked again in its turn: what it said before
        hours of reading would not fit what was read meanwhile.

        :raises Unauthorized: the user may not read the export.
        """
        try:
            self._get("/api/export/users", lambda answer: read_page(answer, "users"), page=1, per_page=1)
        except Refused as error:
            self._only_404(error, "/api/export/users")
            why = f"this deployment has no /api/export (status {error.status})"
            others = (*PAGED, *UNPAGED, "leaderboard", "elementary_leaderboard", "skill_passport")
            return [Endpoint("user", "/api/user", "users", paged=True)], {
                name: why for name in others if name not in ("users", "sections")
            }
        available = [Endpoint("users", "/api/export/users", "users", paged=True)]
        unavailable: dict[str, str] = {}
        for candidates in _EXPORTED + _BESIDES:
            endpoint = next((candidate for candidate in candidates if self._answers(candidate)), None)
            if endpoint:
                available.append(endpoint)
            else:
                unavailable[candidates[-1].type] = f"no endpoint at {' or '.join(c.path for c in candidates)} (404)"
        available.append(Endpoint("user", "/api/user", "users", paged=True))
        return available, unavailable

    def _not_admin(self, error: Refused) -> Unauthorized:
        return Unauthorized(
            f"{self._client.base}: {self._uid!r} may not read the export (status {error.status}).",
            hint=CREDENTIALS,
        )

    def _only_404(self, error: Refused, path: str) -> None:
        """:raises Unauthorized, SourceIncomplete: the status is another one than that of a path nobody has."""
        if error.status in (401, 403):
            raise self._not_admin(error) from error
        if error.status != 404:
            raise SourceIncomplete(f"{error} at {path}.", hint=AGAIN) from error

    def _answers(self, endpoint: Endpoint) -> bool:
        params: dict[str, Any] = (
            {"page": 1, "per_page": 1} if endpoint.paged else {"limit": 1} if endpoint.limit else {}
        )
        try:
            self._get(endpoint.path.format(1), lambda _answer: None, **params)
        except Refused as error:
            self._only_404(error, endpoint.path)
            # The passport of a user who is not there is a 404 too, but one in JSON.
            return endpoint.type == "skill_passport" and "json" in error.content_type
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
        waiting = [endpoint for endpoint in endpoints if endpoint.type not in parts]
        with Connections(self._open_client, self._connections) as connections:
            for _ in range(PASSES):
                for endpoint in waiting:
                    users = parts.get("users") or parts.get("user")
                    pages = partial(self._records, endpoint, users, connections)
                    part = self._read(endpoint, directory / f"{endpoint.type}.ndjson", keys, progress, pages)
                    parts[endpoint.type] = part
                    yield part
                waiting = self._find_changed(endpoints, parts)
                if not waiting:
                    return
        raise SourceIncomplete(
            f"{', '.join(endpoint.type for endpoint in waiting)} changed again and again while the others were read.",
            hint=QUIET,
        )

    def _find_changed(self, endpoints: list[Endpoint], parts: Mapping[str, Part]) -> list[Endpoint]:
        """The types whose total is not that of their part any more; with the users, what is read user by user."""
        counted = [endpoint for endpoint in endpoints if endpoint.paged and endpoint.type not in self._bare]
        changed = {e.type for e in counted if self._total(e) not in (None, parts[e.type].lines)}
        if "users" in changed:
            changed.add("skill_passport")
        return [endpoint for endpoint in endpoints if endpoint.type in changed]

    def _read(self, endpoint: Endpoint, file: Path, keys: Keys, progress: Progress, pages: Callable[[], Pages]) -> Part:
        failures: list[str] = []
        while len(failures) < PASSES:
            keys.forget(endpoint.type)
            try:
                with PartWriter(endpoint.type, file) as part, contextlib.closing(pages()) as stream:
                    self._pass(endpoint, part, keys, progress, stream)
                    return part.finish()
            except Changed as change:
                failures.append(str(change))
            except TooLarge:
                # Few large records: of them fewer at a time, from the first page on.
                if not endpoint.paged or self._per_page == 1:
                    raise
                self._per_page = max(1, self._per_page // 8)
            except Refused as error:
                if error.status in (401, 403):
                    raise self._not_admin(error) from error
                raise SourceIncomplete(f"{error} at {endpoint.path}.", hint=AGAIN) from error
        raise SourceIncomplete(
            f"{endpoint.type} could not be read completely in {PASSES} passes.",
            details=failures,
            hint=QUIET,
        )

    def _pass(self, endpoint: Endpoint, part: PartWriter, keys: Keys, progress: Progress, pages: Pages) -> None:
        page_count, total = 0, None
        for page in pages:
            page_count += 1
            refuse_spoiled(endpoint.type, page.records, self._client.base, set_aside=self._set_aside)
            new = sum(keep(record, part, keys) for record in page.records)
            if page.records and not new:
                raise Changed("a page came twice: the source ignores paging, or rows moved between pages")
            total = page.says.get("total")
            progress(part.name, part.lines, total)
            if total is not None and part.lines > total:
                raise Changed(f"the source says {total} records in all, and {part.lines} distinct ones came so far")
        if endpoint.paged and endpoint.type not in self._bare and (page_count != 1 or total != part.lines):
            self._check_total(endpoint, part)

    def _records(self, endpoint: Endpoint, users: Part | None, connections: Connections) -> Pages:
        if endpoint.type == "skill_passport":
            yield from self._passports(endpoint, users, connections)
        elif endpoint.limit:
            yield self._limit(endpoint)
        else:
            yield from self._pages(endpoint, connections)

    def _pages(self, endpoint: Endpoint, connections: Connections) -> Pages:
        """The pages of a type; each is asked for while the one before it is written."""
        total: int | None = None
        page = self._first_page(endpoint)
        for number in range(1, MOST_PAGES):
            says = page.says
            total = says.get("total", total) if total is None else total
            if says.get("total", total) != total:
                raise Changed(f"the total changed from {total} to {says['total']} while pages were read")
            if says.get("page", number) != number:
                raise Changed(f"page {number} was asked for and page {says['page']} came")
            if not says.get("has_next"):
                yield page
                return
            if not page.records:
                raise Changed(f"page {number} is empty and says that more pages follow")
            with connections.ask_ahead(partial(self._page, endpoint, number + 1)) as following:
                yield page
                page = following.result()
        raise Changed("the pages do not end")

    def _first_page(self, endpoint: Endpoint) -> Page:
        page = self._page(endpoint, 1)
        if endpoint.paged and page.bare:
            self._check_bare(endpoint, page)
        return page

    def _page(self, endpoint: Endpoint, number: int, client: HttpClient | None = None) -> Page:
        params: dict[str, Any] = {"page": number, "per_page": self._per_page} if endpoint.paged else {}
        page: Page = self._get(endpoint.path, lambda answer: read_page(answer, endpoint.key), client, **params)
        return page

    def _check_bare(self, endpoint: Endpoint, page: Page) -> None:
        """A list that says nothing of pages is whole if it ignores them: it is as long when one record is asked for.

        How long a page is only the server knows, which may give fewer than it is asked for.
        """
        if page.records:
            again = self._ask_for_one(endpoint)
            if len(again.records) != len(page.records):
                raise Changed(f"a list of {len(page.records)} records came, and one of {len(again.records)}")
        self._bare.add(endpoint.type)

    def _check_total(self, endpoint: Endpoint, part: PartWriter) -> None:
        """Ask for the total once more, and compare both with the distinct records that came."""
        total = self._total(endpoint)
        if total is not None and total != part.lines:
            raise Changed(f"the source says {total} records at the end, and {part.lines} distinct ones came")

    def _total(self, endpoint: Endpoint) -> Any:
        return self._ask_for_one(endpoint).says.get("total")

    def _ask_for_one(self, endpoint: Endpoint) -> Page:
        page: Page = self._get(endpoint.path, lambda a: read_page(a, endpoint.key), page=1, per_page=1)
        return page

    def _limit(self, endpoint: Endpoint) -> Page:
        """A list without pages and total: ask for more than there is."""
        limit = 100_000
        while True:
            page: Page = self._get(endpoint.path, lambda answer: read_page(answer, None), limit=limit)
            if len(page.records) < limit:
                return page
            limit *= 10

    def _passports(self, endpoint: Endpoint, users: Part | None, connections: Connections) -> Pages:
        identifiers = (loads(line.decode())["id"] for line, _ in (users.read() if users else ()))
        calls = (partial(self._passport, endpoint, identifier) for identifier in identifiers)
        with contextlib.closing(connections.ask_all(calls)) as pages:
            yield from pages

    def _passport(self, endpoint: Endpoint, identifier: Any, client: HttpClient) -> Page:
        try:
            return Page([self._get(endpoint.path.format(quote(str(identifier), safe="")), read_record, client)], {})
        except Refused as error:
            if error.status != 404:
                raise
            raise Changed(f"user {identifier} is gone since the users were read") from error


_EXPORTED: tuple[tuple[Endpoint, ...], ...] = tuple(
    (Endpoint(name, f"/api/export/{name}", name, paged=name in PAGED),) for name in (*PAGED[1:], *UNPAGED)
)
_BESIDES = (
    (
        Endpoint("leaderboard", "/api/export/leaderboard", "leaderboard", paged=True),
        Endpoint("leaderboard", "/api/dynamic/leaderboard", limit=True),
    ),
    (
        Endpoint("elementary_leaderboard", "/api/export/elementary_leaderboard", "elementary_leaderboard", paged=True),
        Endpoint("elementary_leaderboard", "/api/events/ELEMENTARY_LEADERBOARD", limit=True),
    ),
    (
        Endpoint("skill_snapshots", "/api/export/skill_snapshots", "skill_snapshots", paged=True),
        Endpoint("skill_passport", "/api/admin/skill-passport/{}"),
    ),
)
