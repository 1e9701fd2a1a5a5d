"""Random databases, made of a seed: tables, columns of all portable types, keys, references, rows."""

from __future__ import annotations

import base64
import datetime as dt
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from tests.support.servers.mariadb import ON_MYSQL

from .kinds import MARIADB, POSTGRESQL, SQLITE

# SQLAlchemy has a CHAR(32) there.
WITHOUT_UUID = (SQLITE, *([MARIADB] if ON_MYSQL else []))
LARGEST = 2**64 - 1 if ON_MYSQL else 10**30
"""The largest whole number of a random JSON document: MySQL refuses larger ones by name."""

MOST_TABLES, MOST_COLUMNS, MOST_ROWS = 4, 9, 12
ALPHABET = "abcXYZ 0189_-.,:;'\"\\%`$&/?!()[]{}<>|\t\n\räöüßéñ€ЖЯאب語字😀𝄞\u0301\u200b\u202e\ufeff\ufffd"
NAMES = (
    "order",
    "group",
    "a b",
    "per%cent",
    "col:on",
    'qu"ote',
    "ti`ck",
    "it's",
    "ünïcode",
    "1st",
    "Select",
    "x.y",
    "(a)",
)
EPOCH = dt.datetime.fromisoformat("1970-01-01")


def _stamp(value: dt.datetime) -> str:
    return value.isoformat(sep=" ", timespec="microseconds")


def _interval(value: dt.timedelta) -> str:
    return f"{value.days} {(dt.datetime.min + dt.timedelta(0, value.seconds, value.microseconds)).time().isoformat('microseconds')}"  # noqa: DTZ901, E501 # a time of day


@dataclass(frozen=True)
class Portable:
    """A column type that every server has, or that an application makes do with another for.

    :ivar type: of a column by server.
    :ivar value: a random Python value.
    :ivar form: its canonical form by server, written here apart from the engine's own.
    """

    type: Callable[[str], TypeEngine[Any]]
    value: Callable[[random.Random], Any]
    form: Callable[[Any, str], Any] = lambda value, _server: value


def _text(size: int) -> Callable[[random.Random], str]:
    return lambda r: "".join(r.choices(ALPHABET, k=r.randint(0, size)))


