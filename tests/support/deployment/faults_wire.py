"""Misbehaviours that change the bytes of a good answer, or how they travel."""

from __future__ import annotations

import gzip as gzip_module
import json
import re
import time
from collections.abc import Iterator

from flask import Response

from .kinds import Stage, misbehaviour
from .sockets import hang_up

LONGEST_DRIP_S = 30.0
NOT_LATIN = re.compile(r"[^\x00-\xff]")


@misbehaviour(Stage.WIRE)
def latin1(response: Response, *, declared: str = "latin-1") -> Response:
    """Send ISO 8859-1, and say so, or with ``declared="utf-8"`` say something else."""
    text = json.dumps(json.loads(response.get_data()), ensure_ascii=False)
    text = NOT_LATIN.sub(lambda match: json.dumps(match[0])[1:-1], text)
    response.set_data(text.encode("latin-1"))
    response.headers["Content-Type"] = f"application/json; charset={declared}"
    return response


@misbehaviour(Stage.WIRE)
def wrong_content_type(response: Response, *, content_type: str = "text/plain; charset=utf-8") -> Response:
    """Send good JSON under another content type."""
    response.headers["Content-Type"] = content_type
    return response


@misbehaviour(Stage.WIRE)
def gzip(response: Response) -> Response:
    """Compress the body; nothing is wrong with that."""
    response.set_data(gzip_module.compress(response.get_data()))
    response.headers["Content-Encoding"] = "gzip"
    return response


@misbehaviour(Stage.WIRE)
def truncated_gzip(response: Response, *, keep: float = 0.5) -> Response:
    """Send the first part of a compressed body, with the length of that part."""
    whole = gzip_module.compress(response.get_data())
    response.set_data(whole[: int(len(whole) * keep)])
    response.headers["Content-Encoding"] = "gzip"
    return response


@misbehaviour(Stage.WIRE)
def slow_drip(
    response: Response, *, chunk_bytes: int = 64, interval_s: float = 0.3, limit_s: float = LONGEST_DRIP_S
) -> Response:
    """Send a few bytes at a time; after ``limit_s`` seconds (at most 30) the rest at once."""
    body = response.get_data()
    response.response = _drops(body, chunk_bytes, interval_s, min(limit_s, LONGEST_DRIP_S))
    response.headers["Content-Length"] = str(len(body))
    return response


def _drops(body: bytes, chunk_bytes: int, interval_s: float, limit_s: float) -> Iterator[bytes]:
    until = time.monotonic() + limit_s
    for start in range(0, len(body), chunk_bytes):
        if time.monotonic() >= until:
            yield body[start:]
            return
        yield body[start : start + chunk_bytes]
        time.sleep(interval_s)


@misbehaviour(Stage.WIRE)
def closed_in_body(response: Response, *, keep: float = 0.5) -> Response:
    """Announce the whole length, send the first part, close the connection."""
    return _cut(response, keep, with_length=True)


@misbehaviour(Stage.WIRE)
def truncated_json(response: Response, *, keep: float = 0.5) -> Response:
    """Send the first part without any length and close: a client sees a complete answer that is no JSON."""
    return _cut(response, keep, with_length=False)


def _cut(response: Response, keep: float, *, with_length: bool) -> Response:
    body = response.get_data()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {response.content_type}\r\nConnection: close\r\n"
    if with_length:
        head += f"Content-Length: {len(body)}\r\n"
    hang_up(f"{head}\r\n".encode() + body[: int(len(body) * keep)])
    return response
