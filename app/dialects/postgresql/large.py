"""PostgreSQL: large objects, which lie in the database and in no schema: only numbers of theirs are in tables.

A value of a column of the type ``oid``, or of a domain over it as the extension ``lo`` has one, names a large object
where there is one of that number. It is read as the number with a digest of the content, see
:func:`..values.tag_large`. Contents are read in parts: an object may have 4 TiB, and a value of the server's 1 GiB.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ..model import Grant, OutsideObject
from ..values import tag_large
from .connect import Connection
from .names import quote

PART_BYTES = 1 << 20
"""Of a content, in one message."""
TOGETHER = 200
"""Objects that one query reads the beginnings of."""
MOST_REMEMBERED = 10_000

_COLUMNS = """
WITH RECURSIVE known AS (
    SELECT 'pg_catalog.oid'::pg_catalog.regtype::pg_catalog.oid AS oid
    UNION SELECT t.oid FROM pg_catalog.pg_type t JOIN known k ON k.oid = t.typbasetype WHERE t.typtype = 'd')
SELECT c.relname::text, a.attname::text FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND (%s OR NOT c.relispartition) AND a.attnum > 0
    AND NOT a.attisdropped AND a.atttypid IN (SELECT oid FROM known)
ORDER BY 1, a.attnum
"""

# has_largeobject_privilege() is there since version 18 only.
READABLE = """(pg_catalog.current_setting('lo_compat_privileges')::bool
    OR pg_catalog.pg_has_role(m.lomowner, 'USAGE')
    OR EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) g WHERE g.privilege_type = 'SELECT'
        AND CASE g.grantee WHEN 0 THEN true ELSE pg_catalog.pg_has_role(g.grantee, 'USAGE') END))"""

_READABLE_OF = f"SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = ANY (%s::oid[]) AND {READABLE}"

_BEGINNINGS = f"""
SELECT p.number, pg_catalog.octet_length(p.part), pg_catalog.sha256(p.part) FROM (
    SELECT n.number, pg_catalog.lo_get(n.number, 0, {PART_BYTES}) AS part
    FROM pg_catalog.unnest(%s::oid[]) n (number) OFFSET 0) p
"""

_OBJECTS = f"""
SELECT m.oid, pg_catalog.pg_get_userbyid(m.lomowner)::text,
    pg_catalog.obj_description(m.oid, 'pg_largeobject'), m.lomacl IS NULL, ARRAY(
        SELECT pg_catalog.concat_ws(' ', g.privilege_type, g.is_grantable,
            CASE g.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(g.grantee)::text END)
        FROM pg_catalog.aclexplode(m.lomacl) g)
