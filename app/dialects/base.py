"""What the engine asks of a database server: the Dialect protocol and the words it is spoken in.

Rooms are dumb: each method does one thing, says how it fails, and decides nothing. Differences between servers
are capabilities, asked by name; no other package knows a server's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL
from sqlalchemy import Connection as AppConnection

from .counters import KnowsDraws
from .dumping import Dump
from .model import (
    Capabilities,
    Counter,
    LoadResult,
    Look,
    OutsideObject,
    Overview,
    SchemaObject,
    Table,
    Values,
)
from .places import Places
from .reader import Reader
from .rounds import Rounds
from .samples import Problem


class OutsideStaging(Exception):  # an event: the engine names the revision
    """The app's own code, at work on a staging database, reached for another one; nothing of it was done."""


class Fence(KnowsDraws, Protocol):
    """Tells whether a database was written, for as long as it is open."""

    notes: list[str]
    """What there is to say about the cut-over, in sentences."""

    def token(self) -> bytes:
        """A value that differs after any committed write by anybody else."""

    tells_tables: bool
    """Whether a look tells which tables were written; where it does not, to read beside writers keeps them waiting."""
    knows_by_values: bool
    """It is of values: where these are written and written back, it is what it was, and was another one meanwhile."""

    def look(self) -> Look:
        """The token, with what it is made of."""

    def hold(self, timeout_s: float) -> AbstractContextManager[None]:
        """Let writers wait while this is held; readers go on. A swap that is called meanwhile ends it.

        :raises LockHeld: another connection kept writing for ``timeout_s``.
        """


class Watch(Protocol):
    """Tells whether a database was written since it was read, without looking at every row."""

    def read(self) -> AbstractContextManager[tuple[Reader, bytes | None]]:
        """A consistent read, and the token of its instant; None where no exact one can be had."""

    def token(self) -> bytes | None:
        """That of now. Where it is that of a read, and not None, no committed write came between."""


class Image(Protocol):
    """A target at one instant."""

    token: bytes
    """What :meth:`Fence.token` says as long as nobody has written since."""
    reader: Reader

    def dump(self, to: Path) -> None:
        """Write a backup file of the whole database at this instant, flushed to disk, for its owner alone.

        :raises BackupFailed: it cannot be written, or a program for it is missing (named).
        """

    def begin_dump(self, to: Path) -> Dump:
        """As :meth:`dump`, in parts that two threads may do."""


class Rows(Protocol):
    """Rows out of a database and into one."""

    def reader(self, url: URL) -> AbstractContextManager[Reader]:
        """A consistent read, which writes nothing to the database."""

    def look_over(self, url: URL) -> Overview | None:
        """The database at a glance, by few questions; None where there is none."""

    def app_reader(self, url: URL) -> AbstractContextManager[Reader]:
        """As :meth:`reader`, but with texts as connections of an app show them that has this URL.

        :raises Misconfigured: no app can connect so.
        """

    def find_odd_texts(self, url: URL) -> str:
        """How connections of an app that has this URL show other characters than are stored; else an empty text.

        :raises Misconfigured: no app can connect so.
        """

    def watch(self, url: URL, *, as_app: bool = False) -> AbstractContextManager[Watch]:
        """Watch a database that is only read, for as long as it is open.

        :param as_app: its reads are those of :meth:`app_reader`.
        """

    def loading(self, staging: URL) -> AbstractContextManager[None]:
        """While it is open rows are loaded: triggers do not fire, foreign keys are not enforced.

        At the end triggers and foreign keys are what they were, but that rows which were loaded may refer to nothing,
        and whatever gives out new keys continues above the largest.
        """

    def sharing(self, staging: URL) -> AbstractContextManager[None]:
        """While it is open others may load parts by their names. At its end none of them is at work, and none can be.

        :raises FerryError: who is still at work does not end.
        """

    def load(self, url: URL, table: Table, rows: Iterable[Values], *, batch_rows: int, part: str = "") -> LoadResult:
        """Load rows in one transaction; those the server refuses are in the result, with its words.

        A value that the server would change or warn about is refused as well. Nothing is loaded when ``rows`` raises.

        :param part: what these rows are called within :meth:`sharing`: they go in once, and all of them or none.
        :raises LoadError: the server refused for a reason that is not a row's own; or any row of a part.
        :raises PartLoaded: a part of this name is in.
        """

    def clear(self, staging: URL, tables: Sequence[str]) -> None:
        """Delete all rows of these tables of a staging database; only ever called inside :meth:`loading`."""

    def bring_outside(self, staging: URL, objects: Iterable[OutsideObject]) -> list[str]:
        """Bring what lies outside of all tables, before the rows of staging that name it are loaded.

        What is there already is neither changed nor deleted. What is made goes with staging: :meth:`drop` deletes it.

        :return: what is not as it was in the source, in sentences.
        :raises DoesNotFit: this server has nothing of the kind.
        """

    def bring(self, source: URL, staging: URL, table: Table) -> int:
        """Copy all rows of a table of another staging database, within the server; only ever inside :meth:`loading`.

        :return: how many.
        :raises LoadError: they do not go in, all of them and as they are.
        """

    def copy(self, source: URL, to: URL, *, timeout_s: float) -> None:
        """Make ``to`` an exact copy of ``source``, all objects included, in the place of what was there.

        :raises LockHeld: others kept the source locked for ``timeout_s``.
        """

    def set_numbers(self, staging: URL, numbers: Mapping[str, int]) -> list[str]:
        """Write what :meth:`Reader.numbers` of another database said.

        :return: the names of those that are not 0 and have no place here.
        """

    def set_counters(self, staging: URL, counters: Sequence[Counter]) -> list[Counter]:
        """Let what gives out numbers go on where the same of another database stood; never back.

        :return: those that would begin elsewhere here, because there is no such thing.
        """

    def problems(self, url: URL) -> list[Problem]:
        """Every foreign key, NOT NULL, CHECK and UNIQUE that does not hold, and every damage found, with some keys."""

    def find_refused_keys(self, url: URL, words: str) -> list[str]:
        """For a constraint that the server's words name: which rows break it, by some of their keys."""

    def settle(self, staging: URL, *, keep_violations: bool = False) -> None:
        """After :meth:`problems` found none: let the server itself vouch for rules it was told not to look at.

        Whatever gives out new keys continues above the largest, however the rows came.

        :param keep_violations: a foreign key that does not hold stays one that was not proved.
        """


