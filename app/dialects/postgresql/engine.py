"""PostgreSQL: SQLAlchemy engines, for Alembic on a staging schema and for the control tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Engine
from sqlalchemy.pool import NullPool

from .connect import SETTINGS, Connection, connect, connect_to, explain_errors
from .extensions import extension_schemas
from .names import Place
from .upgrade import Upgrade, UpgradeConnection

ALEMBIC_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
    "synchronous_commit": "off",
}
"""Everything else is as the host's own sessions have it: revisions may depend on it, e.g. on the time zone."""


def _engine(
    url: URL,
    tls_ca: Path | None,
    *,
    search_path: Sequence[str],
    settings: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    upgrade: Upgrade | None = None,
    purpose: str = "",
) -> Engine:
    kind = Connection if purpose else UpgradeConnection

    def connection() -> Connection:
        with explain_errors(url):
            session = connect(url, tls_ca, search_path=search_path, settings=settings, kind=kind, purpose=purpose)
            session.autocommit = False
            if upgrade is not None and isinstance(session, UpgradeConnection):
                session.begin(upgrade)
            return session

    # Whatever driver the host uses, ours makes the connections.
    plain = url.set(drivername="postgresql+psycopg", query={})
    return sa.create_engine(plain, creator=connection, poolclass=NullPool, hide_parameters=True, **(options or {}))


def control_engine(url: URL, tls_ca: Path | None, schema: str) -> Engine:
    """Each commit durable, the clock in UTC, no other schema in sight."""
    return _engine(url, tls_ca, search_path=[schema], settings=SETTINGS, purpose="control")


def alembic_engine(url: URL, tls_ca: Path | None, place: Place, options: Mapping[str, Any] | None = None) -> Engine:
    """No table in sight but those of the place; foreign keys are enforced.

    A staging schema has the name of the live one in each transaction: see :mod:`.upgrade`.
    """
    path = _search_path(url, tls_ca, place)
    upgrade = None if place.is_target else Upgrade(place)
    return _engine(url, tls_ca, search_path=path, settings=ALEMBIC_SETTINGS, options=options, upgrade=upgrade)


def read_only_engine(url: URL, tls_ca: Path | None, place: Place) -> Engine:
    """No table in sight but those of the place, and no transaction that could change one."""
    settings = {**ALEMBIC_SETTINGS, "default_transaction_read_only": "on"}
    return _engine(url, tls_ca, search_path=_search_path(url, tls_ca, place), settings=settings)


def _search_path(url: URL, tls_ca: Path | None, place: Place) -> list[str]:
    """A place and the schemas of extensions: never the live one, even while it holds nothing else."""
    with connect_to(url, tls_ca) as connection:
        behind = extension_schemas(connection, place.schema)
    return [place.schema, *(schema for schema in behind if schema != place.target)]
