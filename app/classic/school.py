"""Classrooms with their students, feedback, and what was studied."""

from __future__ import annotations

from ..errors import DoesNotFit
from ..transfer.adapters import Find, Record, Rows, adapter
from .values import http_date, timestamp


@adapter("classrooms", makes=("classrooms", "classroom_student"))
def classrooms(record: Record, _find: Find) -> Rows:
    """A classroom, and one row for each of its students."""
    record.waive("ownerUid", reason="repeats the row of the owner")
    record.waive("studentUids", reason="repeats the rows of the students")
    row = {
        "id": record["id"],
        "_name": record["name"],
        "_school_name": record["school_name"],
        "_owner_teacher_id": record["owner_teacher_id"],
        "_status": record["status"],
        "_created_at": timestamp(record, "created_at"),
    }
    yield "classrooms", row
    students = record["students"]
    if not isinstance(students, list):
        raise DoesNotFit(f"{record.name}: 'students' is not a list.")
    for student in students:
        yield "classroom_student", {"classroom_id": record["id"], "student_id": student}


@adapter("feedback", makes=("feedbacks",))
def feedback(record: Record, _find: Find) -> Rows:
    """What somebody wrote about the site."""
    row = {
        "id": record["id"],
        "title": record["title"],
        "body": record["body"],
        "type": record["type"],
        "github_username": record["github_username"],
        "created_at": http_date(record, "created_at"),
        "github_issue_url": record["github_issue_url"],
    }
    yield "feedbacks", row


@adapter("study", makes=("study",))
def study(record: Record, _find: Find) -> Rows:
    """A topic that somebody studied; its time is free text."""
    record.waive("userUid", reason="repeats the row of the user")
    row = {
        "id": record["id"],
        "user_id": record["user_id"],
        "topic": record["topic"],
        "subtopic": record["subtopic"],
        "studied": record["studied"],
        "timestamp": record["timestamp"],
    }
    yield "study", row
