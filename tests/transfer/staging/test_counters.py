"""What gives out numbers goes on where it stood, or the run says what does not, or stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from app.dialects.model import Counter
from app.errors import VerificationFailed
from app.transfer.run.run import Run
from app.transfer.staging.counters import carry_counters, keep_counters, prove_counters, read_counters
from tests.transfer.hosts import made_run

KEY = Counter("users_id_seq", 50, "users", "id")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = made_run(tmp_path)
    run.dialect.open_control(run.dialect.control_area(run.target))
    return run


def staged(run: Run, *statements: str) -> URL:
    run.dialect.prepare_staging(run.staging, run.target)
    with run.dialect.engine(run.staging).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    return run.staging


COUNTED = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)"
PLAIN = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)"


def test_a_counter_is_carried_and_one_without_a_place_is_named(run: Run) -> None:
    staging = staged(run, COUNTED)
    carry_counters(run, [KEY, Counter("invoices", 7)], staging)
    assert read_counters(run, staging) == [Counter("users.id", 50, "users", "id")]
    assert list(run.report.not_carried) == ["counter invoices"]
    assert "7 next" in run.report.not_carried["counter invoices"]


def test_what_a_revision_dropped_is_gone_and_a_column_that_counts_no_more_is_named(run: Run) -> None:
    keep_counters(run, [KEY, Counter("tags.id", 9, "tags", "id")], staged(run, PLAIN))
    assert list(run.report.not_carried) == ["counter users_id_seq"]
    assert "has none any more" in run.report.not_carried["counter users_id_seq"]


def test_a_number_that_was_given_out_is_not_given_out_again(run: Run) -> None:
    staging = staged(run, COUNTED, "INSERT INTO users VALUES (40, 'x')")
    with pytest.raises(VerificationFailed, match="given out again") as caught:
        prove_counters(run, [KEY], staging)
    assert caught.value.details == ["users_id_seq: 41 would be next, and 50 was"]
    prove_counters(run, [Counter("users.id", 41, "users", "id")], staging)
    prove_counters(run, [], staging)
