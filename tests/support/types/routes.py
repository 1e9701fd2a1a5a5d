"""Every kind of column by every route, and what came of its values.

A value is ``exact`` by three looks that do not use the engine's checksums: carried back to the server it came from,
its line in that snapshot is the first one's; where the logical types agree, so is its line in the target's; and
SQLAlchemy reads the same from both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import URL

from app.dialects.model import Column, LogicalType

from .carry import Place, header_tables, load_snapshot, sections, snapshot, without
from .kinds import KINDS, Kind, Sql

WIDTH = 8
"""Kinds in one table, a column each; a row has a value of one of them, so that what is refused is that value."""

Labels = dict[int, tuple[Kind, str]]
"""By a row's key: the kind that it has a value of, and what is nasty about that."""


@dataclass(frozen=True)
class Unreadable:
    """What SQLAlchemy cannot read, by the error's type."""

    error: str


@dataclass(frozen=True)
class Group:
    """Some kinds in one table."""

    name: str
    kinds: tuple[Kind, ...]

    def table(self, server: str) -> sa.Table:
        columns = [sa.Column(f"c{place}", kind.type(server)) for place, kind in enumerate(self.kinds)]
        key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
        return sa.Table(self.name, sa.MetaData(), key, *columns)


GROUPS = [Group(f"g{start // WIDTH:02}", tuple(KINDS[start : start + WIDTH])) for start in range(0, len(KINDS), WIDTH)]


def build(at: Place, url: URL) -> None:
    """Make the tables as an application of that server would."""
    engine = at.dialect.engine(url)
    with engine.begin() as connection:
        for group in GROUPS:
            for statement in (line for kind in group.kinds for line in kind.before.get(at.name, ())):
                connection.exec_driver_sql(statement)
            group.table(at.name).create(connection)
    engine.dispose()


def fill(at: Place, url: URL) -> dict[str, Labels]:
    """Write each kind's values that the server takes, and a NULL."""
    labels: dict[str, Labels] = {}
    engine = at.dialect.engine(url)
    with engine.connect() as connection:
        if at.name == "mariadb":
            connection.exec_driver_sql("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        for group in GROUPS:
            table, own = group.table(at.name), labels.setdefault(group.name, {})
            for place, kind in enumerate(group.kinds):
                for label, value in kind.values_on(at.name).items():
                    key = len(own) + 1
                    if _inserted(connection, table, key, f"c{place}", value, literal=not kind.is_native(at.name)):
                        own[key] = (kind, label)
    engine.dispose()
    return labels


def _inserted(connection: sa.Connection, table: sa.Table, key: int, name: str, value: Any, *, literal: bool) -> bool:
    driver: Any = connection.connection.dbapi_connection
    try:
        if value is None or literal or isinstance(value, Sql):
            with closing(driver.cursor()) as cursor:
                text = "NULL" if value is None else value
                cursor.execute(f"INSERT INTO {table.name} (id, {name}) VALUES ({key}, {text})")
        else:
            connection.execute(table.insert(), {"id": key, name: value})
    except (sa.exc.DBAPIError, sa.exc.StatementError, connection.dialect.dbapi.Error):
        connection.rollback()
        driver.rollback()
        return False
    connection.commit()
    driver.commit()
    return True


def shown(at: Place, url: URL, labels: dict[str, Labels]) -> dict[tuple[str, int], Any]:
    """By table and key, what an application reads of a column of SQLAlchemy's."""
    found: dict[tuple[str, int], Any] = {}
    engine = at.dialect.engine(url)
    with engine.connect() as connection:
        for group in GROUPS:
            table = group.table(at.name)
            for place, kind in enumerate(group.kinds):
                keys = [key for key, (own, _) in labels[group.name].items() if own is kind]
                if kind.is_native(at.name):
                    found.update(((group.name, key), value) for key, value in _shown(connection, table, place, keys))
    engine.dispose()
    return found


_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, sa.exc.DBAPIError)


def _shown(connection: sa.Connection, table: sa.Table, place: int, keys: list[int]) -> Iterator[tuple[int, Any]]:
    query = sa.select(table.c.id, table.c[f"c{place}"])
    try:
        yield from connection.execute(query.where(table.c.id.in_(keys))).all()
        return
    except (*_ERRORS, connection.dialect.dbapi.Error):
        connection.rollback()
    for key in keys:
        try:
            yield from connection.execute(query.where(table.c.id == key)).all()
        except (*_ERRORS, connection.dialect.dbapi.Error) as error:
            connection.rollback()
            yield key, Unreadable(type(error).__name__)


@dataclass
class Source:
    """A server's database with every kind's values, and its snapshot."""

    at: Place
    labels: dict[str, Labels]
    path: Path

    @cached_property
    def lines(self) -> dict[str, list[bytes]]:
        return sections(self.path)

    @cached_property
    def shown(self) -> dict[tuple[str, int], Any]:
        return shown(self.at, self.at.target, self.labels)


def source(at: Place) -> Source:
    """Make the database of a server."""
    build(at, at.target)
    return Source(at, fill(at, at.target), snapshot(at, at.target, at.directory / f"{at.name}.json"))


