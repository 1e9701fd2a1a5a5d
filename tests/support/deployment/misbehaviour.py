"""What a deployment can do wrong, by name, and the two hooks that make it happen.

A test says ``deployment.misbehave(BAD_GATEWAY, path="/api/export/posts", page=3, times=2)``. The parameters of
a kind are the keyword arguments of the function of that name in ``faults_request``, ``faults_payload`` or
``faults_wire``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Response, current_app, request

from . import faults_payload, faults_request, faults_wire
from .faults_payload import DUPLICATE_MARK
from .kinds import REGISTER, Stage
from .rules import Rule, struck

LOGIN_REFUSED = faults_request.login_refused.__name__
FORBIDDEN = faults_request.forbidden.__name__
UNAUTHORIZED = faults_request.unauthorized.__name__
TOKEN_EXPIRES = faults_request.token_expires.__name__
BAD_TOKEN_500 = faults_request.bad_token_500.__name__
TOO_MANY_REQUESTS = faults_request.too_many_requests.__name__
BAD_GATEWAY = faults_request.bad_gateway.__name__
GATEWAY_TIMEOUT = faults_request.gateway_timeout.__name__
SERVER_ERROR = faults_request.server_error.__name__
TIME_OUT = faults_request.time_out.__name__
SLOW_ROWS = faults_request.slow_rows.__name__
CONNECTION_RESET = faults_request.connection_reset.__name__
HTML_PAGE = faults_request.html_page.__name__
REDIRECT_TO = faults_request.redirect_to.__name__
MISSING_ENDPOINT = faults_request.missing_endpoint.__name__
PAGE_IGNORED = faults_request.page_ignored.__name__
ROWS_ADDED = faults_request.rows_added.__name__
ROWS_REMOVED = faults_request.rows_removed.__name__
DUPLICATE_ROWS = faults_payload.duplicate_rows.__name__
DIFFERING_ROWS = faults_payload.differing_rows.__name__
WRONG_TOTAL = faults_payload.wrong_total.__name__
WRONG_COUNT = faults_payload.wrong_count.__name__
WRONG_HAS_NEXT = faults_payload.wrong_has_next.__name__
SHORT_PAGE = faults_payload.short_page.__name__
NAN = faults_payload.nan.__name__
DUPLICATE_KEY = faults_payload.duplicate_key.__name__
UNKNOWN_KEY = faults_payload.unknown_key.__name__
MISSING_KEY = faults_payload.missing_key.__name__
WRONG_SHAPE = faults_payload.wrong_shape.__name__
LATIN1 = faults_wire.latin1.__name__
WRONG_CONTENT_TYPE = faults_wire.wrong_content_type.__name__
GZIP = faults_wire.gzip.__name__
TRUNCATED_GZIP = faults_wire.truncated_gzip.__name__
SLOW_DRIP = faults_wire.slow_drip.__name__
CLOSED_IN_BODY = faults_wire.closed_in_body.__name__
TRUNCATED_JSON = faults_wire.truncated_json.__name__

MARKED_KEY = re.compile(re.escape(DUPLICATE_MARK))


def rule(
    kind: str,
    *,
    path: str | None = None,
    page: int | None = None,
    times: int | None = None,
    after: int = 0,
    every: int = 1,
    **parameters: Any,
) -> Rule:
    """Return a checked rule.

    :raises ValueError: no such kind, no such parameter of that kind, or a number out of range.
    """
    if kind not in REGISTER:
        raise ValueError(f"No misbehaviour {kind!r}; there are {', '.join(sorted(REGISTER))}.")
    known = REGISTER[kind].parameters
    if strange := sorted(set(parameters) - set(known)):
        raise ValueError(f"{kind} takes {sorted(known) or 'no parameters'}, not {strange}.")
    if after < 0 or every < 1 or (times is not None and times < 1):
        raise ValueError("after is 0 or more; every and times are 1 or more.")
    return Rule(kind, path or REGISTER[kind].path, page, times, after, every, parameters)


def _rules(*stages: Stage) -> Iterator[Rule]:
    """Yield the rules of these stages that happen at the current request, in the order of the stages."""
    directory: Path = current_app.config["DEPLOYMENT_DIRECTORY"]
    page = request.args.get("page", 1, int)
    yield from sorted(struck(directory, request.path, page, lambda one: _stage(one) in stages), key=_stage)


def _stage(found: Rule) -> Stage:
    return REGISTER[found.kind].stage


def before_request() -> Response | None:
    """Let the first misbehaviour that answers answer."""
    for found in _rules(Stage.REQUEST):
        response: Response | None = REGISTER[found.kind].act(**found.parameters)
        if response is not None:
            return response
    return None


def after_request(response: Response) -> Response:
    """Spoil a good answer; any other is bad enough and is not counted."""
    if response.status_code != 200 or not response.is_json:
        return response
    found = list(_rules(Stage.PAYLOAD, Stage.WIRE))
    _change_payload(response, [one for one in found if _stage(one) is Stage.PAYLOAD])
    for one in found:
        if _stage(one) is Stage.WIRE:
            response = REGISTER[one.kind].act(response, **one.parameters)
    return response


def _change_payload(response: Response, found: list[Rule]) -> None:
    """Decode once and encode once: a key that is written twice would not live through a second decoding."""
    if not found:
        return
    payload = json.loads(response.get_data())
    for one in found:
        REGISTER[one.kind].act(payload, **one.parameters)
    response.set_data(MARKED_KEY.sub("", json.dumps(payload)))
