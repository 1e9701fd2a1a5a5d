"""Rows whose foreign key points to a row that was set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import closing

from ...dialects.model import ForeignKey, Table, Values
from ..rows.scratch import RowStore
from .options import Dangling
from .rows_file import RowsFile, places_of

REFERS = "refers to a row of"
"""So begins the reason of rows that go with others."""


def set_aside_dangling(rows: RowsFile, keys: Collection[Dangling]) -> None:
    """Set aside the rows whose foreign key, one of these, points to a row that is not there."""
    for name, columns, parent in keys:
        table, referred = rows.tables.get(name), rows.tables.get(parent)
        key = (
            next((key for key in table.foreign_keys if (key.columns, key.table) == (columns, parent)), None)
            if table
            else None
        )
        if table is None or referred is None or key is None:
            continue
        with closing(RowStore()) as there:
            places = places_of(referred, key.referred)
            for row in rows.rows(parent):
                there.add(_key(row, places), 0, "", {})
            _set_aside_without(rows, table, key, there)


def _set_aside_without(rows: RowsFile, child: Table, key: ForeignKey, there: RowStore) -> None:
    places = places_of(child, key.columns)
    for table, values in rows.all_rows():
        for number, row in rows.kept_rows(table, values) if table.name == child.name else ():
            if all(row[i] is not None for i in places) and not there.has(_key(row, places), 0):
                rows.aside.add(child.name, number, f"the row of {key.table} that it refers to is not there", row)


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
