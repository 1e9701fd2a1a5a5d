"""Classrooms, feedback, study."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import DoesNotFit

from . import records as make
from .engine import adapt
from .records import moment


def test_a_classroom_and_its_students() -> None:
    run = adapt("classrooms", make.classroom())
    assert run.table("classrooms") == [
        {
            "id": 31,
            "_name": "Room 1",
            "_school_name": "North",
            "_owner_teacher_id": 1,
            "_status": "active",
            "_created_at": moment(2023, 9, 1, 8, 15, 30, 250),
        }
    ]
    assert run.table("classroom_student") == [
        {"classroom_id": 31, "student_id": 7},
        {"classroom_id": 31, "student_id": 8},
    ]
    assert run.waived() == {"classrooms.ownerUid": 1, "classrooms.studentUids": 1}


def test_an_empty_classroom() -> None:
    run = adapt("classrooms", make.classroom(students=[], studentUids=[], ownerUid=None, created_at=None))
    assert run.table("classroom_student") == []


@pytest.mark.parametrize("students", [None, "7", {"7": 8}, 7])
def test_students_of_another_kind_stop_the_run(students: Any) -> None:
    with pytest.raises(DoesNotFit, match="classrooms record 1: 'students' is not a list"):
        adapt("classrooms", make.classroom(students=students))


def test_feedback() -> None:
    run = adapt("feedback", make.feedback())
    assert run.table("feedbacks") == [
        {
            "id": 41,
            "title": "Typo",
            "body": "On page 2",
            "type": None,
            "github_username": "ada-a",
            "created_at": moment(2024, 5, 31, 13, 45),
            "github_issue_url": None,
        }
    ]
    assert run.waived() == {}


def test_the_time_of_study_is_free_text() -> None:
    record = make.study(user_id=None)
    del record["userUid"]
    run = adapt("study", record, make.study(id=52, timestamp=""))
    assert [row["timestamp"] for row in run.table("study")] == ["last Tuesday, 5 pm", ""]
    assert [row["user_id"] for row in run.table("study")] == [None, 7]
    assert run.waived() == {"study.userUid": 1}
