"""The column types that are carried between servers: how each is declared on each of them, and its nasty values."""

from __future__ import annotations

import datetime as dt
import enum
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

from tests.support.servers.mariadb import ON_MYSQL

SEED = 20261123
SQLITE, MARIADB, POSTGRESQL = SERVERS = ("sqlite", "mariadb", "postgresql")
EVERYWHERE = "*"

Spec = TypeEngine[Any] | str
"""A column's type: SQLAlchemy's, or the server's own in SQL."""


class Sql(str):
    """A value as an SQL literal, which no application would write through SQLAlchemy."""

    __slots__ = ()


class Own(UserDefinedType[Any]):
    """A server's own type, spelled in SQL."""

    cache_ok = True

    def __init__(self, spelled: str) -> None:
        self.spelled = spelled

    def get_col_spec(self, **_: Any) -> str:
        return self.spelled


@dataclass(frozen=True)
class Kind:
    """A column type.

    :ivar on: by server, or everywhere, how the column is declared.
    :ivar values: by server, or everywhere, the values by what is nasty about them; a source has the ones everywhere
        and its own. For a type of SQLAlchemy a Python value or :class:`Sql`, else always an SQL literal. One that a
        server refuses in an INSERT is no value of that server's.
    :ivar shown: the SQLAlchemy values that are equal to an application, where they need not be equal to Python.
    """

    title: str
    on: Mapping[str, Spec]
    values: Mapping[str, Mapping[str, Any]]
    shown: Any = None
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def spec(self, server: str) -> Spec:
        return self.on[server] if server in self.on else self.on[EVERYWHERE]

    def type(self, server: str) -> TypeEngine[Any]:
        """What the column is made with."""
        spec = self.spec(server)
        if not isinstance(spec, str):
            return spec
        # A driver that writes its parameters as %s has a percent sign doubled.
        return Own(spec if server == SQLITE else spec.replace("%", "%%"))

    def is_native(self, server: str) -> bool:
        """Whether the column is one of SQLAlchemy's types, so that an application's view of it can be compared."""
        return isinstance(self.spec(server), TypeEngine)

    def values_on(self, server: str) -> dict[str, Any]:
        found = {**self.values.get(EVERYWHERE, {}), **self.values.get(server, {})}
        return {"NULL": None, **found}


class Colour(enum.Enum):
    """Names with what has to be quoted."""

    RED = "red"
    QUOTED = "it's"
    BACK = "back\\slash"
    BLANK = "two words"


class Celsius(sa.types.TypeDecorator[Any]):
    """A type of an application's own: a temperature, kept as text."""

    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Any) -> Any:
        return None if value is None else f"{value} °C"

    def process_result_value(self, value: Any, _dialect: Any) -> Any:
        return None if value is None else Decimal(value.removesuffix(" °C"))


def generic(title: str, type_: TypeEngine[Any], values: Mapping[str, Any], shown: Any = None, **own: Any) -> Kind:
    """One of SQLAlchemy's types, the same everywhere; ``own``: further values by server."""
    return Kind(title, {EVERYWHERE: type_}, {EVERYWHERE: values, **own}, shown)


_random = random.Random(SEED)
_text = "".join(_random.choices("aäßЖ語😀 '\"\\%:;\t\n\r`$&<>", k=60))
_raw = _random.randbytes(60)
BIG = 12345678901234567890123
FOREIGN = {"a text": Sql("'seven'"), "bytes": Sql("x'00ff'"), "a fraction": Sql("1.5")}
"""What SQLite lets into a column of integers."""

