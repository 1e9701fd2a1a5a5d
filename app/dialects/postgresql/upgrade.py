"""PostgreSQL: connections for the app's own code on a staging schema, which stands under the live schema's name.

A revision may spell the schema it lives in: ``UPDATE public.users``, ``CREATE TYPE public.mood``, ``table_schema =
'public'``. Beside the live schema that would reach live rows (seen: by a look at the status). So at the beginning of
each transaction the live schema is renamed out of the way and staging gets its name; before the COMMIT both go back.
Nobody else ever sees that, as catalogs are read as of what is committed, and no table is locked by it.

All of it happens below SQLAlchemy, so that raw cursors are inside as well, of psycopg here and of psycopg2 in
:mod:`.upgrade_psycopg2`:

- each statement is in such a transaction; in autocommit mode each is one of its own. What cannot run in a transaction
  (``CONCURRENTLY``, ``VACUUM``) is done without that: nobody else uses staging;
- a ``COMMIT`` in a text, alone or among other statements, does what it says in this way, and so does a text that is
  ``ROLLBACK``; a ROLLBACK among others is not sent, as it would take the guard away. A COMMIT that came about otherwise
  ends with an error, by :mod:`.guard`;
- what it did to tables of any other schema is seen before the COMMIT by the locks it holds, and what it did to other
  types and functions in their catalogs (:mod:`.elsewhere`); it stops it;
- an extension belongs to the whole database: a ``CREATE EXTENSION`` of one that is there, for the live schema, does
  nothing, and what is made is noted in staging's comment, so that who drops staging takes it back;
- a ``CREATE SCHEMA`` of the live schema's name does nothing, as staging is that already.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from ...errors import LockHeld
from ..base import OutsideStaging
from . import extensions
from .connect import Connection, state_of
from .elsewhere import LOCKED, OBJECTS, Objects, find_changed, is_own, read_objects
from .guard import MAY, Executes, run_deferred, write_guard, write_lift
from .mark import made_in, with_made
from .names import HOLD, Place, literal, prefix_of, quote
from .texts import ALL_IMMEDIATE, CONCURRENTLY, END, EXTENSION, NOTHING, VACUUM, divide, makes_schema, refuse_rollback

LOCK_WAIT = "60s"
_LOCK_NOT_AVAILABLE = "55P03"

_READING = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""Of a session whose texts the server reads as :mod:`.lexer` does."""
# A write, a TRUNCATE and whatever changes a definition hold a lock to the end of the transaction, reading does not hold
# such a one. Counters would miss all but writes, and can be switched off.
_CHANGED = """
SELECT DISTINCT n.nspname::text || '.' || c.relname::text FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
    AND n.oid <> {staging} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1
"""


class Upgrade:
    """What the connections of one engine share.

    :param place: the staging schema.
    :param path: where names are looked for that the app's code does not spell; by default in staging.
    """

    def __init__(self, place: Place, path: Sequence[str] = ()) -> None:
        self.place, self.path = place, path
        self.hold = prefix_of(place.target) + HOLD
        self._inside: Behind | None = None

    def enter(self, connection: Behind) -> None:
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


