"""Rows as the old API shows them."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask

from app.extensions import db
from app.models import Microblog, Post, Reaction, Topic

from .sites import Login


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
