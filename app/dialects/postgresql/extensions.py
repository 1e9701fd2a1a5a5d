"""PostgreSQL: extensions, whose types and functions staging needs while their schema is the live one.

``search_path`` must never lead from staging into the live schema: a statement that names a table which staging lacks
would find the live one. An extension that lies in the live schema is therefore lent to staging inside a transaction
that gives it back before its end; nobody else ever sees it move (catalogs are read as of what is committed).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from ..base import OutsideStaging
from .connect import Connection
from .driver import Question
from .guard import Executes
from .names import quote

EXTENSIONS = """
SELECT e.extname::text, e.extrelocatable FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE n.nspname = %s ORDER BY e.extname COLLATE "C"
"""

EXTENSIONS_IN = """
SELECT e.extname::text FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE n.nspname = {target} ORDER BY e.extname COLLATE "C"
"""
"""For a text in which ``target`` is put as a literal."""
VERSIONS = "SELECT extname::text || ' ' || extversion FROM pg_catalog.pg_extension"
"""Every extension of the database, with its version."""
WRITERS = """
SELECT extname::text || ' ' || extversion || ' ' || xmin::text FROM pg_catalog.pg_extension ORDER BY extname COLLATE "C"
"""
"""The same, with the number of the transaction that wrote its row."""


COMMENT = "pg_catalog.obj_description({staging}, 'pg_namespace')"
"""Of staging, by its OID; see :mod:`.mark`."""


def read_versions(rows: Iterable[str]) -> dict[str, str]:
    """The rows of :data:`VERSIONS`."""
    return {name: version for name, _, version in (row.rpartition(" ") for row in rows)}


def read_writers(rows: Iterable[str]) -> dict[str, int]:
    """The rows of :data:`WRITERS`, without the versions."""
    return {name: int(writer) for name, _, writer in (row.rsplit(" ", 2) for row in rows)}


def refuse_changed(before: Mapping[str, str], rows: Iterable[str], by_run: Collection[str]) -> None:
    """Refuse what a revision does to extensions that the live schema has, before anything is proved.

    :param before: name to version.
    :param rows: those of :data:`WRITERS` behind the revision.
    :param by_run: names of those that revisions of this run made.
    :raises OutsideStaging: it drops or updates one.
    """
    after = read_versions(row.rpartition(" ")[0] for row in rows)
    for name, version in sorted(before.items()):
        if name in by_run or after.get(name) == version:
            continue
        what, when = ("updates", "before this command") if name in after else ("drops", "after the cut-over")
        raise OutsideStaging(
            f"it {what} the extension {name}, which is the live schema's as well; do so by hand {when}"
        )


# A schema that holds tables besides extensions is somebody's data.
SCHEMAS = """
SELECT DISTINCT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE n.nspname NOT IN ('pg_catalog', %s) AND has_schema_privilege(n.oid, 'USAGE') AND (%s OR NOT EXISTS (
    SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')))
ORDER BY 1
"""


@dataclass(frozen=True)
class Extension:
    name: str
    relocatable: bool


def oid_of(connection: Executes, schema: str) -> int | None:
    """The OID of a schema, or None where there is none of that name."""
    row = connection.execute("SELECT oid FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    return int(row[0]) if row else None


_LOOK_IN = f"""
SELECT set_config('search_path', concat_ws(', ', quote_ident(%s), (
    SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.name) FROM ({SCHEMAS}) AS s (name))), true)
"""


_LOOK_IN_ALL_BUT = _LOOK_IN.replace("AS s (name)", "AS s (name) WHERE s.name <> %s")


def look_in(schema: str, *, with_tables: bool = False) -> Question:
    """Look for names in a schema and, behind it, in those of :func:`extension_schemas`; to the transaction's end."""
    return _LOOK_IN, (schema, schema, with_tables)


def look_in_for_session(connection: Connection, schema: str, *questions: Question) -> list[list[tuple[Any, ...]]]:
    """As :func:`look_in`, but until the session is reset; the rows of questions that are asked behind it."""
    connection.regard(None)
    look = _LOOK_IN.replace(", true)", ", false)"), (schema, schema, False)
    return connection.ask_at_once(look, *questions)[1:]


def set_path(connection: Connection, schemas: Sequence[str]) -> None:
    """Look for names in these schemas, in this order; for the session."""
    connection.execute("SELECT set_config('search_path', %s, false)", (", ".join(map(quote, schemas)),))


def list_schemas(connection: Executes, among: Sequence[str]) -> set[str]:
    """Those of some schemas that are there."""
    query = "SELECT nspname::text FROM pg_namespace WHERE nspname = ANY (%s)"
    return {name for (name,) in connection.execute(query, (list(among),))}


def extensions_in(connection: Executes, schema: str) -> list[Extension]:
    return [Extension(*row) for row in connection.execute(EXTENSIONS.encode(), (schema,))]


def extension_schemas(connection: Executes, schema: str, *, with_tables: bool = False) -> list[str]:
    """Other schemas that hold extensions, for the search path behind ``schema``.

    :param with_tables: also those that hold somebody's tables: only for a session that reads nothing but catalogs, so
        that the same definitions are spelled the same way wherever they lie.
    """
    return [name for (name,) in connection.execute(SCHEMAS.encode(), (schema, with_tables))]


def move(connection: Executes, extensions: Sequence[Extension], schema: str) -> None:
    """Let extensions lie in a schema."""
    if moves := write_moves([extension.name for extension in extensions], schema):
        connection.execute("; ".join(moves).encode())


def write_moves(extensions: Sequence[str], schema: str) -> list[str]:
    """The statements that let extensions, by their names, lie in a schema."""
    return [f"ALTER EXTENSION {quote(name)} SET SCHEMA {quote(schema)}" for name in extensions]


@contextlib.contextmanager
def lent(connection: Connection, target: str, staging: str) -> Iterator[None]:
    """A transaction that finds what lies in staging, and all extensions: those of the live schema lie there, too."""
    with _lending(connection, target, staging, ()):
        yield


@contextlib.contextmanager
def lent_to_end(
    connection: Connection, target: str, staging: str, *questions: Question
) -> Iterator[list[list[tuple[Any, ...]]]]:
    """As :func:`lent`, for a user that closes the connection behind it; yields the rows of questions asked in it."""
    with _lending(connection, target, staging, questions, connection.end) as answers:
        yield answers


@contextlib.contextmanager
def _lending(
    connection: Connection,
    target: str,
    staging: str,
    questions: Sequence[Question],
    commit: Callable[[], None] | None = None,
) -> Iterator[list[list[tuple[Any, ...]]]]:
    look = _LOOK_IN_ALL_BUT, (staging, staging, False, target)
    try:
        _, rows, _, *answers = connection.ask_at_once(("BEGIN", ()), (EXTENSIONS, (target,)), look, *questions)
        extensions = [Extension(*row) for row in rows] if staging != target else []
        if extensions:
            # How a type is spelled, and what a savepoint goes back to, is asked for behind the move.
            move(connection, extensions, staging)
            _, *answers = connection.ask_at_once(look, *questions)
        yield answers
        move(connection, extensions, target)
        (commit or connection.commit)()
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
        raise
