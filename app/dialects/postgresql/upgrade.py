"""PostgreSQL: connections for the app's own code on a staging schema, which stands under the live schema's name.

A revision may spell the schema it lives in: ``UPDATE public.users``, ``CREATE TYPE public.mood``, ``table_schema =
'public'``. Beside the live schema that would reach live rows (seen: by a look at the status). So at the beginning of
each transaction the live schema is renamed out of the way and staging gets its name; before the COMMIT both go back.
Nobody else ever sees that, as catalogs are read as of what is committed, and no table is locked by it.

All of it happens below SQLAlchemy, so that raw cursors are inside as well:

- each statement is in such a transaction; in autocommit mode each is one of its own. What cannot run in a transaction
  (``CONCURRENTLY``, ``VACUUM``) is done without that: nobody else uses staging;
- a text that is ``COMMIT`` or ``ROLLBACK`` does what it says in this way; a COMMIT among other statements ends with an
  error, by :mod:`.guard`, and a ROLLBACK among others is not sent, as it would take the guard away;
- what it did to tables of any other schema is seen before the COMMIT by the locks it holds, and stops it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from ...errors import LockHeld
from ..base import OutsideStaging
from .connect import Connection
from .extensions import extension_schemas, extensions_in, move, oid_of
from .guard import lift_guard, run_deferred, set_guard
from .names import HOLD, Place, prefix_of, quote

LOCK_WAIT = "60s"

_BLANK = r"\s*(?:--[^\n]*(?:\n|$)\s*|/\*(?:[^*]|\*(?!/))*\*/\s*)*"
_END = re.compile(
    rf"{_BLANK}(?:(?P<commit>COMMIT|END)|(?P<rollback>ROLLBACK|ABORT)|(?P<begin>BEGIN|START\s+TRANSACTION))"
    rf"(?:\s+(?:WORK|TRANSACTION))?{_BLANK};?{_BLANK}\Z",
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(
    rf"(?P<head>{_BLANK}(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX"
    r"|REINDEX\s+(?:\([^)]*\)\s*)?(?:INDEX|TABLE|SCHEMA))\s+)CONCURRENTLY\b",
    re.IGNORECASE,
)
# What is quoted or commented, by the server's lexical rules (PostgreSQL manual, 4.1).
_HIDDEN = re.compile(
    r"""--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$\w*\$).*?\1""",
    re.DOTALL,
)
_ROLLBACK = re.compile(r"(?:^|;)\s*(?:ROLLBACK|ABORT)\b(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b)", re.IGNORECASE)
_VACUUM = re.compile(rf"{_BLANK}VACUUM\b[^;]*;?{_BLANK}\Z", re.IGNORECASE)
_ALL_IMMEDIATE = re.compile(rf"{_BLANK}SET\s+CONSTRAINTS\s+ALL\s+IMMEDIATE\s*;?{_BLANK}\Z", re.IGNORECASE)
_NOTHING = "SELECT"

# A write, a TRUNCATE and whatever changes a definition hold a lock to the end of the transaction, reading does not hold
# such a one. Counters would miss all but writes, and can be switched off.
_CHANGED = """
SELECT DISTINCT n.nspname::text || '.' || c.relname::text FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
    AND n.oid <> %s AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1
"""


class Upgrade:
    """What the connections of one engine share.

    :param place: the staging schema.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.hold = prefix_of(place.target) + HOLD
        self._inside: UpgradeConnection | None = None

    def enter(self, connection: UpgradeConnection) -> None:
        """Take the place of the live schema, of which there is one.

        :raises OutsideStaging: another connection of this engine has it; waiting for that would never end.
        """
        other = self._inside
        if other is not None and other is not connection and other.is_inside():
            raise OutsideStaging(
                "a second connection was opened while a transaction was open: use op.get_bind() in a revision, "
                "and one session in a seed"
            )
        self._inside = connection


class UpgradeCursor(psycopg.Cursor[Any]):
    """Keeps each statement behind the renames."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return self._open_within(query, lambda text: super(UpgradeCursor, self).execute(text, params, **options))

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        self._open_within(query, lambda text: super(UpgradeCursor, self).executemany(text, params_seq, **options))

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Any:
        self._own.prepare(query)
        return super().stream(query, *arguments, **options)

    def copy(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        self._own.prepare(statement)
        return super().copy(statement, *arguments, **options)

    @property
    def _own(self) -> UpgradeConnection:
        assert isinstance(self.connection, UpgradeConnection)  # noqa: S101 # only that makes cursors of this class
        return self.connection

    def _open_within(self, query: Any, run: Any) -> Any:
        connection = self._own
        prepared = connection.prepare(query)
        try:
            result = run(prepared)
        except psycopg.Error:
            connection.give_up()
            raise
        connection.finish()
        return result


class UpgradeServerCursor(psycopg.ServerCursor[Any]):
    """Keeps a named cursor, as ``stream_results`` opens it, behind the renames."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        assert isinstance(self.connection, UpgradeConnection)  # noqa: S101 # only that makes cursors of this class
        return super().execute(self.connection.prepare(query), params, **options)


