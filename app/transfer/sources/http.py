"""HTTP without a loss: what ``requests`` lets pass, this refuses.

A body may end early without an error (no length, truncated gzip), bytes that are not UTF-8 are replaced, time-outs
count per read, and redirects are followed with other hosts in sight. Here every answer has a deadline as a whole
(:mod:`.wire`) and a largest size, is checked for its end, type and encoding, and a redirect to another host is an
error: credentials are sent to one host.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from ...errors import SourceIncomplete
from ..addresses import is_inside
from ..rows.strictjson import NotKept, StrictJSONError, TooMany
from .answer import Answer, read_retry_after, set_cookies
from .base import AGAIN as AGAIN
from .reasons import TIMED_OUT, explain_tls, words_of
from .turns import Common, Headers, sleep
from .wire import PIECE_BYTES, Adapter, Clock, Pace, inflate

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
OVERLOADED = frozenset({429, 503, 504, None})
"""What a deployment answers that cannot serve several connections at once; None: nothing."""
RETRY_BUDGET_S = 60.0
ATTEMPTS = 5
FIX = "Fix it in the old deployment, then run again: flask db-migrate-data"
MOST_BYTES = 64 << 20
"""Of an answer with records, decompressed. It is parsed as a whole, and takes some times as much memory."""
MOST_SMALL_BYTES = 1 << 20
"""Of any other answer: a log-in, or what is asked before anybody has logged in."""
CREATED = frozenset({201, 204})
SEE_OTHER = frozenset({302, 303})
"""What a log-in form is answered with when all is well."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

T = TypeVar("T")


