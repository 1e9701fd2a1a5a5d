"""PostgreSQL: whether a schema was written, and locks on all of its tables that make writers wait."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import psycopg
from sqlalchemy import URL

from ...errors import FerryError
from ..model import Look
from .connect import Connection, explain_errors
from .driver import BEGIN
from .locks import EXCLUSIVE, SHARE, Locking, Reconnect, look
from .sequences import go_on
from .swap import Swap, commit

_PUBLISHING = "SELECT pubname::text FROM pg_publication WHERE puballtables ORDER BY 1"


class PostgresqlFence:
    """Tells by :func:`.postgresql_locks.token` whether a schema was written; holds writers off in a transaction.

    :ivar held: the connection of that transaction, for as long as it lasts.
    :ivar notes: what there is to say about the cut-over, in sentences.
    """

    tells_tables = True
    knows_by_values = False

    def __init__(self, url: URL, reconnect: Reconnect, schema: str) -> None:
        self._url = url
        self._reconnect = reconnect
        self._schema = schema
        self.held: Connection | None = None
        self._tables: Mapping[str, str] | None = None
        self.notes: list[str] = []
        self.drawn_beside: Mapping[str, int] = {}

    def token(self) -> bytes:
        """Of this instant; nothing is held open between two of them."""
        return self.look().token

    def look(self) -> Look:
        if self.held is not None:
            with explain_errors(self._url):
                sight = look(self.held, self._schema)
            self._tables = sight.tables
            return sight
        with self._reconnect() as connection:
            return look(connection, self._schema, BEGIN)

    @contextlib.contextmanager
    def hold(self, timeout_s: float) -> Iterator[None]:
        with self._reconnect() as connection:
            connection.execute("BEGIN")
            Locking(connection, self._reconnect, self._schema, SHARE).lock(timeout_s)
            self.held, self._tables = connection, None
            try:
                yield
            finally:
                self.held = self._tables = None

    def swap(self, swap: Swap, expected: bytes, timeout_s: float) -> None:
        """Cut over in the transaction of a hold, which ends with it, or in one of its own.

        :raises LateWrite, LockHeld, DoesNotFit: nothing was changed.
        :raises DatabaseUnreachable: see :func:`commit`.
        """
        insists = self.held is not None
        with self._transaction() as connection:
            locking = Locking(connection, self._reconnect, self._schema, EXCLUSIVE, insists=insists)
            publishing = [name for (name,) in connection.execute(_PUBLISHING)]
            # Since they were looked at in this transaction nobody else could write to them.
            new, sequences = swap.run(
                locking, expected, timeout_s, self.drawn_beside, self._tables if insists else None
            )
            commit(connection, self._reconnect, self._schema, new)
            try:
                self.notes += go_on(connection, swap.live, swap.old, sequences)
            except (FerryError, psycopg.Error) as error:
                # It has taken effect: what fails now changes nothing of that.
                self.notes.append(
                    f"Whether numbers were drawn from sequences in the cut-over could not be seen: {error}"
                )
        if publishing:
            self.notes.append(
                f"The publication {', '.join(publishing)} is FOR ALL TABLES: it published the rows of staging, and now "
                "goes on with the new tables; its subscribers need them, too."
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Rolled back, by closing the connection, unless it is committed inside."""
        with contextlib.ExitStack() as stack:
            connection = self.held
            if connection is None:
                connection = stack.enter_context(self._reconnect())
                connection.execute("BEGIN")
            else:
                stack.enter_context(explain_errors(self._url))
            try:
                yield connection
            finally:
                self.held = self._tables = None
                connection.close()
