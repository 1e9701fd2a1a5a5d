"""PostgreSQL: objects and whole tables of the target made in staging, as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import URL

from ...errors import DoesNotFit
from ..model import SchemaObject
from . import dump
from .catalogue import OWN_TABLES
from .client import Client
from .connect import Connection, connect_to, words_of
from .extensions import extension_schemas, lent, set_path
from .mark import comment_on, with_made
from .names import Place, quote
from .objects import Node, dependencies, find_objects, objects
from .read import begin
from .restore import replay
from .rules import relation

_IN_PLACE = ("type", "sequence")
"""These have no CREATE OR REPLACE, and may have come along with a carried table."""

_CONSTRAINTS = """
SELECT c.relname::text, k.conname::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND NOT c.relname = ANY (%s)
"""


def copy_schema(client: Client, connection: Connection, origin: str, place: Place, *, timeout_s: float) -> None:
    """Make a schema of another one of the same database, with its comment.

    :raises ProgramFailed, psycopg.Error: the server refused something; nothing is left.
    """
    file = client.private / "copy.dump"
    dump.dump(client, origin, file, wait_s=timeout_s, compressed=False)
    archive = dump.archive_of(client, file, origin)
    around = dump.renames(connection, place, archive.schema or origin)
    comment = with_made(comment_on(connection, origin), [])
    around.behind.append(dump.make_comment(connection, place.schema, comment))
    replay(client, connection, archive, around, may_read=True)


def copy_tables(client: Client, connection: Connection, origin: str, place: Place, tables: Sequence[str]) -> None:
    """Make tables of another schema of the same database in this one, where they are not there; raises as above."""
    file = client.private / "tables.dump"
    dump.dump(client, origin, file, tables=tables, compressed=False)
    archive = dump.archive_of(client, file, origin)
    replay(client, connection, archive, dump.renames(connection, place, origin, into=True), may_read=True)


def carry(source: URL, staging: URL, tls_ca: Path | None, origin: str, place: Place, tables: Sequence[str]) -> None:
    """Copy tables that no revision made to staging, in the place of those that are there, with what they need.

    :param origin: the schema of the source.
    :raises DoesNotFit: something of them does not fit, with the server's words.
    """
    with connect_to(source, tls_ca, any_path=True) as connection:
        begin(connection, origin)
        needed = find_needed(connection, origin, tables)
    with connect_to(staging, tls_ca, search_path=[place.schema]) as connection:
        dropped = drop_tables(connection, place, tables)
        create_objects(connection, place, needed)
    what = f"The tables {', '.join(tables)}, which no revision made, cannot be carried"
    with dump.open_client(source, tls_ca, DoesNotFit, what) as (programs, connection):
        copy_tables(programs, connection, origin, place, tables)
    with connect_to(staging, tls_ca, search_path=[place.schema]) as connection:
        create_objects(connection, place, dropped)


def create_objects(connection: Connection, place: Place, wanted: Sequence[SchemaObject]) -> None:
    """Create objects in a schema, in the order given; those that a carried table brought along are left.

    :raises DoesNotFit: one of them does not fit, with the server's words.
    """
    with lent(connection, place.target, place.schema):
        for item in wanted:
            if item.kind in _IN_PLACE and _is_there(connection, place.schema, item):
                continue
            _create(connection, item)


def _is_there(connection: Connection, schema: str, item: SchemaObject) -> bool:
    name = f"{quote(schema)}.{quote(item.name)}"
    row = connection.execute("SELECT coalesce(to_regtype(%s)::oid, to_regclass(%s)::oid)", (name, name)).fetchone()
    return row is not None and row[0] is not None


def _create(connection: Connection, item: SchemaObject) -> None:
    what = f"The {item.kind} {item.name!r}, which no revision made,"
    if not item.sql:
        raise DoesNotFit(
            f"{what} cannot be made again by Flask-Ferry.",
            hint="Let a revision make it, or drop it from the live database.",
        )
    try:
        with connection.transaction():
            connection.execute(item.sql.encode())
            if item.kind in ("view", "materialized view"):
                connection.execute(f"SELECT * FROM {quote(item.name)} LIMIT 0".encode())
    except (psycopg.errors.DatabaseError, UnicodeEncodeError) as error:
        if isinstance(error, psycopg.OperationalError):
            raise
        raise DoesNotFit(
            f"{what} does not fit the new schema: {words_of(error)}",
            hint=f"Drop or rewrite this {item.kind} in the live database, or let a revision do it.",
        ) from error


def find_needed(connection: Connection, schema: str, tables: Iterable[str]) -> list[SchemaObject]:
    """What tables and their triggers need besides themselves: types, functions, sequences; in an order that creates."""
    rows = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = ANY (%s)",
        (schema, list(tables)),
    )
    start: set[Node] = {("pg_class", oid) for (oid,) in rows}
    items, needs = find_objects(connection, schema), dependencies(connection)
    start |= {one.node for one in items if one.item.kind in ("trigger", "policy", "rule") and one.item.table in tables}
    reached: set[Node] = set()
    ahead = set(start)
    while ahead:
        reached |= ahead
        ahead = set().union(*(needs.get(node, set()) for node in ahead)) - reached
    known = {item.name: item for item in objects(connection, schema) if item.kind == "sequence"}
    kinds = ("type", "function", "procedure", "sequence", "aggregate")
    wanted = [one.item for one in items if one.node in reached - start and one.item.kind in kinds]
    return [known[item.name] if item.kind == "sequence" else item for item in wanted]


def drop_tables(connection: Connection, place: Place, tables: Sequence[str]) -> list[SchemaObject]:
    """Drop tables that are to be made anew; return what was on them, to be created again.

    :raises DoesNotFit: a table that stays refers to one of them.
    """
    set_path(connection, [place.schema, *extension_schemas(connection, place.schema)])
    before = objects(connection, place.schema)
    rules = set(connection.execute(_CONSTRAINTS.encode(), (place.schema, list(tables))).fetchall())
    with connection.transaction():
        for table in tables:
            connection.execute(f"DROP TABLE IF EXISTS {quote(place.schema)}.{quote(table)} CASCADE".encode())
        rest = set(connection.execute(_CONSTRAINTS.encode(), (place.schema, list(tables))).fetchall())
        if vanishing := sorted(rules - rest):
            raise DoesNotFit(
                "Tables that revisions made refer to carried ones, which cannot be brought anew: "
                f"{', '.join(f'{name} on {table}' for table, name in vanishing)}.",
                hint="Let a revision make the tables that others refer to.",
            )
    after = {(item.kind, item.name) for item in objects(connection, place.schema)}
    return [item for item in before if (item.kind, item.name) not in after and item.table not in tables]


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
    (a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
        AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated)) OR own.typnotnull, k.place, k.columns
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
    statements = [
        statement
        for oid, name, kind in tables
        for statement in _keep_table(
            columns[oid],
            relation(staging, name, partitioned=kind == "p"),
            relation(generation, name, partitioned=True),
        )
    ]
    if statements:
        connection.execute("; ".join(statements).encode())


def _keep_table(columns: list[_Kept], source: str, to: str) -> Iterator[str]:
    """The statements that make one table."""
    names = ", ".join(quote(column.name) for column in columns)
    yield f"CREATE TABLE {to} ({', '.join(column.definition for column in columns)})"
    if not columns:
        return
    values = ", ".join(column.value for column in columns)
    yield f"INSERT INTO {to} ({names}) SELECT {values} FROM {source}"
    if key := _key(columns):
        yield f"ALTER TABLE {to} ADD PRIMARY KEY ({', '.join(quote(one.name) for one in key)})"


def keep_rows(connection: Connection, schema: str, table: str, source: str, to: str) -> str:
    """The statement that keeps some more rows of a table, where :func:`keep` kept it; empty where it has no columns.

    :param source: what the rows are selected from, and which.
    """
    oids = [oid for oid, name, _ in connection.execute(OWN_TABLES.encode(), (schema,)) if name == table]
    columns = [_Kept(*rest) for _, *rest in connection.execute(_COLUMNS.encode(), (oids,))]
    names, values = (", ".join(parts) for parts in zip(*((quote(one.name), one.value) for one in columns), strict=True))
    return f"INSERT INTO {to} ({names}) SELECT {values} FROM {source}" if columns else ""


def _key(columns: list[_Kept]) -> list[_Kept]:
    """The primary key in its own order; none where a part of it is generated, or kept as what cannot be sorted."""
    key = sorted((one for one in columns if one.place_in_key), key=lambda one: one.place_in_key or 0)
    whole = bool(key) and len(key) == key[0].columns_of_key
    return key if whole and all(one.type != _TEXT_OF_NO_TYPE for one in key) else []
