"""PostgreSQL: what would stop a cut-over, found before anything is touched; privileges are tried and rolled back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from ...errors import DoesNotFit, Protected
from . import cluster
from .connect import Connection, words_of
from .driver import Question
from .extensions import EXTENSIONS, Extension, move
from .grants import adopt_defaults, adopt_schema
from .names import GENERATION, STAGING, check_target, prefix_of, quote

OLDEST_VERSION = 120000
TRIAL_WAIT = "5s"

# Where every object lies that may depend on another one; what is not in here lies in no schema.
_LIES = """
WITH lies (class, oid, space) AS (
    SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class
    UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
    UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace FROM pg_opfamily
    UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
    UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, prsnamespace FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, tmplnamespace FROM pg_ts_template
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxnamespace FROM pg_statistic_ext
    UNION ALL SELECT 'pg_constraint'::regclass, oid, connamespace FROM pg_constraint
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, relnamespace FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class
    UNION ALL SELECT 'pg_attrdef'::regclass, f.oid, relnamespace FROM pg_attrdef f JOIN pg_class c ON c.oid = adrelid
    UNION ALL SELECT 'pg_trigger'::regclass, g.oid, relnamespace FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid
    UNION ALL SELECT 'pg_policy'::regclass, p.oid, relnamespace FROM pg_policy p JOIN pg_class c ON c.oid = polrelid)
"""

_DEPENDENTS = (
    _LIES
    + """
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(d.refclassid, d.refobjid, 0)
FROM pg_depend d JOIN lies r ON r.class = d.refclassid AND r.oid = d.refobjid
JOIN pg_namespace n ON n.oid = r.space AND n.nspname = %s
LEFT JOIN lies o ON o.class = d.classid AND o.oid = d.objid
WHERE o.space IS DISTINCT FROM r.space AND o.space IS DISTINCT FROM 'pg_toast'::regnamespace
    AND d.classid NOT IN ('pg_amop'::regclass, 'pg_amproc'::regclass)
    AND NOT (d.classid IN ('pg_trigger'::regclass, 'pg_cast'::regclass) AND d.deptype = 'i') AND NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')
    AND NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
ORDER BY 1, 2 LIMIT 20
"""
)

_RELATIONS_OF_OTHERS = """
SELECT c.relname::text, pg_get_userbyid(c.relowner)::text, c.relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT pg_has_role(c.relowner, 'MEMBER')
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
        AND e.deptype IN ('a', 'e', 'i'))
