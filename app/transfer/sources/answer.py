"""One complete answer: its text, its headers, the cookies it sets, when it asks to be asked again."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import requests

from ..rows.strictjson import StrictJSONError

# Of application/hal+json and the like the suffix says that it is JSON (RFC 6839, 3.1).
_JSON = re.compile(r"application/([a-z0-9.-]+\+)?json")


@dataclass(frozen=True)
class Answer:
    """A complete answer; ``cookies`` are name -> value as ``Set-Cookie`` spelled them.

    :ivar ended: its end was seen: by its length, its last chunk or its compression. Else it may have broken off.
    :ivar headers: of any spelling; of one that came more than once the values, joined by commas.
    """

    status: int
    content_type: str
    body: bytes
    cookies: dict[str, str]
    ended: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

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
        if not _JSON.fullmatch(kind.strip().lower()):
            raise StrictJSONError(f"JSON was expected and {kind.strip() or 'no content type'} came")
        charset = parameters.lower().partition("charset=")[2].strip(' "')
        if charset not in ("", "utf-8", "utf8"):
            raise StrictJSONError(f"the body is said to be {charset}, not UTF-8")
        return self.text()


def set_cookies(response: requests.Response) -> dict[str, str]:
    """Cookies as the server sent them, whatever domain or transport they ask for."""
    cookies: dict[str, str] = {}
    for header in response.raw.headers.getlist("Set-Cookie"):
        name, _, value = header.partition(";")[0].partition("=")
        cookies[name.strip()] = value.strip()
    return cookies


def read_retry_after(text: str | None) -> float | None:
    """``Retry-After`` in seconds: a number or a date (RFC 9110, 10.2.3)."""
    if not text:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
