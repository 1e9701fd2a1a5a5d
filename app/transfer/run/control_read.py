"""All that a look at a control area reads of its tables, by one statement: over a network each one is a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from ..rows.expect import Unexpected, an_object
from .ledger import Entry, JournalEntry, holder_of, identity, journal, lease, ledger

_TABLES = (identity, ledger, journal, lease)
NOW = sa.type_coerce(sa.func.current_timestamp(), sa.DateTime).label("now")
"""The server's own time, as :func:`.ledger.holder_of` takes it."""


class NotReadAtOnce(Exception):
    """Something is not as it should be; who reads the tables one by one is told which, and what."""


def read_all(engine: sa.Engine) -> dict[str, list[Any]]:
    """What the control area holds, by table: ``identity`` pairs, ``ledger`` entries, ``journal`` entries, ``lease`` the
    holder or nobody.

    :raises NotReadAtOnce: a table is not there, or holds what none of ours does, or the server does not answer.
    """
    try:
        with engine.connect() as connection:
            rows = connection.execute(_select_all()).all()
        return {table.name: list(_read(table, [row for row in rows if row.kind == table.name])) for table in _TABLES}
    except (sa.exc.DBAPIError, Unexpected, ValueError, TypeError, RecursionError) as error:
        raise NotReadAtOnce from error


def _select_all() -> sa.CompoundSelect[Any]:
    """The rows of all tables below each other, each in columns of its own.

    Nothing comes of the first part; it says to server and driver which types the columns have.
    """
    empty = _select(None, {column for table in _TABLES for column in table.columns}).where(sa.false())
    return sa.union_all(empty, *(_select(table, set(table.columns)) for table in _TABLES))


def _select(table: sa.Table | None, filled: set[sa.Column[Any]]) -> sa.Select[Any]:
    kind = sa.literal_column(f"'{table.name if table is not None else ''}'", sa.String)
    columns = [
        (column if column in filled else sa.null()).label(f"{other.name}_{column.name}")
        for other in _TABLES
        for column in other.columns
    ]
    # Joined, as SQLAlchemy warns of tables that are only beside each other.
    of_all: sa.FromClause = _TABLES[0]
    for other in _TABLES[1:]:
        of_all = of_all.join(other, other.c.run_id == identity.c.name)
    return sa.select(kind.label("kind"), *columns, NOW).select_from(of_all if table is None else table)


def _read(table: sa.Table, rows: list[sa.Row[Any]]) -> Iterator[Any]:
    if table is identity:
        yield from ((row.identity_name, row.identity_value) for row in rows)
    elif table is ledger:
        yield from (Entry.from_json(row.ledger_entry) for row in sorted(rows, key=lambda row: row.ledger_number))
    elif table is journal:
        yield from (journal_entry_of(row, "journal_") for row in sorted(rows, key=lambda row: row.journal_number))
    else:
        yield from (holder_of(row, "lease_") for row in rows[:1])


def journal_entry_of(row: sa.Row[Any], prefix: str = "") -> JournalEntry:
    """An entry of the journal, from its row.

    :param prefix: of the names of its columns.
    :raises Unexpected: it is none.
    """
    run_id, step, phase, written_at, detail = (
        getattr(row, prefix + name) for name in ("run_id", "step", "phase", "written_at", "detail")
    )
    return JournalEntry(run_id, step, phase, written_at, an_object(detail, "the detail"))