class UpgradeConnection(Connection):
    """A connection whose transactions see staging in the place of the live schema.

    It is an ordinary one until :meth:`begin` is called.
    """

    upgrade: Upgrade | None = None
    _each = False
    _guard: str | None = None
    _entered = False
    _live: int | None = None
    _staging: int | None = None

    def begin(self, upgrade: Upgrade) -> None:
        """From here on each statement is behind the renames."""
        self.set_autocommit(False)
        self.cursor_factory, self.server_cursor_factory = UpgradeCursor, UpgradeServerCursor
        self.upgrade = upgrade

    @property
    def autocommit(self) -> bool:
        return self._each if self.upgrade else super().autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if self.upgrade is None:
            self.set_autocommit(value)
        else:
            if self._each and not value and self.is_inside():
                self.commit()  # rows that a COPY brought, which ends after its statement
            self._each = value

    def is_inside(self) -> bool:
        """Whether a transaction is open in which staging has the name of the live schema."""
        return self._entered and not self.closed and self.info.transaction_status != TransactionStatus.IDLE

    def prepare(self, query: Any) -> Any:
        """Make sure that staging has its place, and return what is to be run instead of a statement, or itself."""
        if self.upgrade is None:
            return query
        if isinstance(query, sql.Composable):
            query = query.as_string(self)
        text = query.decode() if isinstance(query, bytes) else query
        if isinstance(text, str):
            query = self._rewrite(text)
        if self.info.transaction_status != TransactionStatus.INERROR and not self.is_inside():
            self._enter(self.upgrade)
        if isinstance(text, str) and _ALL_IMMEDIATE.match(text):
            run_deferred(self._plain(), self._guard)
            return _NOTHING
        return query

    def finish(self) -> None:
        """After a statement: in autocommit mode its transaction ends."""
        if self.upgrade is not None and self._each:
            self.commit()

    def give_up(self) -> None:
        """After a statement that failed: in autocommit mode its transaction ends, and the next one is of its own."""
        if self.upgrade is not None and self._each and not self.closed:
            self.rollback()

    def _rewrite(self, text: str) -> str:
        if ends := _END.match(text):
            if ends["commit"]:
                self.commit()
            elif ends["rollback"]:
                self.rollback()
            return _NOTHING
        if _ROLLBACK.search(_HIDDEN.sub(" ", text)):
            # It would take the renames back, and the guard with them; what follows would find the live schema.
            raise OutsideStaging("it ends the transaction by a ROLLBACK among other statements")
        if _VACUUM.match(text):
            return _NOTHING
        return _CONCURRENTLY.sub(lambda match: match["head"], text, count=1)

    def commit(self) -> None:
        if self.upgrade is not None and self.info.transaction_status == TransactionStatus.INTRANS and self._entered:
            try:
                self._leave(self.upgrade)
            except BaseException:
                self.rollback()
                raise
        super().commit()
        self._entered = False

    def rollback(self) -> None:
        super().rollback()
        self._entered = False

    def _plain(self) -> psycopg.Cursor[Any]:
        """A cursor for statements of our own."""
        return psycopg.Cursor(self)

    def _enter(self, upgrade: Upgrade) -> None:
        upgrade.enter(self)
        place, cursor = upgrade.place, self._plain()
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        self._live, self._staging = oid_of(cursor, place.target), oid_of(cursor, place.schema)
        behind = [name for name in extension_schemas(cursor, place.schema) if name != place.target]
        try:
            if self._live is not None:
                _rename(cursor, place.target, upgrade.hold)
            _rename(cursor, place.schema, place.target)
        except psycopg.errors.LockNotAvailable as error:
            self.rollback()
            raise LockHeld(
                "Another run is upgrading a staging schema of this database just now.", hint="Run the command again."
            ) from error
        if self._live is not None:
            move(cursor, extensions_in(cursor, upgrade.hold), place.target)
        path = ", ".join(map(quote, [place.target, *behind]))
        cursor.execute("SELECT set_config('search_path', %s, true)", (path,))
        assert self._staging is not None  # noqa: S101 # else the rename had failed
        oid, name = (self._staging, place.schema) if self._live is None else (self._live, place.target)
        self._guard = set_guard(cursor, oid, name)
        self._entered = True

    def _leave(self, upgrade: Upgrade) -> None:
        place, cursor = upgrade.place, self._plain()
        # What was put off to the COMMIT would find the live schema under its name.
        run_deferred(cursor, self._guard)
        if changed := [name for (name,) in cursor.execute(_CHANGED, (self._staging,))]:
            raise OutsideStaging(
                f"it changed {', '.join(changed)}, outside the schema {place.target} that is being built"
            )
        if self._live is not None:
            move(cursor, extensions_in(cursor, place.target), upgrade.hold)
        _rename(cursor, place.target, place.schema)
        if self._live is not None:
            _rename(cursor, upgrade.hold, place.target)
        lift_guard(cursor, self._guard)


def _rename(cursor: psycopg.Cursor[Any], schema: str, to: str) -> None:
    cursor.execute(f"ALTER SCHEMA {quote(schema)} RENAME TO {quote(to)}".encode())
