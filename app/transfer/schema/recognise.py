"""Which revision a database without ``alembic_version`` is at."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Generator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import URL

from ...dialects.model import Table
from .alembic import Schema, data_tables

Shape = Mapping[str, AbstractSet[str]]
"""The names of the columns of each table."""


@dataclass(frozen=True)
class Recognition:
    """The revision whose tables and columns a database has, and what it has besides or lacks."""

    revision: str | None
    extra_tables: tuple[str, ...] = ()
    extra_columns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def recognise(schema: Schema, tables: Mapping[str, Table], scratch: URL) -> Recognition:
    """Which revision a database is at, by its tables and columns.

    The oldest revision wins among those that match equally well: upgrading from it repeats nothing but checks.

    :param scratch: a database to build each revision in; it is dropped.
    """
    return _find_nearest(schema, _shape_of(tables), scratch)


def recognise_tables(schema: Schema, wanted: Shape, scratch: URL) -> Recognition:
    """The oldest revision that has some tables with exactly their columns, whatever tables it has besides.

    :param scratch: a database to build each revision in; it is dropped.
    :return: the nearest one; in it ``extra_tables`` and ``extra_columns`` are what it lacks, ``missing`` what it has
        besides in these tables.
    """
    return _find_nearest(schema, wanted, scratch, only=wanted)


def _find_nearest(schema: Schema, present: Shape, scratch: URL, only: Container[str] | None = None) -> Recognition:
    best = Recognition(None)
    least = None
    with contextlib.closing(_shapes(schema, scratch)) as shapes:
        for revision, shape in shapes:
            counted = {name: columns for name, columns in shape.items() if only is None or name in only}
            candidate, distance = _compare(revision, present, counted)
            if least is None or distance < least:
                best, least = candidate, distance
            if not distance:
                break
    return best


def _shapes(schema: Schema, scratch: URL) -> Generator[tuple[str, Shape]]:
    dialect, target = schema.host.dialect, schema.host.url
    dialect.prepare_staging(scratch, target)
    try:
        revisions = set[str]()
        for revision in schema.lineage():
            wanted = schema.up_to(revision)
            if not revisions <= wanted:  # that was another branch
                dialect.drop(scratch)
                dialect.prepare_staging(scratch, target)
            schema.build(scratch, revision)
            revisions = wanted
            with dialect.reader(scratch) as reader:
                yield revision, _shape_of(reader.tables())
    finally:
        dialect.drop(scratch)


def _shape_of(tables: Mapping[str, Table]) -> Shape:
    return {name: set(table.column_names) for name, table in data_tables(tables).items()}


def _compare(revision: str, present: Shape, shape: Shape) -> tuple[Recognition, int]:
    missing = [name for name in shape if name not in present]
    missing += [f"{t}.{c}" for t in shape if t in present for c in sorted(shape[t] - present[t])]
    extra_columns = tuple(f"{t}.{c}" for t in shape if t in present for c in sorted(present[t] - shape[t]))
    extra_tables = tuple(sorted(set(present) - set(shape)))
    lacking = sum(len(columns) for name, columns in shape.items() if name not in present)
    besides = sum(len(present[name]) for name in extra_tables)
    distance = lacking + besides + len(extra_columns) + len(missing)
    return Recognition(revision, extra_tables, extra_columns, tuple(missing)), distance
