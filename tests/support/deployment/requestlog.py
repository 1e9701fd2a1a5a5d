"""What was asked of a deployment, one JSON line a request, without any secret."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from flask import current_app, g, request

from .settings import REQUESTS

SECRET_KEYS = {"password", "token", "jwt"}
_LOCK = threading.Lock()
_IN_HAND: list[str] = []


@dataclass(frozen=True)
class LoggedRequest:
    """One request.

    :param cookie: whether a cookie came with it; its value is never kept.
    :param authorization: whether an Authorization header came with it.
    :param body: whether it had a body.
    :param at: seconds since the epoch.
    :param together: how many requests this worker process had in hand then, this one included.
    """

    method: str
    path: str
    query: dict[str, str]
    host: str
    cookie: bool
    authorization: bool
    body: bool
    at: float
    together: int = 1

    @property
    def credentials(self) -> bool:
        """Whether anything that could log somebody in came with it."""
        return self.cookie or self.authorization


def safe_query(query: str) -> dict[str, str]:
    """Return a query string as a mapping, secrets masked."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return {key: "***" if key.lower() in SECRET_KEYS else value for key, value in pairs}


def log_request() -> None:
    """Append the current request; the readiness probe of the runner (``/``) is left out."""
    if request.path == "/":
        return
    entry = LoggedRequest(
        method=request.method,
        path=request.path,
        query=safe_query(request.query_string.decode("latin-1")),
        host=request.host,
        cookie="Cookie" in request.headers,
        authorization="Authorization" in request.headers,
        body=bool(request.content_length),
        at=time.time(),
        together=_enter(),
    )
    append(current_app.config["DEPLOYMENT_DIRECTORY"] / REQUESTS, entry)


def forget_request(_error: BaseException | None = None) -> None:
    """The current request is not in hand any more."""
    if g.pop("in_hand", False):
        with _LOCK:
            _IN_HAND.pop()


def _enter() -> int:
    g.in_hand = True
    with _LOCK:
        _IN_HAND.append(request.path)
        return len(_IN_HAND)


def append(file: Path, entry: LoggedRequest) -> None:
    """Add a line in one write, so that lines of several threads and processes do not mix."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, json.dumps(asdict(entry)).encode() + b"\n")
    finally:
        os.close(handle)


def read(file: Path) -> list[LoggedRequest]:
    """Return the requests logged so far, oldest first."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [LoggedRequest(**json.loads(line)) for line in lines]
