"""PostgreSQL: the rows of a schema kept in another one, which needs nothing of the first.

What is kept outlives the schema it was taken of: types that lie in it (enums, domains, ...) are kept as what they are
made of, or as text.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from .connect import Connection
from .names import quote
from .read import OWN_TABLES
from .rules import relation

_TEXT = "text"
_TEXT_OF_NO_TYPE = "refcursor"
"""Takes and gives every text as it is, and is read as a type without a logical one."""

# A type is there for ever where it is the server's own, or an extension's.
_COLUMNS = """
WITH RECURSIVE domain (oid, base, modifier) AS (
    SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, t.typtypmod FROM domain d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd')
SELECT a.attrelid, a.attname::text, t.typtype::text, format_type(t.oid, coalesce(d.modifier, a.atttypmod)),
    t.typnamespace = 'pg_catalog'::regnamespace OR EXISTS (SELECT FROM pg_depend e
        WHERE e.classid = 'pg_type'::regclass AND e.objid IN (t.oid, t.typelem) AND e.deptype = 'e'),
    a.attnotnull OR own.typnotnull, k.place, k.columns
FROM pg_attribute a JOIN pg_type own ON own.oid = a.atttypid
LEFT JOIN (SELECT domain.* FROM domain JOIN pg_type i ON i.oid = domain.base AND i.typtype <> 'd') d ON d.oid = own.oid
JOIN pg_type t ON t.oid = coalesce(d.base, own.oid)
LEFT JOIN (SELECT i.indrelid, u.number, u.place, i.indnkeyatts AS columns FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY u (number, place)
    WHERE i.indisprimary AND u.place <= i.indnkeyatts) k ON k.indrelid = a.attrelid AND k.number = a.attnum
WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attrelid, a.attnum
"""


@dataclass(frozen=True)
class _Kept:
    """A column as it is kept."""

    name: str
    kind: str
    spelled: str
    lasting: bool
    not_null: bool
    place_in_key: int | None
    columns_of_key: int | None

    @property
    def type(self) -> str:
        if self.lasting:
            return self.spelled
        return _TEXT if self.kind == "e" else _TEXT_OF_NO_TYPE

    @property
    def definition(self) -> str:
        return f"{quote(self.name)} {self.type}{' NOT NULL' if self.not_null else ''}"

    @property
    def value(self) -> str:
        return f"{quote(self.name)}{'' if self.lasting else '::text'}::{self.type}"


def keep(connection: Connection, staging: str, generation: str) -> None:
    """Make a schema with the rows of another one's tables, and their primary keys; in the connection's transaction."""
    connection.execute("SET LOCAL search_path = ''")
    connection.execute(f"CREATE SCHEMA {quote(generation)}".encode())
    tables = connection.execute(OWN_TABLES.encode(), (staging,)).fetchall()
    columns: dict[int, list[_Kept]] = defaultdict(list)
    for table, *rest in connection.execute(_COLUMNS.encode(), ([oid for oid, _, _ in tables],)):
        columns[table].append(_Kept(*rest))
    for oid, name, kind in tables:
        _keep_table(
            connection,
            columns[oid],
            relation(staging, name, partitioned=kind == "p"),
            relation(generation, name, partitioned=True),
        )


def _keep_table(connection: Connection, columns: list[_Kept], source: str, to: str) -> None:
    names = ", ".join(quote(column.name) for column in columns)
    connection.execute(f"CREATE TABLE {to} ({', '.join(column.definition for column in columns)})".encode())
    if not columns:
        return
    values = ", ".join(column.value for column in columns)
    connection.execute(f"INSERT INTO {to} ({names}) SELECT {values} FROM {source}".encode())
    if key := _key(columns):
        connection.execute(f"ALTER TABLE {to} ADD PRIMARY KEY ({', '.join(quote(one.name) for one in key)})".encode())


def _key(columns: list[_Kept]) -> list[_Kept]:
    """The primary key in its own order; none where a part of it is generated, or kept as what cannot be sorted."""
    key = sorted((one for one in columns if one.place_in_key), key=lambda one: one.place_in_key or 0)
    whole = bool(key) and len(key) == key[0].columns_of_key
    return key if whole and all(one.type != _TEXT_OF_NO_TYPE for one in key) else []
