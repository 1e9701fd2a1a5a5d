"""Several databases in one command: none is cut over before all are proved."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.model import LateWrite
from app.errors import DoesNotFit
from app.transfer.jobs.passage import Order
from app.transfer.jobs.together import Together

from .test_passage import Copy, Disturbance, make_job, write


def make_two(directory: Path, disturb: Disturbance) -> dict[str, Copy]:
    """Jobs for two databases, the second of which is disturbed."""
    return {"first": make_job(directory / "a", lambda _: None), "second": make_job(directory / "b", disturb)}


def carry(jobs: dict[str, Copy]) -> None:
    orders = {name: Order(job.run, lambda _planning, job=job: job) for name, job in jobs.items()}
    Together(orders, lambda _questions: None).carry_out()


def test_a_further_pass_of_the_second_comes_before_the_first_is_cut_over(tmp_path: Path) -> None:
    def disturb(number: int) -> None:
        if number > 1:
            raise DoesNotFit("The second pass is refused.")
        write(tmp_path / "b")
        raise LateWrite

    jobs = make_two(tmp_path, disturb)
    with pytest.raises(DoesNotFit, match="second pass"):
        carry(jobs)
    assert [job.run.report.live for job in jobs.values()] == ["unchanged", "unchanged"]
    assert jobs["first"].run.control.ledger() == []


def test_both_are_cut_over_where_the_second_needs_another_pass(tmp_path: Path) -> None:
    def disturb(number: int) -> None:
        if number == 1:
            write(tmp_path / "b")
            raise LateWrite

    jobs = make_two(tmp_path, disturb)
    carry(jobs)
    assert [(job.passes, job.run.report.live) for job in jobs.values()] == [(1, "replaced"), (2, "replaced")]
