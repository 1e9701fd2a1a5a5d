"""Rows whose foreign key points to a row that was set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from ...dialects.model import ForeignKey, Table, Values
from ...dialects.reader import Reader
from ..rows.canonical import encode_row, row_hasher
from ..rows.scratch import Scratch
from .options import Dangling
from .rows_file import RowsFile, places_of

REFERS = "refers to a row of"
"""So begins the reason of rows that go with others."""


class _Lines(Scratch):
    SCHEMA = "CREATE TABLE lines (hash TEXT PRIMARY KEY) WITHOUT ROWID"


def set_aside_dangling(rows: RowsFile, staged: Reader, keys: Collection[Dangling]) -> int:
    """Set aside the rows whose foreign key, one of these, points to a row that is not in staging, as its server says.

    :return: how many were.
    """
    added = 0
    for name, columns, parent in keys:
        if (table := rows.tables.get(name)) and parent in rows.tables:
            for key in (key for key in table.foreign_keys if (key.columns, key.table) == (columns, parent)):
                added += _set_aside_lines(rows, table, key, staged)
    return added


def _set_aside_lines(rows: RowsFile, child: Table, key: ForeignKey, staged: Reader) -> int:
    """A row has no number in staging: the whole of it says which one it is."""
    added, hash_row = 0, row_hasher(child)
    with _Lines() as lines:
        for row in staged.rows(child, dangling=key):
            lines.execute("INSERT OR IGNORE INTO lines VALUES (?)", (f"{hash_row(row, encode_row(row)):x}",))
        for table, values in rows.all_rows() if lines.has_one("SELECT 1 FROM lines") else ():
            for number, row in rows.kept_rows(table, values) if table.name == child.name else ():
                if lines.has_one("SELECT 1 FROM lines WHERE hash = ?", f"{hash_row(row, encode_row(row)):x}"):
                    reason = f"the row of {key.table} that it refers to is not there"
                    added += rows.aside.add(child.name, number, reason, row)
    return added


MayGo = Callable[[str, int], bool]


def set_aside_referring(rows: RowsFile, may_go: MayGo = lambda _table, _number: True) -> int:
    """Set aside what refers to rows that are set aside, and what refers to those, until nothing does.

    :param may_go: whether a row of a table and number may be set aside at all.
    :return: how many were.
    """
    added = 0
    while count := _one_round(rows, may_go):
        added += count
    return added


def _one_round(rows: RowsFile, may_go: MayGo) -> int:
    added = 0
    aside = rows.aside.tables()
    for table in list(rows.tables.values()):
        for key in table.foreign_keys:
            if key.table in aside and key.table in rows.tables:
                _find_gone(rows, rows.tables[key.table], key.referred)
                added += _set_aside_children(rows, table, key, may_go)
    return added


def _find_gone(rows: RowsFile, parent: Table, referred: tuple[str, ...]) -> None:
    """The referred values that only rows set aside have: an equal key that was loaded still stands."""
    columns = places_of(parent, referred)
    rows.aside.set_gone(_key(row, columns) for name, _, _, row in list(rows.aside.rows()) if name == parent.name)
    for row in rows.rows(parent.name):
        rows.aside.not_gone(_key(row, columns))


def _set_aside_children(rows: RowsFile, child: Table, key: ForeignKey, may_go: MayGo) -> int:
    columns = places_of(child, key.columns)
    added = 0
    for table, values in rows.all_rows():
        if table.name != child.name:
            continue
        for number, row in rows.kept_rows(table, values):
            refers = all(row[i] is not None for i in columns) and rows.aside.is_gone(_key(row, columns))
            if refers and may_go(child.name, number):
                added += rows.aside.add(child.name, number, f"{REFERS} {key.table} that is set aside", row)
    return added


def _key(row: Values, places: list[int]) -> str:
    return json.dumps([row[i] for i in places])
