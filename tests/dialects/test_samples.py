"""What is wrong with rows, in sentences with the right plurals."""

from __future__ import annotations

import pytest

from app.dialects.samples import ProblemKind, dangling, name_some, notes_of


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (1, "children: 1 row refers to a row of parents that is not there (fk: 7)"),
        (2, "children: 2 rows refer to rows of parents that are not there (fk: 7)"),
    ],
)
def test_rows_that_refer_to_nothing(rows: int, words: str) -> None:
    problem = dangling("children", rows, "parents", "fk: 7")
    assert (str(problem), problem.kind, problem.table, problem.parent) == (
        words,
        ProblemKind.DANGLING,
        "children",
        "parents",
    )


def test_some_keys_and_whether_there_are_more() -> None:
    assert name_some([1, "b"], more=False) == "1, b"
    assert name_some([1, "b"], more=True) == "1, b, ..."


def test_notes_of_an_error_come_with_a_blank_before_each() -> None:
    error = ValueError("x")
    assert notes_of(error) == ""
    error.add_note("It was read then:")
    error.add_note("users.")
    assert notes_of(error) == " It was read then: users."
