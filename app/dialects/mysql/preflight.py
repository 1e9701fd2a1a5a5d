"""MySQL and MariaDB: what a target must be, and what its user must be allowed to do, tried before anything is done.

On the live database each privilege is tried with a statement about a table that does not exist: the server looks at
the privilege first, and answers either that it is denied or that there is no such table (seen on MariaDB 10.11).
Nothing can come of it. What staging needs is done for real, on databases of our own.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pymysql
from pymysql.constants import ER
from sqlalchemy import URL

from ...errors import DoesNotFit, FerryError, Protected
from ..wording import be, count_tables
from . import cluster, copy, names, objects, swap_barrier
from .connect import NOT_GRANTED, explanation, number_of, quote, words_of
from .driver import version_of
from .read import Asks, asking
from .session import execute_all, spell

_NO_SUCH = (ER.NO_SUCH_TABLE, ER.BAD_TABLE_ERROR, ER.BAD_DB_ERROR, 1305, 1539)
"""No table, database, routine or event of this name: the privilege is there."""
_NEEDS_SUPER = 1419

_LIVE = {
    "SELECT": "SELECT 1 FROM {db}.{a}",
    "INSERT": "INSERT INTO {db}.{a} VALUES (1)",
    "CREATE": "CREATE TABLE {db}.{a} LIKE {db}.{b}",
    "ALTER": "ALTER TABLE {db}.{a} COMMENT ''",
    "DROP": "DROP TABLE {db}.{a}",
    "LOCK TABLES": "LOCK TABLES {db}.{a} READ",
    "CREATE VIEW": "CREATE VIEW {db}.{a} AS SELECT 1 FROM {db}.{b}",
    "TRIGGER": "CREATE TRIGGER {db}.{a} BEFORE INSERT ON {db}.{b} FOR EACH ROW SET @ferry = 1",
    "EVENT": "DROP EVENT {db}.{a}",
    "EXECUTE": "CALL {db}.{a}()",
}
"""For RENAME TABLE: ALTER and DROP of the old, CREATE and INSERT of the new name (MySQL manual, 15.1.36). Triggers,
events and routines are not even shown to whoever lacks the privilege (seen): they would be lost without a word."""
_SHOW_VIEW = "SHOW CREATE VIEW {db}.{view}"
_ALTER_ROUTINE = "DROP PROCEDURE {db}.{a}"

_VIEWS = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'VIEW' LIMIT 1"
_TRIGGERS = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s LIMIT 1"
_ROUTINES = "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s LIMIT 1"
_GRANTED = (
    "SELECT 1 FROM information_schema.user_privileges WHERE grantee = %s AND privilege_type = %s UNION "
    "SELECT 1 FROM information_schema.schema_privileges "
    "WHERE grantee = %s AND privilege_type = %s AND %s LIKE table_schema"
)

_TRIAL = (
    "CREATE TABLE {one}.parents (id INT PRIMARY KEY)",
    "CREATE TABLE {one}.children (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parents (id))",
    "INSERT INTO {one}.parents VALUES (1)",
    "ALTER TABLE {one}.parents ADD COLUMN more INT",
    "CREATE INDEX by_more ON {one}.parents (more)",
    "UPDATE {one}.parents SET more = 1",
    "DELETE FROM {one}.parents",
    "CREATE VIEW {one}.listed AS SELECT id FROM {one}.parents",
    "LOCK TABLES {one}.parents READ, {one}.children READ",
    "UNLOCK TABLES",
    "RENAME TABLE {one}.parents TO {two}.parents, {one}.children TO {two}.children",
)
_TRIAL_TRIGGER = "CREATE TRIGGER {one}.tried BEFORE INSERT ON {one}.children FOR EACH ROW SET @ferry = 1"

_OTHER_ENGINES = (
    "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = %s "
    "AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND coalesce(engine, '') <> 'InnoDB' ORDER BY table_name"
)
_WITHOUT_A_KEY = (
    "SELECT t.table_name FROM information_schema.tables t WHERE t.table_schema = %s AND t.table_type = 'BASE TABLE' "
    "AND NOT EXISTS (SELECT 1 FROM information_schema.statistics s WHERE s.table_schema = t.table_schema "
    "AND s.table_name = t.table_name AND s.index_name = 'PRIMARY') ORDER BY 1"
)
_OF_KEYS = "SHOW VARIABLES WHERE variable_name IN ('sql_require_primary_key', 'sql_generate_invisible_primary_key')"
_REFERRING = (
    "SELECT DISTINCT table_schema, table_name, referenced_table_name FROM information_schema.key_column_usage "
    "WHERE referenced_table_schema = %s AND table_schema <> %s ORDER BY 1, 2, 3"
)
_HIDDEN_ROUTINES = (
    "SELECT routine_name FROM information_schema.routines "
    "WHERE routine_schema = %s AND routine_definition IS NULL ORDER BY routine_name"
)
_ACCOUNT = "SELECT CURRENT_USER()"
_OF_CLUSTERS = (cluster.VARIABLES, cluster.STATUS)
_ALWAYS = (*_OF_CLUSTERS, _OTHER_ENGINES, _REFERRING, _VIEWS, _ROUTINES, _TRIGGERS, _HIDDEN_ROUTINES, _ACCOUNT)


def preflight(connection: pymysql.Connection[Any], url: URL, database: str) -> None:
    """Refuse a target that could not be cut over.

    :param connection: to no database, as the target may be absent; autocommit.
    :param database: the target's name as the server spells it.
    :raises Protected: too old a server, one of a cluster, tables that are not InnoDB, foreign keys from outside.
    :raises DoesNotFit: privileges are missing, and the hint is what to type as an administrator; a table keeps its
        former rows, or lacks a key that the server requires.
    """
    _check_version(connection)
    ask = _ask_ahead(connection, [(sql, (database,) * sql.count("%s")) for sql in _ALWAYS])
    cluster.refuse_clusters(version_of(connection).text, ask)
    check_engines(ask, database)
    _check_references(ask, url, database)
    missing = _find_denied_live(ask, url, database)
    beside = _find_denied_beside(connection, url, with_trigger=bool(_first(ask, _TRIGGERS, database)))
    _refuse_missing(ask, database, missing, beside=beside)
    _check_routines(ask, database)
    tables = objects.tables(connection, database)
    for table, kind in tables.items():
        copy.refuse_history(table, kind)
    if version_of(connection).is_mariadb:
        swap_barrier.check_connections(connection, len(tables))
    else:
        _check_keys(ask, database)


def _ask_ahead(connection: pymysql.Connection[Any], questions: Sequence[tuple[str, tuple[str, ...]]]) -> Asks:
    """Ask some questions at once; who asks one of them later has its answer already, once."""
    send = asking(connection)
    answers = execute_all(connection, [spell(connection, sql, *values) for sql, values in questions])
    known = dict(zip(questions, answers, strict=True))

    def ask(sql: str, *values: str) -> Sequence[tuple[Any, ...]]:
        return known.pop((sql, values)) if (sql, values) in known else send(sql, *values)

    return ask


def _check_version(connection: pymysql.Connection[Any]) -> None:
    version = version_of(connection)
    if version.numbers < ((10, 6) if version.is_mariadb else (8, 0, 13)):
        # Some that speak the protocol say an old version, which nobody can upgrade.
        cluster.refuse_clusters(version.text, asking(connection))
        raise Protected(
            f"{version} is too old: it does not rename several tables whole or not at all when it is killed.",
            hint="Upgrade the server to MariaDB 10.6 or MySQL 8.0.13, or a later one.",
        )


def check_engines(ask: Asks, database: str) -> None:
    """:raises Protected: tables that are not InnoDB, with what to type."""
    others = ask(_OTHER_ENGINES, database)
    if others:
        raise Protected(
            f"{count_tables(len(others))} of {database} {be(len(others))} not of InnoDB: what is written there is not "
            "whole after a crash.",
            details=[f"{name}: {engine}" for name, engine in others],
            hint=" ".join(f"ALTER TABLE {quote(database)}.{quote(name)} ENGINE=InnoDB;" for name, _ in others),
        )


def _check_keys(ask: Asks, database: str) -> None:
    """:raises DoesNotFit: tables without a primary key, which the server would not let be created again."""
    settings = dict(ask(_OF_KEYS))
    if settings.get("sql_require_primary_key") != "ON" or settings.get("sql_generate_invisible_primary_key") == "ON":
        return
    if tables := [str(name) for (name,) in ask(_WITHOUT_A_KEY, database)]:
        raise DoesNotFit(
            f"The server wants a primary key of every table (sql_require_primary_key), and {database} has tables "
            "without one, which could not be copied.",
            details=tables,
            hint="Give each one, such as: "
            f"ALTER TABLE {quote(tables[0])} ADD COLUMN id BIGINT AUTO_INCREMENT PRIMARY KEY INVISIBLE",
        )


def _check_references(ask: Asks, url: URL, database: str) -> None:
    """A foreign key of another database would go on pointing at the old tables, wherever they are (seen)."""
    outside = [
        f"{schema}.{table} refers to {database}.{parent}"
        for schema, table, parent in ask(_REFERRING, database, database)
        if not (names.is_beside(schema) and schema.lower().startswith(f"{url.database}__".lower()))
    ]
    if outside:
        raise Protected(
            f"Tables of other databases refer to tables of {database}; they would go on referring to the old ones.",
            details=outside,
            hint="Drop these foreign keys before, and create them again afterwards.",
        )


def _first(ask: Asks, query: str, database: str) -> str:
    rows = ask(query, database)
    return str(rows[0][0]) if rows else ""


def _find_denied_live(ask: Asks, url: URL, database: str) -> list[str]:
    """The privileges on the target that are missing, and those that go with them.

    What is there only for views or routines is asked for where there are such, or where they cannot be seen.
    """
    view = _first(ask, _VIEWS, database)
    stem = f"ferry_{secrets.token_hex(8)}"
    quoted = {"db": quote(database), "a": f"{stem}_a", "b": f"{stem}_b", "view": quote(view)}

    def is_denied(privilege: str, sql: str) -> bool:
        return not _is_granted(ask, url, database, privilege, sql.format(**quoted))

    missing = [privilege for privilege, sql in _LIVE.items() if is_denied(privilege, sql)]
    if "SELECT" in missing or (view and is_denied("SHOW VIEW", _SHOW_VIEW)):
        missing.append("SHOW VIEW")
    if "EXECUTE" in missing or _first(ask, _ROUTINES, database):
        if is_denied("ALTER ROUTINE", _ALTER_ROUTINE):
            missing.append("ALTER ROUTINE")
        # Nothing can be tried that would not create one.
        if not _stands_in_grants(ask, database, "CREATE ROUTINE"):
            missing.append("CREATE ROUTINE")
    return missing


def _is_granted(ask: Asks, url: URL, database: str, privilege: str, sql: str) -> bool:
    try:
        ask(sql)
    except pymysql.Error as error:
        number = number_of(error)
        if number in NOT_GRANTED:
            return False
        if number == _NEEDS_SUPER:
            # With a binary log the server says this before it looks at the privilege.
            return _stands_in_grants(ask, database, privilege)
        if number not in _NO_SUCH:
            raise _is_refused(url, error) from error
    return True


def _stands_in_grants(ask: Asks, database: str, privilege: str) -> bool:
    """Whether a privilege was granted to this very user; one of a role is not found."""
    grantee = _account(ask)
    return bool(ask(_GRANTED, grantee, privilege, grantee, privilege, database))


def _account(ask: Asks) -> str:
    """The account that was logged in to, as GRANT takes it: ``'app'@'%'``."""
    [(user,)] = ask(_ACCOUNT)
    return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in user.rsplit("@", 1))


def _is_refused(url: URL, error: pymysql.Error) -> FerryError:
    """What a trial failed of where no privilege is missing."""
    number, words = number_of(error), words_of(error)
    if number == _NEEDS_SUPER:
        return DoesNotFit(
            f"The database has triggers, and its user may not create one: {words}",
            hint="SET GLOBAL log_bin_trust_function_creators = 1;",
        )
    return explanation(url, error) or DoesNotFit(f"The server refuses what a migration needs to do: {words}")


def _find_denied_beside(connection: pymysql.Connection[Any], url: URL, *, with_trigger: bool) -> bool:
    """Whether something that staging needs is denied, tried on two databases that are dropped again."""
    # Named as a run's are, so that what a killed one leaves is known by its age.
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    databases = [names.database_of(names.beside(url, names.STAGING, f"{stem}-{n}")) for n in (1, 2)]
    statements = [*_TRIAL[:-1], _TRIAL_TRIGGER, "DROP TRIGGER {one}.tried", _TRIAL[-1]] if with_trigger else _TRIAL
    quoted = {"one": quote(databases[0]), "two": quote(databases[1])}
    try:
        making = [f"CREATE DATABASE {quote(name)}" for name in databases]
        execute_all(connection, [*making, *(sql.format(**quoted) for sql in statements)])
    except pymysql.Error as error:
        if number_of(error) not in NOT_GRANTED:
            raise _is_refused(url, error) from error
        return True
    finally:
        with _not_granted_passes():
            dropping = [f"DROP DATABASE IF EXISTS {quote(name)}" for name in databases]
            execute_all(connection, ["UNLOCK TABLES", *dropping])
    return False


@contextlib.contextmanager
def _not_granted_passes() -> Iterator[None]:
    """What may not be dropped could not be created either."""
    try:
        yield
    except pymysql.Error as error:
        if number_of(error) not in NOT_GRANTED:
            raise


def _refuse_missing(ask: Asks, database: str, missing: Sequence[str], *, beside: bool) -> None:
    grants, lacking = [], []
    account = _account(ask)
    if missing:
        lacking.append(f"{', '.join(missing)} on {database}")
        grants.append(f"GRANT {', '.join(missing)} ON {names.grant_pattern(database)}.* TO {account};")
    if beside:
        pattern = names.grant_pattern(database, names.ALL_BESIDE)
        lacking.append(f"everything on the databases named {database}__...")
        grants.append(f"GRANT ALL PRIVILEGES ON {pattern}.* TO {account};")
    if grants:
        raise DoesNotFit(f"The database user {account} lacks privileges: {'; '.join(lacking)}.", hint=" ".join(grants))


def _check_routines(ask: Asks, database: str) -> None:
    """The body of a routine is shown to its definer and to few others; a backup must hold it."""
    hidden = [name for (name,) in ask(_HIDDEN_ROUTINES, database)]
    if hidden:
        account = _account(ask)
        [(version,)] = ask("SELECT VERSION()")
        grant = "SELECT ON mysql.proc" if "mariadb" in version.lower() else "SHOW_ROUTINE ON *.*"
        raise DoesNotFit(
            f"The database user {account} may not see the body of {len(hidden)} routines: {', '.join(hidden)}.",
            hint=f"GRANT {grant} TO {account};",
        )
