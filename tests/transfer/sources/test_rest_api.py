"""Reading a classic deployment: what is asked, what is believed, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.classic.api import api
from app.errors import SourceIncomplete, Unauthorized
from app.transfer.endpoints import (
    Auth,
    CookieAuth,
    Endpoint,
    HeaderLinkPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    RestApi,
    SinglePagePaginator,
)
from app.transfer.rows.scratch import Keys
from app.transfer.sources.http import HttpClient
from app.transfer.sources.parts import Part
from app.transfer.sources.rest_api import RestSource
from tests.support.deployment.runner import Deployment
from tests.support.sources.loopback import Asked, Loopback, answer, serving

from .foreign import HTML

DECLARED = {endpoint.name: endpoint for endpoint in api.endpoints}
POSTS, STUDY, USER, CHOICES = (DECLARED[name] for name in ("posts", "study", "user", "user_personas"))
[PASSPORT] = DECLARED["skill_snapshots"].alternatives
[SCORES] = DECLARED["leaderboard"].alternatives
PER_PAGE = POSTS.paginator.limit

Handler = Callable[[Asked], bytes]


def source_of(stack: ExitStack, server: Loopback | Deployment, uid: str = "mira", password: str = "pw") -> RestSource:
    client = HttpClient(server.url, timeout_s=0.6)
    stack.callback(client.close)
    return RestSource(client, api, uid, password)


def scripted(stack: ExitStack, handler: Handler) -> tuple[Loopback, RestSource]:
    server = stack.enter_context(serving(script=lambda asked, send: send(handler(asked))))
    return server, source_of(stack, server)


def params(asked: Asked) -> dict[str, int]:
    return {name: int(values[0]) for name, values in parse_qs(urlsplit(asked.target).query).items()}


def read(source: RestSource, directory: Path, *endpoints: Endpoint) -> dict[str, Part]:
    with Keys(directory) as keys:
        found = source.extract(directory, keys, endpoints, lambda *_: None)
        return {part.name: part for part in found}


def values(part: Part) -> list[Any]:
    return [json.loads(line) for line, _ in part.read()]


def paged(rows: list[Any], key: str = "posts") -> Handler:
    """A server that pages through rows, whatever they are when it is asked."""

    def handler(asked: Asked) -> bytes:
        page, size = params(asked)["page"], params(asked)["per_page"]
        shown = rows[(page - 1) * size : page * size]
        said = {"count": len(shown), "total": len(rows), "page": page, "has_next": page * size < len(rows)}
        return answer({key: shown, **said})

    return handler


# Log-in


def cookie(text: str, body: Any = "Welcome", kind: str = "text/html") -> bytes:
    return answer(body, f"Set-Cookie: {text}", f"Content-Type: {kind}")


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (cookie("jwt=a.b.c; Domain=old.example; Secure; HttpOnly; SameSite=None"), {"cookie": "jwt=a.b.c"}),
        (cookie("x=1", {"message": "ok", "user": {}}, "application/json"), {"cookie": "x=1"}),
        (answer({"message": "ok", "token": "t.o.k"}), {"authorization": "Bearer t.o.k"}),
        (cookie("x=1", {"token": "t"}, "application/json"), {"cookie": "x=1", "authorization": "Bearer t"}),
        (cookie("x=1", {"token": 5}, "application/json"), {"cookie": "x=1"}),
        (cookie("x=1", b"\xff\xfe"), {"cookie": "x=1"}),
    ],
)
def test_the_token_is_sent_on(stack: ExitStack, said: bytes, sent: dict[str, str], tmp_path: Path) -> None:
    page = answer({"study": [], "count": 0})
    server, source = scripted(stack, lambda asked: said if asked.method == "POST" else page)
    source.log_in()
    read(source, tmp_path, STUDY)
    login, then = server.asked
    assert json.loads(login.body) == {"uid": "mira", "password": "pw"}
    assert login.headers["content-type"] == "application/json"
    assert login.headers["x-origin"] == "client"
    got = {name: then.headers[name] for name in ("cookie", "authorization") if name in then.headers}
    assert got == sent


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer({"message": "no"}, status="401 No"), Unauthorized, "refuses the credentials of 'mira'"),
        (answer({"message": "no"}, status="403 No"), Unauthorized, "status 403"),
        (answer({"message": "no"}, status="400 No"), Unauthorized, "status 400"),
        (HTML, SourceIncomplete, "no log-in at /api/authenticate"),
        (answer("<form>", "Content-Type: text/html"), SourceIncomplete, "without a token"),
        (answer({"message": "ok"}), SourceIncomplete, "without a token"),
        (answer("", status="500 Oh"), SourceIncomplete, "status 500"),
    ],
)
def test_a_log_in_that_fails(stack: ExitStack, said: bytes, error: type[Exception], words: str) -> None:
    _, source = scripted(stack, lambda _: said)
    with pytest.raises(error, match=words) as caught:
        source.log_in()
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("status", ["401 Expired", "500 Expired"])
def test_a_token_that_expires_leads_to_a_new_log_in(stack: ExitStack, tmp_path: Path, status: str) -> None:
    rows = [{"id": number} for number in range(3 * PER_PAGE)]
    served, tokens = 0, 0

    def handler(asked: Asked) -> bytes:
        nonlocal served, tokens
        if asked.method == "POST":
            tokens, served = tokens + 1, 0
            return cookie(f"jwt=token-{tokens}")
        served += 1
        if asked.headers["cookie"] != f"jwt=token-{tokens}" or served > 2:
            return answer({"message": "expired"}, status=status)
        return paged(rows)(asked)

    _, source = scripted(stack, handler)
    source.log_in()
    assert values(read(source, tmp_path, POSTS)["posts"]) == rows
    assert tokens == 3


def test_a_token_that_is_refused_at_once(stack: ExitStack, tmp_path: Path) -> None:
    refused = answer({}, status="401 No")
    server, source = scripted(stack, lambda asked: cookie("jwt=x") if asked.method == "POST" else refused)
    source.log_in()
    with pytest.raises(Unauthorized, match="may not read the export"):
        read(source, tmp_path, POSTS)
    assert [asked.method for asked in server.asked] == ["POST", "GET", "POST", "GET"]


# What there is


def known(*paths: str) -> Handler:
    def handler(asked: Asked) -> bytes:
        path = urlsplit(asked.target).path
        if path not in paths:
            return HTML
        return answer([]) if path.startswith("/api/dynamic") else answer({path.rpartition("/")[2]: [], "users": []})

    return handler


CLASSIC = ("sections", "users", "topics", "microblogs", "posts", "classrooms", "feedback", "study", "personas")
TEN = tuple(f"/api/export/{name}" for name in (*CLASSIC, "user_personas"))


def test_an_older_deployment_has_its_users_only(stack: ExitStack) -> None:
    _, source = scripted(stack, known("/api/user"))
    endpoints, unavailable = source.endpoints()
    assert [endpoint.path for endpoint in endpoints] == ["/api/user"]
    assert {"posts", "leaderboard", "skill_passport"} <= set(unavailable)
    assert not {"users", "sections"} & set(unavailable)


def test_a_deployment_without_an_endpoint(stack: ExitStack) -> None:
    paths = set(TEN) - {"/api/export/study"} | {"/api/dynamic/leaderboard"}
    _, source = scripted(stack, known(*paths))
    endpoints, unavailable = source.endpoints()
    assert {endpoint.path for endpoint in endpoints} == paths | {"/api/user"}
    assert set(unavailable) == {"study", "elementary_leaderboard", "skill_passport"}
    assert "/api/export/study" in unavailable["study"]


def test_a_passport_of_nobody_is_no_missing_endpoint(stack: ExitStack) -> None:
    nobody = answer({"message": "User not found"}, status="404 Not Found")
    _, source = scripted(stack, lambda asked: nobody if "passport" in asked.target else known(*TEN)(asked))
    endpoints, unavailable = source.endpoints()
    assert PASSPORT in endpoints
    assert "skill_passport" not in unavailable


@pytest.mark.parametrize("status", ["400 No", "405 No", "410 Gone", "501 No"])
def test_only_404_says_that_an_endpoint_is_missing(stack: ExitStack, status: str) -> None:
    for path in ("/api/export/users", "/api/export/study", "/api/dynamic/leaderboard"):
        wrong = answer({}, status=status)
        _, source = scripted(
            stack, lambda asked, path=path, wrong=wrong: wrong if path in asked.target else known(*TEN)(asked)
        )
        with pytest.raises(SourceIncomplete, match=f"status {status[:3]} at {path}"):
            source.endpoints()


# Reading


def test_pages_are_read_to_the_last(stack: ExitStack, tmp_path: Path) -> None:
    rows = [{"id": number, "n": f"é {number}"} for number in range(2 * PER_PAGE + 1)]
    server, source = scripted(stack, paged(rows))
    assert values(read(source, tmp_path, POSTS)["posts"]) == rows
    assert [params(asked)["page"] for asked in server.asked] == [1, 2, 3, 1, 1]


@pytest.mark.parametrize("count", [0, 1, PER_PAGE, 2 * PER_PAGE])
def test_a_last_page_that_is_full_or_empty(stack: ExitStack, tmp_path: Path, count: int) -> None:
    rows = [{"id": number} for number in range(count)]
    _, source = scripted(stack, paged(rows))
    assert values(read(source, tmp_path, POSTS)["posts"]) == rows


def test_records_are_kept_as_they_were_spelled(stack: ExitStack, tmp_path: Path) -> None:
    spelled = '{"id":1,  "a": 1.10, "b": 1e5, "c": "\\u00e9", "d": 123456789012345678901234567890}'
    _, source = scripted(stack, lambda _: answer(f'{{"study": [{spelled}], "count": 1}}'))
    [(line, _)] = read(source, tmp_path, STUDY)["study"].read()
    assert line.decode() == spelled


def test_a_bare_list(stack: ExitStack, tmp_path: Path) -> None:
    _, source = scripted(stack, lambda _: answer([{"id": 1}, {"id": 2}]))
    assert len(values(read(source, tmp_path, USER)["user"])) == 2


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (2, 2), (PER_PAGE, 2), (PER_PAGE + 1, 2)])
def test_a_bare_list_that_is_whole(stack: ExitStack, tmp_path: Path, count: int, requests: int) -> None:
    server, source = scripted(stack, lambda _: answer([{"id": number} for number in range(count)]))
    assert len(values(read(source, tmp_path, USER)["user"])) == count
    # It may be a page, of whatever length: only an answer to another length tells.
    assert len(server.asked) == requests


@pytest.mark.parametrize("most", [20, PER_PAGE, 10_000])
def test_a_bare_list_that_is_a_page(stack: ExitStack, tmp_path: Path, most: int) -> None:
    """However many records the server gives at most."""
    _, source = scripted(stack, lambda asked: answer([{"id": n} for n in range(min(most, params(asked)["per_page"]))]))
    with pytest.raises(SourceIncomplete, match="user could not be read completely") as caught:
        read(source, tmp_path, USER)
    assert f"a list of {min(most, PER_PAGE)} came, and one of 1" in caught.value.details[0]


def test_a_list_asks_for_more_than_there_is(stack: ExitStack, tmp_path: Path) -> None:
    server, source = scripted(stack, lambda _: answer([{"id": number} for number in range(300)]))
    assert len(values(read(source, tmp_path, SCORES)["leaderboard"])) == 300
    assert params(server.asked[0])["limit"] > 300


def test_rows_that_shift_between_pages(stack: ExitStack, tmp_path: Path) -> None:
    rows = [{"id": number} for number in range(2 * PER_PAGE)]

    def handler(asked: Asked) -> bytes:
        if params(asked)["page"] == 2 and rows[0]["id"] == 0:
            # One goes, and a row that was not read yet moves to page 1.
            del rows[0]
        return paged(rows)(asked)

    server, source = scripted(stack, handler)
    assert values(read(source, tmp_path, POSTS)["posts"]) == rows
    assert len([asked for asked in server.asked if params(asked)["page"] == 2]) == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"posts": [{"id": 1}], "total": 2, "has_next": False}, "there are 2 at the end, and 1 distinct"),
        ({"posts": [{"id": 1}], "total": 1, "page": 7, "has_next": False}, "page 1 was asked for and page 7 came"),
        ({"posts": [], "total": 3, "has_next": True}, "empty and says that more pages follow"),
        ({"posts": [{"id": 1}], "has_next": True}, "came twice"),
        ({"posts": [{"id": 1}, {"id": 1, "a": 2}], "total": 1}, "two different records"),
        ({"posts": [{"no": 1}], "total": 1}, "a record without id"),
        ({"posts": ["text"], "total": 1}, "a record without id"),
    ],
)
def test_three_passes_that_disagree(stack: ExitStack, tmp_path: Path, said: Any, words: str) -> None:
    _, source = scripted(stack, lambda _: answer(said))
    with pytest.raises(SourceIncomplete, match="posts could not be read completely in 3 passes") as caught:
        read(source, tmp_path, POSTS)
    assert len(caught.value.details) == 3
    assert all(words in line for line in caught.value.details)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('{"posts": [{"id": 1}], "count": 2}', "says that it has 2 records, and has 1"),
        ('{"records": []}', "no list 'posts'"),
        ('{"posts": {"id": 1}}', "'posts'"),
        ('{"posts": null}', "'posts'"),
        ('{"posts": [], "posts": []}', "twice"),
        ("null", "expected"),
        ("[1", "not JSON|ends too early"),
        ("[] []", "behind"),
    ],
)
def test_an_answer_that_makes_no_sense(stack: ExitStack, tmp_path: Path, said: str, words: str) -> None:
    _, source = scripted(stack, lambda _: answer(said))
    with pytest.raises(SourceIncomplete, match=words):
        read(source, tmp_path, POSTS)


@pytest.mark.parametrize("pagination", [None, [], "x", 5])
def test_pagination_that_is_no_object(stack: ExitStack, tmp_path: Path, pagination: Any) -> None:
    _, source = scripted(stack, lambda _: answer({"users": [{"id": 1}], "pagination": pagination}))
    assert len(values(read(source, tmp_path, USER)["user"])) == 1


def test_choices_of_users_who_are_gone_are_counted_one_by_one(stack: ExitStack, tmp_path: Path) -> None:
    gone = {"personaAlias": "planner", "weight": 3, "selectedAt": None}
    rows = [gone, {"userUid": "a", **gone}, gone, {"userUid": "a", **gone, "personaAlias": None}]
    _, source = scripted(stack, paged(rows, "user_personas"))
    part = read(source, tmp_path, CHOICES)["user_personas"]
    assert values(part) == rows
    assert part.repeats == 0


def test_repeats_are_told_by_what_they_say(stack: ExitStack, tmp_path: Path) -> None:
    spelled = '{"study": [{"id": 1, "a": 2}, {"a":2,"id":1}], "count": 2}'
    _, source = scripted(stack, lambda _: answer(spelled))
    part = read(source, tmp_path, STUDY)["study"]
    assert (part.lines, part.repeats) == (1, 1)


def test_passports_are_read_user_by_user(stack: ExitStack, tmp_path: Path) -> None:
    def handler(asked: Asked) -> bytes:
        path = urlsplit(asked.target).path
        if path == "/api/user":
            return answer([{"id": 3}, {"id": 8}])
        return answer({"user_id": int(path.rpartition("/")[2]), "history": []})

    _, source = scripted(stack, handler)
    assert [record["user_id"] for record in values(read(source, tmp_path, USER, PASSPORT)["skill_passport"])] == [3, 8]


def test_passports_of_users_that_an_earlier_run_read(stack: ExitStack, tmp_path: Path) -> None:
    users = [{"id": 3}]

    def handler(asked: Asked) -> bytes:
        return answer(users) if asked.target.startswith("/api/user") else answer({"user_id": 3, "history": []})

    _, source = scripted(stack, handler)
    done = read(source, tmp_path, USER)
    with Keys(tmp_path) as keys:
        [part] = source.extract(tmp_path, keys, [USER, PASSPORT], lambda *_: None, done)
    assert part.name == "skill_passport"
    assert part.lines == 1


def test_a_user_who_goes_while_passports_are_read(stack: ExitStack, tmp_path: Path) -> None:
    def handler(asked: Asked) -> bytes:
        gone = answer({"message": "User not found"}, status="404 Not Found")
        return answer([{"id": 3}]) if asked.target.startswith("/api/user") else gone

    _, source = scripted(stack, handler)
    with pytest.raises(SourceIncomplete, match="skill_passport") as caught:
        read(source, tmp_path, USER, PASSPORT)
    assert "user 3 is gone" in caught.value.details[0]


# Another Ferry deployment


# A real deployment


def test_everything_of_a_deployment(stack: ExitStack, newer: Deployment, tmp_path: Path) -> None:
    newer.forget_requests()
    source = source_of(stack, newer, newer.uid, newer.password)
    source.log_in()
    endpoints, unavailable = source.endpoints()
    assert unavailable == {}
    parts = read(source, tmp_path, *endpoints)
    for name, table in (("posts", "posts"), ("leaderboard", "leaderboard"), ("user_personas", "user_personas")):
        assert parts[name].lines == newer.counts()[table]
    assert all(part.is_whole() for part in parts.values())
    assert all(request.cookie for request in newer.requests() if request.method == "GET")
    (tmp_path / "posts.ndjson").write_bytes((tmp_path / "posts.ndjson").read_bytes()[:-3])
    assert not parts["posts"].is_whole()


# Declarations of other shapes


def declared(
    stack: ExitStack, handler: Handler, *endpoints: Endpoint, auth: Auth | None = None, **more: Any
) -> tuple[Loopback, RestSource]:
    server = stack.enter_context(serving(script=lambda asked, send: send(handler(asked))))
    client = HttpClient(f"{server.url}/old", timeout_s=0.6)
    stack.callback(client.close)
    return server, RestSource(client, RestApi(endpoints, auth, **more), "mira", "pw")


def by_path(answers: dict[str, Any]) -> Handler:
    """Answers by what is asked for, with or without its parameters; all else is not there."""

    def handler(asked: Asked) -> bytes:
        target = asked.target.removeprefix("/old")
        said = answers.get(target, answers.get(target.partition("?")[0]))
        return said if isinstance(said, bytes) else HTML if said is None else answer(said)

    return handler


def refused(source: RestSource, directory: Path, *endpoints: Endpoint) -> str:
    with pytest.raises(SourceIncomplete) as caught:
        read(source, directory, *endpoints)
    return f"{caught.value.message} {caught.value.details}"


PARENTS = Endpoint("books", "/books")
TWO_BOOKS = [{"id": 1}, {"id": 2}]
EITHER: dict[str, Any] = {"data_selector": ("items", "$")}
WRITERS = Endpoint("writers", "/books/{id}/writers", "items", total_selector="total", parent="books")


def test_a_list_of_a_parent_that_lacks_records(stack: ExitStack, tmp_path: Path) -> None:
    said = {"/books": TWO_BOOKS, "/books/1/writers": {"items": [{"id": 1}], "total": 3}}
    _, source = declared(stack, by_path(said), PARENTS, WRITERS)
    assert "/books/1/writers says that there are 3, and 1 came" in refused(source, tmp_path, PARENTS, WRITERS)


def test_records_that_two_parents_have(stack: ExitStack, tmp_path: Path) -> None:
    both = {"items": [{"id": 7}], "total": 1}
    said = {"/books": TWO_BOOKS, "/books/1/writers": {"items": [{"id": 7}, {"id": 8}], "total": 2}}
    _, source = declared(stack, by_path({**said, "/books/2/writers": both}), PARENTS, WRITERS)
    part = read(source, tmp_path, PARENTS, WRITERS)["writers"]
    assert (part.lines, part.repeats, part.doubt) == (2, 1, "")
    # It may be that both have the same one; or the API does not look at which is asked for.
    said = {"/books": TWO_BOOKS, "/books/1/writers": both, "/books/2/writers": both}
    _, source = declared(stack, by_path(said), PARENTS, WRITERS)
    assert read(source, tmp_path, PARENTS, WRITERS)["writers"].doubt == "the API says the same whatever it is asked for"


def test_a_list_of_a_parent_that_is_cut_off(stack: ExitStack, tmp_path: Path) -> None:
    copies = Endpoint("copies", "/books/{id}/copies", paginator=SinglePagePaginator("most", limit=2), parent="books")
    said = {"/books": [{"id": 1}], "/books/1/copies?most=2": TWO_BOOKS, "/books/1/copies?most=20": [{"id": 3}]}
    _, source = declared(stack, by_path(said), PARENTS, copies)
    assert values(read(source, tmp_path, PARENTS, copies)["copies"]) == [{"id": 3}]


def test_what_has_no_parent_here_is_not_there(stack: ExitStack, tmp_path: Path) -> None:
    server, source = declared(stack, by_path({}), PARENTS, WRITERS)
    assert source.endpoints() == (
        [],
        {
            "books": "no endpoint at /books (404)",
            "writers": "it is asked for by books, which is not there",
        },
    )
    assert len(server.asked) == 1
    assert "writers cannot be asked for: books is not there" in refused(source, tmp_path, WRITERS)


def test_a_bare_list_that_a_link_header_goes_on_with(stack: ExitStack, tmp_path: Path) -> None:
    first = answer([{"id": 1}], 'Link: </old/loans?page=2>; rel="next"')
    loans = Endpoint("loans", "/loans", paginator=HeaderLinkPaginator(), **EITHER)
    _, source = declared(stack, by_path({"/loans": first, "/loans?page=2": [{"id": 2}]}), loans)
    assert values(read(source, tmp_path, loans)["loans"]) == TWO_BOOKS


@pytest.mark.parametrize("behind", [[], [{"id": 1}], HTML, [{"id": 2}]], ids=["none", "same", "404", "more"])
def test_a_bare_list_of_which_no_fewer_can_be_asked_for(stack: ExitStack, tmp_path: Path, behind: Any) -> None:
    loans = Endpoint("loans", "/loans", paginator=PageNumberPaginator(limit_param=None), **EITHER)
    _, source = declared(stack, by_path({"/loans?page=1": [{"id": 1}], "/loans?page=2": behind}), loans)
    if behind == [{"id": 2}]:
        assert "another one in place of the next page" in refused(source, tmp_path, loans)
    else:
        assert values(read(source, tmp_path, loans)["loans"]) == [{"id": 1}]


def test_a_bare_list_of_each_parent_is_asked_for_by_its_path(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/books/{id}/loans", parent="books", paginator=PageNumberPaginator(), **EITHER)
    server, source = declared(stack, by_path({"/books": [{"id": 1}], "/books/1/loans": TWO_BOOKS}), PARENTS, loans)
    assert values(read(source, tmp_path, PARENTS, loans)["loans"]) == TWO_BOOKS
    assert not any("{" in asked.target for asked in server.asked)


def test_a_bare_list_with_a_total(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/loans", paginator=PageNumberPaginator(), total_header="X-Total", **EITHER)
    _, source = declared(stack, by_path({"/loans": answer(TWO_BOOKS, "X-Total: 3")}), loans)
    assert "there are 3 at the end, and 2 distinct" in refused(source, tmp_path, loans)


def test_a_total_that_the_last_answer_does_not_repeat(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/loans", "items", paginator=OffsetPaginator(limit_param=None), total_selector="total")
    said = iter([{"items": [{"id": 1}], "total": 2}, {"items": []}, {"items": []}] * 3)
    _, source = declared(stack, lambda _: answer(next(said)), loans)
    assert "there are 2 at the end, and 1 distinct" in refused(source, tmp_path, loans)


def test_a_page_that_comes_twice_where_the_key_may_be_null(stack: ExitStack, tmp_path: Path) -> None:
    """Records without a key are all new: that of page 1 hides that page 2 is page 1."""
    paginator = PageNumberPaginator(has_more_path="more")
    loans = Endpoint("loans", "/loans", "items", key_may_be_null=True, paginator=paginator)
    _, source = declared(stack, lambda _: answer({"items": [{"id": 1}, {"id": None}], "more": True}), loans)
    assert "a page came twice" in refused(source, tmp_path, loans)


def test_pages_that_end_with_404(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/loans", "items", paginator=PageNumberPaginator(limit_param=None))
    _, source = declared(stack, by_path({"/loans?page=1": {"items": TWO_BOOKS}}), loans)
    part = read(source, tmp_path, loans)["loans"]
    assert (part.lines, part.doubt) == (2, "the API says no total")
    sure = replace(loans, paginator=PageNumberPaginator(limit_param=None, has_more_path="more"))
    _, source = declared(stack, by_path({"/loans?page=1": {"items": TWO_BOOKS, "more": True}}), sure)
    assert "status 404 at /loans" in refused(source, tmp_path, sure)


def test_a_list_that_is_gone_between_its_pages_is_not_whole(stack: ExitStack, tmp_path: Path) -> None:
    """Its own 404 is not that behind a last page."""
    loans = Endpoint("loans", "/loans", "items", paginator=PageNumberPaginator(limit_param=None))
    said = iter([answer({"items": TWO_BOOKS})])
    _, source = declared(stack, lambda _: next(said, answer("", status="404 Not Found")), loans)
    assert "status 404 at /loans" in refused(source, tmp_path, loans)


def test_a_count_of_a_list_that_may_be_cut_off_is_no_total(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/loans", "items", paginator=SinglePagePaginator("limit"), count_selector="count")
    _, source = declared(stack, by_path({"/loans": {"items": TWO_BOOKS, "count": 2}}), loans)
    assert read(source, tmp_path, loans)["loans"].doubt == loans.find_doubt() == "the API says no total"


def test_a_total_that_is_refused_at_the_end(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/loans", "items", paginator=PageNumberPaginator(), total_selector="total")
    said = iter([answer({"items": [{"id": 1}], "total": 1}), answer("{}", status="403 No")])
    _, source = declared(stack, lambda _: next(said), loans)
    with pytest.raises(Unauthorized, match="may not read"):
        read(source, tmp_path, loans)


def test_a_redirect_that_says_that_the_log_in_expired(stack: ExitStack, tmp_path: Path) -> None:
    loans = Endpoint("loans", "/loans")
    led = [answer("", "Location: /old/login", status="302 Found"), answer([{"id": 1}])]

    def handler(asked: Asked) -> bytes:
        if asked.method == "POST":
            return answer("", "Set-Cookie: s=1", "Location: /old/home", status="302 Found")
        return led.pop(0)

    auth = CookieAuth("/login", encoding="form", expired=(302,))
    server, source = declared(stack, handler, loans, auth=auth)
    source._session.log_in()
    assert values(read(source, tmp_path, loans)["loans"]) == [{"id": 1}]
    assert [asked.method for asked in server.asked] == ["POST", "GET", "POST", "GET"]
