"""The classic API of old deployments: log in, read every type completely, keep what was said as it was said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import SourceIncomplete, Unauthorized
from ..canonical import hash_line
from ..strictjson import StrictJSONError, elements, loads, members, value_at
from .http import Answer, HttpClient, Refused, Transient
from .parts import Keys, Part, PartWriter

PER_PAGE = 200
PASSES = 3
MOST_PAGES = 1_000_000

PAGED = ("users", "topics", "microblogs", "posts", "personas", "user_personas")
UNPAGED = ("sections", "classrooms", "feedback", "study")
NATURAL_KEYS: Mapping[str, tuple[str, ...]] = {
    "user_personas": ("userUid", "personaAlias"),
    "skill_passport": ("user_id",),
}

Found = tuple[str, Any]
"""A record as it was spelled, on one line, and its value."""
Progress = Callable[[str, int, int | None], None]
"""Called with type, records so far, and the total where the source says one."""


@dataclass(frozen=True)
class Page:
    """One answer: its records and what its envelope says."""

    records: list[Found]
    says: Mapping[str, Any]


class Changed(Exception):
    """The source changed, or contradicted itself, while a type was read: another pass may succeed."""


@dataclass(frozen=True)
class Endpoint:
    """Where a type is read: its path, how its pages are asked for and which parameters it always takes."""

    type: str
    path: str
    key: str | None = None
    paged: bool = False
    limit: bool = False


@dataclass
class Extracted:
    """What an extraction gave: a part per type, and why tables are missing where they are."""

    parts: dict[str, Part] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


class ClassicSource:
    """One old deployment.

    :param uid: who logs in; must be an admin there for more than the list of users.
    """

    def __init__(self, client: HttpClient, uid: str, password: str) -> None:
        self._client = client
        self._uid = uid
        self._password = password
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
                    hint="Check FERRY_SOURCE_UID and FERRY_SOURCE_PASSWORD.",
                ) from error
            raise SourceIncomplete(
                f"{self._client.base} has no log-in at /api/authenticate (status {error.status}).",
                hint="Check the URL given as SOURCE.",
            ) from error
        token = _body_token(answer)
        if not answer.cookies and not token:
            raise SourceIncomplete(
                f"{self._client.base} answered the log-in without a token.", hint="Check the URL given as SOURCE."
            )
        if answer.cookies:
            self._client.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
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
            self._get("/api/export/users", lambda answer: _page(answer, "users"), page=1, per_page=1)
        except Refused as error:
            if error.status in (401, 403):
                raise self._not_admin(error) from error
            why = f"this deployment has no /api/export (status {error.status})"
            others = (*PAGED, *UNPAGED, "leaderboard", "elementary_leaderboard", "skill_passport")
            return [Endpoint("user", "/api/user", "users", paged=True)], {
                name: why for name in others if name not in ("users", "sections")
            }
        found = [Endpoint(name, f"/api/export/{name}", name, paged=True) for name in PAGED]
        found += [Endpoint(name, f"/api/export/{name}", name) for name in UNPAGED]
        found.append(Endpoint("user", "/api/user", "users", paged=True))
        unavailable: dict[str, str] = {}
        for candidates in _BESIDES:
            endpoint = next((candidate for candidate in candidates if self._answers(candidate)), None)
            if endpoint:
                found.append(endpoint)
            else:
                unavailable[candidates[-1].type] = f"no endpoint: {' and '.join(c.path for c in candidates)} answer 404"
        return found, unavailable

    def _not_admin(self, error: Refused) -> Unauthorized:
        return Unauthorized(
            f"{self._client.base}: {self._uid!r} may not read the export (status {error.status}).",
            hint="Set FERRY_SOURCE_UID to an admin of the old deployment.",
        )

    def _answers(self, endpoint: Endpoint) -> bool:
        params = {"page": 1, "per_page": 1} if endpoint.paged else {"limit": 1} if endpoint.limit else {}
        try:
            self._get(endpoint.path.format(1), lambda _answer: None, **params)
        except Refused as error:
            if error.status == 404:
                # The passport of a user who is not there is a 404 too, but one in JSON.
                return endpoint.type == "skill_passport" and "json" in error.content_type
            if error.status in (401, 403):
                raise self._not_admin(error) from error
            raise SourceIncomplete(f"{error} at {endpoint.path}.") from error
        return True

    # Reading

    def extract(self, directory: Path, keys: Keys, types: Iterable[Endpoint], progress: Progress) -> Iterator[Part]:
        """Read each type completely into a part.

        :raises SourceIncomplete: three passes disagreed, or an answer stayed incomplete.
        """
        users: Part | None = None
        for endpoint in types:
            file = directory / f"{endpoint.type}.ndjson"
            part = self._read(endpoint, file, keys, progress, users)
            users = part if endpoint.type in ("users", "user") else users
            yield part

    def _read(self, endpoint: Endpoint, file: Path, keys: Keys, progress: Progress, users: Part | None) -> Part:
        failures: list[str] = []
        for _ in range(PASSES):
            keys.forget(endpoint.type)
            try:
                with PartWriter(endpoint.type, file) as part:
                    self._pass(endpoint, part, keys, progress, users)
                    return part.finished()
            except Changed as change:
                failures.append(str(change))
            except Refused as error:
                if error.status in (401, 403):
                    raise self._not_admin(error) from error
                raise SourceIncomplete(f"{error} at {endpoint.path}.") from error
        raise SourceIncomplete(
            f"{endpoint.type} could not be read completely in {PASSES} passes.",
            details=failures,
            hint="Run again when the old deployment is quiet, or stop its writers first.",
        )

    def _pass(self, endpoint: Endpoint, part: PartWriter, keys: Keys, progress: Progress, users: Part | None) -> None:
        if endpoint.type == "skill_passport":
            pages: Iterator[Page] = self._passports(endpoint, users)
        elif endpoint.limit:
            pages = iter([self._limited(endpoint)])
        else:
            pages = self._pages(endpoint)
        for page in pages:
            new = sum(_keep(record, part, keys) for record in page.records)
            if page.records and not new:
                raise Changed("a page came twice: the source ignores paging, or rows moved between pages")
            progress(part.name, part.lines, page.says.get("total"))
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
        params = {"page": number, "per_page": PER_PAGE} if endpoint.paged else {}
        page: Page = self._get(endpoint.path, lambda answer: _page(answer, endpoint.key), **params)
        return page

    def _check_total(self, endpoint: Endpoint, part: PartWriter) -> None:
        """Ask for the total once more, and compare both with the distinct records that came."""
        page: Page = self._get(endpoint.path, lambda a: _page(a, endpoint.key), page=1, per_page=1)
        total = page.says.get("total")
        if total is not None and total != part.lines:
            raise Changed(f"the source says {total} records at the end, and {part.lines} distinct ones came")

    def _limited(self, endpoint: Endpoint) -> Page:
        """A list without pages and total: ask for more than there is."""
        limit = 100_000
        while True:
            page: Page = self._get(endpoint.path, lambda answer: _page(answer, None), limit=limit)
            if len(page.records) < limit:
                return page
            limit *= 10

    def _passports(self, endpoint: Endpoint, users: Part | None) -> Iterator[Page]:
        for line, _ in users.read() if users else ():
            identifier = loads(line.decode())["id"]
            try:
                text = self._get(endpoint.path.format(identifier), _single)
            except Refused as error:
                if error.status != 404:
                    raise
                raise Changed(f"user {identifier} is gone since the users were read") from error
            yield Page([text], {})


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


def record_key(record_type: str, value: Any) -> list[Any]:
    """What tells one record of a type from another.

    :raises Changed: the record has no such key.
    """
    names = NATURAL_KEYS.get(record_type, ("id",))
    if not isinstance(value, dict) or any(name not in value for name in names):
        raise Changed(f"a record without {' and '.join(names)}: {str(value)[:80]}")
    return [value[name] for name in names]


def _keep(record: Found, part: PartWriter, keys: Keys) -> bool:
    text, value = record
    line = text.encode()
    match keys.add(part.name, record_key(part.name, value), hash_line(line)):
        case "new":
            part.add(line)
            return True
        case "repeat":
            part.repeats += 1
            return False
    raise Changed(f"two different records with the key {record_key(part.name, value)}")


def _page(answer: Answer, key: str | None) -> Page:
    """The records of an answer, which is a list or an envelope with a list under ``key``."""
    text = answer.json_text()
    if text.lstrip()[:1] == "[":
        return Page([(raw, value) for raw, value, _ in elements(text, 0)], {})
    records: list[Found] | None = None
    says: dict[str, Any] = {}
    for name, at in members(text):
        if name == key:
            records = [(raw, value) for raw, value, _ in elements(text, at)]
        else:
            says[name] = value_at(text, at)
    if records is None:
        raise StrictJSONError(f"the answer has no list {key!r}")
    says.update(says.pop("pagination", {}))
    if says.get("count", len(records)) != len(records):
        raise StrictJSONError(f"the answer says {says['count']} records and has {len(records)}")
    return Page(records, says)


def _single(answer: Answer) -> Found:
    text = answer.json_text()
    return text.replace("\n", " ").replace("\r", " ").strip(), loads(text)


def _body_token(answer: Answer) -> str | None:
    try:
        body = json.loads(answer.body)
    except ValueError:
        # Older servers answer the log-in with text.
        return None
    token = body.get("token") if isinstance(body, dict) else None
    return token if isinstance(token, str) else None
