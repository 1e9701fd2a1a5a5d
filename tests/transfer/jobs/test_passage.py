"""The order of every job: passes while somebody writes, those of a rehearsal too, which replaces nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.model import LateWrite
from app.errors import VerificationFailed
from app.transfer.cutover.cutover import entry_for
from app.transfer.jobs.job import Job, Step
from app.transfer.jobs.passage import Order, carry_out
from app.transfer.run.history import list_runs
from app.transfer.run.ledger import Entry
from app.transfer.run.plan import Question
from app.transfer.run.report import Report
from app.transfer.run.run import Run
from tests.transfer.hosts import made_run

Disturbance = Callable[[int], None]


def write(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "live.db")) as connection, connection:
        connection.execute("INSERT INTO thing DEFAULT VALUES")


class Copy(Job):
    """Brings the live database itself, and is disturbed by what a test does in its step.

    :ivar passes: how often its step began.
    """

    writers_wait = True
    runs_revisions = False

    def __init__(self, run: Run, disturb: Disturbance) -> None:
        super().__init__(run, run.look())
        self.disturb, self.passes = disturb, 0

    @property
    def steps(self) -> tuple[Step, ...]:
        return Step("backup", self.secure, of_live=True), Step("copy", self.copy, of_live=True)

    def secure(self) -> None:
        self.back_up()
        self.passes += 1

    def copy(self) -> None:
        self.run.dialect.copy(self.run.before, self.run.staging, timeout_s=5)
        self.disturb(self.passes)

    def was_written_meanwhile(self) -> bool:
        return self.fence.token() != self.secured.token

    def question(self) -> Question:
        return Question(self.target, {}, "itself", "nowhere")

    def preview(self, question: Question) -> str:
        return "Would copy."

    def entry(self) -> Entry:
        return entry_for(self.run, self.target, self.secured)

    def summary(self, entry: Entry, rows: int) -> str:
        return f"Done: {rows}"


class Replacing(Copy):
    """Nobody waits for it."""

    writers_wait = False


def make_job(directory: Path, disturb: Disturbance, **config: str) -> Copy:
    directory.mkdir(exist_ok=True)
    with closing(sqlite3.connect(directory / "live.db")) as connection, connection:
        connection.executescript("CREATE TABLE thing (id INTEGER PRIMARY KEY); INSERT INTO thing VALUES (1), (2)")
    return Copy(made_run(directory, **config), disturb)


def carry(directory: Path, disturb: Disturbance, *, rehearse: bool, **config: str) -> tuple[Copy, Report]:
    job = make_job(directory, disturb, **config)
    return job, carry_out(Order(job.run, lambda planning: job, rehearse=rehearse))


@pytest.mark.parametrize("event", [LateWrite, VerificationFailed("The copy is another one.")])
@pytest.mark.parametrize("rehearse", [True, False])
def test_what_was_written_meanwhile_is_answered_with_another_pass(
    tmp_path: Path, event: type[Exception] | Exception, rehearse: bool
) -> None:
    def disturb(number: int) -> None:
        if number == 1:
            write(tmp_path)
            raise event

    job, report = carry(tmp_path, disturb, rehearse=rehearse)
    assert job.passes == 2
    assert report.notes == [
        f"The live database was written meanwhile; pass 2{'' if rehearse else ', with writers waiting'}."
    ]
    assert (report.live, report.exit_status) == ("unchanged" if rehearse else "replaced", 0)


def test_a_rehearsal_says_that_live_was_written_after_its_backup_and_makes_no_writer_wait(tmp_path: Path) -> None:
    job, report = carry(tmp_path, lambda number: write(tmp_path), rehearse=True)
    assert (job.passes, report.live, report.outcome) == (1, "written", "rehearsed")
    assert "nothing was replaced, but the live database was written meanwhile, by the application or by a revision" in (
        report.summary
    )
    [item] = list_runs(job.run.control, "alembic_version")
    assert (item["outcome"], item["cut_over"]) == ("rehearsed", False)


def test_a_rehearsal_that_is_disturbed_in_each_pass_ends_as_a_run_would(tmp_path: Path) -> None:
    def disturb(number: int) -> None:
        write(tmp_path)
        raise LateWrite

    with pytest.raises(VerificationFailed, match="kept writing"):
        carry(tmp_path, disturb, rehearse=True)


def carry_with_storage(directory: Path, at_last: Callable[[Path], object]) -> tuple[Path, list[int], Report]:
    """A run of two passes; returns the storage, how many backups were there at the end of each pass, and the report."""
    far, stored = directory / "far", list[int]()
    far.mkdir(parents=True)

    def disturb(number: int) -> None:
        stored.append(len(list(far.glob("*.sqlite3"))))
        if number == 1:
            write(directory)
        else:
            at_last(far)

    _, report = carry(directory, disturb, rehearse=False, FERRY_STORAGE=f"file://{far}")
    return far, stored, report


def test_while_writers_wait_nothing_is_stored_and_behind_the_cut_over_the_last_backup_is(tmp_path: Path) -> None:
    far, stored, report = carry_with_storage(tmp_path, lambda far: far)
    assert stored == [1, 1]
    assert len(list(far.glob("*.sqlite3"))) == 2
    assert (far / Path(str(report.backup)).name).is_file()
    assert (report.live, report.exit_status, report.warnings) == ("replaced", 0, [])
    assert sum(note.startswith("Stored: ") for note in report.notes) == 2


def test_a_last_backup_that_cannot_be_stored_is_a_warning(tmp_path: Path) -> None:
    far, _, report = carry_with_storage(tmp_path, lambda far: far.rename(far.with_name("unmounted")))
    assert not far.exists()
    assert Path(str(report.backup)).is_file()
    assert (report.live, report.exit_status) == ("replaced", 0)
    assert "is not in the storage" in report.warnings[0]
    assert "There is no directory" in report.warnings[0]
    assert report.warnings[0].endswith(f"flask db-backup --store {Path(str(report.backup)).stem}")


def test_a_further_pass_stores_its_backup_at_once_where_none_is_stored_yet_and_nobody_waits(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    stored: list[int] = []

    def disturb(number: int) -> None:
        stored.append(len(list(far.glob("*.sqlite3"))))
        if number < 3:
            write(tmp_path)

    copy = make_job(tmp_path, disturb, FERRY_STORAGE=f"file://{far}")
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection, connection:
        connection.execute("DELETE FROM thing")
    job = Replacing(copy.run, disturb)
    report = carry_out(Order(job.run, lambda planning: job))
    assert stored == [0, 1, 1]
    assert len(list(far.glob("*.sqlite3"))) == 2
    assert (report.live, report.warnings) == ("replaced", [])
