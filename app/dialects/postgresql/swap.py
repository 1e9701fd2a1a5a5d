"""PostgreSQL: the fence and the swap, one transaction that renames schemas behind locks on all live tables.

``ALTER SCHEMA ... RENAME`` alone waits for nobody: an open transaction would commit into the old tables (seen). So all
live tables are locked first; whoever waits for one of them finds the new table when the lock is gone, as names are
looked up again then (seen: 2651 commits by 6 threads, none lost). A crash leaves all old or all new (25 kills).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from ...errors import DatabaseUnreachable, DoesNotFit, FerryError
from ..counters import refuse_drawn
from ..model import LateWrite
from .connect import Connection, is_lost
from .counters import read_counters
from .extensions import EXTENSIONS, list_schemas, look_in, oid_of, write_moves
from .grants import adopt, adopt_schema
from .large_records import Records
from .locks import Locking, Reconnect, look
from .mark import COMMENT, comment_statement, mark_in, with_mark
from .names import literal, quote
from .objects import ask_for_definitions, sort_definitions
from .preflight import dependents
from .sequences import Drawn, advance, lock_sequences


@dataclass(frozen=True)
class Swap:
    """The names of a cut-over."""

    staging: str
    live: str
    old: str

    def run(
        self,
        locking: Locking,
        expected: bytes,
        timeout_s: float,
        drawn_beside: Mapping[str, int],
        known: Mapping[str, str] | None = None,
    ) -> tuple[int | None, list[Drawn]]:
        """Do it in the transaction of ``locking``, all but the COMMIT.

        :param drawn_beside: as in :class:`..counters.KnowsDraws`.
        :param known: what a look said of the tables, where they were locked in this very transaction before it.
        :return: the OID of the schema that is live after it, and where its sequences went on.
        :raises LateWrite, LockHeld, DoesNotFit: see :meth:`.base.Dialect.swap`.
        """
        connection = locking.connection
        self._check(connection)
        adopt(connection, self.live, self.staging)
        locking.lock(timeout_s)
        if look(connection, self.live, known=known).token != expected:
            raise LateWrite
        lock_sequences(connection, self.live)
        Records(connection, self.live).settle(self.staging)
        adopt_schema(connection, self.live, self.staging)
        live, staged, extensions = connection.ask_at_once(
            (COMMENT.format(literal(self.live)), ()),
            (COMMENT.format(literal(self.staging)), ()),
            (EXTENSIONS, (self.live,)),
        )
        comment = with_mark(live[0][0], mark_in(staged[0][0]))
        renames = [(self.live, self.old), (self.staging, self.live)]
        statements = [f"ALTER SCHEMA {quote(name)} RENAME TO {quote(to)}" for name, to in renames]
        statements += write_moves([name for name, _ in extensions], self.live)
        statements.append(comment_statement(self.live, comment))
        # Keys that the live sequences gave out, and whose rows are gone, are not given out again.
        sequences = advance(connection, self.live, self.staging)
        self._refuse_drawn(connection, sequences, drawn_beside)
        connection.execute("; ".join(statements).encode())
        return oid_of(connection, self.live), sequences

    def _refuse_drawn(
        self, connection: Connection, sequences: Iterable[Drawn], drawn_beside: Mapping[str, int]
    ) -> None:
        """:raises LateWrite: a number that staging gave out was given out by the live schema, or may yet be."""
        if drawn_beside:
            refuse_drawn(read_counters(connection, self.live), drawn_beside)
        # Who waits for one, or keeps it, gets the next number from it whatever we do.
        if any(one.waiters and one.name in drawn_beside for one in sequences):
            raise LateWrite

    def _check(self, connection: Connection) -> None:
        there = list_schemas(connection, [self.staging, self.live, self.old])
        for schema in (self.staging, self.live):
            if schema not in there:
                raise FerryError(f"There is no schema {schema}.")
        if self.old in there:
            raise FerryError(f"The schema {self.old} is there already.")
        for schema in (self.staging, self.live):
            if details := dependents(connection, schema):
                raise DoesNotFit(
                    f"Objects outside the schema {schema} depend on it; they would not move with it.",
                    details=details,
                    hint="Revisions must not spell a schema (schema=...), and nothing outside may refer to its tables.",
                )
        path = look_in(self.staging, with_tables=True)
        _, *answers = connection.ask_at_once(path, *ask_for_definitions(self.staging))
        spelled = [item for item in sort_definitions(answers, self.staging) if self.staging in repr(item)]
        if spelled:
            raise DoesNotFit(
                "Definitions spell the name of the staging schema, which is gone after the cut-over.",
                details=[repr(item)[:200] for item in spelled],
                hint="Let the revision that makes them not ask for the current schema's name.",
            )


def commit(connection: Connection, reconnect: Reconnect, live: str, new: int | None) -> None:
    """COMMIT; where the connection is lost over it, look what became of it.

    :param live: the live schema; it is the one with the OID ``new`` if it took effect.
    :raises DatabaseUnreachable: it did not take effect, or that cannot be seen.
    """
    pid = connection.info.backend_pid
    try:
        connection.execute("COMMIT")
    except psycopg.Error as error:
        if not is_lost(error):
            raise
        with reconnect() as second:
            end_backends(second, "pid = %s", pid)
            if oid_of(second, live) == new:
                return
        raise DatabaseUnreachable(
            "The connection was lost in the cut-over; it did not take effect, nothing was changed.",
            hint="Run the command again.",
        ) from error


def end_backends(
    connection: Connection, which: str, value: Any, *, but: Collection[int] = (), wait_s: float = 10
) -> None:
    """End server processes of this user in this database, and wait until they are gone.

    :param which: a condition on ``pg_stat_activity``, with a place for the value.
    :param but: processes that are not ended.
    :raises FerryError: one of them does not end.
    """
    query = (
        f"SELECT pid FROM pg_stat_activity WHERE {which} AND datname = current_database() "
        "AND usename = current_user AND pid <> pg_backend_pid() AND NOT pid = ANY (%s)"
    )
    deadline = time.monotonic() + wait_s
    while pids := [pid for (pid,) in connection.execute(query.encode(), (value, list(but)))]:
        if time.monotonic() > deadline:
            raise FerryError(f"The server processes {pids} of a former run do not end.", hint="End them, run again.")
        connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", (pids,))
        time.sleep(0.05)
