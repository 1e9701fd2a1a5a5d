"""Logging in to an old API as it declares, and staying so: a new log-in where the old one is not accepted any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from requests.auth import _basic_auth_str

from ...errors import SourceIncomplete, Unauthorized
from ..addresses import is_sendable
from ..endpoints import APIKeyAuth, Auth, BearerTokenAuth, CookieAuth, HttpBasicAuth
from ..rows.strictjson import StrictJSONError, loads
from .answer import Answer
from .http import ATTEMPTS, HttpClient, Refused, Transient
from .pages import find
from .turns import Headers

T = TypeVar("T")
_NONE: Mapping[str, str] = MappingProxyType({})

CREDENTIALS = (
    "Set FLASK_FERRY_SOURCE_UID and FLASK_FERRY_SOURCE_PASSWORD to an admin of the old deployment, "
    "then run again: flask db-migrate-data"
)
CHECK_URL = "Check the URL: flask db-migrate-data URL"


def needs_uid(auth: Auth | None) -> bool:
    """Whether somebody has to be named."""
    return isinstance(auth, CookieAuth | HttpBasicAuth) or (isinstance(auth, BearerTokenAuth) and auth.path is not None)


class LogIn:
    """Requests to one deployment by somebody who is logged in there.

    :param client: what the first connection asks with.
    :param uid: who logs in; empty where nobody has to be named.
    :param password: or the token, or the key.
    :param headers: sent with every request.
    """

    def __init__(
        self, client: HttpClient, auth: Auth | None, uid: str, password: str, headers: Mapping[str, str] = _NONE
    ) -> None:
        self._client, self._auth, self._headers = client, auth, headers
        self._uid, self._password = uid, password
        self._lock = threading.Lock()
        self._posts = isinstance(auth, CookieAuth | BearerTokenAuth) and auth.path is not None
        self._logged_in = False
        client.before_retry = partial(self._after_failure, client)
        client.leave_redirects(frozenset(getattr(auth, "expired", ())))

    @property
    def is_proved(self) -> bool:
        """Whether :meth:`log_in` itself shows that the credentials are right: a form may be answered by itself."""
        return self._posts and not self.posts_form

    @property
    def posts_form(self) -> bool:
        """Whether the log-in is one that browsers have."""
        return self._posts and getattr(self._auth, "encoding", "") == "form"

    def log_in(self) -> dict[str, str]:
        """Log in and keep what was given for it; returns the cookies.

        :raises Unauthorized: the source refuses uid or password.
        :raises SourceIncomplete: no answer, or one without what is to be sent from then on.
        """
        cookies = self._log_in(self._client)
        self._logged_in = True
        return cookies

    def _log_in(self, client: HttpClient) -> dict[str, str]:
        headers = Headers(self._headers)
        cookies: dict[str, str] = {}
        match self._auth:
            case HttpBasicAuth():
                headers["Authorization"] = _basic_auth_str(self._uid.encode(), self._password.encode())
            case APIKeyAuth(name):
                headers[name] = self._sendable(self._password, "FERRY_SOURCE_PASSWORD")
            case BearerTokenAuth(None):
                headers["Authorization"] = f"Bearer {self._sendable(self._password, 'FERRY_SOURCE_PASSWORD')}"
            case CookieAuth() | BearerTokenAuth() as auth:
                cookies = self._post(client, auth, headers)
        self._client.headers = headers
        return cookies

    def _sendable(self, text: str, what: str) -> str:
        if not text or not is_sendable(text):
            raise Unauthorized(f"{what} is no key or token that a header can hold.", hint=CREDENTIALS)
        return text

    def _post(self, client: HttpClient, auth: CookieAuth | BearerTokenAuth, headers: Headers) -> dict[str, str]:
        """Post the credentials; what the answer gives is put into the headers."""
        answer = self._ask(client, auth, headers)
        token = find_token(answer, auth)
        cookies = answer.cookies if isinstance(auth, CookieAuth) else {}
        if not cookies and not token:
            raise SourceIncomplete(f"{client.base} answered the log-in without a token.", hint=CHECK_URL)
        if cookies:
            cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
            if not is_sendable(cookie):
                raise SourceIncomplete(
                    f"{client.base} answered the log-in with a cookie that no header can hold.", hint=CHECK_URL
                )
            headers["Cookie"] = cookie
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return cookies

    def _ask(self, client: HttpClient, auth: CookieAuth | BearerTokenAuth, headers: Headers) -> Answer:
        path = str(auth.path)
        fields = {auth.uid_field: self._uid, auth.password_field: self._password}
        try:
            if auth.encoding == "form":
                return client.post_form(path, fields, headers)
            return client.post_json(path, fields, headers)
        except Refused as error:
            if error.status in (400, 401, 403, 422):
                raise Unauthorized(
                    f"{client.base} refuses the credentials of {self._uid!r} (status {error.status}).",
                    hint=CREDENTIALS,
                ) from error
            raise SourceIncomplete(
                f"{client.base} has no log-in at {path} (status {error.status}).", hint=CHECK_URL
            ) from error

    def refuse(self, error: Refused) -> Unauthorized:
        """What to raise where somebody who is logged in may not read."""
        who = repr(self._uid) if self._uid else "who has this key"
        return Unauthorized(
            f"{self._client.base}: {who} may not read the export (status {error.status}).", hint=CREDENTIALS
        )

    # Requests

    def open_client(self) -> HttpClient:
        """A client for another thread."""
        client = self._client.open_another()
        client.before_retry = partial(self._after_failure, client)
        return client

    def get(
        self,
        path: str,
        parse: Callable[[Answer], T],
        client: HttpClient | None = None,
        most_bytes: int | None = None,
        **params: Any,
    ) -> T:
        """:meth:`.http.HttpClient.get`, logged in again where that is not accepted any more."""
        client = client or self._client
        for number in range(1, ATTEMPTS + 1):
            try:
                value = client.get(path, parse, *([most_bytes] if most_bytes else []), **params)
            except Refused as error:
                client.sent.accepted = client.sent.accepted or error.status != 401
                if not self._is_expired(error.status) or number == ATTEMPTS or not self._renew(client):
                    raise
            else:
                client.sent.accepted = True
                return value
        raise AssertionError("unreachable")

    def _is_expired(self, status: int | None) -> bool:
        return self._posts and self._logged_in and status in getattr(self._auth, "expired", ())

    def _after_failure(self, client: HttpClient, error: Exception) -> None:
        # Some servers answer a token that expired with 500.
        if isinstance(error, Transient) and self._is_expired(error.status):
            self._renew(client)

    def _renew(self, client: HttpClient) -> bool:
        """Log in once more, unless another connection did so since this one sent its request.

        :return: False where that was of no use: a new token was refused before anything accepted it.
        """
        with self._lock:
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


def find_token(answer: Answer, auth: CookieAuth | BearerTokenAuth) -> str | None:
    """The token in the answer to a log-in."""
    try:
        body = loads(answer.text())
    except StrictJSONError:
        # Older servers answer the log-in with text, and a form with a page.
        return None
    token = find(body, auth.token_selector) if isinstance(body, dict) else None
    return token if isinstance(token, str) and token and is_sendable(token) else None