TEXTS = {
    "empty": "",
    "blanks": "  two  ",
    "quotes": _text,
    "like an escape": "\\N \\0 %s %(x)s :x {0}",
    "like a number": "007",
    "like NULL": "NULL",
    "NUL": "a\0b",
    "4 bytes": "😀𝄞",
    "decomposed": "e\u0301",
    "right to left": "\u202eabc",
    "not a character": "\ufffe\uffff",
}
FLOATS = {
    "0.1": 0.1,
    "2^53+1": float(2**53 + 2),
    "1.5": 1.5,
    "-0.0": -0.0,
    "largest": 1.7976931348623157e308,
    "smallest": 2.2250738585072014e-308,
    "subnormal": 5e-324,
    "single": 3.4028234663852886e38,
    "infinity": float("inf"),
    "-infinity": -float("inf"),
    "NaN": float("nan"),
    "1/3": 1 / 3,
}
NAIVE = dt.datetime.fromisoformat
AT = NAIVE("2024-02-29 23:59:59")
TIMES = {
    "leap day": AT,
    "first": NAIVE("0001-01-01"),
    "last": NAIVE("9999-12-31 23:59:59"),
    "before 1970": NAIVE("1899-12-31 01:02:03"),
}
FINE = {"microsecond": AT.replace(microsecond=1), "999999": AT.replace(microsecond=999999)}
INFINITE = {"infinity": Sql("'infinity'"), "-infinity": Sql("'-infinity'")}
BEYOND = {"year 10000": Sql("'10000-01-01'"), "BC": Sql("'0044-03-15 BC'")}
ZERO = {"zero date": Sql("'0000-00-00'"), "31 February": Sql("'2024-02-31'"), "month 0": Sql("'2024-00-10'")}
DOCUMENTS = {
    "object": {"b": 1, "a": [None, True, {"ü": "😀"}]},
    "JSON null": sa.JSON.NULL,
    "empty": {},
    "text": "te'x\"t\\",
    "integer": 7,
    "fraction": [0.1, 1e300, -2.5e-10],
    "2^53+1": [2**53 + 1],
    "a large integer": BIG,
    "a large integer within": {"n": BIG},
    "true": True,
    "nested": {"a": {"a": {"a": {"a": [[[[[]]]]]}}}},
}
JSON_SQL = {
    "repeated keys": Sql("""'{"a": 1, "a": 2}'"""),
    "blanks": Sql("""' { "z" : 1.50 , "a" : 1e2 } '"""),
    "1e999": Sql("'1e999'"),
    "half a pair": Sql("""'"\\ud800"'"""),
}
JSON_OF = {
    SQLITE: {**JSON_SQL, "no JSON": Sql("'{a'"), "NaN": Sql("'NaN'")},
    MARIADB: {**JSON_SQL, "half a pair": Sql("""'"\\\\ud800"'""")},
    POSTGRESQL: JSON_SQL,
}


def at_utc(value: Any) -> Any:
    """A server without zones gives UTC without a zone."""
    return value.replace(tzinfo=dt.UTC) if value is not None and value.tzinfo is None else value


def stripped(value: Any) -> Any:
    """PostgreSQL shows CHAR(n) with the blanks that fill it up."""
    return None if value is None else value.rstrip(" ")


