"""Topics, microblogs, posts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.errors import DoesNotFit

from . import records as make
from .engine import adapt
from .records import moment

AT = moment(2023, 9, 1, 8, 15, 30, 250)


def test_a_topic() -> None:
    run = adapt("topics", make.topic())
    assert run.table("topics") == [
        {
            "id": 5,
            "_page_key": "unit-1",
            "_page_path": "/csa/unit/1",
            "_page_title": "Unit 1",
            "_page_description": "",
            "_display_name": None,
            "_color": "#667eea",
            "_icon": "🧭",
            "_allow_anonymous": False,
            "_moderated": True,
            "_max_posts_per_user": None,
            "_created_at": moment(2023, 9, 1, 8, 15, 30),
            "_updated_at": AT,
            "_is_active": True,
            "_settings": {"order": [2, 1]},
        }
    ]
    assert run.waived() == {"topics.postCount": 1}


def test_a_microblog_without_further_keys_is_loaded_with_an_empty_object() -> None:
    run = adapt("microblogs", make.microblog())
    assert run.table("microblogs") == [
        {
            "id": 11,
            "_user_id": 7,
            "_topic_id": 5,
            "_content": "שלום 👩‍🚀",
            "_data": {},
            "_timestamp": AT,
            "_updated_at": None,
        }
    ]
    derived = ("userName", "userUid", "topicKey", "topicPath", "characterCount")
    assert run.waived() == {f"microblogs.{key}": 1 for key in derived}


def test_every_other_key_of_a_microblog_goes_back_into_its_json() -> None:
    data = {
        "replies": [{"id": 1, "userId": 8, "content": "hi"}],
        "reactions": {"👍": [7, 8]},
        "hashtags": None,
        "parentId": 3,
        "ratio": Decimal("1.10"),
        "": "empty key",
    }
    [row] = adapt("microblogs", make.microblog(**data)).table("microblogs")
    assert row["_data"] == data
    assert list(row["_data"]) == list(data)
    assert str(row["_data"]["ratio"]) == "1.10"


def test_keys_of_an_absent_user_and_topic_are_not_missed() -> None:
    orphan = make.microblog(userId=404, topicId=None, topicKey=None, topicPath=None)
    del orphan["userUid"]
    [row] = adapt("microblogs", orphan).table("microblogs")
    assert (row["_user_id"], row["_topic_id"], row["_data"]) == (404, None, {})


def test_a_post() -> None:
    run = adapt("posts", make.post())
    assert run.table("posts") == [
        {
            "id": 20,
            "_user_id": 7,
            "_parent_id": None,
            "_content": "Is it?",
            "_grade_received": "A",
            "_page_url": "/lesson?x=1&y=#z",
            "_page_title": "Lesson",
            "_timestamp": AT,
            "_updated_at": moment(2023, 9, 2),
        }
    ]
    assert run.waived() == {"posts.userUid": 1, "posts.studentName": 1, "posts.replyCount": 1}


def test_nested_replies_are_repeats_of_rows_of_their_own() -> None:
    run = adapt(
        "posts",
        make.post(id=21, parentId=30, replies=[make.reply(id=22)], replyCount=1),
        make.post(id=22, parentId=21),
        make.post(id=30, replies=[make.reply(id=21, replies=[make.reply(id=22)])], replyCount=1),
    )
    assert {row["id"]: row["_parent_id"] for row in run.table("posts")} == {21: 30, 22: 21, 30: None}
    assert run.waived()["posts.replies.content"] == 2
    assert run.waived()["posts.replies.replies.content"] == 1


def test_a_nested_reply_that_came_in_no_page_stops_the_run() -> None:
    with pytest.raises(DoesNotFit, match="'posts', 21"):
        adapt("posts", make.post(replies=[make.reply()], replyCount=1))


def test_a_post_may_point_at_a_user_and_a_parent_who_are_gone() -> None:
    orphan = make.post(userId=999, parentId=998, studentName=None)
    del orphan["userUid"]
    [row] = adapt("posts", orphan).table("posts")
    assert (row["_user_id"], row["_parent_id"]) == (999, 998)


@pytest.mark.parametrize("replies", [{"id": 1}, "text", [21]])
def test_replies_of_another_kind_stop_the_run(replies: Any) -> None:
    with pytest.raises(DoesNotFit, match="posts record 1"):
        adapt("posts", make.post(replies=replies))