def _json(r: random.Random, depth: int = 0) -> Any:
    kinds = 6 if depth < 3 else 4
    match r.randrange(kinds):
        case 0:
            return r.choice([None, True, False])
        case 1:
            return r.choice([0, -1, 2**53 + 1, 2**63, LARGEST, r.randint(-LARGEST // 2, LARGEST)]) if depth else "7"
        case 2:
            return r.uniform(-1e9, 1e9) if depth else "x"
        case 3:
            return _text(8)(r)
        case 4:
            return [_json(r, depth + 1) for _ in range(r.randrange(4))]
    return {_text(5)(r): _json(r, depth + 1) for _ in range(r.randrange(4))}


def _moment(r: random.Random) -> dt.datetime:
    day = dt.datetime.fromisoformat("0001-01-02") + dt.timedelta(days=r.randrange(3_652_000))
    return day + dt.timedelta(seconds=r.randrange(86400), microseconds=r.choice([0, 1, 999999, r.randrange(10**6)]))


def _number(bits: int) -> Callable[[random.Random], int]:
    top = 2 ** (bits - 1)
    return lambda r: r.choice([0, 1, -1, top - 1, -top, r.randrange(-top, top), r.randrange(-99, 99)])


def _double(r: random.Random) -> float:
    value = r.choice([0.0, 0.1, 1e300, -5e-324, 1 / 3, float(2**53), r.uniform(-1, 1), r.uniform(-1e18, 1e18)])
    return value or 0.0


def _decimal(digits: int, scale: int) -> Callable[[random.Random], Decimal]:
    top = 10**digits
    return lambda r: Decimal(r.choice([0, 1, -1, top - 1, r.randrange(-top + 1, top)])).scaleb(-scale)


def _scaled(scale: int) -> Callable[[Any, str], str]:
    return lambda value, _server: f"{value:.{scale}f}" if value else f"{Decimal(0):.{scale}f}"


def _always(type_: TypeEngine[Any]) -> Callable[[str], TypeEngine[Any]]:
    return lambda _server: type_


def _fine(type_: TypeEngine[Any], on_mariadb: TypeEngine[Any]) -> Callable[[str], TypeEngine[Any]]:
    return lambda server: on_mariadb if server == MARIADB else type_


_STAMP6 = mysql.DATETIME(fsp=6)
_LABELS = ("plain", "it's", "50%", "ü b", "C:\\x")
PORTABLE = {
    "bool": Portable(_always(sa.Boolean()), lambda r: r.random() < 0.5),
    "small": Portable(_always(sa.SmallInteger()), _number(16)),
    "int": Portable(_always(sa.Integer()), _number(32)),
    "big": Portable(_always(sa.BigInteger()), _number(64)),
    "decimal": Portable(_always(sa.Numeric(12, 2)), _decimal(12, 2), _scaled(2)),
    "whole": Portable(_always(sa.Numeric(15, 0)), _decimal(15, 0), _scaled(0)),
    "tiny": Portable(_always(sa.Numeric(8, 8)), _decimal(8, 8), _scaled(8)),
    "double": Portable(_always(sa.Double()), _double),
    "string": Portable(_always(sa.String(30)), _text(30)),
    "text": Portable(_always(sa.Text()), _text(200)),
    "bytes": Portable(
        _always(sa.LargeBinary()),
        lambda r: r.randbytes(r.randrange(40)),
        lambda value, _server: base64.b64encode(value).decode(),
    ),
    "date": Portable(_always(sa.Date()), lambda r: _moment(r).date(), lambda value, _server: value.isoformat()),
    "time": Portable(
        _fine(sa.Time(), mysql.TIME(fsp=6)),
        lambda r: _moment(r).time(),
        lambda value, _server: value.isoformat("microseconds"),
    ),
    "stamp": Portable(_fine(sa.DateTime(), _STAMP6), _moment, lambda value, _server: _stamp(value)),
    "zoned": Portable(
        _fine(sa.DateTime(timezone=True), _STAMP6),
        _moment,
        lambda value, server: _stamp(value) + ("+00:00" if server == POSTGRESQL else ""),
    ),
    "interval": Portable(
        _fine(sa.Interval(), _STAMP6),
        lambda r: _moment(r) - EPOCH,
        lambda value, server: _interval(value) if server == POSTGRESQL else _stamp(EPOCH + value),
    ),
    "uuid": Portable(
        _always(sa.Uuid()),
        lambda r: uuid.UUID(int=r.getrandbits(128), version=4),
        lambda value, server: value.hex if server in WITHOUT_UUID else str(value),
    ),
    "json": Portable(_always(sa.JSON()), lambda r: json.dumps(_json(r), ensure_ascii=r.random() < 0.5)),
    "enum": Portable(_always(sa.Enum(*_LABELS, native_enum=False)), lambda r: r.choice(_LABELS)),
}


@dataclass
class MadeTable:
    """A table of a made-up database.

    :ivar columns: by name the type's name in :data:`PORTABLE`.
    :ivar references: by column, the table and column that it refers to.
    :ivar rows: Python values.
    """

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    references: dict[str, tuple[str, str]] = field(default_factory=dict)
    rows: list[list[Any]] = field(default_factory=list)

    def table(self, server: str, metadata: sa.MetaData) -> sa.Table:
        columns: list[Any] = [
            sa.Column(name, PORTABLE[kind].type(server), primary_key=name in self.key, autoincrement=False)
            for name, kind in self.columns.items()
        ]
        for name, (table, referred) in self.references.items():
            constraint = f"fk_{metadata.info.setdefault('count', 0)}"
            metadata.info["count"] += 1
            columns.append(
                sa.ForeignKeyConstraint(
                    [name],
                    [metadata.tables[table].c[referred]] if table in metadata.tables else [f"{table}.{referred}"],
                    name=constraint,
                )
            )
        return sa.Table(self.name, metadata, *columns)

    def lines(self, server: str) -> list[bytes]:
        """The rows as a snapshot of a server must have them, in no order."""
        forms = [PORTABLE[kind].form for kind in self.columns.values()]
        return [
            orjson.dumps(
                [None if value is None else form(value, server) for value, form in zip(row, forms, strict=True)]
            )
            for row in self.rows
        ]


def database(seed: int, prefix: str) -> list[MadeTable]:
    """The tables of one database; the same for the same seed.

    :param prefix: of the tables' names, so that several fit into one database.
    """
    r = random.Random(seed)
    made: list[MadeTable] = []
    for number in range(r.randint(1, MOST_TABLES)):
        table = MadeTable(f"{prefix}{number}{r.choice(('', '', ' ' + r.choice(NAMES)))}")
        _add_columns(r, table)
        _add_references(r, table, made)
        _add_rows(r, table, made)
        made.append(table)
    return made


def _add_columns(r: random.Random, table: MadeTable) -> None:
    style = r.choice(["int", "int", "int", "text", "two", "none", "uuid"])
    if style != "none":
        table.columns["id"] = {"int": "big", "text": "string", "two": "int", "uuid": "uuid"}[style]
        table.key = ("id",)
    if style == "two":
        table.columns["Id 2"] = "string"
        table.key = ("id", "Id 2")
    for number in range(r.randint(0 if table.columns else 1, MOST_COLUMNS)):
        table.columns[f"c{number}{r.choice(('', '', r.choice(NAMES)))}"] = r.choice(list(PORTABLE))


def _add_references(r: random.Random, table: MadeTable, others: list[MadeTable]) -> None:
    for parent in [*others, table]:
        if parent.key == ("id",) and r.random() < 0.3:
            name = f"to {len(table.references)}"
            table.columns[name] = parent.columns["id"]
            table.references[name] = (parent.name, "id")


def _add_rows(r: random.Random, table: MadeTable, others: list[MadeTable]) -> None:
    parents = {other.name: other for other in [*others, table]}
    for number in range(r.choice([0, 1, 2, 5, MOST_ROWS])):
        row = []
        for name, kind in table.columns.items():
            if name in table.key:
                row.append(_key(r, kind, number))
            elif name in table.references:
                parent = parents[table.references[name][0]]
                keys = [other[list(parent.columns).index("id")] for other in parent.rows]
                row.append(r.choice([None, *keys]))
            else:
                row.append(None if r.random() < 0.2 else PORTABLE[kind].value(r))
        table.rows.append(row)
    if not table.key and table.rows and r.random() < 0.5:
        table.rows.append(list(table.rows[0]))


def _key(r: random.Random, kind: str, number: int) -> Any:
    match kind:
        case "string":
            # Collations that know no case or accents find no two of these equal.
            return f"{number}x{r.choice(('', '😀', 'ü', ' %s', chr(92), 'A'))}{number}"
        case "uuid":
            return uuid.UUID(int=r.getrandbits(120) << 8 | number, version=4)
        case "big":
            return number * r.choice([1, 10**17]) * (-1) ** number
    return number
