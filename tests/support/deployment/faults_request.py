"""Misbehaviours that answer in place of the view, or act before it."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from flask import Response, current_app, g, make_response, redirect, request

from . import writes
from .export import FIRST_PAGE_ONLY, FORK_KINDS, KINDS
from .kinds import ANY_API, LOGIN, Stage, misbehaviour
from .rules import next_number
from .sockets import hang_up, wait
from .tokens import bad_token, problem, sent_token

LOGIN_PAGE = "<!doctype html><title>Log in</title><form method=post><input name=uid></form>"


def html(body: str, status: int) -> Response:
    """Return an HTML answer."""
    response = make_response(body, status)
    response.mimetype = "text/html"
    return response


@misbehaviour(Stage.REQUEST, LOGIN)
def login_refused() -> Response:
    """Refuse a right password."""
    return problem(401, "Invalid user id or password", "Unauthorized")


@misbehaviour(Stage.REQUEST)
def forbidden() -> Response:
    """Answer 403."""
    return problem(403, "Insufficient permissions", "Forbidden")


@misbehaviour(Stage.REQUEST)
def unauthorized() -> Response:
    """Answer as to a bad token (401, in older versions 500)."""
    return bad_token()


@misbehaviour(Stage.REQUEST)
def token_expires(*, requests: int = 5) -> Response | None:
    """Let each token serve this many matching requests; a new log-in gives a new token."""
    token = sent_token()
    if token is None:
        return None
    name = "token-" + hashlib.sha256(token.encode()).hexdigest()[:16]
    served = next_number(current_app.config["DEPLOYMENT_DIRECTORY"], name)
    return bad_token() if served >= requests else None


@misbehaviour(Stage.REQUEST, ANY_API)
def bad_token_500() -> None:
    """Answer 500 to a bad token, as older versions do."""
    g.bad_token_is_500 = True


@misbehaviour(Stage.REQUEST, ANY_API)
def too_many_requests(*, retry_after: int | str | None = 1) -> Response:
    """Answer 429; ``retry_after`` is seconds, an HTTP date, or None for no header."""
    response = problem(429, "Too many requests", "Too Many Requests")
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


@misbehaviour(Stage.REQUEST)
def bad_gateway(*, status: int = 502, retry_after: int | str | None = None) -> Response:
    """Answer as a proxy does whose server is away: HTML."""
    response = html(f"<html><head><title>{status} Bad Gateway</title></head><body>nginx</body></html>", status)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


@misbehaviour(Stage.REQUEST)
def gateway_timeout(*, above: int = 200) -> Response | None:
    """Answer 504 with HTML when more than ``above`` records a page are asked for, or everything."""
    per_page = request.args.get("per_page", 50, int)
    too_large = per_page > above or request.path.endswith("/all")
    return html("<html><title>504 Gateway Time-out</title></html>", 504) if too_large else None


@misbehaviour(Stage.REQUEST)
def server_error() -> Response:
    """Answer 500 with JSON."""
    return problem(500, "Something went wrong", "Internal Server Error")


@misbehaviour(Stage.REQUEST)
def time_out(*, seconds: float = 5.0) -> None:
    """Wait before the answer, at most five minutes; ends early when the client leaves."""
    wait(seconds)


@misbehaviour(Stage.REQUEST)
def slow_rows(*, milliseconds: float = 9.0) -> None:
    """Wait this long for each record asked for, at most five minutes."""
    wait(request.args.get("per_page", 50, int) * milliseconds / 1000)


@misbehaviour(Stage.REQUEST, ANY_API)
def connection_reset() -> Response:
    """Close the connection without an answer."""
    hang_up(b"")
    return Response()


@misbehaviour(Stage.REQUEST)
def html_page(*, body: str = LOGIN_PAGE) -> Response:
    """Answer an HTML page with status 200."""
    return html(body, 200)


@misbehaviour(Stage.REQUEST)
def redirect_to(*, url: str = "http://127.0.0.2/", status: int = 302) -> Response:
    """Redirect to the same path on the scheme, host and port of ``url``."""
    other = urlsplit(url)
    target = urlsplit(request.url)._replace(scheme=other.scheme, netloc=other.netloc)
    return make_response(redirect(target.geturl(), status))


@misbehaviour(Stage.REQUEST)
def missing_endpoint() -> Response:
    """Answer 404 with HTML, as for a type the version does not have."""
    return html("<!doctype html><title>404 Not Found</title><h1>Not Found</h1>", 404)


@misbehaviour(Stage.REQUEST)
def page_ignored(*, mode: str = FIRST_PAGE_ONLY) -> None:
    """Serve page 1 to everybody who asks for a page, or with ``everything`` all rows each time."""
    g.page_ignored = mode


@misbehaviour(Stage.REQUEST)
def rows_added(*, table: str | None = None, rows: int = 1) -> None:
    """Really add rows before the page is read, with ids below all others if there is room."""
    writes.add(table or _table(), rows)


@misbehaviour(Stage.REQUEST)
def rows_removed(*, table: str | None = None, rows: int = 1) -> None:
    """Really remove the rows with the lowest ids that nothing refers to, before the page is read."""
    writes.remove(table or _table(), rows)


def _table() -> str:
    """Return the table of the export type that is asked for; ``users`` elsewhere."""
    name = request.path.rpartition("/")[2]
    kind = (KINDS | FORK_KINDS).get(name)
    return kind.table if kind else "users"