GENERIC = [
    generic(
        "Boolean",
        sa.Boolean(),
        {"true": True, "false": False},
        sqlite={"2": Sql("2"), "a text": Sql("'yes'")},
        mariadb={"2": Sql("2"), "-1": Sql("-1")},
    ),
    generic(
        "SmallInteger",
        sa.SmallInteger(),
        {"smallest": -(2**15), "largest": 2**15 - 1, "0": 0},
        sqlite={"2^15": 2**15, **FOREIGN},
    ),
    generic(
        "Integer",
        sa.Integer(),
        {"smallest": -(2**31), "largest": 2**31 - 1, "-1": -1},
        sqlite={"2^31": 2**31, "infinity": Sql("9e999"), **FOREIGN},
    ),
    generic("BigInteger", sa.BigInteger(), {"smallest": -(2**63), "largest": 2**63 - 1, "2^53+1": 2**53 + 1}),
    generic(
        "Numeric(12, 2)",
        sa.Numeric(12, 2),
        {"12.50": Decimal("12.50"), "-0.01": Decimal("-0.01"), "largest": Decimal("9999999999.99"), "0": Decimal(0)},
        sqlite={"three digits": Sql("1.239"), "a text": Sql("'dear'"), "infinity": Sql("9e999")},
        postgresql={"NaN": Sql("'NaN'")},
    ),
    generic(
        "Numeric(38, 10)",
        sa.Numeric(38, 10),
        {"0.1": Decimal("0.1"), "1e-10": Decimal("1e-10"), "whole": Decimal(2**53)},
        mariadb={"38 digits": Decimal("-1234567890123456789012345678.0123456789")},
        postgresql={"38 digits": Decimal("-1234567890123456789012345678.0123456789")},
    ),
    generic(
        "Numeric",
        sa.Numeric(),
        {"7": Decimal(7), "-1": Decimal(-1), "0.5": Decimal("0.5")},
        postgresql={
            "1000 digits": Sql("1" + "23" * 499 + ".5"),
            "1e-20": Decimal("1e-20"),
            "NaN": Sql("'NaN'"),
            "infinity": Sql("'Infinity'"),
        },
        sqlite={"1e-20": Sql("1e-20"), "1e300": Sql("1e300"), "infinity": Sql("9e999"), "a text": Sql("'dear'")},
    ),
    generic("Float", sa.Float(), FLOATS, sqlite={"a text": Sql("'warm'")}),
    generic("Double", sa.Double(), FLOATS),
    Kind(
        "Float, as Decimal",
        {EVERYWHERE: sa.Float(53, asdecimal=True)},
        {EVERYWHERE: {"0.5": Decimal("0.5"), "0.1": Decimal("0.1")}},
    ),
    generic(
        "String(60)",
        sa.String(60),
        TEXTS,
        sqlite={"longer": "x" * 61, "bytes": Sql("x'00ff'")},
    ),
    generic("Text", sa.Text(), {**TEXTS, "30,000 characters": "ä" * 30_000}),
    generic("UnicodeText", sa.UnicodeText(), TEXTS),
    generic(
        "CHAR(5)",
        sa.CHAR(5),
        {"full": "abcde", "short": "ab", "blanks before": "  a", "empty": "", "4 bytes": "😀😀😀😀😀"},
        stripped,
        sqlite={"blanks behind": "ab   "},
        mariadb={"blanks behind": "ab   "},
        postgresql={"blanks behind": "ab   "},
    ),
    generic("LargeBinary", sa.LargeBinary(), {"empty": b"", "NUL": b"\0", "all": bytes(range(256)), "random": _raw}),
    Kind(
        "BINARY(8)",
        {EVERYWHERE: sa.BINARY(8), POSTGRESQL: sa.LargeBinary()},
        {
            EVERYWHERE: {"full": b"\0\1\xff\xfe'\\%\0", "zeros": bytes(8)},
            SQLITE: {"short": b"ab"},
            MARIADB: {"short": b"ab"},
            POSTGRESQL: {"short": b"ab"},
        },
    ),
    generic(
        "Date",
        sa.Date(),
        {"leap day": dt.date(2024, 2, 29), "first": dt.date(1, 1, 1), "last": dt.date(9999, 12, 31)},
        sqlite={"a text": Sql("'soon'"), "an integer": Sql("20240229")},
        mariadb=ZERO,
        postgresql={**INFINITE, **BEYOND},
    ),
    generic(
        "Time",
        sa.Time(),
        {"midnight": dt.time(0), "last second": dt.time(23, 59, 59), "microsecond": dt.time(1, 2, 3, 4)},
        sqlite={"a text": Sql("'noon'")},
        mariadb={"838 hours": Sql("'838:59:59'"), "negative": Sql("'-00:00:01'")},
        postgresql={"24:00": Sql("'24:00:00'")},
    ),
    generic(
        "DateTime",
        sa.DateTime(),
        {**TIMES, **FINE},
        sqlite={"a text": Sql("'soon'"), "a number": Sql("1700000000")},
        mariadb=ZERO,
        postgresql={**INFINITE, **BEYOND},
    ),
    Kind(
        "DateTime, 6 digits on MariaDB",
        {EVERYWHERE: sa.DateTime(), MARIADB: mysql.DATETIME(fsp=6)},
        {EVERYWHERE: {**TIMES, **FINE}},
    ),
    Kind(
        "DateTime(timezone=True)",
        {EVERYWHERE: sa.DateTime(timezone=True), MARIADB: mysql.DATETIME(fsp=6)},
        {
            EVERYWHERE: {label: value.replace(tzinfo=dt.UTC) for label, value in {**TIMES, **FINE}.items()},
            POSTGRESQL: {
                "another zone": AT.replace(tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=45))),
                **INFINITE,
                **BEYOND,
            },
        },
        at_utc,
    ),
    Kind(
        "Interval",
        {EVERYWHERE: sa.Interval(second_precision=6), MARIADB: sa.Interval(second_precision=6)},
        {
            EVERYWHERE: {
                "zero": dt.timedelta(0),
                "days": dt.timedelta(days=3),
                "seconds": dt.timedelta(seconds=3661),
                "before": dt.timedelta(seconds=-1),
                "microsecond": dt.timedelta(days=-400, microseconds=1),
                "long": dt.timedelta(days=20_000, hours=23, minutes=59, seconds=59),
            },
            POSTGRESQL: {
                "months": Sql("'1 year 2 months'"),
                "25 hours": Sql("'25:00:00'"),
                "-1 second": Sql("'-00:00:01'"),
                "a million years": Sql("'365000000 days'"),
            },
        },
    ),
    generic("Enum", sa.Enum(Colour, name="colour"), {c.name.lower(): c for c in Colour}),
    generic(
        "Enum of texts",
        sa.Enum("it's", 'say "x"', "50%", "back\\slash", "a,b", "ü", name="label"),
        {label: label for label in ("it's", 'say "x"', "50%", "back\\slash", "a,b", "ü")},
        sqlite={"another": Sql("'green'")},
    ),
    generic("Enum with a label of 4 bytes", sa.Enum("plain", "😀", name="face"), {"plain": "plain", "😀": "😀"}),
    generic(
        "Enum(native_enum=False)",
        sa.Enum(Colour, name="colour", native_enum=False),
        {c.name.lower(): c for c in Colour},
    ),
    generic(
        "Uuid",
        sa.Uuid(),
        {
            "any": uuid.UUID(int=_random.getrandbits(128)),
            "zero": uuid.UUID(int=0),
            "all": uuid.UUID(int=2**128 - 1),
            "of no version": uuid.UUID("a24bf185-3e53-fb09-1a2c-9927bdd31fa6"),
        },
        sqlite={"capitals": Sql("'" + "AB" * 16 + "'"), "no UUID": Sql("'none'")},
    ),
    generic(
        "Uuid(native_uuid=False)",
        sa.Uuid(native_uuid=False),
        {"any": uuid.UUID(int=_random.getrandbits(128)), "zero": uuid.UUID(int=0)},
    ),
    generic("JSON", sa.JSON(), DOCUMENTS, **JSON_OF),
    Kind(
        "JSON, JSONB on PostgreSQL",
        {EVERYWHERE: sa.JSON(), POSTGRESQL: postgresql.JSONB()},
        {EVERYWHERE: DOCUMENTS, **JSON_OF},
    ),
    generic("PickleType", sa.PickleType(), {"dict": {"a": [1, None, b"\0"]}, "text": "ü", "empty": []}),
    generic(
        "TypeDecorator",
        Celsius(),
        {"zero": Decimal("0.00"), "cold": Decimal("-273.15")},
    ),
]
OWN_OF_MARIADB = [
    Kind(
        "TINYINT",
        {SQLITE: sa.SmallInteger(), MARIADB: mysql.TINYINT(), POSTGRESQL: sa.SmallInteger()},
        {EVERYWHERE: {"smallest": -128, "largest": 127}, SQLITE: {"128": 128}, POSTGRESQL: {"128": 128}},
    ),
    Kind(
        "TINYINT UNSIGNED",
        {SQLITE: sa.SmallInteger(), MARIADB: mysql.TINYINT(unsigned=True), POSTGRESQL: sa.SmallInteger()},
        {EVERYWHERE: {"largest": 255}, SQLITE: {"-1": -1}, POSTGRESQL: {"-1": -1}},
    ),
    Kind(
        "MEDIUMINT UNSIGNED",
        {SQLITE: sa.Integer(), MARIADB: mysql.MEDIUMINT(unsigned=True), POSTGRESQL: sa.Integer()},
        {EVERYWHERE: {"largest": 2**24 - 1, "0": 0}},
    ),
    Kind(
        "INTEGER UNSIGNED",
        {SQLITE: sa.Integer(), MARIADB: mysql.INTEGER(unsigned=True), POSTGRESQL: sa.BigInteger()},
        {EVERYWHERE: {"largest": 2**32 - 1, "0": 0}},
    ),
    Kind(
        "BIGINT UNSIGNED",
        {
            SQLITE: sa.Numeric(20, 0),
            MARIADB: mysql.BIGINT(unsigned=True),
            POSTGRESQL: sa.Numeric(20, 0),
        },
        {EVERYWHERE: {"2^63-1": 2**63 - 1, "0": 0}, MARIADB: {"2^64-1": 2**64 - 1}, POSTGRESQL: {"2^64-1": 2**64 - 1}},
        lambda value: None if value is None else int(value),
    ),
    Kind(
        "DOUBLE(10,3)",
        {SQLITE: sa.Double(), MARIADB: "DOUBLE(10,3)", POSTGRESQL: sa.Double()},
        {SQLITE: {"0.1": 0.1, "0.0001": 0.0001}, POSTGRESQL: {"0.1": 0.1}, MARIADB: {"0.1": "0.1", "-7": "-7"}},
    ),
    Kind(
        "YEAR",
        {SQLITE: sa.Integer(), MARIADB: mysql.YEAR(), POSTGRESQL: sa.Integer()},
        {EVERYWHERE: {"1901": 1901, "2155": 2155}, MARIADB: {"0000": Sql("'0000'")}, SQLITE: {"99": 99}},
    ),
    Kind(
        "BIT(64)",
        {SQLITE: "INTEGER", MARIADB: "BIT(64)", POSTGRESQL: "NUMERIC(20)"},
        {
            MARIADB: {"ones": "~0", "2^63-1": "9223372036854775807", "0": "0"},
            SQLITE: {"2^63-1": "9223372036854775807", "-1": "-1"},
            POSTGRESQL: {"2^64-1": "18446744073709551615", "-1": "-1"},
        },
    ),
    Kind(
        "SET",
        {SQLITE: "VARCHAR(40)", MARIADB: "SET('a','b','it''s')", POSTGRESQL: "VARCHAR(40)"},
        {EVERYWHERE: {"none": "''", "two": "'a,b'", "quoted": "'a,it''s'"}, SQLITE: {"turned": "'b,a'"}},
    ),
    Kind(
        "ENUM",
        {SQLITE: "VARCHAR(40)", MARIADB: "ENUM('x-small','it''s','50%','')", POSTGRESQL: "VARCHAR(40)"},
        {
            EVERYWHERE: {"plain": "'x-small'", "quoted": "'it''s'", "percent": "'50%'", "empty": "''"},
            SQLITE: {"capitals": "'X-SMALL'"},
        },
    ),
    Kind(
        "TIME(6)",
        {SQLITE: sa.Time(), MARIADB: mysql.TIME(fsp=6), POSTGRESQL: sa.Time()},
        {
            SQLITE: {"microsecond": dt.time(23, 59, 59, 1)},
            POSTGRESQL: {"microsecond": dt.time(23, 59, 59, 1), "24:00": Sql("'24:00:00'")},
            MARIADB: {
                "838 hours": Sql("'838:59:59'"),
                "negative": Sql("'-01:00:00.5'"),
                "microsecond": Sql("'00:00:00.000001'"),
            },
        },
        lambda value: (
            value
            if value is None or isinstance(value, dt.time)
            else (AT.replace(hour=0, minute=0, second=0) + value).time()
        ),
    ),
    Kind(
        "TIMESTAMP(6)",
        {SQLITE: sa.DateTime(), MARIADB: "TIMESTAMP(6) NULL", POSTGRESQL: sa.DateTime()},
        {
            SQLITE: {"leap day": AT, "before 1970": TIMES["before 1970"]},
            MARIADB: {"leap day": "'2024-02-29 23:59:59.000001'", "zero": "'0000-00-00 00:00:00'"},
            POSTGRESQL: {"leap day": AT, "before 1970": TIMES["before 1970"]},
        },
    ),
    Kind(
        "MEDIUMTEXT",
        {SQLITE: sa.Text(), MARIADB: mysql.MEDIUMTEXT(), POSTGRESQL: sa.Text()},
        {EVERYWHERE: {"100,000": "é" * 100_000}},
    ),
    Kind(
        "LONGBLOB",
        {SQLITE: sa.LargeBinary(), MARIADB: mysql.LONGBLOB(), POSTGRESQL: sa.LargeBinary()},
        {EVERYWHERE: {"100,000": _random.randbytes(100_000)}},
    ),
    Kind(
        "TINYBLOB",
        {SQLITE: sa.LargeBinary(), MARIADB: mysql.TINYBLOB(), POSTGRESQL: sa.LargeBinary()},
        {EVERYWHERE: {"255": bytes(255)}, SQLITE: {"256": bytes(256)}},
    ),
    Kind(
        "UUID",
        {SQLITE: "VARCHAR(36)", MARIADB: "CHAR(36)" if ON_MYSQL else "UUID", POSTGRESQL: "UUID"},
        {
            EVERYWHERE: {"any": "'6fa459ea-ee8a-3ca4-894e-db77e160355e'"},
            SQLITE: {"capitals": "'6FA459EA-ee8a-3ca4-894e-db77e160355e'"},
        },
    ),
    Kind(
        "INET6",
        {SQLITE: "VARCHAR(43)", MARIADB: "VARCHAR(43)" if ON_MYSQL else "INET6", POSTGRESQL: "INET"},
        {
            EVERYWHERE: {"::1": "'::1'", "6": "'2001:db8::ff00:42:8329'"},
            SQLITE: {"long": "'0:0:0:0:0:0:0:1'"},
            POSTGRESQL: {"a network": "'10.1.0.0/16'"},
        },
    ),
    Kind(
        "POINT of MariaDB",
        {SQLITE: "BLOB", MARIADB: "POINT", POSTGRESQL: "BYTEA"},
        {
            MARIADB: {"one": "ST_GeomFromText('POINT(1.5 -2)')", "SRID": "ST_GeomFromText('POINT(1 2)', 4326)"},
            SQLITE: {"no point": "x'00'"},
        },
    ),
]
_HSTORE = (
    "CREATE SCHEMA IF NOT EXISTS extensions",
    "CREATE EXTENSION IF NOT EXISTS hstore SCHEMA extensions",
    "CREATE EXTENSION IF NOT EXISTS citext SCHEMA extensions",
)


