"""Topics, microblogs and posts."""

from __future__ import annotations

from ..transfer.adapters import Find, Record, Rows, adapter
from .values import timestamp

AUTHOR = "repeats the row of the user"
COUNTED = "counted by the API"


@adapter("topics", makes=("topics",))
def topics(record: Record, _find: Find) -> Rows:
    """A page that microblogs are written on."""
    record.waive("postCount", reason=COUNTED)
    row = {
        "id": record["id"],
        "_page_key": record["pageKey"],
        "_page_path": record["pagePath"],
        "_page_title": record["pageTitle"],
        "_page_description": record["pageDescription"],
        "_display_name": record["displayName"],
        "_color": record["color"],
        "_icon": record["icon"],
        "_allow_anonymous": record["allowAnonymous"],
        "_moderated": record["moderated"],
        "_max_posts_per_user": record["maxPostsPerUser"],
        "_created_at": timestamp(record, "createdAt"),
        "_updated_at": timestamp(record, "updatedAt"),
        "_is_active": record["isActive"],
        "_settings": record["settings"],
    }
    yield "topics", row


@adapter("microblogs", makes=("microblogs",))
def microblogs(record: Record, _find: Find) -> Rows:
    """A short message; whatever is not a key of its own came out of the JSON column and goes back there."""
    record.waive("userName", "userUid", reason=AUTHOR)
    record.waive("topicKey", "topicPath", reason="repeats the row of the topic")
    record.waive("characterCount", reason=COUNTED)
    row = {
        "id": record["id"],
        "_user_id": record["userId"],
        "_topic_id": record["topicId"],
        "_content": record["content"],
        "_timestamp": timestamp(record, "timestamp"),
        "_updated_at": timestamp(record, "updatedAt"),
    }
    yield "microblogs", row | {"_data": record.rest()}  # last: everything else has been read


@adapter("posts", makes=("posts",))
def posts(record: Record, find: Find) -> Rows:
    """A post, or a reply to one; a parent may come after its replies."""
    record.waive("userUid", "studentName", reason=AUTHOR)
    record.waive("replyCount", reason=COUNTED)
    _find_repeated_replies(record, find)
    row = {
        "id": record["id"],
        "_user_id": record["userId"],
        "_parent_id": record["parentId"],
        "_content": record["content"],
        "_grade_received": record["gradeReceived"],
        "_page_url": record["pageUrl"],
        "_page_title": record["pageTitle"],
        "_timestamp": timestamp(record, "timestamp"),
        "_updated_at": timestamp(record, "updatedAt"),
    }
    yield "posts", row


def _find_repeated_replies(record: Record, find: Find) -> None:
    """Every nested reply must have come as a record of its own, which says more than the nested one."""
    for reply in record.each("replies"):
        find.expect("posts", reply["id"])
        reply.waive("userId", "studentName", "content", "timestamp", reason="repeats the reply's own record")
        _find_repeated_replies(reply, find)
