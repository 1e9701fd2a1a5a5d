"""PostgreSQL: schemas to test with, and values of every type that matters."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.base import Table, Values
from tests.servers.postgresql import PostgreSQL

from .rooms import Room

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b mood);
CREATE DOMAIN short AS varchar(5);
CREATE DOMAIN shorter AS short CHECK (length(VALUE) < 4);
CREATE TABLE kinds (
    id int PRIMARY KEY, yes bool, small int2, big int8, object oid, price numeric(12, 2), exact numeric,
    tens numeric(5, -1), single real, double float8, words text, cut varchar(5), padded char(5), label name,
    feels mood, inner_ shorter,
    raw bytea, day date, at time, at0 time(0), stamp timestamp, stamp3 timestamp(3), moment timestamptz, doc json,
    docb jsonb, key uuid, span interval, attz timetz, list int[], texts text[], twin pair, range_ int4range, ip inet,
    net cidr, mac macaddr, bits bit(3), cash money, mark tsvector, spot point, tree xml, made int GENERATED ALWAYS AS
    (id * 2) STORED);
"""
"""A column of every type that matters; generated ones do not travel."""

VALUES: dict[str, list[Any]] = {
    "yes": [True, False],
    "small": [-(2**15), 2**15 - 1],
    "big": [-(2**63), 2**63 - 1],
    "object": [0, 4294967295],
    "price": ["0.00", "-9999999999.99", {"$text": "NaN"}],
    "exact": ["0", "1e"[:1] + "0" * 50 + ".5", "-0.000000000000000000001", {"$text": "NaN"}, {"$text": "-Infinity"}],
    "tens": ["120", "-999990"],
    "single": [0.10000000149011612, -2.5, 1.401298464324817e-45, {"$float": "nan"}, {"$float": "-inf"}],
    "double": [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e16, {"$float": "inf"}],
    "words": ["", "a\\b\tc\nd\re", "\\N", "\\.", "ü 😀 '\"", "x" * 70_000, " end ", "NULL"],
    "cut": ["äöü😀x", "a b  "],
    "padded": ["", "ab", " a"],
    "label": ["n" * 63],
    "feels": ["sad"],
    "inner_": ["abc"],
    "raw": ["", "AP8=", "XE4="],
    "day": ["0001-01-01", "9999-12-31", {"$text": "infinity"}, {"$text": "0044-03-15 BC"}, {"$text": "10000-01-01"}],
    "at": ["00:00:00.000000", "23:59:59.999999", {"$text": "24:00:00"}],
    "at0": ["12:34:56.000000"],
    "stamp": [
        "0001-01-01 00:00:00.000000",
        "9999-12-31 23:59:59.999999",
        "2024-02-29 12:00:00.500000",
        {"$text": "-infinity"},
        {"$text": "0044-03-15 12:00:00.5 BC"},
        {"$text": "10000-01-01 00:00:00"},
        {"$text": "294276-12-31 23:59:59.999999"},
    ],
    "stamp3": ["2024-02-29 12:00:00.123000"],
    "moment": [
        "2026-01-31 23:59:59.000000+00:00",
        "0001-01-01 00:00:00.000001+00:00",
        {"$text": "infinity"},
        {"$text": "0044-03-15 12:00:00+00 BC"},
    ],
    "doc": ['{"b": 1.0,  "a": [null]}', "null", '"\\u00e4"', {"$text": "1e400"}, {"$text": '"\\ud800"'}],
    "docb": ['{"a": 1, "bb": [1.50, null]}', "null", '"ä"'],
    "key": ["6fa459ea-ee8a-3ca4-894e-db77e160355e"],
    "span": [{"$text": "1 year 2 mons -3 days +04:05:06.789"}, "-1 23:59:59.500000", {"$text": "25:00:00"}],
    "attz": [{"$text": "12:00:00.5+02:30"}],
    "list": [{"$text": "{}"}, {"$text": "{1,NULL,3}"}, {"$text": "[2:3]={1,2}"}],
    "texts": [{"$text": '{"a,b","c\\"d","\\\\",NULL,"NULL",""}'}],
    "twin": [{"$text": "(1,ok)"}],
    "range_": [{"$text": "empty"}, {"$text": "[1,5)"}],
    "ip": [{"$text": "10.0.0.1"}, {"$text": "::1"}, {"$text": "10.0.0.1/8"}],
    "net": [{"$text": "10.0.0.0/8"}],
    "mac": [{"$text": "08:00:2b:01:02:03"}],
    "bits": [{"$text": "101"}],
    "cash": [{"$text": "$1,234.50"}],
    "mark": [{"$text": "'a':1 'b':2"}],
    "spot": [{"$text": "(0.1,1e+300)"}],
    "tree": [{"$text": "<a>ä</a>"}],
}