class Behind:
    """What connections of every driver do whose transactions see staging in the place of the live schema.

    It is an ordinary one until :meth:`begin` is called.
    """

    upgrade: Upgrade | None = None
    reads: str | None = None
    _each = False
    _guard: str | None = None
    _entered = False
    _live: int | None = None
    _staging: int | None = None
    _elsewhere: Objects = MappingProxyType({})
    _extensions: Sequence[str] = ()

    @abstractmethod
    def begin(self, upgrade: Upgrade) -> None:
        """From here on each statement is behind the renames."""

    @abstractmethod
    def look(self, schema: str) -> None:
        """From here on a statement that would make the live schema does nothing: it is there, or nothing is read."""

    @abstractmethod
    def _plain(self) -> Executes:
        """A cursor for statements of our own."""

    @abstractmethod
    def _status(self) -> int:
        """Of the transaction, as libpq has it; UNKNOWN of a connection that is closed."""

    @abstractmethod
    def _parameter(self, name: str) -> str | None:
        """A setting that the server reports whenever it changes."""

    @abstractmethod
    def _commit(self) -> None:
        """As the driver does it."""

    @abstractmethod
    def _rollback(self) -> None:
        """As the driver does it."""

    def is_inside(self) -> bool:
        """Whether a transaction is open in which staging has the name of the live schema."""
        return self._entered and self._status() not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)

    def let_each_end(self, value: bool) -> None:
        """Autocommit mode, or not: whether each statement is a transaction of its own."""
        if self._each and not value and self.is_inside():
            self.commit_within()  # rows that a COPY brought, which ends after its statement
        self._each = value

    def prepare(self, text: str) -> str:
        """Make sure that staging has its place, and return what is to be run instead of a statement, or itself."""
        if self.upgrade is None:
            return NOTHING if self.reads is not None and makes_schema(text, self.reads) else text
        if self._status() == TransactionStatus.IDLE:
            self._entered = False  # a transaction ended below us
        for name, value in _READING.items():
            if self._status() != TransactionStatus.UNKNOWN and self._parameter(name) != value:
                raise OutsideStaging(f"it set {name}, with which a text cannot be looked at before it is sent")
        instead = self._rewrite(text)
        if self._status() != TransactionStatus.INERROR and not self.is_inside():
            self._enter(self.upgrade)
        if ALL_IMMEDIATE.match(text):
            run_deferred(self._plain(), self._guard)
            return NOTHING
        return instead

    def run(self, text: str, send: Callable[[str], Any]) -> Any:
        """Send a text, in as many pieces as it ends transactions; returns what came of the last one."""
        *before, last = divide(text) if self.upgrade is not None else [text]
        for piece in before:
            self.run_whole(piece, send)
        return self.run_whole(last, send)

    def run_whole(self, text: str, send: Callable[[str], Any]) -> Any:
        """Send a text as it is."""
        prepared = self.prepare(text)
        try:
            result = send(prepared)
        except Exception:
            self.give_up()
            raise
        self.finish()
        return result

    def finish(self) -> None:
        """After a statement: in autocommit mode its transaction ends."""
        if self.upgrade is not None and self._each:
            self.commit_within()

    def give_up(self) -> None:
        """After a statement that failed: in autocommit mode its transaction ends, and the next one is of its own."""
        if self.upgrade is not None and self._each and self._status() != TransactionStatus.UNKNOWN:
            self.rollback_within()

    def _rewrite(self, text: str) -> str:
        if ends := END.match(text):
            if ends["commit"]:
                self.commit_within()
            elif ends["rollback"]:
                self.rollback_within()
            return NOTHING
        refuse_rollback(text)
        if self.upgrade is not None and makes_schema(text, self.upgrade.place.target):
            return NOTHING  # staging is it
        if VACUUM.match(text):
            return NOTHING
        text = EXTENSION.sub(lambda match: f"{match['head']}IF NOT EXISTS ", text, count=1)
        return CONCURRENTLY.sub(lambda match: match["head"], text, count=1)

    def commit_within(self) -> None:
        """Give both schemas their names back, and commit."""
        if self.upgrade is not None and self._status() == TransactionStatus.INTRANS:
            try:
                if not self._entered:
                    raise OutsideStaging("a statement was sent past the app's connection, by a cursor of another class")
                self._leave(self.upgrade)
            except BaseException:
                self.rollback_within()
                raise
        self._commit()
        self._entered = False

    def rollback_within(self) -> None:
        """Roll back, the renames too."""
        self._rollback()
        self._entered = False

    def _enter(self, upgrade: Upgrade) -> None:
        upgrade.enter(self)
        place, cursor = upgrade.place, self._plain()
        around = _LOOK_AROUND.format(wait=LOCK_WAIT, schema=literal(place.schema), target=literal(place.target))
        answer = cursor.execute(around).fetchone()
        self._live, self._staging, schemas, lent, may_guard, objects, self._extensions, _ = answer
        behind = [name for name in schemas if name != place.target]
        statements = [] if self._live is None else [_rename(place.target, upgrade.hold)]
        statements.append(_rename(place.schema, place.target))
        statements += extensions.write_moves(lent, place.target)
        path = ", ".join(map(quote, upgrade.path or [place.target, *behind]))
        statements.append(f"SELECT pg_catalog.set_config('search_path', {literal(path)}, true)")
        oid, name = (self._staging, place.schema) if self._live is None else (self._live, place.target)
        self._guard, script = write_guard(oid, name) if may_guard and oid is not None else (None, "")
        try:
            cursor.execute("; ".join([*statements, script] if script else statements).encode())
        except Exception as error:
            self.rollback_within()
            if state_of(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise LockHeld(
                "Another run is upgrading a staging schema of this database just now.", hint="Run the command again."
            ) from error
        self._elsewhere = read_objects(objects)
        self._entered = True

    def _leave(self, upgrade: Upgrade) -> None:
        place, cursor = upgrade.place, self._plain()
        # What was put off to the COMMIT would find the live schema under its name.
        run_deferred(cursor, self._guard)
        look = f"SELECT ARRAY({_LEFT}), ARRAY({_CHANGED}), ARRAY({OBJECTS}), ARRAY({LOCKED}), "
        look += f"ARRAY({extensions.EXTENSIONS_IN}), ARRAY({extensions.WRITERS}), {extensions.COMMENT}"
        look = look.format(staging=self._staging, target=literal(place.target))
        put_off, changed, objects, locked, lent, writers, comment = cursor.execute(look).fetchone()
        if put_off:
            raise OutsideStaging(str(put_off[0]))
        if changed := changed or find_changed(cursor, self._elsewhere, read_objects(objects), locked):
            raise OutsideStaging(
                f"it changed {', '.join(changed)}, outside the schema {place.target} that is being built"
            )
        before, present = extensions.read_versions(self._extensions), extensions.read_writers(writers)
        extensions.refuse_changed(before, writers, former := made_in(comment))
        statements = [_rename(place.target, place.schema)]
        if later := [name for name in present if name not in before and is_own(cursor, present[name])]:
            # Who drops the schema takes them back; see .beside.
            words = literal(with_made(comment, sorted({*former, *later})) or "")
            statements.append(f"COMMENT ON SCHEMA {quote(place.schema)} IS {words}")
        if self._live is not None:
            moves = extensions.write_moves(lent, upgrade.hold)
            statements = [*moves, *statements, _rename(upgrade.hold, place.target)]
        if self._guard is not None:
            statements.append(write_lift(self._guard))
        cursor.execute("; ".join(statements).encode())


_STAGING = "(SELECT oid::int8 FROM pg_catalog.pg_namespace WHERE nspname = {schema})"
_LOOK_AROUND = (
    "SELECT (SELECT oid::int8 FROM pg_catalog.pg_namespace WHERE nspname = {target}), "
    f"{_STAGING}, "
    f"ARRAY({extensions.SCHEMAS % ('{schema}', 'false')}), ARRAY({extensions.EXTENSIONS_IN}), ({MAY}), "
    f"ARRAY({OBJECTS.format(staging=_STAGING)}), ARRAY({extensions.VERSIONS}), "
    "pg_catalog.set_config('lock_timeout', '{wait}', true)"
)
_LEFT = """
SELECT 'it leaves a cursor open that is read at the COMMIT' FROM pg_catalog.pg_cursors WHERE is_holdable
UNION ALL
SELECT 'it deletes large objects, which are those of the live rows as well' FROM pg_catalog.pg_locks
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'object' AND mode = 'AccessExclusiveLock'
    AND classid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
UNION ALL
SELECT 'it writes into large objects, which are those of the live rows as well'
FROM pg_catalog.pg_stat_xact_sys_tables
WHERE relid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass AND n_tup_upd + n_tup_del > 0
UNION ALL
SELECT 'whether it writes into large objects cannot be seen (track_counts is off)'
WHERE pg_catalog.current_setting('track_counts') <> 'on'
    AND EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
"""


def _rename(schema: str, to: str) -> str:
    return f"ALTER SCHEMA {quote(schema)} RENAME TO {quote(to)}"


class UpgradeCursor(psycopg.Cursor[Any]):
    """Keeps each statement behind the renames."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        connection, text = self._own, self._own.text_of(query)
        if params:
            # With values the server takes one statement only.
            return connection.run_whole(
                text, lambda piece: super(UpgradeCursor, self).execute(piece, params, **options)
            )
        return connection.run(text, lambda piece: super(UpgradeCursor, self).execute(piece, params, **options))

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        text = self._own.text_of(query)
        self._own.run_whole(text, lambda piece: super(UpgradeCursor, self).executemany(piece, params_seq, **options))

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Any:
        return super().stream(self._own.prepare(self._own.text_of(query)), *arguments, **options)

    def copy(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return super().copy(self._own.prepare(self._own.text_of(statement)), *arguments, **options)

    @property
    def _own(self) -> UpgradeConnection:
        assert isinstance(self.connection, UpgradeConnection)  # noqa: S101 # only that makes cursors of this class
        return self.connection


class UpgradeServerCursor(psycopg.ServerCursor[Any]):
    """Keeps a named cursor, as ``stream_results`` opens it, behind the renames."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        connection = self.connection
        assert isinstance(connection, UpgradeConnection)  # noqa: S101 # only that makes cursors of this class
        return super().execute(connection.prepare(connection.text_of(query)), params, **options)


class UpgradeConnection(Behind, Connection):
    """Of psycopg."""

    def begin(self, upgrade: Upgrade) -> None:
        super().set_autocommit(False)
        self.cursor_factory, self.server_cursor_factory = UpgradeCursor, UpgradeServerCursor
        self.upgrade = upgrade

    def look(self, schema: str) -> None:
        self.cursor_factory, self.reads = UpgradeCursor, schema

    @property
    def autocommit(self) -> bool:
        return self._each if self.upgrade else super().autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.set_autocommit(value)

    def set_autocommit(self, value: bool) -> None:
        if self.upgrade is None:
            super().set_autocommit(value)
        else:
            self.let_each_end(value)

    def transaction(self, *arguments: Any, **options: Any) -> Any:
        """Within the one that is behind the renames: a savepoint."""
        self.prepare(NOTHING)
        return super().transaction(*arguments, **options)

    def tpc_begin(self, xid: Any) -> None:
        if self.upgrade is not None:
            raise OutsideStaging("it begins a transaction of two phases")
        super().tpc_begin(xid)

    def text_of(self, query: Any) -> str:
        """A statement as text, in whatever form the driver takes it."""
        if isinstance(query, sql.Composable):
            return query.as_string(self)
        return query.decode() if isinstance(query, bytes) else str(query)

    def commit(self) -> None:
        self.commit_within()

    def rollback(self) -> None:
        self.rollback_within()

    def _commit(self) -> None:
        super().commit()

    def _rollback(self) -> None:
        super().rollback()

    def _plain(self) -> Executes:
        return psycopg.Cursor(self)

    def _status(self) -> int:
        return TransactionStatus.UNKNOWN if self.closed else self.info.transaction_status

    def _parameter(self, name: str) -> str | None:
        return None if self.closed else self.info.parameter_status(name)
