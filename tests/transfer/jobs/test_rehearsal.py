"""What a rehearsal leaves: which run it is of, how old it is, and what it predicts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.errors import Protected
from app.transfer.jobs.job import Job
from app.transfer.jobs.rehearsal import recall_prediction, record_rehearsal, require_rehearsal
from tests.transfer.hosts import made_run

OF = {"command": "db-migrate-data", "source": "s", "options": {"exclude": ["a"]}}


def job_of(rehearsal: dict[str, Any] | None) -> Job:
    return cast(Job, SimpleNamespace(rehearsal=rehearsal))


def test_only_a_young_one_of_the_same_counts(tmp_path: Path) -> None:
    run = made_run(tmp_path, FERRY_REHEARSED="1h")
    with pytest.raises(Protected, match="there is none"):
        require_rehearsal(run, job_of(OF))
    run.report.predicted_wait = {"swap_s": 0.5, "pass_s": None}
    record_rehearsal(run, job_of(OF))
    later = made_run(tmp_path, FERRY_REHEARSED="1h")
    require_rehearsal(later, job_of(OF))
    recall_prediction(later, job_of(OF))
    assert later.report.predicted_wait == {"swap_s": 0.5, "pass_s": None, "rehearsal": run.id}
    with pytest.raises(Protected, match=r"not older than 1h \(FERRY_REHEARSED, app\.config\); there is none"):
        require_rehearsal(later, job_of(OF | {"source": "another"}))
    with pytest.raises(Protected, match="the last one was at 2"):
        require_rehearsal(made_run(tmp_path, FERRY_REHEARSED="0s"), job_of(OF))


def test_what_needs_none(tmp_path: Path) -> None:
    require_rehearsal(made_run(tmp_path), job_of(OF))
    require_rehearsal(made_run(tmp_path, FERRY_REHEARSED="1h"), job_of(None))
