"""Everything an old deployment can do wrong: overcome, or refused with nothing lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.deployment import misbehaviour as does
from tests.support.deployment.kinds import REGISTER
from tests.support.deployment.otherhost import OtherHost
from tests.support.deployment.runner import Deployment
from tests.support.site import Site
from tests.support.sources.sites import Before, Secrets, assert_refused, flask, report

POSTS = "/api/export/posts"
LOGIN = "/api/authenticate"
LISTED = "/api/user"
POSTS_OF_SOURCE = 430

Case = tuple[str, dict[str, Any]]


def case(kind: str, **parameters: Any) -> Case:
    return kind, parameters


def name(value: Any) -> str | None:
    if not isinstance(value, tuple):
        return None
    kind, parameters = value
    return "-".join([kind, *(str(item) for item in parameters.values())])


OVERCOME = [
    case(does.UNAUTHORIZED, times=1, after=4),
    case(does.TOKEN_EXPIRES, path="/api/*", requests=5),
    case(does.TOO_MANY_REQUESTS, times=2, path=POSTS, retry_after=None),
    case(does.BAD_GATEWAY, times=3, path=POSTS, page=2),
    case(does.BAD_GATEWAY, times=1, path=LOGIN, status=503),
    case(does.BAD_GATEWAY, path="/api/*", every=7),
    case(does.GATEWAY_TIMEOUT, above=200),
    case(does.SERVER_ERROR, times=1, path=POSTS, page=3),
    case(does.TIME_OUT, times=1, path=POSTS, page=2, seconds=20),
    case(does.SLOW_ROWS, times=2, path=POSTS, milliseconds=2),
    case(does.CONNECTION_RESET, times=2, path=POSTS, after=1),
    case(does.CONNECTION_RESET, times=1, path=LOGIN),
    case(does.HTML_PAGE, times=1, path=POSTS, page=2),
    case(does.PAGE_IGNORED, path=POSTS, page=2, times=1),
    case(does.PAGE_IGNORED, path=POSTS, mode="everything"),
    case(does.DUPLICATE_ROWS, path=POSTS, page=2, times=1, replace=True),
    case(does.DIFFERING_ROWS, path=POSTS, page=2, times=1),
    case(does.WRONG_TOTAL, path=POSTS, page=2, times=1),
    case(does.WRONG_COUNT, path=POSTS, times=1),
    case(does.WRONG_HAS_NEXT, path=POSTS, page=2, times=1, value=False),
    case(does.WRONG_HAS_NEXT, path=POSTS, page=3, times=1, value=True),
    case(does.SHORT_PAGE, path=POSTS, page=2, times=1),
    case(does.NAN, path=POSTS, times=1),
    case(does.DUPLICATE_KEY, path=POSTS, times=1),
    case(does.MISSING_KEY, path=POSTS, times=1),
    case(does.WRONG_SHAPE, path=POSTS, times=1),
    case(does.LATIN1, path=POSTS, times=1),
    case(does.WRONG_CONTENT_TYPE, path=POSTS, times=1),
    case(does.GZIP, path="/api/*"),
    case(does.TRUNCATED_GZIP, path=POSTS, times=1),
    case(does.SLOW_DRIP, path=POSTS, page=2, times=1),
    case(does.CLOSED_IN_BODY, path=POSTS, times=1),
    case(does.TRUNCATED_JSON, path=POSTS, times=1),
]


@pytest.mark.parametrize("given", OVERCOME, ids=name)
def test_what_can_be_overcome(filled: Site, wrong: Deployment, given: Case) -> None:
    kind, parameters = given
    rule = wrong.misbehave(kind, **parameters)
    secrets = Secrets.of(wrong)
    done = flask(filled, "db-migrate-data", "--yes", **secrets.source)
    assert done.status == 0, done.stderr
    assert wrong.matched(rule), "it never happened"
    assert filled.query("SELECT count(*) FROM posts") == [(POSTS_OF_SOURCE,)]
    posts = next(item for item in report(filled)["records"] if item["type"] == "posts")
    assert (posts["distinct"], posts["identical_repeats"]) == (POSTS_OF_SOURCE, 0)
    assert "not from the source" not in done.stdout
    secrets.assert_kept(filled, done)


REFUSED = [
    # What ends a run at once, whenever it happens.
    (case(does.LOGIN_REFUSED, times=1), 12, ["'mira'", "401"]),
    (case(does.FORBIDDEN, times=1, after=5), 12, ["'mira'", "403"]),
    (case(does.MISSING_ENDPOINT, path="/api/export/study"), 3, ["study", "404", "--accept-missing"]),
    (case(does.MISSING_ENDPOINT), 3, ["/api/export", "404", "--accept-missing"]),
    (case(does.MISSING_ENDPOINT, path="/api/*"), 3, [LOGIN, "404"]),
    (case(does.MISSING_ENDPOINT, path=POSTS, page=2), 3, [POSTS, "404"]),
    # A key nobody knows: the record is not incomplete, it does not fit the adapters.
    (case(does.UNKNOWN_KEY, path=POSTS, page=1, times=1, after=1), 22, ["posts.surprise"]),
    # What happens again and again.
    (case(does.LOGIN_REFUSED), 12, ["'mira'", "401"]),
    (case(does.FORBIDDEN), 12, ["'mira'", "403"]),
    (case(does.UNAUTHORIZED), 12, ["'mira'", "401"]),
    (case(does.TOKEN_EXPIRES, requests=0), 12, ["'mira'", "401"]),
    (case(does.TOO_MANY_REQUESTS, path=POSTS), 3, [POSTS, "429"]),
    (case(does.TOO_MANY_REQUESTS, path=LOGIN, retry_after=600), 3, [LOGIN, "429"]),
    (case(does.BAD_GATEWAY, path=POSTS, page=2), 3, [POSTS, "page=2", "502"]),
    (case(does.BAD_GATEWAY, path="/ferry/"), 3, ["/ferry/", "502"]),
    (case(does.GATEWAY_TIMEOUT, path=POSTS, above=100), 3, [POSTS, "504"]),
    (case(does.SERVER_ERROR, path=POSTS), 3, [POSTS, "500"]),
    (case(does.BAD_TOKEN_500), 0, []),
    (case(does.TIME_OUT, path=POSTS, seconds=20), 3, [POSTS, "timed out"]),
    (case(does.SLOW_ROWS, path=POSTS, milliseconds=60), 3, [POSTS, "timed out"]),
    (case(does.CONNECTION_RESET), 3, [LOGIN]),
    (case(does.CONNECTION_RESET, path=POSTS), 3, [POSTS]),
    (case(does.HTML_PAGE, path=POSTS), 3, [POSTS, "text/html"]),
    (case(does.HTML_PAGE, path="/api/*"), 3, ["log-in", "token"]),
    (case(does.PAGE_IGNORED, path=POSTS), 3, ["posts", "ignores paging"]),
    (case(does.ROWS_ADDED, path=POSTS), 3, ["posts", "total"]),
    (case(does.ROWS_REMOVED, path=POSTS), 3, ["posts", "total"]),
    (case(does.DUPLICATE_ROWS, path=POSTS, replace=True), 3, ["posts", "distinct"]),
    (case(does.DIFFERING_ROWS, path=POSTS), 3, ["posts", "two different records"]),
    (case(does.WRONG_TOTAL, path=POSTS), 3, ["posts", f"{POSTS_OF_SOURCE + 3}"]),
    (case(does.WRONG_TOTAL, path=LISTED, by=-1), 3, ["user", "59"]),
    (case(does.WRONG_COUNT, path=POSTS), 3, [POSTS, "records"]),
    (case(does.WRONG_COUNT, path="/api/export/study"), 3, ["/api/export/study", "records"]),
    (case(does.WRONG_HAS_NEXT, path=POSTS, value=False), 3, ["posts", "distinct"]),
    (case(does.WRONG_HAS_NEXT, path=POSTS, value=True), 3, ["posts", "more pages"]),
    (case(does.SHORT_PAGE, path=POSTS), 3, [POSTS, "records"]),
    (case(does.NAN, path=POSTS), 3, ["posts, id ", "NaN", "--set-aside"]),
    (case(does.NAN, path="/api/export/study", value="-Infinity"), 3, ["study", "-Infinity"]),
    (case(does.DUPLICATE_KEY, path=POSTS), 3, ["posts, id ", "the key 'id' twice", "--set-aside"]),
    (case(does.MISSING_KEY, path=POSTS), 3, ["posts", "without id"]),
    (case(does.MISSING_KEY, path=POSTS, key="content"), 22, ["posts record 1", "'content'"]),
    (case(does.WRONG_SHAPE, path=POSTS), 3, [POSTS, "no list 'posts'"]),
    (case(does.LATIN1, path=POSTS), 3, [POSTS, "latin-1"]),
    (case(does.LATIN1, path=POSTS, declared="utf-8"), 3, [POSTS, "not UTF-8"]),
    (case(does.WRONG_CONTENT_TYPE, path=POSTS), 3, [POSTS, "text/plain"]),
    (case(does.TRUNCATED_GZIP, path=POSTS), 3, [POSTS, "ends too early"]),
    (case(does.SLOW_DRIP, path=POSTS), 3, [POSTS, "not complete after"]),
    (case(does.CLOSED_IN_BODY, path=POSTS), 3, [POSTS, "broke off"]),
    (case(does.TRUNCATED_JSON, path=POSTS), 3, [POSTS, "not JSON"]),
]
SLOW = {does.TIME_OUT, does.SLOW_ROWS, does.SLOW_DRIP}
REACHES_ADAPTERS = 22


@pytest.mark.parametrize(("given", "status", "places"), REFUSED, ids=name)
def test_what_cannot_be_overcome(
    with_snapshot: Site, wrong: Deployment, given: Case, status: int, places: list[str]
) -> None:
    kind, parameters = given
    rule = wrong.misbehave(kind, **parameters)
    secrets, before = Secrets.of(wrong), Before.of(with_snapshot)
    timeout = {"FLASK_FERRY_TIMEOUT": "0.5"} if kind in SLOW else {}
    ended = flask(with_snapshot, "db-migrate-data", "--yes", "--fallback", "never", **secrets.source, **timeout)
    if kind == does.BAD_TOKEN_500:
        assert ended.status == 0, ended.stderr
        return
    assert wrong.matched(rule), "it never happened"
    assert_refused(ended, status, *places)
    if status == REACHES_ADAPTERS:
        # The answers are complete, and kept as they were; the former snapshot keeps its rows under another name.
        before.assert_live_unchanged()
        assert [path.read_bytes() for path in with_snapshot.directory.glob("data.json.*.bak")] == [before.snapshot]
    else:
        before.assert_unchanged()
    secrets.assert_kept(with_snapshot, ended)


def test_every_kind_is_tried() -> None:
    tried = {kind for kind, _ in OVERCOME} | {given[0] for given, _, _ in REFUSED}
    assert set(REGISTER) - tried == {does.REDIRECT_TO}


def test_an_expired_token_that_gives_500(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.BAD_TOKEN_500)
    wrong.misbehave(does.TOKEN_EXPIRES, path="/api/*", requests=8)
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert len(wrong.requests(LOGIN)) > 5


def test_repeated_rows_are_counted(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.DUPLICATE_ROWS, path=POSTS)
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    posts = next(item for item in report(filled)["records"] if item["type"] == "posts")
    assert posts == {"type": "posts", "received": 432, "distinct": POSTS_OF_SOURCE, "identical_repeats": 2}
    assert "posts: 432 = 430 + 2 identical repeats" in done.stdout
    assert filled.query("SELECT count(*) FROM posts") == [(POSTS_OF_SOURCE,)]


@pytest.mark.parametrize("kind", [does.ROWS_ADDED, does.ROWS_REMOVED])
def test_a_table_that_changes_once_while_it_is_read(filled: Site, wrong: Deployment, kind: str) -> None:
    wrong.misbehave(kind, path=POSTS, page=2, times=1)
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    now = wrong.execute("SELECT id FROM posts ORDER BY id")
    assert len(now) == POSTS_OF_SOURCE + (1 if kind == does.ROWS_ADDED else -1)
    assert filled.query("SELECT id FROM posts ORDER BY id") == now


@pytest.mark.parametrize("table", ["users", "topics", "posts"])
def test_a_table_that_changes_after_it_was_read(filled: Site, wrong: Deployment, table: str) -> None:
    wrong.misbehave(does.ROWS_ADDED, path="/api/export/leaderboard", table=table, times=1)
    wrong.misbehave(does.ROWS_ADDED, path="/api/admin/skill-passport/*", table=table, times=1, after=3)
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    now = wrong.execute(f"SELECT id FROM {table} ORDER BY id")
    assert filled.query(f"SELECT id FROM {table} ORDER BY id") == now


def test_users_that_come_and_come_while_others_are_read(with_snapshot: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.ROWS_ADDED, path="/api/admin/skill-passport/*", table="users", every=20)
    before = Before.of(with_snapshot)
    ended = flask(with_snapshot, "db-migrate-data", "--yes", "--fallback", "never", **Secrets.of(wrong).source)
    assert_refused(ended, 3, "users", "changed again")
    before.assert_unchanged()


def test_retry_after_is_honoured(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.TOO_MANY_REQUESTS, path=POSTS, page=2, times=1, retry_after=2)
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    first, second = [r.at for r in wrong.requests(POSTS) if r.query.get("page") == "2"][:2]
    assert second - first >= 2.0


def test_a_retry_after_beyond_the_budget_ends_the_run_at_once(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.TOO_MANY_REQUESTS, path=POSTS, page=2, retry_after=61)
    ended = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert_refused(ended, 3, POSTS, "429")
    # A request that fails for good ends the run without a further pass.
    assert len([r for r in wrong.requests(POSTS) if r.query.get("page") == "2"]) == 1


def test_a_failed_request_is_not_tried_in_further_passes(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.BAD_GATEWAY, path=POSTS, page=2)
    flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    asked = [r.query.get("page") for r in wrong.requests(POSTS)]
    assert asked == ["1", "1", *["2"] * 5]  # the probe, page 1 and five attempts


@pytest.mark.parametrize("path", [LOGIN, POSTS, "/ferry/"])
@pytest.mark.parametrize("status", [302, 307])
def test_no_credentials_follow_a_redirect_to_another_host(
    with_snapshot: Site, wrong: Deployment, path: str, status: int
) -> None:
    secrets, before = Secrets.of(wrong), Before.of(with_snapshot)
    with OtherHost() as other:
        wrong.misbehave(does.REDIRECT_TO, path=path, url=other.url, status=status)
        ended = flask(with_snapshot, "db-migrate-data", "--yes", "--fallback", "never", **secrets.source)
    assert_refused(ended, 3, "redirects to another host", other.url)
    assert [r for r in other.requests if r.credentials or r.body] == []
    before.assert_unchanged()
    secrets.assert_kept(with_snapshot, ended)


def test_a_redirect_on_the_same_host_is_followed(filled: Site, wrong: Deployment) -> None:
    # To the same path once more: another address of the same server.
    wrong.misbehave(does.REDIRECT_TO, path=POSTS, times=2, url=wrong.url, status=307)
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr


def test_a_redirect_in_a_circle(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.REDIRECT_TO, path=POSTS, url=wrong.url)
    ended = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert_refused(ended, 3, POSTS, "without an end")


def test_an_endpoint_that_is_missing_is_accepted_by_option(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.MISSING_ENDPOINT, path="/api/export/study")
    done = flask(filled, "db-migrate-data", "--yes", "--accept-missing", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert filled.query("SELECT count(*) FROM studies") == [(0,)]
    assert filled.query("SELECT count(*) FROM posts") == [(POSTS_OF_SOURCE,)]
    [waived] = [item for item in report(filled)["waived"] if item["what"] == "table study"]
    assert "--accept-missing" in waived["reason"]


def test_an_interrupted_extraction_goes_on_where_it_stopped(filled: Site, wrong: Deployment) -> None:
    rule = wrong.misbehave(does.BAD_GATEWAY, path="/api/admin/skill-passport/*", after=10)
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert_refused(ended, 3, "skill-passport")
    assert wrong.matched(rule) > 10
    before.assert_unchanged()
    wrong.behave()
    wrong.forget_requests()
    done = flask(filled, "db-migrate-data", "--yes", "--json", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert any("Going on with run" in event["text"] for event in done.events if event["event"] == "note")
    assert not [r for r in wrong.requests(POSTS) if r.query.get("per_page") == "200"], "read once more"
    skills = wrong.execute("SELECT count(*) FROM skill_snapshots")
    assert skills != [(0,)]
    assert filled.query("SELECT count(*) FROM skill_snapshots") == skills
    assert filled.query("SELECT count(*) FROM posts") == [(POSTS_OF_SOURCE,)]


def test_what_changed_since_an_interrupted_extraction_is_read_anew(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.BAD_GATEWAY, path="/api/admin/skill-passport/*", after=10)
    flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    wrong.behave()
    wrong.execute("DELETE FROM posts WHERE id = (SELECT max(id) FROM posts)")
    done = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert filled.query("SELECT id FROM posts ORDER BY id") == wrong.execute("SELECT id FROM posts ORDER BY id")


def test_the_failure_is_in_the_report_and_in_the_events(filled: Site, wrong: Deployment) -> None:
    wrong.misbehave(does.SERVER_ERROR, path=POSTS, page=2)
    ended = flask(filled, "db-migrate-data", "--yes", "--json", **Secrets.of(wrong).source)
    assert ended.status == 3
    error = ended.events[-1]
    assert (error["event"], error["status"]) == ("error", 3)
    receipt = report(filled)
    assert (receipt["outcome"], receipt["exit_status"]) == ("failed", 3)
    assert receipt["error"]["message"] == error["message"]
    assert "flask db-migrate-data" in json.dumps(receipt["error"]["hint"])