ORDER BY 1
"""

_SPELLING = """
SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND (strpos(p.prosrc, %s) > 0 OR strpos(p.prosrc, %s) > 0) ORDER BY 1
"""

# Our own sessions say for themselves that they write; this is what the app's have.
_READ_ONLY = "SELECT reset_val = 'on', current_user::text FROM pg_settings WHERE name = 'default_transaction_read_only'"


# A foreign key's own triggers lie on both tables, and are gone with it; so is a range's own cast.
def dependents(connection: Connection, schema: str) -> list[str]:
    """Objects elsewhere that depend on some in a schema: they would follow these wherever they are renamed to."""
    return _name_dependents(connection.execute(_DEPENDENTS.encode(), (schema,)).fetchall())


def _name_dependents(rows: list[tuple[Any, ...]]) -> list[str]:
    return [f"{what} depends on {on}" for what, on in rows]


def preflight(connection: Connection, schema: str, missing: str | None) -> None:
    """Refuse a target that is there and could not be cut over, or is not and could not be created.

    :param missing: the target's database, where the connection is to another one as that is not there.
    :raises Protected, DoesNotFit: see :meth:`.base.Dialect.preflight`.
    """
    check_target(schema)
    cluster.refuse_clusters(connection)
    _check_version(connection)
    spelled = [f"{prefix_of(schema)}{kind}" for kind in (STAGING, GENERATION)]
    [standby], [read_only], there, depending, spelling, published, lying, foreign, spread = connection.ask_at_once(
        ("SELECT pg_is_in_recovery()", ()),
        (_READ_ONLY, ()),
        ("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)),
        (_DEPENDENTS, (schema,)),
        (_SPELLING, (schema, *spelled)),
        _ask_for_published(connection, schema),
        (EXTENSIONS, (schema,)),
        (_RELATIONS_OF_OTHERS, (schema,)),
        (cluster.EXTENSIONS, ()),
    )
    cluster.refuse_extensions(_first_of(spread))
    _check_primary(*standby)
    _check_writes(*read_only)
    if missing is not None:
        _check_can_create(connection, missing)
        return
    _check_encoding(connection)
    if not there:
        _check_creation(connection)
        return
    _check_entanglement(schema, _name_dependents(depending), _first_of(spelling), sorted(_first_of(published)))
    extensions = [Extension(*row) for row in lying]
    _check_extensions(extensions, schema)
    _check_owners(connection, schema, foreign)
    _try(connection, schema, extensions)


def _first_of(rows: list[tuple[Any, ...]]) -> list[str]:
    return [row[0] for row in rows]


def _check_version(connection: Connection) -> None:
    """:raises Protected: too old."""
    if connection.info.server_version < OLDEST_VERSION:
        raise Protected(
            f"PostgreSQL {connection.info.parameter_status('server_version')} is too old: 12 is needed.",
            hint="Upgrade the server.",
        )


def _check_primary(is_standby: bool) -> None:
    """:raises Protected: a standby."""
    if is_standby:
        raise Protected("This server is a standby: it takes no writes.", hint="Use the URL of the primary.")


def _check_writes(is_read_only: bool, user: str) -> None:
    """:raises Protected: somebody lets no session of this user write."""
    if is_read_only:
        raise Protected(
            f"Sessions of user {user!r} are read-only (default_transaction_read_only): the app could not write either.",
            hint="Take that back where it was set, in the server's configuration, of the database or of the role: "
            f"ALTER ROLE {quote(user)} RESET default_transaction_read_only;",
        )


def _check_encoding(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Protected(
            f"The database's encoding is {encoding}: not every text could be kept in it.",
            hint="Use a database whose encoding is UTF8 (CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0).",
        )


def _check_entanglement(schema: str, details: list[str], functions: list[str], published: list[str]) -> None:
    if details:
        raise Protected(
            f"Objects outside the schema {schema} depend on it; they would stay with the old tables after a cut-over.",
            details=details,
            hint="Let them lie in the same schema, or drop them before and create them again after the cut-over.",
        )
    if functions:
        raise Protected(
            f"Functions of the schema {schema} spell a schema of Flask-Ferry's own, which is dropped: "
            f"{', '.join(functions)}.",
            hint="Rewrite them (CREATE OR REPLACE FUNCTION) without it.",
        )
    if published:
        raise Protected(
            f"Tables of the schema {schema} are published one by one ({', '.join(published)}): the publications would "
            "stay with the old tables after a cut-over.",
            hint="Drop them from the publication before, and add the new ones after the cut-over.",
        )


def _ask_for_published(connection: Connection, schema: str) -> Question:
    query = (
        "SELECT DISTINCT p.pubname::text FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid "
        "JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s"
    )
    if connection.info.server_version >= 150000:
        query += (
            " UNION SELECT p.pubname::text FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid "
            "JOIN pg_namespace n ON n.oid = s.pnnspid WHERE n.nspname = %s"
        )
    return query, (schema,) * query.count("%s")


def _check_extensions(extensions: list[Extension], schema: str) -> None:
    if fixed := [extension.name for extension in extensions if not extension.relocatable]:
        raise Protected(
            f"The extension {', '.join(fixed)} lies in the schema {schema} and cannot be moved out of it.",
            hint="Drop it there and create it in a schema of its own (CREATE EXTENSION ... SCHEMA extensions), or let "
            "the app's tables lie in another schema.",
        )


def _check_owners(connection: Connection, schema: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        user = quote(connection.info.user)
        words = {"S": "SEQUENCE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
        statements = [
            f"ALTER {words.get(kind, 'TABLE')} {quote(schema)}.{quote(name)} OWNER TO {user};" for name, _, kind in rows
        ]
        raise DoesNotFit(
            f"User {connection.info.user!r} does not own {', '.join(name for name, _, _ in rows[:10])} "
            f"(owner: {', '.join(sorted({owner for _, owner, _ in rows}))}), and cannot put others in their place.",
            hint=" ".join(statements),
        )


def _check_creation(connection: Connection) -> None:
    with (
        _roll_back_after(connection) as patience,
        _granting(f"GRANT CREATE ON DATABASE {_database(connection)} TO {_user(connection)};"),
    ):
        connection.execute(f"{patience}CREATE SCHEMA ferry_trial".encode())


def _try(connection: Connection, schema: str, extensions: list[Extension]) -> None:
    """Do what a cut-over does, but for the tables' locks, and roll it back: nobody else sees it."""
    # Not the name that a live schema may have been left with: see control.bring_back().
    hold, user = f"{prefix_of(schema)}ferry_trial", _user(connection)
    _check_creation(connection)
    with _roll_back_after(connection) as patience:
        with _granting(f"ALTER SCHEMA {quote(schema)} OWNER TO {user};"):
            renaming = f"ALTER SCHEMA {quote(schema)} RENAME TO {quote(hold)}"
            connection.execute(f"{patience}{renaming}; CREATE SCHEMA {quote(schema)}".encode())
        for extension in extensions:
            with _granting(_moving(connection, schema, extension)):
                move(connection, [extension], schema)
        with _granting(
            "Default privileges or grants of the schema belong to another role: run with a database URL of a user who "
            f"may change them, or take them back (\\ddp and \\dn+ {schema} in psql show them)."
        ):
            adopt_defaults(connection, hold, schema)
            adopt_schema(connection, hold, schema)


def _moving(connection: Connection, schema: str, extension: Extension) -> str:
    # Even the owner of a trusted extension does not own its types and functions (15, seen).
    return (
        "As superuser, once: CREATE SCHEMA IF NOT EXISTS extensions; "
        f"GRANT USAGE ON SCHEMA extensions TO PUBLIC; ALTER EXTENSION {quote(extension.name)} SET SCHEMA extensions; "
        f"ALTER DATABASE {_database(connection)} SET search_path = {quote(schema)}, extensions;"
    )


def _user(connection: Connection) -> str:
    return quote(connection.info.user)


def _database(connection: Connection) -> str:
    return quote(connection.info.dbname)


@contextlib.contextmanager
def _roll_back_after(connection: Connection) -> Iterator[str]:
    with connection.transaction(force_rollback=True):
        # It is sent with the first statement that is tried.
        yield f"SET LOCAL lock_timeout = '{TRIAL_WAIT}'; "


@contextlib.contextmanager
def _granting(statement: str) -> Iterator[None]:
    """:raises DoesNotFit: a privilege is missing; the hint is the statement."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise DoesNotFit(f"A privilege is missing that a cut-over needs: {words_of(error)}.", hint=statement) from error


def _check_can_create(connection: Connection, database: str) -> None:
    row: Any = connection.execute(
        "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if not row[0]:
        raise DoesNotFit(
            f"There is no database {database}, and user {connection.info.user!r} may not create one.",
            hint=f"CREATE DATABASE {quote(database)} OWNER {_user(connection)} ENCODING 'UTF8' TEMPLATE template0;",
        )
