"""PostgreSQL: the driver's connection, with what it lacks: patience with an end, and sessions that are used again."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Generator, Hashable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq

from ..sessions import Sessions
from .patience import SILENCE_S, Patience, is_at_work

TRUSTED_S = 60.0
"""A session that was idle for less is as it was left, unless something is there to be read: no server is asked."""

_LEAVES_NOTHING = re.compile(
    r"\s*(?:SELECT|WITH|SHOW|DECLARE|FETCH|CLOSE|BEGIN|COMMIT|ROLLBACK|CREATE SCHEMA|DROP SCHEMA|ALTER SCHEMA|"
    r"SET LOCAL|SAVEPOINT|RELEASE|GRANT|REVOKE|COMMENT)\b"
    r"(?!.*(?:set_config|advisory|dblink|\bINTO\b|\bHOLD\b|\blo_))",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that leave a session as it was, but for a transaction."""
_OF_ROWS = re.compile(r"\s*(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
"""Statements on rows: a trigger could leave anything, so only where there is none."""


_RESET = (
    "CLOSE ALL",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "SELECT pg_advisory_unlock_all()",
    "DISCARD PLANS",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
)
"""All that ``DISCARD ALL`` does (PostgreSQL's manual, DISCARD), beside which no other statement may stand in a text."""

Question = tuple[str, Sequence[Any]]
"""A statement and its values; without any it has no places for them, and each ``%`` is one."""

BEGIN: Question = ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", ())
"""A transaction that sees one instant and writes nothing."""


class Connection(psycopg.Connection[Any]):
    """psycopg's, but that it never waits for ever for a server, or something between, that went silent.

    :ivar sessions: where it goes when it is closed, if a command holds sessions; under the key.
    :ivar own_path: the search path that the role or the database gives to a session.
    :ivar settings: what the session was set to; None where a reset took that away.
    :ivar meets_no_trigger: its user writes rows of tables that have none.
    """

    arguments: Mapping[str, str]
    own_path: str | None = None
    sessions: Sessions | None = None
    key: Hashable = None
    settings: Mapping[str, str] | None = None
    meets_no_trigger: bool = False
    _needs_reset: bool = False
    _idle_since: float = 0.0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        return super().wait(_impatient(gen, self), *args, **kwargs)

    def close(self) -> None:
        """Close it, or let the command use it again; its user is done with it either way."""
        sessions, self.sessions = self.sessions, None
        if sessions is None or not (self._is_as_opened() and sessions.keep(self.key, self)):
            super().close()

    def close_for_good(self) -> None:
        self.sessions = None
        super().close()

    def _is_as_opened(self) -> bool:
        """Undo what its user left: a transaction, settings, cursors, locks. False where that cannot be done."""
        status = self.info.transaction_status
        if self.closed or status in (pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN):
            return False
        try:
            if status is not pq.TransactionStatus.IDLE:
                self.rollback()
            self.autocommit, self.isolation_level, self.read_only, self.deferrable = True, None, None, None
            if self._needs_reset:
                self.reset(self.settings or {})
        except psycopg.Error:
            return False
        self._idle_since = time.monotonic()
        return True

    def reset(self, settings: Mapping[str, str], *before: str) -> None:
        """Let the server undo everything that was done in the session, and set it again, in one text.

        :param before: statements that come first, such as the end of a transaction.
        :raises psycopg.Error: the session is lost, or one of those failed.
        """
        undo = [(statement, ()) for statement in (*before, *_RESET)]
        *_, [[path, *_]] = self.ask_at_once(*undo, set_session(settings, self.info.server_version))
        self.own_path = path if self.own_path is None else self.own_path
        self.accept(settings)

    def set_to(self, settings: Mapping[str, str]) -> None:
        """Set the session, which may have other settings besides."""
        [[[path, *_]]] = self.ask_at_once(set_session(settings, self.info.server_version))
        self.own_path = path if self.own_path is None else self.own_path
        self.accept(settings)

    def end(self) -> None:
        """Commit, by one text with what makes the session as it was opened, where its user is done with both.

        :raises psycopg.Error: it was not committed, or the session is lost.
        """
        if self._needs_reset and self.sessions is not None:
            self.reset(self.settings or {}, "COMMIT")
        else:
            self.execute("COMMIT")

    def accept(self, settings: Mapping[str, str]) -> None:
        """Take what the session is now for how it was opened, with these settings."""
        self.settings, self._needs_reset = settings, False

    def ask_row(self, query: str) -> tuple[Any, ...]:
        """The only row of a query."""
        row: tuple[Any, ...] | None = self.execute(query.encode()).fetchone()
        assert row is not None  # noqa: S101 # it has one
        return row

    def ask_rows(self, queries: Sequence[str]) -> list[tuple[Any, ...]]:
        """The only row of each query, asked for at once; the server runs one after the other."""
        if not queries:
            return []
        cursor, rows = self.execute("; ".join(queries).encode()), list[tuple[Any, ...]]()
        for number in range(len(queries)):
            if number:
                cursor.nextset()
            row: tuple[Any, ...] | None = cursor.fetchone()
            assert row is not None  # noqa: S101 # each has one
            rows.append(row)
        return rows

    def ask_at_once(self, *questions: Question) -> list[list[tuple[Any, ...]]]:
        """The rows of each question, asked for in one text; the server answers one after the other.

        Only for what leaves a session as it was, but for its transaction.
        """
        mogrify = psycopg.ClientCursor(self).mogrify
        texts = [mogrify(sql.encode(), values) if values else sql for sql, values in questions]
        # Not a cursor of ours: nothing of it has to be regarded.
        cursor, answers = psycopg.Cursor(self), list[list[tuple[Any, ...]]]()
        cursor.execute("; ".join(texts).encode())
        for number in range(len(texts)):
            if number:
                cursor.nextset()
            answers.append(cursor.fetchall() if cursor.description else [])
        return answers

    def is_known_to_live(self) -> bool:
        """Whether it was in use just now, and nothing is there to be read: then no server need be asked."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return time.monotonic() - self._idle_since < TRUSTED_S and not poll.poll(0)

    def regard(self, query: Any) -> None:
        """Remember what a statement may leave, before it is sent."""
        text = bytes(query).decode("utf-8", "replace") if isinstance(query, bytes) else query
        is_known = isinstance(text, str) and (
            _LEAVES_NOTHING.match(text) is not None or (self.meets_no_trigger and _OF_ROWS.match(text) is not None)
        )
        self._needs_reset |= not is_known


def set_session(settings: Mapping[str, str], version: int) -> Question:
    """What says which search path a session has, and sets it; its values are those of a statement with parameters."""
    if version >= 170000:
        settings = {**settings, "transaction_timeout": "0"}
    calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    return f"SELECT current_setting('search_path'), {calls}", [part for pair in settings.items() for part in pair]


class Cursor(psycopg.Cursor[Any]):
    """psycopg's; its connection knows what was sent."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        self.connection.regard(query)  # type: ignore[attr-defined] # of a connection of ours
        return super().execute(query, *arguments, **options)

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
        self.connection.regard(query)  # type: ignore[attr-defined]
        super().executemany(query, *arguments, **options)

    def copy(self, *arguments: Any, **options: Any) -> Any:
        self.connection.regard(None)  # type: ignore[attr-defined]
        return super().copy(*arguments, **options)

    def stream(self, *arguments: Any, **options: Any) -> Any:
        self.connection.regard(None)  # type: ignore[attr-defined]
        return super().stream(*arguments, **options)


def _impatient(gen: Generator[Any, Any, Any], connection: Connection) -> Generator[Any, Any, Any]:
    """A generator that asks after the server whenever nothing came for a while."""
    try:
        waiting = next(gen)
        patience = Patience(lambda: is_at_work(connection.arguments, "pid = %s", connection.info.backend_pid))
        heard = time.monotonic()
        while True:
            ready = yield waiting
            if ready:
                heard = time.monotonic()
                patience.heard()
            elif time.monotonic() - heard > SILENCE_S:
                patience.silence()
                heard = time.monotonic()
            waiting = gen.send(ready)
    except StopIteration as end:
        return end.value
