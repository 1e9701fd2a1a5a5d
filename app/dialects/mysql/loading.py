"""MySQL and MariaDB: staging while rows are loaded: without its triggers, and looked at once for all tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.charset import charset_by_name
from sqlalchemy import URL

from .catalogue import Asks, read_catalogue, stored_columns
from .connect import connect_to, quote
from .driver import current_of
from .read import RAW, asking
from .types import Stored

Looked = tuple[dict[str, list[Stored]], set[str]]
_looked: ContextVar[dict[URL, Looked] | None] = ContextVar("looked", default=None)
"""What the databases of :func:`loading` are like, where nobody else is and no statement of a load changes it."""


def look_at(name: str, url: URL, ask: Asks, database: str, *, is_mariadb: bool) -> Looked:
    """The columns of tables as they are stored, and which tables have triggers; of one, or of all for a loading."""
    looked = _looked.get()
    if looked is not None and url in looked:
        return looked[url]
    only = name if looked is None else None
    catalogue = read_catalogue(ask, database, is_mariadb=is_mariadb, only=only, with_triggers=True)
    answer = stored_columns(catalogue), {table for table, *_ in catalogue["trigger"]}
    if looked is not None:
        looked[url] = answer
    return answer


@dataclass(frozen=True)
class _Trigger:
    """A trigger with the settings of the session that it was created in, which it keeps."""

    name: str
    sql_mode: str
    sql: str
    charset: str
    collation: str

    @property
    def statement(self) -> bytes:
        """In the character set that the server is told it comes in."""
        return self.sql.encode(charset_by_name(self.charset).encoding)


def _triggers(connection: pymysql.Connection[Any], database: str) -> list[_Trigger]:
    """All triggers, those of one event in the order in which they fire."""
    ask = asking(connection)
    names = ask(
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s "
        "ORDER BY event_object_table, event_manipulation, action_timing, action_order",
        database,
    )
    return [_Trigger(*ask(f"SHOW CREATE TRIGGER {quote(name)}")[0][:5]) for (name,) in names]


@contextlib.contextmanager
def loading(url: URL, tls_ca: Path | None) -> Iterator[None]:
    """Staging without its triggers, which are created again at the end, exactly as they were.

    Foreign keys are not enforced in the sessions that load. The next AUTO_INCREMENT key is above the largest that went
    in, as InnoDB sees to it with every row (MySQL manual, 17.6.1.6).
    """
    with connect_to(url, tls_ca, shared=True, several=True, conv=RAW) as connection:
        database = current_of(connection)
        triggers = _triggers(connection, database)
        for trigger in triggers:
            asking(connection)(f"DROP TRIGGER {quote(trigger.name)}")
    token = _looked.set({})
    try:
        yield
    finally:
        _looked.reset(token)
        if triggers:
            _create_again(url, tls_ca, triggers)


def _create_again(url: URL, tls_ca: Path | None, triggers: Sequence[_Trigger]) -> None:
    with connect_to(url, tls_ca, shared=True) as connection, connection.cursor() as cursor:
        for trigger in triggers:
            cursor.execute(
                "SET SESSION sql_mode = %s, character_set_client = %s, collation_connection = %s",
                (trigger.sql_mode, trigger.charset, trigger.collation),
            )
            cursor.execute(trigger.statement)