class Objects(Protocol):
    """What a schema holds besides rows."""

    def carry(self, source: URL, staging: URL, tables: Sequence[str]) -> None:
        """Create tables of the target (or its copy) in staging as they are, with rows, indexes and triggers.

        A table that an earlier call made is made anew.
        """

    def create_objects(self, staging: URL, objects: Sequence[SchemaObject]) -> None:
        """Create views, triggers and indexes.

        :raises DoesNotFit: one of them does not fit the schema, with the server's words.
        """

    def refresh_derived(self, staging: URL) -> list[str]:
        """Compute anew what the server keeps of rows besides the rows, e.g. materialized views, in the order of need.

        What was made to stay empty stays so.

        :return: the names of what was computed.
        :raises DoesNotFit: one of them cannot be computed over the rows that there are, with the server's words.
        """

    def schema_fingerprint(self, url: URL) -> str:
        """A digest of all schema objects; equal as long as no DDL was done."""


class Backups(Protocol):
    """A database at one instant, as a file, and back."""

    def image(self, target: URL, old: URL, fence: Fence | None) -> AbstractContextManager[Image]:
        """The target at one instant, with the fence's token of that instant; without a fence its token is empty.

        Where the swap does not move the old database away, ``old`` is made a copy of it, and stays.

        :raises LateWrite: somebody wrote while it was copied, seen by the fence.
        """

    def client_dump(self, url: URL, to: Path) -> None:
        """Write a backup file by the server's own program, where :meth:`Image.dump` does not use that anyway.

        :raises BackupFailed: there is none, or it failed.
        """

    def dump_empty(self, staging: URL, to: Path) -> None:
        """Write a backup file of a staging database whose tables are empty.

        Nothing is in it of rows that were deleted, such as free pages of a file, or of what lies outside of all tables.

        :raises BackupFailed: it cannot be written, or a program for it is missing (named).
        """

    def is_script(self, backup: Path) -> bool:
        """Whether a backup file is one that only the server's own client program can run, as it stands."""

    def restore(self, backup: Path, url: URL) -> list[str]:
        """Make a staging database of a backup file, in the place of what was there.

        :return: what is not as it was, in sentences.

        :raises BackupFailed: the file is damaged, truncated or not a backup of this server.
        """

    def take_for_copy(self, source: URL, staging: URL) -> bool:
        """Let staging, to which a backup was just restored, stand for a copy; False where a copy would be another."""

    def keep(self, staging: URL, generation: URL) -> None:
        """Keep the rows of what is swapped in, to be compared later.

        Called before a swap that moves the old database away, and copies; else after it, and moves.
        """


class CutOver(Protocol):
    """How staging becomes the live database, and who may."""

    def mark(self, url: URL) -> str:
        """The generation mark, or an empty text."""

    def live_mark(self, connection: AppConnection) -> str:
        """The generation mark of the database that an app's own connection works in, by one query; or an empty text."""

    def set_mark(self, url: URL, mark: str) -> None:
        """Write the generation mark of a staging database; it takes the place of nothing that is an app's."""

    def fence(self, url: URL) -> AbstractContextManager[Fence]:
        """Watch the target from now on."""

    def swap(self, staging: URL, target: URL, old: URL, fence: Fence, token: bytes, *, timeout_s: float) -> None:
        """Make the target what staging is, atomically, unless it was written since ``token``.

        :param old: a generation; where the swap moves the old database away, it goes there, all objects included.
        :raises LateWrite: it was; nothing is changed.
        :raises LockHeld: others (named) kept the target locked for ``timeout_s``; nothing is changed.
        """

    def recover(self, staging: URL, target: URL, old: URL) -> list[str]:
        """Finish or undo what a swap left that was killed, by looking; the mark then says which database is live.

        Called under the lock only, as often as one likes.

        :return: what there is to say about it, in sentences.
        """

    def lock(self, url: URL, timeout_s: float) -> AbstractContextManager[None]:
        """The session lock of this target.

        :raises LockHeld: somebody else holds it.
        """


class Dialect(Places, Rows, Rounds, Objects, Backups, CutOver, Protocol):
    """One database server's room.

    :raises DatabaseUnreachable: from any method: no answer, or the connection was lost.
    :raises AccessDenied: from any method: the server refuses user or password.
    """

    name: str
    version_table: str
    """What Alembic's own table is called in the databases of this app; the engine sets it."""
    named_schema: str | None
    """The schema that all models of the app name, where a server has schemas in its databases; the engine sets it."""
    capabilities: Capabilities
    backup_suffix: str
    driver_errors: tuple[type[Exception], ...]
    """What the driver raises where nothing here says otherwise."""