class Transient(Exception):
    """A failure that a further attempt may cure; ``wait_s`` is what the server asked for."""

    def __init__(self, words: str, *, status: int | None = None, wait_s: float | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.wait_s = wait_s


class Refused(Exception):
    """A final answer with a status of its own meaning: 401, 403, 404, ..."""

    def __init__(self, status: int, words: str, content_type: str = "") -> None:
        super().__init__(words)
        self.status = status
        self.content_type = content_type


class TooLarge(SourceIncomplete):
    """An answer of more bytes, decompressed, than this program takes."""


class HttpClient:
    """Requests to one deployment, by one thread at a time.

    :param base: ``https://host[/prefix]``.
    :param timeout_s: for one answer as a whole, from the request to its last byte.
    :param tls_ca: a CA file instead of the system's.
    :param beside: another client of this deployment; headers, turns and pauses are common to both.
    :ivar sent: the headers of the last request.
    """

    def __init__(
        self, base: str, *, timeout_s: float, tls_ca: Path | None = None, beside: HttpClient | None = None
    ) -> None:
        self.base = base
        self.timeout_s = timeout_s
        self._common: Common = beside._common if beside else Common()
        self._turns = self._common.turns
        self.sent = self.headers
        self._stop = threading.Event()
        self._until: float | None = None
        self.before_retry: Callable[[Exception], None] = lambda _error: None
        self._session = requests.Session()
        # The cookie jar would drop a cookie whose Domain is another name of this host; the token is sent by hand.
        self._session.cookies.set_policy(_NoCookies())
        self._clock = Clock()
        self._session.mount("http://", Adapter(self._clock))
        self._session.mount("https://", Adapter(self._clock))
        # Given with each request: else REQUESTS_CA_BUNDLE in the environment would come first.
        self._verify = str(tls_ca) if tls_ca else None
        self._tls_ca = tls_ca
        # Credentials are ours alone: without this, requests would send those of a .netrc in their place.
        self._session.auth = lambda request: request
        self._session.headers.update({"User-Agent": "flask-ferry", "Accept-Encoding": "gzip"})

    @property
    def headers(self) -> Headers:
        """Sent with every request."""
        return self._common.headers

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self._common.headers = headers

    def limit_rate(self, per_second: float | None) -> None:
        """Let all clients of this deployment together begin so many requests a second, at most."""
        self._turns.interval_s = 1 / per_second if per_second else 0.0

    def leave_redirects(self, statuses: frozenset[int]) -> None:
        """Let no client of this deployment follow redirects of these statuses: they are refusals."""
        self._common.left = statuses

    def close(self) -> None:
        self._session.close()

    def open_another(self) -> HttpClient:
        """A client of this deployment for another thread."""
        return HttpClient(self.base, timeout_s=self.timeout_s, tls_ca=self._tls_ca, beside=self)

    def stop(self) -> None:
        """End the request in hand, and all later ones; called by another thread than the one that waits."""
        self._stop.set()
        self._clock.stop()

    def get(self, path: str, parse: Callable[[Answer], T], most_bytes: int = MOST_BYTES, **params: Any) -> T:
        """GET with retries; ``parse`` is part of the attempt, so that a truncated answer is asked for again.

        :param path: what stands in it behind a question mark may be a secret, and is in no message.
        :param most_bytes: of the answer's body, decompressed.
        :raises Refused: a final status.
        :raises TooLarge: the answer is larger.
        :raises SourceIncomplete: no complete answer within the attempts and their time, or one that cannot be kept.
        """
        address = path.partition("?")[0] + (
            "?" + "&".join(f"{name}={value}" for name, value in params.items()) if params else ""
        )
        what = f"GET {address}"

        def attempt() -> T:
            answer = self._complete(self._request("GET", path, params=params), what, most_bytes)
            return self._parse(answer, parse, what)

        with self._turns.turn(self._stop) as turn:
            return self._retry(what, attempt, turn.wait)

    def _parse(self, answer: Answer, parse: Callable[[Answer], T], what: str) -> T:
        try:
            return parse(answer)
        except TooMany as error:
            raise self._too_large(what, str(error)) from error
        except NotKept as error:
            if not answer.ended:
                raise
            # Its end was seen: it will say the same again.
            raise SourceIncomplete(f"{self.base}: {what} answers what cannot be kept: {error}.", hint=FIX) from error

    def post_json(self, path: str, body: Any, headers: Headers | None = None) -> Answer:
        """POST once more only where nothing was answered; the same failures as :meth:`get`.

        It waits for no turn: who has one may be waiting for this answer.
        """
        return self._post(path, headers, CREATED, json=body)

    def post_form(self, path: str, fields: Mapping[str, str], headers: Headers | None = None) -> Answer:
        """The same as a browser sends a form; where the answer leads elsewhere, that is not followed."""
        return self._post(path, headers, CREATED | SEE_OTHER, data=dict(fields))

    def _post(self, path: str, headers: Headers | None, accepted: frozenset[int], **body: Any) -> Answer:
        what = f"POST {path}"

        def attempt() -> Answer:
            response = self._request("POST", path, headers, accepted, **body)
            return self._complete(response, what, MOST_SMALL_BYTES, accepted)

        return self._retry(what, attempt, lambda: self._turns.wait_for_pause(self._stop))

    @contextlib.contextmanager
    def stream(self, path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        """GET a long body, decompressed, piece by piece; it has to keep a pace (:class:`.wire.Pace`).

        :raises Refused: a final status.
        :raises Transient: the connection broke, or is too slow; what came so far is worthless.
        """
        self._until = None
        response = self._request("GET", path, params=params)
        with contextlib.closing(response):
            self._check_status(response)
            pace = Pace(self._clock, 2 * self.timeout_s)
            yield self._pieces(
                response,
                lambda: pace.read(response, PIECE_BYTES >> 4),
                f"the stream was silent, or too slow, for {2 * self.timeout_s:g} s",
            )

    def _retry(self, what: str, attempt: Callable[[], T], wait_until_due: Callable[[], float]) -> T:
        retried_until: float | None = None
        for number in range(1, ATTEMPTS + 1):
            waited_s = wait_until_due()
            # What others made it wait for is none of its own time.
            retried_until = retried_until and retried_until + waited_s
            try:
                self._until = retried_until
                return attempt()
            except (Transient, StrictJSONError) as error:
                retried_until = retried_until or time.monotonic() + RETRY_BUDGET_S
                wait_s = self._wait(number, error)
                if number == ATTEMPTS or time.monotonic() + wait_s >= retried_until:
                    raise SourceIncomplete(
                        f"{self.base}: {what} failed {number} times; the last time: {error}.",
                        hint=AGAIN,
                    ) from error
                self._slow_down(number, error, wait_s)
                sleep(wait_s, self._stop)
                self.before_retry(error)
        raise AssertionError("unreachable")

    def _slow_down(self, number: int, error: Exception, wait_s: float) -> None:
        """Let the other connections heed what this one was answered."""
        status = error.status if isinstance(error, Transient) else 0
        if number > 1 or status in OVERLOADED:
            self._turns.one_at_a_time = True
        if status == 429 or (isinstance(error, Transient) and error.wait_s is not None):
            self._turns.pause(wait_s)

    def _wait(self, number: int, error: Exception) -> float:
        wait_s = error.wait_s if isinstance(error, Transient) else None
        # Starts at a sixtieth of the time-out, doubles, with jitter so that two clients do not stay in step.
        backoff_s: float = self.timeout_s / 60 * 2 ** (number - 1) * random.uniform(0.8, 1.2)  # noqa: S311 # not for secrecy
        return max(backoff_s, wait_s or 0.0)

    def _request(
        self,
        method: str,
        path: str,
        headers: Headers | None = None,
        accepted: frozenset[int] = frozenset(),
        **arguments: Any,
    ) -> requests.Response:
        url = self.base + path
        place = url.partition("?")[0]
        self.sent = self.headers if headers is None else headers
        # A retry has what is left for all of them together.
        left_s = self.timeout_s if self._until is None else self._until - time.monotonic()
        timeout_s = max(0.1, min(self.timeout_s, left_s))
        self._clock.allow(timeout_s)
        for _ in range(5):
            try:
                response = self._session.request(
                    method,
                    url,
                    headers=self.sent,
                    stream=True,
                    allow_redirects=False,
                    timeout=timeout_s,
                    verify=self._verify,
                    **arguments,
                )
            except requests.exceptions.SSLError as error:
                raise explain_tls(self.base, error) from error
            except requests.exceptions.InvalidHeader:
                # Its words are the header, which may be a key: for nobody to see.
                raise SourceIncomplete(f"{place} was to be asked with a header that none can be.", hint=FIX) from None
            except (requests.exceptions.RequestException, HTTPError) as error:
                raise Transient(words_of(error)) from error
            except ValueError as error:
                # requests looks at where a redirect leads even when it is not to follow it.
                raise SourceIncomplete(f"{place} redirects to what is no URL.", hint=AGAIN) from error
            if response.status_code not in _REDIRECTS - accepted - self._common.left:
                return response
            url = self._follow(url, response)
            arguments.pop("params", None)
        raise SourceIncomplete(f"{place} redirects without an end.", hint="Check the URL: flask db-migrate-data URL")

    def _follow(self, url: str, response: requests.Response) -> str:
        response.close()
        try:
            target = urljoin(url, response.headers.get("Location", ""))
            there = urlsplit(target)
        except ValueError as error:
            raise SourceIncomplete(f"{self.base} redirects to what is no URL.", hint=AGAIN) from error
        # What stands before an @ may be a password.
        host = f"{there.scheme}://{there.netloc.rpartition('@')[2]}"
        if there[:2] != urlsplit(url)[:2]:
            raise SourceIncomplete(
                f"{self.base} redirects to another host, {host}; no credentials were sent there.",
                hint=f"If that is the deployment: flask db-migrate-data {host}",
            )
        if not is_inside(there.path, urlsplit(self.base).path):
            raise SourceIncomplete(
                f"{self.base} redirects to {there.path}, which is not of this deployment; nothing was sent there.",
                hint=f"If the deployment is there as well: flask db-migrate-data {host}",
            )
        return target

    def _complete(
        self, response: requests.Response, what: str, most_bytes: int, accepted: frozenset[int] = frozenset()
    ) -> Answer:
        with contextlib.closing(response):
            self._check_status(response, accepted)
            late = f"the answer was not complete after {self.timeout_s:g} s"
            pieces = self._pieces(response, lambda: response.raw.read1(PIECE_BYTES >> 4, decode_content=False), late)
            body = bytearray()
            for piece in pieces:
                body += piece
                if len(body) > most_bytes:
                    raise self._too_large(what, f"more than {most_bytes >> 20} MiB, decompressed")
        headers = response.headers
        ended = any(name in headers for name in ("Content-Length", "Transfer-Encoding")) or _is_gzip(response)
        kind, cookies = headers.get("Content-Type", ""), set_cookies(response)
        return Answer(response.status_code, kind, bytes(body), cookies, ended, headers)

    def _too_large(self, what: str, size: str) -> TooLarge:
        return TooLarge(
            f"{self.base}: the answer to {what} has {size}.",
            hint="Check the URL, or give the old deployment's database in its place: flask db-migrate-data SOURCE",
        )

    def _check_status(self, response: requests.Response, accepted: frozenset[int] = frozenset()) -> None:
        status = response.status_code
        if status in RETRIED:
            wait_s = read_retry_after(response.headers.get("Retry-After"))
            raise Transient(f"status {status}", status=status, wait_s=wait_s)
        if status != 200 and status not in accepted:
            raise Refused(status, f"{self.base}: status {status}", response.headers.get("Content-Type", ""))

    def _pieces(self, response: requests.Response, read_piece: Callable[[], bytes], late: str) -> Iterator[bytes]:
        """The body, decompressed.

        :param read_piece: the next bytes as they travel.
        :param late: what to say when they do not come in time.
        """
        pieces: Iterator[bytes] = iter(read_piece, b"")
        try:
            yield from inflate(pieces) if _is_gzip(response) else pieces
        except EOFError as error:
            raise Transient(str(error)) from error
        except (HTTPError, zlib.error, OSError) as error:
            words = words_of(error)
            raise Transient(late if words == TIMED_OUT else f"the answer broke off: {words}") from error


def _is_gzip(response: requests.Response) -> bool:
    return bool(response.headers.get("Content-Encoding", "").lower() == "gzip")


class _NoCookies(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[name-defined, misc] # a re-export
    def set_ok(self, *_: object) -> bool:
        return False