FROM pg_catalog.pg_largeobject_metadata m WHERE {READABLE} AND (%s::oid IS NULL OR m.oid = %s::oid) AND m.oid > %s::oid
ORDER BY m.oid LIMIT {TOGETHER}
"""  # of fixed parts


def columns_of(connection: Connection, schema: str, *, partitions: bool = False) -> dict[str, list[str]]:
    """The columns that may name large objects, by table.

    :param partitions: tables that are partitions of others as well.
    """
    columns: dict[str, list[str]] = defaultdict(list)
    for table, column in connection.execute(_COLUMNS.encode(), (schema, partitions)).fetchall():
        columns[table].append(column)
    return columns


def find_references(connection: Connection, schema: str) -> dict[str, list[str]]:
    """By table: the columns that name large objects there are, and by how many values."""
    lines: dict[str, list[str]] = defaultdict(list)
    for table, columns in columns_of(connection, schema).items():
        for column in columns:
            row: Any = connection.execute(
                f"SELECT count(*) FROM {quote(schema)}.{quote(table)} "
                f"WHERE {quote(column)} IN (SELECT oid FROM pg_catalog.pg_largeobject_metadata)".encode()
            ).fetchone()
            if row[0]:
                values = "1 value names a large object" if row[0] == 1 else f"{row[0]} values name large objects"
                lines[table].append(f"{table}.{column}: {values}")
    return dict(lines)


def are_there(connection: Connection) -> bool:
    """Whether the database has any large object."""
    return connection.execute("SELECT FROM pg_catalog.pg_largeobject_metadata LIMIT 1").fetchone() is not None


def find_unreadable(connection: Connection) -> list[str]:
    """The large objects of the database that this user may not read, counted by their owners, in words."""
    query = (
        "SELECT pg_catalog.pg_get_userbyid(m.lomowner)::text, count(*), min(m.oid) "
        f"FROM pg_catalog.pg_largeobject_metadata m WHERE NOT {READABLE} GROUP BY 1 ORDER BY 1"
    )
    return [
        f"large object {first} of {owner}{f', and {count - 1} more' if count > 1 else ''}: this user may not read it"
        for owner, count, first in connection.execute(query.encode()).fetchall()
    ]


def read_parts(connection: Connection, number: int, begin: int = 0) -> Iterator[bytes]:
    """The content of a large object from an offset in bytes on, in parts."""
    while True:
        row: Any = connection.execute(
            "SELECT pg_catalog.lo_get(%s::oid, %s::bigint, %s::int)", (number, begin, PART_BYTES), binary=True
        ).fetchone()
        if row[0]:
            yield row[0]
        if len(row[0]) < PART_BYTES:
            return
        begin += PART_BYTES


def find_digests(connection: Connection, numbers: Collection[int]) -> dict[int, bytes]:
    """SHA-256 of the content of each large object among some numbers; without those that this user may not read."""
    there = [number for (number,) in connection.execute(_READABLE_OF.encode(), (list(numbers),)).fetchall()]
    digests: dict[int, bytes] = {}
    for begin in range(0, len(there), TOGETHER):
        chunk = there[begin : begin + TOGETHER]
        for number, size, digest in connection.execute(_BEGINNINGS.encode(), (chunk,), binary=True).fetchall():
            digests[number] = digest if size < PART_BYTES else _digest_in_parts(connection, number)
    return digests


def _digest_in_parts(connection: Connection, number: int) -> bytes:
    digest = hashlib.sha256()
    for part in read_parts(connection, number):
        digest.update(part)
    return digest.digest()


class References:
    """Values of columns that may name large objects, said with the content's digest; within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: OrderedDict[int, bytes | None] = OrderedDict()

    def tag(self, rows: Iterable[tuple[Any, ...]], places: list[int]) -> list[list[Any]]:
        """Rows with what names a large object said as such.

        :param places: of the columns that may.
        """
        tagged = [list(row) for row in rows]
        numbers = {row[place] for row in tagged for place in places if row[place]}
        if new := numbers - self._known.keys():
            digests = find_digests(self._connection, new)
            self._known.update((number, digests.get(number)) for number in new)
        for row in tagged:
            for place in places:
                digest = self._known[row[place]] if row[place] else None
                if digest is not None:
                    row[place] = tag_large(row[place], digest)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return tagged


def read_objects(connection: Connection, schema: str, excluded: Collection[str]) -> Iterator[OutsideObject]:
    """All large objects of the database that this user may read, but those that excluded tables alone name."""
    without = _find_excluded(connection, schema, excluded)
    last = 0
    while rows := connection.execute(_OBJECTS.encode(), (None, None, last)).fetchall():
        for number, owner, comment, plain, grants in rows:
            if number not in without:
                rights = None if plain else frozenset(map(_parse_grant, grants))
                yield OutsideObject(number, owner, comment, rights, read_parts(connection, number))
        last = rows[-1][0]


def read_attributes(connection: Connection, number: int) -> OutsideObject | None:
    """A large object without its content, or None where there is none that this user may read."""
    row = connection.execute(_OBJECTS.encode(), (number, number, 0)).fetchone()
    if row is None:
        return None
    _, owner, comment, plain, grants = row
    return OutsideObject(number, owner, comment, None if plain else frozenset(map(_parse_grant, grants)), iter(()))


def _parse_grant(words: str) -> Grant:
    privilege, grantable, role = words.split(" ", 2)
    return Grant(role, privilege, grantable == "t")


def _find_excluded(connection: Connection, schema: str, excluded: Collection[str]) -> set[int]:
    named: dict[bool, set[int]] = {True: set(), False: set()}
    if not excluded:
        return set()
    for table, columns in columns_of(connection, schema).items():
        for column in columns:
            rows = connection.execute(
                f"SELECT DISTINCT {quote(column)}::oid FROM {quote(schema)}.{quote(table)} "
                f"WHERE {quote(column)} IN (SELECT oid FROM pg_catalog.pg_largeobject_metadata)".encode()
            )
            named[table in excluded].update(number for (number,) in rows)
    return named[True] - named[False]
