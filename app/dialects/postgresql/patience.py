"""PostgreSQL: how long an answer is waited for, from a server, or something between, that may have gone silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg

SILENCE_S = 60.0
"""How long an answer may be out before the server is asked, over a second connection, whether it is at work on it."""


class Patience:
    """Waits through silences as long as the server is at work.

    One look that finds it idle is not enough: the answer may be on its way just then (seen on a busy machine).

    :param at_work: see :func:`is_at_work`.
    """

    def __init__(self, at_work: Callable[[], bool]) -> None:
        self._at_work = at_work
        self._doubted = False

    def heard(self) -> None:
        """Something came, or went through."""
        self._doubted = False

    def silence(self) -> None:
        """Nothing came for a while.

        :raises psycopg.OperationalError: it was idle twice running: something between lost what was said.
        """
        at_work = self._at_work()
        if not at_work and self._doubted:
            raise psycopg.OperationalError("no answer came, and the server is not at work on one")
        self._doubted = not at_work


def is_at_work(arguments: Mapping[str, str], which: str, value: Any) -> bool:
    """Whether the server is at work for a session and not the one that waits, seen over a new connection.

    :param which: a condition on ``pg_stat_activity``, with a place for the value.
    """
    query = (
        "SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' OR state = 'disabled' "
        f"FROM pg_stat_activity WHERE {which}"
    )
    with psycopg.connect(**arguments, autocommit=True) as second:  # type: ignore[arg-type] # all are text
        rows = second.execute(query.encode(), (value,)).fetchall()
    return any(row[0] for row in rows)
