"""HTTP without a loss: what ``requests`` lets pass, this refuses.

A body may end early without an error (no length, truncated gzip), bytes that are not UTF-8 are replaced, time-outs
count per read, and redirects are followed with other hosts in sight. Here every answer has a deadline as a whole, is
checked for its end, type and encoding, and a redirect to another host is an error: credentials are sent to one host.
"""

from __future__ import annotations

import contextlib
import random
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from ...errors import SourceIncomplete
from ..strictjson import StrictJSONError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
RETRY_BUDGET_S = 60.0
ATTEMPTS = 5
AGAIN = "Run again when the source answers: flask db-migrate-data"
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


@dataclass(frozen=True)
class Answer:
    """A complete answer; ``cookies`` are name -> value as ``Set-Cookie`` spelled them."""

    status: int
    content_type: str
    body: bytes
    cookies: dict[str, str]

    def text(self) -> str:
        """The body as text, strictly UTF-8.

        :raises StrictJSONError: the body is not UTF-8.
        """
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise StrictJSONError(f"the body is not UTF-8: byte {error.start}") from error

    def json_text(self) -> str:
        """The body as text, which says of itself that it is JSON.

        :raises StrictJSONError: it does not, or is not UTF-8.
        """
        kind, _, parameters = self.content_type.partition(";")
        if kind.strip().lower() != "application/json":
            raise StrictJSONError(f"JSON was expected and {kind.strip() or 'no content type'} came")
        charset = parameters.lower().partition("charset=")[2].strip(' "')
        if charset not in ("", "utf-8", "utf8"):
            raise StrictJSONError(f"the body is said to be {charset}, not UTF-8")
        return self.text()


