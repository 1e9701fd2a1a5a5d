"""What the engine asks of where databases lie; a part of the :class:`.base.Dialect` protocol."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Engine

from ..errors import FerryError
from .model import Beside, ControlArea, Identity


class Places(Protocol):
    """Where databases lie: the target, what stands beside it, and who may reach them."""

    def check(self, url: URL) -> None:
        """Refuse what the promises do not hold for, without asking the server.

        :raises Protected: e.g. an in-memory database, a name that leaves no room for those of staging.
        """

    def know_app(self, engine: Engine) -> None:
        """Learn what the app's connections have that its URL does not say and its schema may need."""

    def find_lacking(self, url: URL) -> list[str]:
        """What rules of its tables need that no connection of ours has: functions and collations, with their tables."""

    def whereabouts(self, url: URL) -> tuple[str, str] | None:
        """SQL that every session of the app must answer so: where it works. None where a URL alone decides that."""

    def preflight(self, url: URL) -> None:
        """Refuse a target that could not be cut over: before the question, under no lock.

        Privileges are tried, on databases of its own that it drops again. An absent target is fine where it can be
        created.

        :raises Protected: a server or table that the promises do not hold for, e.g. too old, not transactional.
        :raises DoesNotFit: a privilege is missing; the hint is the statement that grants it.
        """

    def keep_copies_in(self, directory: Path) -> None:
        """Where a private copy of a database goes that cannot be read where it is; else the system's own place."""

    def exists(self, url: URL) -> bool:
        """Whether the database is there; a file without a byte is not."""

    def create(self, url: URL) -> bool:
        """Create an empty database if absent; return whether it was."""

    def leave_as_is(self, url: URL) -> AbstractContextManager[None]:
        """While it is open scratch databases may be made: what had to be created for them is gone at the end."""

    def drop(self, url: URL) -> None:
        """Remove a staging database or generation, if it is there. Never called with a live one."""

    def count_busy(self, url: URL) -> int | None:
        """How many statements of others a database's server has at work now; None where there is no server.

        :raises NotGranted: the user may not see those of others.
        """

    def identity(self, url: URL) -> Identity:
        """Which database this is, asked of the server where there is one."""

    def control_area(self, url: URL) -> ControlArea:
        """Where the control area of this target lies; nothing is created."""

    def settle_control(self, url: URL) -> list[str]:
        """Let the control area, if there is one, lie where no session of the app takes it for its database.

        :return: what was done, in sentences.
        :raises Protected: what is the app's came to lie in it.
        """

    def oddities(self, url: URL) -> list[str]:
        """What older versions or crashes left where live database and control area should be, each with the way on.

        Nothing is changed.
        """

    def open_control(self, area: ControlArea) -> None:
        """Make the place of the control area, for its owner alone, if it is not there.

        :raises OSError: it cannot be made.
        """

    def control_engine(self, area: ControlArea, *, each_alone: bool = False) -> Engine:
        """An engine for the control tables, each commit durable, the clock of every session in UTC.

        :param each_alone: a connection of it carries out one statement, which is then a transaction of its own.
        """

    def beside(self, url: URL) -> list[Beside]:
        """All staging databases and generations of this target, of whichever run."""

    def staging_url(self, url: URL, name: str) -> URL:
        """Where a staging database of this target lies; nothing is created.

        :param name: ASCII letters, digits and ``-``; at most 32 of them.
        """

    def generation_url(self, url: URL, name: str) -> URL:
        """Where a generation of this target is kept; nothing is created.

        :param name: a mark (8 hex digits) and ``-old`` or ``-new``.
        """

    def prepare_staging(self, staging: URL, target: URL) -> None:
        """Create an empty staging database that can later be swapped with the target."""

    def fit_staging(self, staging: URL, target: URL) -> None:
        """Make a staging database that came from a file fit for a swap with the target."""

    def engine(self, url: URL, options: Mapping[str, Any] | None = None) -> Engine:
        """An engine for Alembic on a staging database; foreign keys are not enforced where that can be had.

        :param options: further ones of ``create_engine()``: how values are written. Where they are given, if only as
            none, a server has one session for all that is done until the engine is disposed; else one for each use.
        """

    def read_only_engine(self, url: URL) -> Engine:
        """An engine for Alembic to look at a live database; the server, or SQLite, refuses what would change it."""

    def size_bytes(self, url: URL) -> int:
        """Size of the database."""

    def free_bytes(self, url: URL) -> int | None:
        """Free space where the database lies, or None where it cannot be seen."""

    def explain(self, url: URL, error: BaseException) -> FerryError | None:
        """Our error for one of the driver's that no statement is to blame for, e.g. no room or no writes; or None."""
