"""Run the revisions on the engine of Flask-SQLAlchemy (whichever it is at the moment).

Flask-Migrate's stock file, and on SQLite besides: foreign keys are off while tables are re-created (dropping
a table would empty those that refer to it with ON DELETE CASCADE), schema and data change in one
transaction, and an upgrade that leaves more dangling keys at head than it found is undone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError
from flask import current_app

config = context.config
if config.config_file_name is not None:
    # The stock file disables every logger that exists already, the app's own included.
    fileConfig(config.config_file_name, disable_existing_loggers=False)
logger = logging.getLogger("alembic.env")
migrate = current_app.extensions["migrate"]


def run() -> None:
    """Run whatever command Alembic was given."""
    if context.is_offline_mode():
        raise CommandError("--sql is not available: these revisions read the data that they change.")
    with migrate.db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            with _without_foreign_keys(connection):
                _run_on(connection, transactional_ddl=True)
        else:
            # PostgreSQL lets a row whose id dangles be changed again only in another transaction.
            _run_on(connection, transaction_per_migration=True)


def _run_on(connection: sa.Connection, **options: Any) -> None:
    options = {"process_revision_directives": _drop_empty} | migrate.configure_args | options
    context.configure(connection=connection, target_metadata=migrate.db.metadata, **options)
    with context.begin_transaction():
        before = _dangling(connection) if _behind_head() else None
        context.run_migrations()
        if before is not None and not _behind_head():
            _refuse_new(before, _dangling(connection))


def _drop_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no file when ``flask db migrate`` finds nothing to do."""
    if getattr(config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        logger.info("No changes in schema detected.")


def _behind_head() -> bool:
    heads = context.script.get_heads()
    return set(context.get_context().get_current_heads()) != set(heads)


@contextmanager
def _without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """SQLite: foreign keys off, and a BEGIN that covers schema changes.

    The driver by itself begins with the first INSERT and lets CREATE and DROP through at once; the PRAGMA
    is ignored inside a transaction.

    Source: SQLAlchemy, "SQLite: Serializable isolation / Savepoints / Transactional DDL".
    """
    driver: Any = connection.connection.dbapi_connection
    isolation, was_on = driver.isolation_level, driver.execute("PRAGMA foreign_keys").fetchone()[0]
    driver.isolation_level = None
    driver.execute("PRAGMA foreign_keys=OFF")
    sa.event.listen(connection, "begin", _begin)
    try:
        yield
    finally:
        sa.event.remove(connection, "begin", _begin)
        connection.rollback()
        driver.execute(f"PRAGMA foreign_keys={was_on}")
        driver.isolation_level = isolation


def _begin(connection: sa.Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:  # the engine may have a listener of its own
        connection.exec_driver_sql("BEGIN")


def _dangling(connection: sa.Connection) -> Counter[tuple[str, str]]:
    """How many rows of which table refer to nothing, by (table, table referred to); SQLite only."""
    if connection.dialect.name != "sqlite":
        return Counter()
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return Counter((table, parent) for table, _rowid, parent, _number in rows)


def _refuse_new(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> None:
    new = after - before
    if new:
        found = ", ".join(f"{table} -> {parent}: {count}" for (table, parent), count in sorted(new.items()))
        raise CommandError(f"The upgrade would leave foreign keys that refer to nothing ({found}); undone.")


run()