def of_postgresql(title: str, spelled: str, values: Mapping[str, str], *before: str) -> Kind:
    """A type that only PostgreSQL has; an application keeps it as text elsewhere."""
    return Kind(
        title,
        {SQLITE: "TEXT", MARIADB: "LONGTEXT", POSTGRESQL: spelled},
        {POSTGRESQL: values},
        before={POSTGRESQL: before},
    )


ARRAYS = {
    "numbers": "'{1,2,NULL}'",
    "empty": "'{}'",
    "bounds": "'[5:6]={1,2}'",
    "nested": "'{{1,2},{3,NULL}}'",
}
OWN_OF_POSTGRESQL = [
    of_postgresql("ARRAY of integers", "integer[]", ARRAYS),
    of_postgresql(
        "ARRAY of texts",
        "text[]",
        {"quotes": """E'{"a b","it''s","\\\\"x\\\\"",NULL,"NULL","","\\\\\\\\"}'""", "commas": """'{"a,b","{}"}'"""},
    ),
    Kind(
        "ARRAY, JSON elsewhere",
        {SQLITE: sa.JSON(), MARIADB: sa.JSON(), POSTGRESQL: "integer[]"},
        {POSTGRESQL: ARRAYS, SQLITE: {"list": [1, 2]}, MARIADB: {"list": [1, 2]}},
    ),
    of_postgresql("INT4RANGE", "int4range", {"half open": "'[1,5)'", "endless": "'(,)'", "empty": "'empty'"}),
    of_postgresql("TSTZRANGE", "tstzrange", {"one": "'[2024-02-29 00:00:00+00,infinity)'"}),
    of_postgresql("INT4MULTIRANGE", "int4multirange", {"two": "'{[1,3),[7,9)}'", "none": "'{}'"}),
    of_postgresql(
        "INTERVAL of PostgreSQL", "interval", {"months": "'1 mon -2 days +03:00:00.000001'", "day": "'1 day'"}
    ),
    of_postgresql("INTERVAL DAY TO SECOND(3)", "interval day to second(3)", {"one": "'1 day 01:02:03.004'"}),
    of_postgresql("BIT(8)", "bit(8)", {"mixed": "B'00000101'"}),
    Kind(
        "BIT(3), a number elsewhere",
        {SQLITE: "INTEGER", MARIADB: "BIT(3)", POSTGRESQL: "bit(3)"},
        {POSTGRESQL: {"101": "B'101'"}, SQLITE: {"5": "5"}, MARIADB: {"5": "5"}},
    ),
    of_postgresql("BIT VARYING", "varbit", {"empty": "B''", "long": "B'1010101010101010101010101010101010101'"}),
    of_postgresql("INET", "inet", {"4": "'192.168.0.1'", "mask": "'10.1.2.3/8'", "6": "'2001:db8::1/64'"}),
    of_postgresql("CIDR", "cidr", {"4": "'192.168.0.0/16'"}),
    of_postgresql("MACADDR", "macaddr", {"one": "'08:00:2b:01:02:03'"}),
    of_postgresql("TIME WITH TIME ZONE", "timetz", {"zone": "'10:00:00.5+05:45'", "24:00": "'24:00:00-12'"}),
    Kind(
        "TIME WITH TIME ZONE, Time elsewhere",
        {SQLITE: sa.Time(), MARIADB: mysql.TIME(fsp=6), POSTGRESQL: "timetz"},
        {POSTGRESQL: {"zone": "'10:00:00.5+05:45'"}, SQLITE: {"ten": dt.time(10)}, MARIADB: {"ten": Sql("'10:00'")}},
    ),
    of_postgresql("TIMESTAMPTZ(0)", "timestamptz(0)", {"one": "'2024-02-29 12:00:00+05:30'"}),
    Kind(
        "TIMESTAMPTZ(0), DateTime elsewhere",
        {
            SQLITE: sa.DateTime(),
            MARIADB: mysql.DATETIME(fsp=6),
            POSTGRESQL: postgresql.TIMESTAMP(timezone=True, precision=0),
        },
        {SQLITE: FINE, MARIADB: FINE, POSTGRESQL: {"one": Sql("'2024-02-29 12:00:00+05:30'")}},
        at_utc,
    ),
    of_postgresql("MONEY", "money", {"one": "1234.5", "owed": "-0.01"}),
    of_postgresql("TSVECTOR", "tsvector", {"words": """$$'a':1A,3 'it''s':2 'b c'$$"""}),
    of_postgresql("XML", "xml", {"one": "'<a b=\"c\">d</a>'"}),
    of_postgresql("POINT", "point", {"one": "'(1.5,-0)'", "NaN": "'(NaN,Infinity)'"}),
    of_postgresql(
        "composite",
        "pair",
        {"both": """'(1,"it''s, so")'""", "empty": "'(,)'"},
        "CREATE TYPE pair AS (n integer, t text)",
    ),
    Kind(
        "DOMAIN over text",
        {SQLITE: "VARCHAR(20)", MARIADB: "VARCHAR(20)", POSTGRESQL: "word"},
        {EVERYWHERE: {"one": "'ok'"}, SQLITE: {"two words": "'not ok'"}},
        before={POSTGRESQL: ("CREATE DOMAIN word AS varchar(20) CHECK (VALUE !~ ' ')",)},
    ),
    of_postgresql("HSTORE", "extensions.hstore", {"two": """'a=>1, "b c"=>NULL'"""}, *_HSTORE),
    Kind(
        "CITEXT",
        {SQLITE: "TEXT COLLATE NOCASE", MARIADB: "VARCHAR(40)", POSTGRESQL: "extensions.citext"},
        {EVERYWHERE: {"mixed": "'MiXed'"}},
        before={POSTGRESQL: _HSTORE},
    ),
    of_postgresql("REAL", "real", {"0.1": "0.1"}),
    Kind(
        "REAL, Double elsewhere",
        {SQLITE: sa.Double(), MARIADB: sa.Double(), POSTGRESQL: sa.REAL()},
        {
            SQLITE: FLOATS,
            MARIADB: FLOATS,
            POSTGRESQL: {"0.1": Sql("0.1"), "smallest": Sql("1e-45"), "-0.0": Sql("'-0'"), "NaN": Sql("'NaN'")},
        },
    ),
    Kind(
        "OID",
        {SQLITE: "INTEGER", MARIADB: "BIGINT", POSTGRESQL: "oid"},
        {POSTGRESQL: {"largest": "4294967295"}, SQLITE: {"-1": "-1"}, MARIADB: {"-1": "-1"}},
    ),
]
OWN_OF_SQLITE = [
    Kind(
        "no type at all",
        {SQLITE: "", MARIADB: "LONGTEXT", POSTGRESQL: "text"},
        {
            SQLITE: {"integer": "5", "text": "'5'", "bytes": "x'05'", "fraction": "-0.5"},
            MARIADB: {"text": "'5'"},
            POSTGRESQL: {"text": "'5'"},
        },
    ),
    Kind(
        "NVARCHAR COLLATE NOCASE",
        {SQLITE: "NVARCHAR(20) COLLATE NOCASE", MARIADB: "VARCHAR(20)", POSTGRESQL: "varchar(20)"},
        {EVERYWHERE: {"mixed": "'MiXed'"}, SQLITE: {"bytes": "x'ff'"}},
    ),
    Kind(
        "REAL of SQLite",
        {SQLITE: "REAL", MARIADB: "DOUBLE", POSTGRESQL: "double precision"},
        {SQLITE: {"infinity": "9e999", "text": "'warm'", "one": "1", "2^63": "9223372036854775807"}},
    ),
]
KINDS = [*GENERIC, *OWN_OF_MARIADB, *OWN_OF_POSTGRESQL, *OWN_OF_SQLITE]
