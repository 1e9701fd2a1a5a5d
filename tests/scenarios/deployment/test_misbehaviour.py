"""A deployment does wrong what a test asks for, that often and no more."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.deployment import misbehaviour as wrong
from tests.support.deployment.kinds import REGISTER
from tests.support.deployment.otherhost import OtherHost
from tests.support.deployment.rules import Rule
from tests.support.deployment.runner import Deployment
from tests.support.limits import no_endless_wait

from .conftest import SMALL
from .test_deployment import POSTS, pages


def test_every_misbehaviour_has_a_constant() -> None:
    assert {getattr(wrong, name.upper()) for name in REGISTER} == set(REGISTER)


@pytest.mark.parametrize(
    "given", [{"kind": "nonsense"}, {"kind": wrong.NAN, "nonsense": 1}, {"kind": wrong.NAN, "every": 0}]
)
def test_a_misspelled_rule_is_refused(newer: Deployment, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"misbehaviour|takes|every"):
        newer.misbehave(**given)


@pytest.mark.parametrize(
    ("when", "strikes"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"times": 2}, [0, 1]),
        ({"after": 4}, [4, 5]),
        ({"after": 1, "times": 1}, [1]),
        ({"every": 3}, [2, 5]),
        ({"every": 2, "times": 1, "after": 1}, [2]),
    ],
)
def test_when_a_rule_strikes(when: dict[str, int], strikes: list[int]) -> None:
    assert [n for n in range(6) if Rule("nan", "*", **when).strikes(n)] == strikes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "parameters", "status", "content_type"),
    [
        (wrong.FORBIDDEN, {}, 403, "application/json"),
        (wrong.UNAUTHORIZED, {}, 401, "application/json"),
        (wrong.TOO_MANY_REQUESTS, {"retry_after": 3}, 429, "application/json"),
        (wrong.BAD_GATEWAY, {}, 502, "text/html"),
        (wrong.BAD_GATEWAY, {"status": 503}, 503, "text/html"),
        (wrong.GATEWAY_TIMEOUT, {"above": 40}, 504, "text/html"),
        (wrong.GATEWAY_TIMEOUT, {"above": 60}, 200, "application/json"),
        (wrong.SERVER_ERROR, {}, 500, "application/json"),
        (wrong.HTML_PAGE, {}, 200, "text/html"),
        (wrong.MISSING_ENDPOINT, {}, 404, "text/html"),
        (wrong.WRONG_CONTENT_TYPE, {}, 200, "text/plain"),
        (wrong.GZIP, {}, 200, "application/json"),
    ],
)
def test_wrong_answers(
    newer: Deployment,
    admin: dict[str, str],
    kind: str,
    parameters: dict[str, Any],
    status: int,
    content_type: str,
) -> None:
    newer.misbehave(kind, path=POSTS, times=1, **parameters)
    answer = newer.get(POSTS, admin)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].split(";")[0] == content_type
    assert answer.headers.get("Retry-After") == ("3" if status == 429 else None)
    assert newer.get(POSTS, admin).headers["Content-Type"] == "application/json"


def test_a_rule_is_for_its_page_and_its_times(newer: Deployment, admin: dict[str, str]) -> None:
    rule = newer.misbehave(wrong.BAD_GATEWAY, path=POSTS, page=3, times=2)
    statuses = [newer.get(POSTS, admin, page=page).status_code for page in (1, 2, 3, 3, 3, 4)]
    assert statuses == [200, 200, 502, 502, 200, 200]
    assert newer.matched(rule) == 3


def test_login_refused(newer: Deployment) -> None:
    newer.misbehave(wrong.LOGIN_REFUSED)
    with pytest.raises(requests.HTTPError, match="401"):
        newer.log_in()


def test_each_token_expires_after_some_requests(newer: Deployment) -> None:
    newer.misbehave(wrong.TOKEN_EXPIRES, requests=2)
    for _ in range(2):
        headers = newer.log_in()
        assert [newer.get(POSTS, headers).status_code for _ in range(3)] == [200, 200, 401]


def test_bad_token_500(newer: Deployment) -> None:
    newer.misbehave(wrong.BAD_TOKEN_500)
    assert newer.get(POSTS, {"Cookie": "jwt_python_flask=bad"}).status_code == 500


def test_time_out_does_not_keep_threads(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.TIME_OUT, path=POSTS, times=6, seconds=20)
    for _ in range(6):
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{newer.url}{POSTS}", headers=admin, timeout=0.15)
    assert newer.get(POSTS, admin).status_code == 200


def test_slow_drip(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.SLOW_DRIP, chunk_bytes=10, interval_s=0.05, limit_s=0.5)
    start = time.monotonic()
    # Without its limit it would take longer than the client waits.
    with no_endless_wait():
        assert newer.get(POSTS, admin).json()["count"] == 50
    assert time.monotonic() - start > 0.4


def test_connection_closed_in_the_body_or_before_it(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.CLOSED_IN_BODY, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        newer.get(POSTS, admin)
    newer.misbehave(wrong.CONNECTION_RESET, times=1)
    with pytest.raises(requests.ConnectionError):
        newer.get(POSTS, admin)
    assert newer.get(POSTS, admin).status_code == 200


def test_truncated_json_looks_complete(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.TRUNCATED_JSON, times=1)
    answer = newer.get(POSTS, admin)
    assert answer.status_code == 200
    assert "Content-Length" not in answer.headers
    with pytest.raises(ValueError, match="line"):
        answer.json()


def test_truncated_gzip(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.TRUNCATED_GZIP, times=1)
    with requests.get(f"{newer.url}{POSTS}", headers=admin, stream=True, timeout=9) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        raw = answer.raw.read(decode_content=False)
    assert len(raw) == int(answer.headers["Content-Length"])
    assert raw[:2] == b"\x1f\x8b"


def test_redirect_to_another_host(newer: Deployment, admin: dict[str, str]) -> None:
    with OtherHost() as other:
        newer.misbehave(wrong.REDIRECT_TO, url=other.url, status=307)
        answer = newer.get(POSTS, admin, page=2)
        assert (answer.status_code, answer.headers["Location"]) == (307, f"{other.url}{POSTS}?page=2")
        assert other.requests == []
        requests.get(answer.headers["Location"], headers=admin, timeout=9)
        assert [(r.path, r.query, r.credentials) for r in other.requests] == [(POSTS, {"page": "2"}, True)]


def test_page_ignored(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.PAGE_IGNORED, path=POSTS)
    first, second = (newer.get(POSTS, admin, page=page).json() for page in (1, 2))
    assert first["posts"] == second["posts"]
    assert second["has_next"]
    newer.behave()
    newer.misbehave(wrong.PAGE_IGNORED, path=POSTS, mode="everything")
    everything = newer.get(POSTS, admin, page=2).json()
    assert everything["count"] == everything["total"]


def test_rows_added_and_removed_between_pages(tmp_path: Path) -> None:
    with Deployment(tmp_path, shape=SMALL) as deployment:
        headers, before = deployment.log_in(), deployment.counts()
        deployment.misbehave(wrong.ROWS_ADDED, path=POSTS, page=2, times=1)
        ids = [p["id"] for p in pages(deployment, headers, "posts", 50)]
        assert len(ids) == before["posts"] + 1  # the last of page 1 came again, the new row was never seen
        assert len(set(ids)) == before["posts"]
        deployment.misbehave(wrong.ROWS_REMOVED, path=POSTS, page=2, times=1, rows=2)
        ids = [p["id"] for p in pages(deployment, headers, "posts", 50)]
        assert len(ids) == len(set(ids)) == before["posts"] - 1  # 121 rows, of which two fell between the pages
        assert deployment.counts()["posts"] == before["posts"] - 1
        for table in ("users", "topics", "sections", "personas"):
            deployment.misbehave(wrong.ROWS_ADDED, path="/api/export/feedback", times=1, table=table)
            deployment.get("/api/export/feedback", headers)
            assert deployment.counts()[table] == before[table] + 1
            deployment.behave()


def test_duplicate_rows(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.DUPLICATE_ROWS, path=POSTS)
    first, second = (newer.get(POSTS, admin, page=page).json() for page in (1, 2))
    assert second["posts"][0] == first["posts"][-1]
    assert second["count"] == len(second["posts"]) == 51
    newer.behave()
    newer.misbehave(wrong.DIFFERING_ROWS, path=POSTS, replace=True)
    second = newer.get(POSTS, admin, page=2).json()
    assert second["posts"][0]["id"] == first["posts"][-1]["id"]
    assert second["posts"][0]["content"] == first["posts"][-1]["content"] + " (changed)"
    assert second["count"] == 50


def test_wrong_totals_and_ends(newer: Deployment, admin: dict[str, str]) -> None:
    right = newer.get(POSTS, admin).json()
    newer.misbehave(wrong.WRONG_TOTAL, path="/api/*", by=-2)
    assert newer.get(POSTS, admin).json() == right | {"total": right["total"] - 2}
    assert newer.get("/api/export/study", admin).json()["count"] == newer.counts()["study"] - 2
    assert newer.get("/api/user", admin, page=1).json()["pagination"]["total"] == newer.counts()["users"] - 2
    newer.behave()
    newer.misbehave(wrong.WRONG_HAS_NEXT, path=POSTS, times=1)
    assert newer.get(POSTS, admin).json() == right | {"has_next": False}
    newer.misbehave(wrong.WRONG_COUNT, path=POSTS, times=1)
    assert newer.get(POSTS, admin).json() == right | {"count": 51}
    newer.misbehave(wrong.SHORT_PAGE, path=POSTS, times=1)
    assert newer.get(POSTS, admin).json() == right | {"posts": right["posts"][:-1]}
    newer.misbehave(wrong.WRONG_SHAPE, path=POSTS, times=1)
    assert "posts" not in newer.get(POSTS, admin).json()


def test_spoiled_records(newer: Deployment, admin: dict[str, str]) -> None:
    newer.misbehave(wrong.NAN, path=POSTS, times=1, key="id")
    assert '"id": NaN' in newer.get(POSTS, admin).text
    newer.misbehave(wrong.DUPLICATE_KEY, path=POSTS, times=1, value=-9)
    pairs = re.search(r'"posts": \[\{([^}]*)', newer.get(POSTS, admin).text)
    assert pairs is not None
    assert pairs[1].count('"id": ') == 2
    newer.misbehave(wrong.UNKNOWN_KEY, path=POSTS, times=1)
    assert newer.get(POSTS, admin).json()["posts"][0]["surprise"] == "a new release"
    newer.misbehave(wrong.MISSING_KEY, path=POSTS, times=1, key="timestamp")
    assert "timestamp" not in newer.get(POSTS, admin).json()["posts"][0]


def test_latin1(newer: Deployment, admin: dict[str, str]) -> None:
    right = newer.get(POSTS, admin).json()
    newer.misbehave(wrong.LATIN1, times=1)
    answer = newer.get(POSTS, admin)
    assert answer.headers["Content-Type"] == "application/json; charset=latin-1"
    assert json.loads(answer.content.decode("latin-1")) == right
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode("utf-8")
