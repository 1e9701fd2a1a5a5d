"""The classic API of old deployments: log in, read every type completely, keep what was said as it was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...errors import SourceIncomplete, Unauthorized
from ..rows.scratch import Keys
from ..rows.strictjson import loads
from .classic_answers import Changed, Page, find_token, is_sendable, keep, read_page, read_record, refuse_spoiled
from .http import AGAIN, Answer, HttpClient, Refused, TooLarge, Transient
from .parts import Part, PartWriter

PER_PAGE = 200
PASSES = 3
QUIET = "Run again when the old deployment is quiet, or stop its writers first: flask db-migrate-data"
MOST_PAGES = 100_000
"""Of one type: twenty million records."""
CREDENTIALS = (
    "Set FLASK_FERRY_SOURCE_UID and FLASK_FERRY_SOURCE_PASSWORD to an admin of the old deployment, "
    "then run again: flask db-migrate-data"
)

PAGED = ("users", "topics", "microblogs", "posts", "personas", "user_personas")
UNPAGED = ("sections", "classrooms", "feedback", "study")
Progress = Callable[[str, int, int | None], None]
"""Called with type, records so far, and the total where the source says one."""


@dataclass(frozen=True)
class Endpoint:
    """Where a type is read: its path, how its pages are asked for and which parameters it always takes."""

    type: str
    path: str
    key: str | None = None
    paged: bool = False
    limit: bool = False


class ClassicSource:
    """One old deployment.

    :param uid: who logs in; must be an admin there for more than the list of users.
    :param set_aside: records that cannot be kept as they are sent are kept mended, and marked.
    """

    def __init__(self, client: HttpClient, uid: str, password: str, *, set_aside: bool = False) -> None:
        self._set_aside = set_aside
        self._client = client
        self._uid = uid
        self._password = password
        self._per_page = PER_PAGE
        client.before_retry = self._after_failure

    def log_in(self) -> dict[str, str]:
        """Log in and keep the token; returns the cookies.

        :raises Unauthorized: the source refuses uid or password.
        :raises SourceIncomplete: no answer, or one without a token.
        """
        self._client.headers = {"X-Origin": "client"}
        try:
            answer = self._client.post_json("/api/authenticate", {"uid": self._uid, "password": self._password})
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
            self._client.headers["Cookie"] = cookie
        if token:
            self._client.headers["Authorization"] = f"Bearer {token}"
        return answer.cookies

    def _after_failure(self, error: Exception) -> None:
        # Older servers answer a token that expired with 500.
        if isinstance(error, Transient) and error.status == 500 and "X-Origin" in self._client.headers:
            self._log_in_again()

    def _log_in_again(self) -> None:
        self._client.before_retry = lambda _error: None
        try:
            self.log_in()
        finally:
            self._client.before_retry = self._after_failure

    def _get(self, path: str, parse: Callable[[Answer], Any], **params: Any) -> Any:
        try:
            return self._client.get(path, parse, **params)
        except Refused as error:
            if error.status != 401:
                raise
        self._log_in_again()
        return self._client.get(path, parse, **params)

    # What there is

    def endpoints(self) -> tuple[list[Endpoint], dict[str, str]]:
        """Where each type is read here, and the types that cannot be, with the reason.

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
        params = {"page": 1, "per_page": 1} if endpoint.paged else {"limit": 1} if endpoint.limit else {}
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
        for _ in range(PASSES):
            for endpoint in waiting:
                users = parts.get("users") or parts.get("user")
                part = self._read(endpoint, directory / f"{endpoint.type}.ndjson", keys, progress, users)
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
        changed = {e.type for e in endpoints if e.paged and self._total(e) not in (None, parts[e.type].lines)}
        if "users" in changed:
            changed.add("skill_passport")
        return [endpoint for endpoint in endpoints if endpoint.type in changed]

    def _read(self, endpoint: Endpoint, file: Path, keys: Keys, progress: Progress, users: Part | None) -> Part:
        failures: list[str] = []
        while len(failures) < PASSES:
            keys.forget(endpoint.type)
            try:
                with PartWriter(endpoint.type, file) as part:
                    self._pass(endpoint, part, keys, progress, users)
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

    def _pass(self, endpoint: Endpoint, part: PartWriter, keys: Keys, progress: Progress, users: Part | None) -> None:
        if endpoint.type == "skill_passport":
            pages: Iterator[Page] = self._passports(endpoint, users)
        elif endpoint.limit:
            pages = iter([self._limit(endpoint)])
        else:
            pages = self._pages(endpoint)
        for page in pages:
            refuse_spoiled(endpoint.type, page.records, self._client.base, set_aside=self._set_aside)
            new = sum(keep(record, part, keys) for record in page.records)
            if page.records and not new:
                raise Changed("a page came twice: the source ignores paging, or rows moved between pages")
            total = page.says.get("total")
            progress(part.name, part.lines, total)
            if total is not None and part.lines > total:
                raise Changed(f"the source says {total} records in all, and {part.lines} distinct ones came so far")
        if endpoint.paged:
            self._check_total(endpoint, part)

    def _pages(self, endpoint: Endpoint) -> Iterator[Page]:
        total: int | None = None
        for number in range(1, MOST_PAGES):
            page = self._page(endpoint, number)
            says = page.says
            total = says.get("total", total) if total is None else total
            if says.get("total", total) != total:
                raise Changed(f"the total changed from {total} to {says['total']} while pages were read")
            if says.get("page", number) != number:
                raise Changed(f"page {number} was asked for and page {says['page']} came")
            yield page
            if not says.get("has_next"):
                return
            if not page.records:
                raise Changed(f"page {number} is empty and says that more pages follow")
        raise Changed("the pages do not end")

    def _page(self, endpoint: Endpoint, number: int) -> Page:
        params = {"page": number, "per_page": self._per_page} if endpoint.paged else {}
        page: Page = self._get(endpoint.path, lambda answer: read_page(answer, endpoint.key), **params)
        return page

    def _check_total(self, endpoint: Endpoint, part: PartWriter) -> None:
        """Ask for the total once more, and compare both with the distinct records that came."""
        total = self._total(endpoint)
        if total is not None and total != part.lines:
            raise Changed(f"the source says {total} records at the end, and {part.lines} distinct ones came")

    def _total(self, endpoint: Endpoint) -> Any:
        page: Page = self._get(endpoint.path, lambda a: read_page(a, endpoint.key), page=1, per_page=1)
        return page.says.get("total")

    def _limit(self, endpoint: Endpoint) -> Page:
        """A list without pages and total: ask for more than there is."""
        limit = 100_000
        while True:
            page: Page = self._get(endpoint.path, lambda answer: read_page(answer, None), limit=limit)
            if len(page.records) < limit:
                return page
            limit *= 10

    def _passports(self, endpoint: Endpoint, users: Part | None) -> Iterator[Page]:
        for line, _ in users.read() if users else ():
            identifier = loads(line.decode())["id"]
            try:
                text = self._get(endpoint.path.format(quote(str(identifier), safe="")), read_record)
            except Refused as error:
                if error.status != 404:
                    raise
                raise Changed(f"user {identifier} is gone since the users were read") from error
            yield Page([text], {})


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
