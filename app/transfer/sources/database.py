"""A database as the source: its rows at its own revision, in one consistent read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import URL

from ...dialects.base import Dialect, Reader, SchemaObject, Table, Values
from ...errors import DoesNotFit, SourceIncomplete
from ..rows.files import write
from ..rows.snapshot import HashedLine, Header, check, encode, hashed_rows, now
from ..schema.alembic import Recognition, Schema, data_tables, revision_of

Change = Callable[[Table, Iterable[Values]], Iterable[Values]]
CHECK = "Check the path or URL: flask db-migrate-data SOURCE"


@dataclass(frozen=True)
class DatabaseState:
    """What a source database is: its tables and the revision it says or is recognised at."""

    tables: dict[str, Table]
    objects: list[SchemaObject]
    revision: str | None
    recognition: Recognition | None


def look(dialect: Dialect, url: URL, name: str) -> DatabaseState:
    """Find a source database's tables and the revision that it says it is at.

    :raises SourceIncomplete: it is not there.
    :raises DoesNotFit: it says several.
    """
    if not dialect.exists(url):
        raise SourceIncomplete(f"There is no database {name}.", hint=CHECK)
    with dialect.reader(url) as reader:
        tables, revision, objects = data_tables(reader.tables()), revision_of(reader), reader.objects()
    if not tables:
        raise SourceIncomplete(f"{name} has no tables.", hint=CHECK)
    return DatabaseState(tables, objects, revision, None)


def recognised(state: DatabaseState, schema: Schema, scratch: URL, name: str) -> DatabaseState:
    """The same with the revision checked, or found by the tables where the database says none.

    :param scratch: a database beside the target, to build revisions in.
    :raises DoesNotFit: its revision is unknown here, or no revision has its tables.
    """
    if state.revision is not None:
        schema.require(state.revision, name)
        return state
    recognition = schema.recognise(state.tables, scratch)
    if recognition.missing:
        raise DoesNotFit(
            f"{name} has no alembic_version, and its tables are not those of any revision.",
            details=[
                f"nearest is {recognition.revision}; it lacks: {', '.join(recognition.missing)}",
                *([f"it has besides: {', '.join(recognition.extra_tables)}"] if recognition.extra_tables else []),
            ],
            hint="Stamp it with the revision it is at (flask db stamp REVISION), or add the missing revision.",
        )
    return replace(state, revision=recognition.revision, recognition=recognition)


def write_snapshot(
    dialect: Dialect,
    url: URL,
    path: Path,
    header: Header,
    progress: Callable[[str, int, int | None], None],
    change: Change | None = None,
) -> Path | None:
    """Read all rows in one transaction into a snapshot; returns where the former file is kept.

    :param change: what is done to a table's rows before they are written.
    """
    with dialect.reader(url) as reader:
        sections = ((table.name, _lines(reader, table, progress, change)) for table in header.tables)
        return write(path, encode(header, sections), check=check)


def _lines(
    reader: Reader, table: Table, progress: Callable[[str, int, int | None], None], change: Change | None
) -> Iterator[HashedLine]:
    rows: Iterable[Values] = _counted(reader, table, progress)
    return hashed_rows(table, change(table, rows) if change else rows)


def _counted(reader: Reader, table: Table, progress: Callable[[str, int, int | None], None]) -> Iterator[Values]:
    total = reader.count(table.name)
    for number, row in enumerate(reader.rows(table), 1):
        if number % 1000 == 0:
            progress(table.name, number, total)
        yield row
    progress(table.name, total, total)


def header_of(label: str, identity: str, revision: str | None, tables: dict[str, Table]) -> Header:
    """The header of a rows snapshot, parents before children."""
    return Header(
        kind="rows",
        source=label,
        identity=identity,
        read_from=now(),
        revision=revision,
        tables=tuple(parents_first(tables)),
    )


def parents_first(tables: dict[str, Table]) -> list[Table]:
    """Tables in an order where each comes after those it refers to; a cycle is cut where it is met."""
    ordered: dict[str, Table] = {}
    open_: set[str] = set()

    def visit(name: str) -> None:
        if name in ordered or name in open_ or name not in tables:
            return
        open_.add(name)
        for key in tables[name].foreign_keys:
            visit(key.table)
        ordered[name] = tables[name]

    for name in sorted(tables):
        visit(name)
    return list(ordered.values())
