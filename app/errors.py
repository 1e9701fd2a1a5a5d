"""The errors of Flask-Ferry, each with the exit status a command ends with.

::

    FerryError 1
    ├── DatabaseDamaged 1       which one, the server's words
    ├── DatabaseUnreachable 1   which server, the driver's words
    ├── LiveSchemaChanged 1     during an upgrade beside it
    ├── LoadError 1             table, row, the server's words
    ├── ToolFailed 1            program, status, last lines
    ├── Misconfigured 2         which key, where it came from
    ├── AccessDenied 2          which server and user
    │   └── NotGranted 22       and which privilege it lacks
    ├── SourceIncomplete 3      unreachable, or not all of it could be read
    │   └── SnapshotUnusable 3  missing, truncated, edited or foreign snapshot
    ├── LockHeld 11             holder, host, since when
    │   └── LeaseLost 11        another run took over
    ├── Unauthorized 12         the source refused the credentials
    ├── Protected 20            production, prohibited, unsupported server
    ├── BackupFailed 21
    ├── DoesNotFit 22           all problems found, counts, sample keys
    │   └── OutOfSpace 22       where, the server's words
    ├── VerificationFailed 23   tables, rows, columns
    ├── CutOverUnfinished 25    which database is live; what finishes or undoes it
    └── NotConfirmed 130        answer No, or interrupted
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Self


class ExitStatus(IntEnum):
    """What a command's exit status means; the same for every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SOURCE_INCOMPLETE = 3
    LOCKED = 11
    UNAUTHORIZED = 12
    PROTECTED = 20
    BACKUP_FAILED = 21
    DOES_NOT_FIT = 22
    VERIFICATION_FAILED = 23
    CUT_OVER_UNFINISHED = 25
    NOT_CONFIRMED = 130


MEANINGS: dict[ExitStatus, str] = {
    ExitStatus.DONE: "done, or nothing left to do",
    ExitStatus.FAILED: "failed",
    ExitStatus.USAGE: "usage, or configuration that is missing or contradictory",
    ExitStatus.SOURCE_INCOMPLETE: "the source could not be read completely, and no usable snapshot",
    ExitStatus.LOCKED: "another run holds the lock",
    ExitStatus.UNAUTHORIZED: "the source refused the credentials, and no usable snapshot",
    ExitStatus.PROTECTED: "refused: protected (production, prohibited, unsupported server, the source is this target)",
    ExitStatus.BACKUP_FAILED: "the backup failed or could not be read back",
    ExitStatus.DOES_NOT_FIT: "this data does not fit, there is no room, or a revision refused rows",
    ExitStatus.VERIFICATION_FAILED: "verification failed, or values would be lost undeclared",
    ExitStatus.CUT_OVER_UNFINISHED: "a cut-over needs attention; the message says which database is live",
    ExitStatus.NOT_CONFIRMED: "not confirmed, or interrupted",
}

WHAT_TO_DO: dict[ExitStatus, str] = {
    ExitStatus.DONE: "go on",
    ExitStatus.FAILED: "read the message; the run's journal and report are in the control area",
    ExitStatus.USAGE: "set what is named",
    ExitStatus.SOURCE_INCOMPLETE: "run again when it answers; with a good older snapshot: --fallback 30d",
    ExitStatus.LOCKED: "wait, or look who it is: flask db-status",
    ExitStatus.UNAUTHORIZED: "set an admin's uid and password",
    ExitStatus.PROTECTED: "do what the message names, by hand: a deploy hook never has --allow-production",
    ExitStatus.BACKUP_FAILED: "make room, or set FERRY_BACKUPS; look whether FERRY_STORAGE answers",
    ExitStatus.DOES_NOT_FIT: "fix the rows in the source or by a revision, or let them go to a file: --set-aside",
    ExitStatus.VERIFICATION_FAILED: "declare the move or loss in the revision, or run again with fewer writers",
    ExitStatus.CUT_OVER_UNFINISHED: "make room, if that is what was missing, then run the named command",
    ExitStatus.NOT_CONFIRMED: "run again; without a terminal with --yes",
}