REFUSED: list[tuple[str, Any, str]] = [
    ("yes", {"$int": "2"}, "int '2'"),
    ("small", 2**15, "out of range"),
    ("big", {"$float": "1.5"}, "float '1.5'"),
    ("big", {"$text": "5"}, "text '5'"),
    ("object", -1, "out of range|OID"),
    ("price", "1.005", "would round 1.005"),
    ("price", "12345678901.00", "overflow"),
    ("price", {"$text": "Infinity"}, "overflow|infinit"),
    ("price", {"$text": "1.00"}, "text '1.00'"),
    ("tens", "125", "would round 125"),
    ("single", 0.1, "would round 0.1"),
    ("single", 1e300, "would round"),
    ("double", 2**53 + 1, "would round"),
    ("double", {"$text": "1.5"}, "text"),
    ("words", "a\0b", "cannot hold NUL"),
    ("words", "a\ud800b", "surrogate"),
    ("words", {"$int": "5"}, "int '5'"),
    ("words", {"$bytes": "eA=="}, "bytes"),
    ("cut", "sixsix", "6 characters are too many"),
    ("cut", "five5 ", "6 characters are too many"),
    ("padded", "ab ", "does not keep blanks"),
    ("label", "ä" * 32, "too many"),
    ("feels", "glad", "invalid input value for enum"),
    ("inner_", "four", "check constraint"),
    ("raw", {"$text": "x"}, "text 'x'"),
    ("day", {"$text": "2024-01-01"}, "text"),
    ("day", {"$text": "Jan 1 2024"}, "would hold"),
    ("day", {"$text": "never"}, "invalid input syntax"),
    ("at0", "12:34:56.500000", "would round"),
    ("stamp3", "2024-02-29 12:00:00.123400", "would round"),
    ("stamp", {"$text": "epoch"}, "would hold"),
    ("moment", {"$text": "2024-01-01 00:00:00+02"}, "text"),
    ("doc", "{", "invalid input syntax"),
    ("doc", {"$text": "1"}, "text"),
    ("docb", '{"a": 1, "a": 2}', "one of two equal keys"),
    ("docb", '[{"x": {"b": 1, "b": 1}}]', "one of two equal keys"),
    ("docb", '"\\u0000"', "Unicode|u0000"),
    ("key", "6FA459EA-EE8A-3CA4-894E-DB77E160355E", "UUID in lower case"),
    ("span", {"$text": "25 hours 1 fortnight"}, "invalid input syntax|would hold"),
    ("span", {"$text": "90 minutes"}, "would hold"),
    ("span", {"$text": "1 day"}, "cannot hold"),
    ("span", "1 day", "no length of time"),
    ("list", {"$text": "{1, 2}"}, "would hold"),
    ("twin", {"$text": "(1,glad)"}, "enum"),
    ("bits", {"$text": "1011"}, "would hold|match"),
    ("ip", {"$text": "10.0.0.1/32"}, "would hold"),
]


@contextlib.contextmanager
def superuser_room(server: PostgreSQL, directory: Path) -> Iterator[Room]:
    url = server.url(f"s{secrets.token_hex(4)}")
    for role in ("reader", "owner"):
        if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            server.execute(f"CREATE ROLE {role}")
    made = Room(dialect_for(url, directory=directory), url, None, directory, lambda: None, ())
    made.dialect.create(url)
    try:
        yield made
    finally:
        server.execute(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


def ask(room: Room, sql: str, *, url: URL | None = None) -> list[Any]:
    """The first column of a query's rows, as an application has them."""
    with room.connect(url) as connection:
        return [row[0] for row in connection.exec_driver_sql(sql)]


def table_of(room: Room, name: str, url: URL | None = None) -> Table:
    with room.dialect.reader(url or room.target) as reader:
        return reader.tables()[name]


def swap(room: Room, staging: URL, old: str = "0000000c-old", *, timeout_s: float = 10) -> URL:
    """Cut over to staging; where the old schema is then."""
    former = room.dialect.generation_url(room.target, old)
    with room.dialect.fence(room.target) as fence:
        room.dialect.swap(staging, room.target, former, fence, fence.token(), timeout_s=timeout_s)
    return former


def staged(room: Room, sql: str, name: str = "one") -> URL:
    """A staging schema made by one script."""
    staging = room.other(name)
    room.dialect.prepare_staging(staging, room.target)
    room.execute(sql, url=staging)
    return staging


def kinds(room: Room, name: str) -> URL:
    staging = staged(room, TYPES, name)
    assert table_of(room, "kinds", staging).column_names[-1] == "tree"
    return staging


def rows_of_kinds(table: Table) -> list[Values]:
    """A row for each value, and one without any."""
    names = table.column_names
    rows: list[Values] = [[0, *[None] * (len(names) - 1)]]
    for name, values in VALUES.items():
        for value in values:
            row: Values = [len(rows), *[None] * (len(names) - 1)]
            row[names.index(name)] = value
            rows.append(row)
    return rows
