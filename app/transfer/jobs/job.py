"""A job: what a command does that replaces the live database, as data: its question, its steps, its ledger entry.

:mod:`.passage` carries any job out, in the one order there is.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...dialects.base import Fence
from ...errors import FerryError
from ..backup.manifest import Backup
from ..backup.stored import store_backup
from ..cutover.secure import Secured, secure
from ..run.ledger import Entry
from ..run.plan import Question
from ..run.run import Run
from ..run.target import Target


@dataclass(frozen=True)
class Step:
    """A unit of a job's work, journalled before and after.

    :ivar of_live: it reads the live database, so it is done again when that was written meanwhile.
    """

    name: str
    work: Callable[[], object]
    of_live: bool = False


@dataclass(frozen=True)
class Nothing:
    """What is planned where there is nothing to do."""

    summary: str
    revisions: dict[str, str | None]


@dataclass(frozen=True)
class Planning:
    """What planning a job is given.

    :ivar resources: closed when the command ends.
    :ivar finished: the run whose cut-over was finished just now, because it had been left begun.
    :ivar finished_as: how that is said.
    """

    resources: contextlib.ExitStack
    finished: Entry | None = None
    finished_as: str = ""


class Job(ABC):
    """What one command does, planned: carried out by :mod:`.passage` and by nothing else.

    :ivar fence: watches the live database, from before the first step.
    :ivar secured: the live database as it was backed up; the cut-over refuses another one.
    :ivar unstored: its backup, where that is to be stored behind the cut-over.
    """

    writers_wait: ClassVar[bool] = False
    """Whether the job reads the live database itself: writers wait while a pass is repeated, and until its cut-over."""

    keeps_counters: ClassVar[bool] = False
    """Whether numbers that the live database gave out are not given out again, though their rows may be gone."""

    stages_backup: ClassVar[bool] = False
    """Whether the backup is read back in staging, which may be a copy of the live database then."""

    rehearsal: Mapping[str, Any] | None = None
    """What a rehearsal of the job is of: equal for a run that does the same; None where there can be none."""

    fence: Fence
    secured: Secured
    unstored: Backup | None = None
    is_kept = False
    """Whether the rows of staging are kept already as they will be swapped in."""
    _is_stored = False

    def __init__(self, run: Run, target: Target, *, backup_to: Path | None = None) -> None:
        self.run, self.target, self.backup_to = run, target, backup_to
        self.report = run.report

    @property
    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """All of its work before the cut-over, in order."""

    @abstractmethod
    def question(self) -> Question:
        """What is asked before anything is replaced."""

    @abstractmethod
    def preview(self, question: Question) -> str:
        """What the job would do, in a sentence for ``--dry-run``."""

    def foresee(self, directory: Path) -> None:
        """Put into the report what is known of the run before it writes anything.

        :param directory: private, and removed afterwards.
        :raises FerryError: what the run would end with.
        """
        del directory

    @abstractmethod
    def entry(self) -> Entry:
        """The ledger's entry of the cut-over; made from staging, which gets its mark."""

    @abstractmethod
    def summary(self, entry: Entry, rows: int) -> str:
        """What was done, in a sentence."""

    @property
    def source_bytes(self) -> int:
        """How much the source is, for the look at free space."""
        return 0

    @property
    def runs_revisions(self) -> bool:
        """Whether the host's ``env.py`` has to work."""
        return True

    @property
    def backup_place(self) -> str:
        """Where the backup goes, for people."""
        return self.run.settings.name_places(self.backup_to)

    def way_back(self, entry: Entry) -> str | None:
        """The command that undoes the cut-over."""
        del entry
        return "flask db-rollback"

    def end_helpers(self) -> None:  # noqa: B027 # most jobs have none
        """End what works on staging besides the run; behind its steps, and before staging is dropped."""

    def back_up(self) -> None:
        """Secure what is live; a backup that was asked for at a place of its own is made there once.

        The first one is in the storage before anything else is done. A further pass keeps writers waiting, or loses the
        race against them: its backup is stored when the cut-over is behind it, see :meth:`store_last`.
        """
        first = not hasattr(self, "secured")
        to = self.backup_to if first else None
        self.secured = secure(self.run, self.fence, to, changes=self.writers_wait, to_staging=self.stages_backup)
        self.unstored, backup = None, self.secured.backup
        if backup and not first and (self.writers_wait or self._is_stored):
            self.unstored = backup
        elif backup:
            self._is_stored = store_backup(self.run, backup) is not None

    def store_last(self) -> None:
        """Store the backup of a further pass, behind the cut-over: that it fails is a warning."""
        if self.unstored is None:
            return
        try:
            store_backup(self.run, self.unstored)
        except self.run.write_errors as error:
            why = [error.message, *error.details] if isinstance(error, FerryError) else [str(error)]
            self.run.warn(
                f"{' '.join(why)} What was written while the run was at work is in no backup there. "
                f"To store it: flask db-backup --store {self.unstored.id}"
            )

    def announce_pass(self, number: int, *, waiting: bool) -> str:
        """What is said when the live database was written meanwhile."""
        if self.writers_wait:
            how = ", with writers waiting" if waiting else ""
            return f"The live database was written meanwhile; pass {number}{how}."
        return "The live database was written since its backup; backing it up again."

    def approach(self) -> bool:
        """Bring staging near to what was written since it was proved, with nobody waiting.

        :return: whether :meth:`catch_up` may be tried; else a whole pass is made.
        """
        return False

    def catch_up(self) -> Entry | None:
        """Bring staging to what is live, while writers wait; returns the ledger's entry of it, proved.

        None: it cannot be brought there, and is to be made anew.
        """
        return None

    def time_catch_up(self) -> float | None:
        """How long :meth:`catch_up` looks for what was written, by looking; None where a whole pass would be made.

        Only ever called where staging is proved, and not to be swapped in.
        """
        return None

    def was_written_meanwhile(self) -> bool:
        """Whether a failed proof may only say that what the job read of the live database is newer than secured."""
        if not self.writers_wait or not hasattr(self, "secured"):
            return False
        return self.run.before == self.run.target and self.fence.token() != self.secured.token


def carry_out_steps(run: Run, steps: Iterable[Step]) -> None:
    """Carry out steps in order; nothing else opens one."""
    for step in steps:
        with run.step(step.name):
            step.work()


def refresh_derived(run: Run) -> None:
    """Where all rows of staging are in, let the server compute anew what it keeps of them, and say so.

    :raises DoesNotFit: something cannot be computed over these rows.
    """
    if names := run.dialect.refresh_derived(run.staging):
        run.note(f"Computed anew over the new rows: {', '.join(names)}")
