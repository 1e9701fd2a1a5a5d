"""Users and the classic export: shapes, who may see them, and where hashes are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models import Microblog, Post, Reaction, Topic

Login = Callable[[str], FlaskClient]

KEYS = {
    "sections": "id name abbreviation",
    "users": "id uid name email sid role pfp class kasm_server_needed grade_data ap_exam password school "
    "game_profile sections personas",
    "topics": "id pagePath pageKey pageTitle pageDescription displayName color icon allowAnonymous moderated "
    "maxPostsPerUser isActive settings createdAt updatedAt postCount",
    "microblogs": "id userId userName userUid content topicId topicKey topicPath timestamp updatedAt "
    "characterCount replies reactions hashtags",
    "posts": "id userId userUid studentName content gradeReceived pageUrl pageTitle timestamp updatedAt parentId "
    "replyCount replies",
    "classrooms": "id name school_name owner_teacher_id ownerUid status created_at students studentUids",
    "feedback": "id title body type github_username github_issue_url created_at",
    "study": "id user_id userUid topic subtopic studied timestamp",
    "personas": "id alias category bio_map empathy_map",
    "user_personas": "userUid personaAlias weight selectedAt",
}
PAGED = ("users", "topics", "microblogs", "posts", "personas", "user_personas")


@pytest.mark.parametrize("name", KEYS)
def test_each_type(login: Login, name: str) -> None:
    answer = login("toby").get(f"/api/export/{name}").json
    assert answer is not None
    assert set(answer[name][0]) == set(KEYS[name].split())
    assert answer["count"] == len(answer[name])
    paging = {"total", "page", "per_page", "has_next", "has_prev"} if name in PAGED else set()
    assert set(answer) == {name, "count"} | paging
    keys = [record["id"] for record in answer[name] if "id" in record]
    assert keys == sorted(keys)


def test_everything_at_once(login: Login) -> None:
    admin = login("toby")
    answer = admin.get("/api/export/all").json
    assert answer is not None
    metadata = answer.pop("_metadata")
    assert metadata["tables"] == list(answer)
    assert set(answer) == set(KEYS)
    assert metadata["total_records"] == sum(map(len, answer.values()))
    for name, shown in answer.items():
        assert admin.get(f"/api/export/{name}?per_page=1000").json[name] == shown  # type: ignore[index]


def test_pages(login: Login) -> None:
    admin = login("toby")

    def page(query: str) -> dict[str, Any]:
        return admin.get(f"/api/export/posts?{query}").json or {}

    pages = [page(f"per_page=3&page={number}") for number in (1, 2, 3)]
    assert [[post["id"] for post in answer["posts"]] for answer in pages] == [[1, 2, 3], [4], []]
    assert [(answer["has_prev"], answer["has_next"]) for answer in pages] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    assert {answer["total"] for answer in pages} == {4}
    for odd in ("page=0", "page=-1", "page=x", "per_page=0", "per_page=-1", "per_page=" + "9" * 30):
        assert len(page(odd)["posts"]) == 4
    assert page("page=" + "9" * 30)["posts"] == []


def test_replies_are_listed_twice(login: Login) -> None:
    posts = {post["id"]: post for post in login("toby").get("/api/export/posts").json["posts"]}  # type: ignore[index]
    assert posts[2]["parentId"] == 1
    assert [reply["id"] for reply in posts[1]["replies"]] == [2]
    assert posts[1]["replyCount"] == 1
    assert set(posts[1]["replies"][0]) == {"id", "userId", "studentName", "content", "timestamp"}
    assert posts[1]["pageUrl"] == "/blog/loops?lesson=2"


def test_reactions_are_flat_again(app: Flask, login: Login) -> None:
    with app.app_context():
        microblog = db.session.get_one(Microblog, 1)
        microblog.data = {"reactions": {"n": 3, "👍": "hidden"}, "content": "hidden", "mood": None}
        microblog.reactions.append(Reaction(kind="👎", former_user_id=77))
        db.session.commit()
    shown = login("toby").get("/api/export/microblogs").json["microblogs"][0]  # type: ignore[index]
    assert shown["reactions"] == {"👍": [2, 3], "👎": [77], "n": 3}
    assert (shown["mood"], shown["content"]) == (None, "Finished the loops page 🎉")


def test_what_is_gone_is_shown_by_its_old_id(app: Flask, login: Login) -> None:
    with app.app_context():
        db.session.add(Post(id=9, former_user_id=404, former_parent_id=405, content="left behind"))
        db.session.commit()
    shown = login("toby").get("/api/export/posts").json["posts"][-1]  # type: ignore[index]
    assert (shown["userId"], shown["parentId"], shown["studentName"]) == (404, 405, None)
    assert "userUid" not in shown


def test_times(app: Flask, login: Login) -> None:
    with app.app_context():
        db.session.execute(sa.text("UPDATE posts SET created_at = '2026-01-01 10:00:00.000120' WHERE id = 1"))
        db.session.commit()
    admin = login("toby")
    posts = admin.get("/api/export/posts").json["posts"]  # type: ignore[index]
    assert [posts[0]["timestamp"], posts[1]["timestamp"]] == ["2026-01-01T10:00:00.000120", "2026-01-06T11:00:00"]
    feedback = admin.get("/api/export/feedback").json["feedback"][0]  # type: ignore[index]
    assert feedback["created_at"] == "Tue, 06 Jan 2026 15:00:00 GMT"


def test_json_columns_keep_what_they_hold(app: Flask, login: Login) -> None:
    with app.app_context():
        for key, value in enumerate(("42", '"text"', '{"b": 1, "a": 2}', "null"), start=10):
            db.session.execute(
                sa.insert(Topic).values(id=key, page_key=str(key), page_path="", page_title="", settings=None)
            )
            db.session.execute(sa.text("UPDATE topics SET settings = :v WHERE id = :k"), {"v": value, "k": key})
        db.session.commit()
    answer = login("toby").get("/api/export/topics")
    assert [topic["settings"] for topic in answer.json["topics"][2:]] == [42, "text", {"b": 1, "a": 2}, None]  # type: ignore[index]
    assert '{"b":1,"a":2}' in answer.text


def test_who_may_export(login: Login, client: FlaskClient) -> None:
    student, admin = login("niko"), login("toby")
    for name in (*KEYS, "all", "nothing"):
        assert client.get(f"/api/export/{name}").status_code == 401
        assert student.get(f"/api/export/{name}").status_code == 403
        assert admin.get(f"/api/export/{name}").status_code == (404 if name == "nothing" else 200)


def test_hashes_leave_through_the_export_only(login: Login) -> None:
    admin = login("toby")
    texts = {name: admin.get(f"/api/export/{name}").text for name in KEYS}
    texts["user"] = admin.get("/api/user").text
    assert {name for name, text in texts.items() if re.search(r"scrypt|password", text)} == {"users"}


def test_users(login: Login, client: FlaskClient) -> None:
    assert client.get("/api/user").status_code == 401
    users = login("niko").get("/api/user").json
    assert users is not None
    assert set(users[0]) == (set(KEYS["users"].split()) - {"password"}) | {"access"}
    by_uid = {user["uid"]: user for user in users}
    assert by_uid["niko"]["sections"] == [{"id": 1, "name": "Computer Science A", "abbreviation": "CSA", "year": 2026}]
    assert by_uid["niko"]["personas"][0] == {
        "user_id": 3,
        "uid": "niko",
        "persona_id": 1,
        "persona_alias": "planner",
        "weight": 1,
        "selected_at": "2026-01-05T10:00:00",
    }
    assert (by_uid["niko"]["access"], by_uid["toby"]["access"]) == (["rw"], ["ro"])
    assert {user["access"][0] for user in login("toby").get("/api/user").json or []} == {"rw"}


def test_pages_of_users(login: Login) -> None:
    client = login("niko")
    answer = client.get("/api/user?page=2&per_page=2").json
    assert answer is not None
    assert [user["id"] for user in answer["users"]] == [3, 4]
    assert answer["pagination"] == {"page": 2, "per_page": 2, "total": 5, "has_next": True, "has_prev": True}
    assert isinstance(client.get("/api/user?page=0").json, list)
    capped = client.get("/api/user?page=1&per_page=5000").json
    assert capped is not None
    assert capped["pagination"]["per_page"] == 200


def test_a_page_of_posts_costs_few_queries(app: Flask, login: Login) -> None:
    admin = login("toby")
    statements: list[str] = []
    with app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    admin.get("/api/export/posts")
    assert len(statements) <= 5  # the user, the generation, and three