class HttpClient:
    """Requests to one deployment.

    :param base: ``https://host[/prefix]``.
    :param timeout_s: for one answer as a whole, from the request to its last byte.
    :param tls_ca: a CA file instead of the system's.
    """

    def __init__(self, base: str, *, timeout_s: float, tls_ca: Path | None = None) -> None:
        self.base = base
        self.timeout_s = timeout_s
        self.headers: dict[str, str] = {}
        self._until: float | None = None
        self.before_retry: Callable[[Exception], None] = lambda _error: None
        self._session = requests.Session()
        # The cookie jar would drop a cookie whose Domain is another name of this host; the token is sent by hand.
        self._session.cookies.set_policy(_NoCookies())
        self._session.mount("http://", HTTPAdapter(max_retries=0))
        self._session.mount("https://", HTTPAdapter(max_retries=0))
        # Given with each request: else REQUESTS_CA_BUNDLE in the environment would come first.
        self._verify = str(tls_ca) if tls_ca else None
        # Credentials are ours alone: without this, requests would send those of a .netrc in their place.
        self._session.auth = lambda request: request
        self._session.headers.update({"User-Agent": "flask-ferry", "Accept-Encoding": "gzip"})

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, parse: Callable[[Answer], T], **params: Any) -> T:
        """GET with retries; ``parse`` is part of the attempt, so that a truncated answer is asked for again.

        :raises Refused: a final status.
        :raises SourceIncomplete: no complete answer within the attempts and their time.
        """
        shown = path + ("?" + "&".join(f"{name}={value}" for name, value in params.items()) if params else "")
        return self._retried(f"GET {shown}", lambda: parse(self._complete(self._request("GET", path, params=params))))

    def post_json(self, path: str, body: Any) -> Answer:
        """POST once more only where nothing was answered; the same failures as :meth:`get`."""
        return self._retried(f"POST {path}", lambda: self._complete(self._request("POST", path, json=body)))

    @contextlib.contextmanager
    def stream(self, path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        """GET a long body, decompressed, piece by piece; the time-out counts per piece.

        :raises Refused: a final status.
        :raises Transient: the connection broke; what came so far is worthless.
        """
        self._until = None
        response, _ = self._request("GET", path, params=params)
        with contextlib.closing(response):
            self._check_status(response)
            yield self._pieces(response, deadline=None)

    def _retried(self, what: str, attempt: Callable[[], T]) -> T:
        retried_until: float | None = None
        for number in range(1, ATTEMPTS + 1):
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
                time.sleep(wait_s)
                self.before_retry(error)
        raise AssertionError("unreachable")

    def _wait(self, number: int, error: Exception) -> float:
        asked = error.wait_s if isinstance(error, Transient) else None
        # Starts at a sixtieth of the time-out, doubles, with jitter so that two clients do not stay in step.
        own: float = self.timeout_s / 60 * 2 ** (number - 1) * random.uniform(0.8, 1.2)  # noqa: S311 # not for secrecy
        return max(own, asked or 0.0)

    def _request(self, method: str, path: str, **arguments: Any) -> tuple[requests.Response, float]:
        url = self.base + path
        # A retry has what is left for all of them together.
        left_s = self.timeout_s if self._until is None else self._until - time.monotonic()
        timeout_s = max(0.1, min(self.timeout_s, left_s))
        deadline = time.monotonic() + timeout_s
        for _ in range(5):
            try:
                response = self._session.request(
                    method,
                    url,
                    headers=self.headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(min(10.0, timeout_s), timeout_s),
                    verify=self._verify,
                    **arguments,
                )
            except requests.exceptions.SSLError as error:
                raise SourceIncomplete(
                    f"{self.base}: the TLS certificate is refused: {_words(error)}.",
                    hint="Set FERRY_TLS_CA to the file of the CA that signed it.",
                ) from error
            except requests.exceptions.RequestException as error:
                raise Transient(_words(error)) from error
            except ValueError as error:
                # requests looks at where a redirect leads even when it is not to follow it.
                raise SourceIncomplete(
                    f"{self.base}{path} redirects to what is no URL: {error}.", hint=AGAIN
                ) from error
            if response.status_code not in _REDIRECTS:
                return response, deadline
            url = self._redirected(url, response)
            arguments.pop("params", None)
        raise SourceIncomplete(
            f"{self.base}{path} redirects without an end.", hint="Check the URL: flask db-migrate-data URL"
        )

    def _redirected(self, url: str, response: requests.Response) -> str:
        response.close()
        try:
            target = urljoin(url, response.headers.get("Location", ""))
            there = urlsplit(target)
        except ValueError as error:
            raise SourceIncomplete(f"{self.base} redirects to what is no URL.", hint=AGAIN) from error
        if there[:2] != urlsplit(url)[:2]:
            raise SourceIncomplete(
                f"{self.base} redirects to another host, {there.scheme}://{there.netloc}; "
                "no credentials were sent there.",
                hint=f"If that is the deployment: flask db-migrate-data {there.scheme}://{there.netloc}",
            )
        return target

    def _complete(self, answered: tuple[requests.Response, float]) -> Answer:
        response, deadline = answered
        with contextlib.closing(response):
            self._check_status(response)
            body = b"".join(self._pieces(response, deadline))
        return Answer(response.status_code, response.headers.get("Content-Type", ""), body, set_cookies(response))

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in RETRIED:
            wait_s = _retry_after(response.headers.get("Retry-After"))
            raise Transient(f"status {status}", status=status, wait_s=wait_s)
        if status != 200:
            raise Refused(status, f"{self.base}: status {status}", response.headers.get("Content-Type", ""))

    def _pieces(self, response: requests.Response, deadline: float | None) -> Iterator[bytes]:
        gzipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
        inflate = zlib.decompressobj(wbits=31) if gzipped else None
        try:
            while piece := response.raw.read1(1 << 16, decode_content=False):
                if deadline is not None and time.monotonic() > deadline:
                    raise Transient(f"the answer was not complete after {self.timeout_s:g} s")
                yield inflate.decompress(piece) if inflate else piece
        except (HTTPError, zlib.error, OSError) as error:
            raise Transient(f"the answer broke off: {_words(error)}") from error
        if inflate and not inflate.eof:
            raise Transient("the compressed answer ends too early")
        if inflate and inflate.unused_data:
            raise Transient("there are bytes behind the compressed answer")


def set_cookies(response: requests.Response) -> dict[str, str]:
    """Cookies as the server sent them, whatever domain or transport they ask for."""
    found: dict[str, str] = {}
    for header in response.raw.headers.getlist("Set-Cookie"):
        name, _, value = header.partition(";")[0].partition("=")
        found[name.strip()] = value.strip()
    return found


def _retry_after(text: str | None) -> float | None:
    """``Retry-After`` in seconds: a number or a date (RFC 9110, 10.2.3)."""
    if not text:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _words(error: BaseException) -> str:
    """The innermost reason, without addresses of Python objects."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__


class _NoCookies(requests.cookies.cookielib.DefaultCookiePolicy):  # type: ignore[name-defined, misc] # a re-export
    def set_ok(self, *_: object) -> bool:
        return False
