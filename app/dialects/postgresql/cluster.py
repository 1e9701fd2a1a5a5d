"""PostgreSQL: servers that speak its protocol and are one of several, where a lock is not a lock of everything.

A cut-over renames two schemas in one transaction, behind locks of all of their tables that no writer passes. Where
tables lie on several servers that is another promise, which was not proved; such a target is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import Protected
from .connect import Connection

EXTENSIONS = "SELECT extname::text FROM pg_extension WHERE extname IN ('citus', 'bdr', 'pgactive', 'spock') ORDER BY 1"
"""Asks for extensions that spread tables over servers, or let several servers take writes."""

_ELSEWHERE = "Give a single server as the target, and bring the database into the cluster from there (docs/scale.md)."


def refuse_clusters(connection: Connection) -> None:
    """Refuse a server that says of itself, when it is connected to, that it is another one than PostgreSQL.

    No question is asked: such a server may not even understand those that follow.

    :raises Protected: with what it is.
    """
    info = connection.info
    words = {name: info.parameter_status(name) or "" for name in ("server_version", "crdb_version")}
    if kind := find_distributed(words["server_version"], words["crdb_version"]):
        raise Protected(f"This server is {kind}.", hint=_ELSEWHERE)


def find_distributed(version: str, crdb_version: str = "") -> str:
    """Which distributed database it is, and why it is refused; an empty text where it is none that is known.

    :param version: ``server_version``, such as ``15.2-YB-2025.1.0.0-b1``.
    :param crdb_version: what only CockroachDB sends.
    """
    if crdb_version or "cockroach" in version.lower():
        return "CockroachDB: it has no LOCK TABLE, and its schema changes end after their transaction"
    if "-yb-" in version.lower():
        return "YugabyteDB: it locks no whole table against writers, unless a preview is turned on"
    return ""


def refuse_extensions(extensions: Iterable[str]) -> None:
    """Refuse a database whose tables may lie on other servers.

    :param extensions: those of :data:`EXTENSIONS` that it has.
    :raises Protected: with the extension.
    """
    for name in extensions:
        what = "lie on" if name == "citus" else "be written at"
        raise Protected(
            f"This database has the extension {name}: its tables may {what} several servers, each with its own locks "
            "and names.",
            hint=_ELSEWHERE,
        )