@dataclass
class Cell:
    """What came of a kind's values on a route.

    :ivar columns: the column on either side.
    :ivar kept: the values that arrived, by what is nasty about them.
    :ivar refused: those that were refused by name, with the reason.
    :ivar spelled: those whose JSON text is another one of equal value.
    :ivar seen: those that SQLAlchemy reads as another value, though they came back as they were.
    :ivar one_way: those that the source's own server would not take back, with the reason.
    :ivar wrong: what must not be: values that were neither kept nor refused.
    """

    kind: Kind
    columns: tuple[Column, Column]
    kept: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    spelled: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    one_way: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


Cells = dict[str, Cell]


def route(begin: Source, to: Place) -> Cells:
    """Carry every kind from a source to a server and back, and compare, without the engine's own checksums."""
    staging, back = to.other(f"from-{begin.at.name}"), begin.at.other(f"back-{to.name}")
    to.dialect.prepare_staging(staging, to.target)
    build(to, staging)
    there = load_snapshot(to, staging, begin.path)
    arrived = snapshot(to, staging, to.directory / f"{begin.at.name}-to-{to.name}.json")
    seen = shown(to, staging, begin.labels)
    begin.at.dialect.prepare_staging(back, begin.at.target)
    build(begin.at, back)
    home = load_snapshot(begin.at, back, arrived)
    returned = snapshot(begin.at, back, to.directory / f"{begin.at.name}-back-from-{to.name}.json")
    for at, url in ((to, staging), (begin.at, back)):
        at.dialect.drop(url)
    cells = _cells(header_tables(begin.path), header_tables(arrived))
    arrived_lines, returned_lines = sections(arrived), sections(returned)
    for group in GROUPS:
        name, labels = group.name, begin.labels[group.name]
        refused = there.refused.get(name, {})
        for number, line in enumerate(begin.lines[name], 1):
            kind, label = labels[_key(line)]
            cell = cells[kind.title]
            if number in refused:
                cell.refused[label] = refused[number]
            else:
                cell.kept.append(label)
        for number, why in home.refused.get(name, {}).items():
            kind, label = labels[_key(arrived_lines[name][number - 1])]
            cells[kind.title].one_way[label] = why
        left = without(begin.lines[name], refused)
        one_way = home.refused.get(name, {})
        gone = {_key(arrived_lines[name][number - 1]) for number in one_way}
        back_again = [line for line in left if _key(line) not in gone]
        _compare_lines(back_again, returned_lines[name], labels, cells, lambda _: True)
        _compare_lines(left, arrived_lines[name], labels, cells, _is_same_type)
        _compare_shown(group, begin, seen, cells, (begin.at.name, to.name))
    return cells


def _key(line: bytes) -> int:
    return int(orjson.loads(line)[0])


def _cells(here: Any, there: Any) -> Cells:
    found = {}
    for group in GROUPS:
        pairs = zip(here[group.name].columns[1:], there[group.name].columns[1:], strict=True)
        for kind, columns in zip(group.kinds, pairs, strict=True):
            found[kind.title] = Cell(kind, columns)
    return found


def _is_same_type(cell: Cell) -> bool:
    one, other = cell.columns
    return one.type is other.type and one.scale == other.scale


def _compare_lines(
    left: list[bytes], right: list[bytes], labels: Labels, cells: Cells, applies: Callable[[Cell], bool]
) -> None:
    mine, theirs = ({_key(line): line for line in lines} for lines in (left, right))
    for key in mine.keys() | theirs.keys():
        one, other = mine.get(key, b""), theirs.get(key, b"")
        kind, label = labels[key]
        if one == other or not applies(cells[kind.title]):
            continue
        if cells[kind.title].columns[0].type is LogicalType.JSON and _equal_json(one, other):
            cells[kind.title].spelled.append(label)
        else:
            cells[kind.title].wrong.append(f"{label}: {one[:300].decode()} became {other[:300].decode()}")


def _equal_json(one: bytes, other: bytes) -> bool:
    """Whether two lines are equal but for blanks, the order of keys and the spelling of numbers in JSON texts."""

    def values(line: bytes) -> Any:
        return [
            json.loads(text, parse_float=Decimal, parse_int=Decimal) if isinstance(text, str) else text
            for text in json.loads(line)
        ]

    try:
        return bool(values(one) == values(other))
    except (ValueError, TypeError):
        return False


def _compare_shown(
    group: Group, begin: Source, seen: dict[tuple[str, int], Any], cells: Cells, servers: tuple[str, str]
) -> None:
    for key, (kind, label) in begin.labels[group.name].items():
        cell = cells[kind.title]
        if label in cell.refused or not all(map(kind.is_native, servers)):
            continue
        here, there = begin.shown[group.name, key], seen.get((group.name, key))
        if isinstance(here, Unreadable):
            continue
        if isinstance(there, Unreadable):
            cell.wrong.append(f"{label}: {here!r:.200} became unreadable ({there.error})")
            continue
        view: Callable[[Any], Any] = kind.shown or (lambda value: value)
        one, other = view(here), view(there)
        # A zero is equal to a negative one, and NaN to nothing.
        same = repr(one) == repr(other) or (one == other and not isinstance(one, float))
        if type(one) is not type(other) or not same:
            cell.seen[label] = f"{one!r:.100} is shown as {other!r:.100}"