class FerryError(Exception):
    """A run that stopped: what and where, and in ``hint`` what to do or type next.

    :param message: one or more lines, without a secret in them.
    :param hint: the next command or action, or None when there is none.
    :param details: further lines, e.g. each problem found.
    """

    exit_status: ExitStatus = ExitStatus.FAILED

    def __init__(self, message: str, *, hint: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = list(details)

    def with_hint(self, hint: str) -> Self:
        """A new error that says the same and another way on."""
        return self._changed(hint=hint)

    def with_details(self, message: str, details: Sequence[str]) -> Self:
        """A new error of this kind with another text."""
        return self._changed(message=message, args=(message,), details=list(details))

    def _changed(self, **values: object) -> Self:
        # Not copy.copy(): a program that imports tblib, as Dask's, has another meaning of it for errors.
        changed = type(self).__new__(type(self), *self.args)
        for name, value in {**vars(self), **values}.items():
            setattr(changed, name, value)
        return changed


class DatabaseDamaged(FerryError):
    """A database file is not one, or its structure is broken."""


class DatabaseUnreachable(FerryError):
    """A database server does not answer, or the connection to it was lost."""


class LiveSchemaChanged(FerryError):
    """The live schema was changed while staging was built: by a revision, or by somebody else."""


class LoadError(FerryError):
    """The server refused a row for a reason that is not the row's own."""


class PartLoaded(FerryError):
    """A part that several may load is in already, every row of it."""


class ClusterLost(FerryError):
    """A cluster that parts of a run were given to does not answer, or has no worker."""


class ToolFailed(FerryError):
    """A program that was called ended with an error."""


class Misconfigured(FerryError):
    """A key or option is missing or contradicts another one."""

    exit_status = ExitStatus.USAGE


class AccessDenied(FerryError):
    """A database server refuses user or password, or an encrypted connection to it cannot be had."""

    exit_status = ExitStatus.USAGE


class NotGranted(AccessDenied):
    """A database server lets the user in, and not do what is needed."""

    exit_status = ExitStatus.DOES_NOT_FIT


class SourceIncomplete(FerryError):
    """The source cannot be reached, or not all of it could be read."""

    exit_status = ExitStatus.SOURCE_INCOMPLETE


class SnapshotUnusable(SourceIncomplete):
    """A snapshot is missing, truncated, edited, incomplete, too old or of another source."""


class LockHeld(FerryError):
    """Another run works on this database."""

    exit_status = ExitStatus.LOCKED


class LeaseLost(LockHeld):
    """This run slept for longer than its lease, and another one took over."""


class Unauthorized(FerryError):
    """The source refused the credentials."""

    exit_status = ExitStatus.UNAUTHORIZED


class Protected(FerryError):
    """Refused before anything was touched."""

    exit_status = ExitStatus.PROTECTED


class BackupFailed(FerryError):
    """The backup could not be written or does not read back as what was backed up."""

    exit_status = ExitStatus.BACKUP_FAILED


class DoesNotFit(FerryError):
    """Rows, tables or revisions that the schema refuses."""

    exit_status = ExitStatus.DOES_NOT_FIT


class OutOfSpace(DoesNotFit):
    """A disk, a quota or a table space is full: nothing is wrong with the rows."""


class VerificationFailed(FerryError):
    """What was loaded is not what was read, or values would be lost undeclared."""

    exit_status = ExitStatus.VERIFICATION_FAILED


class CutOverUnfinished(FerryError):
    """A cut-over needs attention; the message says which database is live."""

    exit_status = ExitStatus.CUT_OVER_UNFINISHED


class NotConfirmed(FerryError):
    """The question was not answered with yes, or the run was interrupted."""

    exit_status = ExitStatus.NOT_CONFIRMED


class Terminated(NotConfirmed):
    """The run was interrupted as processes are when their machine or their service ends: by SIGTERM or SIGHUP."""
