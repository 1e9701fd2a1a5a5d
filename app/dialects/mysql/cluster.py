"""MySQL and MariaDB: servers that speak their protocol and are one of several, which our locks would not reach.

A cut-over rests on ``LOCK TABLES``, metadata locks and ``GET_LOCK`` that hold every writer there is. Where writes come
in elsewhere, they hold only those of one server: a write would be lost, or the cut-over would wait for itself. So such
a target is refused by name. That is looked for in what the server says of itself, in the text of other questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymysql

from ...errors import Protected
from .connect import NOT_GRANTED, number_of

VARIABLES = (
    "SHOW VARIABLES WHERE variable_name IN ('version_comment', 'wsrep_on', 'wsrep_provider', 'pxc_strict_mode', "
    "'group_replication_group_name', 'group_replication_single_primary_mode', 'aurora_version', 'innodb_read_only')"
)
"""Asks for what :func:`refuse_clusters` looks at; a server that lacks one of them leaves it out."""
STATUS = "SHOW GLOBAL STATUS LIKE 'wsrep_connected'"
"""Asks whether it is connected to a Galera cluster, also where replication was turned off meanwhile."""

_MEMBERS = "SELECT 1 FROM performance_schema.replication_group_members WHERE member_state <> 'OFFLINE'"

_BY_WORD = {
    "tidb": "TiDB: there LOCK TABLES holds nobody, unless every one of its servers is configured so",
    "vitess": "Vitess: a lock is one shard's, and RENAME TABLE is not one step over several of them",
    "planetscale": "Vitess: a lock is one shard's, and RENAME TABLE is not one step over several of them",
    "oceanbase": "OceanBase: there LOCK TABLES does not keep a table for RENAME TABLE of others",
    "singlestore": "SingleStore: its tables are spread over servers, and are not InnoDB's",
    "xpand": "MariaDB Xpand: its tables are spread over servers, and are not InnoDB's",
}
"""By a word of the version or its comment: what it is, and why nothing can be promised there."""
_ELSEWHERE = "Give a single server as the target, and bring the database into the cluster from there (docs/scale.md)."
_ALONE = (
    "Stop the other nodes, start this one with wsrep_on=OFF, and run the command again; then start it with "
    "--wsrep-new-cluster, and the others with empty data directories, so that they are sent all of it (docs/scale.md)."
)


def refuse_clusters(version: str, ask: Callable[[str], Sequence[Sequence[Any]]]) -> None:
    """Refuse a target whose writers may be at another server.

    :param version: what ``SELECT VERSION()`` says.
    :param ask: asks the server, :data:`VARIABLES` and :data:`STATUS` among others.
    :raises Protected: with what it is, and what to do instead.
    """
    settings = {str(name).lower(): str(value) for name, value in ask(VARIABLES)}
    if _replicates_by_galera(settings) or any(_is_on(value) for _, value in ask(STATUS)):
        raise Protected(
            f"This server is a node of {_name_of_galera(settings)}: LOCK TABLES and GET_LOCK hold this node's writers "
            "alone, so that a write at another node could be lost in a cut-over.",
            hint=_ALONE,
        )
    if kind := find_distributed(version, settings):
        raise Protected(f"This server is {kind}.", hint=_ELSEWHERE)
    if _has_several_primaries(settings) and _is_in_group(ask):
        raise Protected(
            "This server is one of several primaries of a Group Replication: locks are each server's own, so that a "
            "write at another one could be lost in a cut-over.",
            hint="SELECT group_replication_switch_to_single_primary_mode(@@server_uuid); and run the command again. "
            "Of a server that is alone: STOP GROUP_REPLICATION.",
        )
    if settings.get("aurora_version") and _is_on(settings.get("innodb_read_only")):
        raise Protected(
            "This server is a reader of an Aurora cluster, whose writes go elsewhere.",
            hint="Use the cluster endpoint, which leads to the writer.",
        )


def find_distributed(version: str, settings: Mapping[str, str]) -> str:
    """Which distributed database it is, and why it is refused; an empty text where it is none that is known."""
    words = f"{version} {settings.get('version_comment', '')}".lower()
    return next((what for word, what in _BY_WORD.items() if word in words), "")


def _name_of_galera(settings: Mapping[str, str]) -> str:
    return "a Percona XtraDB Cluster" if "pxc_strict_mode" in settings else "a Galera cluster"


def _has_several_primaries(settings: Mapping[str, str]) -> bool:
    grouped = bool(settings.get("group_replication_group_name"))
    return grouped and not _is_on(settings.get("group_replication_single_primary_mode", "ON"))


def _is_in_group(ask: Callable[[str], Sequence[Sequence[Any]]]) -> bool:
    """Whether it takes part, as what is loaded and set may be stopped; who may not see that is told that it may."""
    try:
        return bool(ask(_MEMBERS))
    except pymysql.Error as error:
        if number_of(error) not in NOT_GRANTED:
            raise
        return True


def _replicates_by_galera(settings: Mapping[str, str]) -> bool:
    # Without a provider nothing is replicated, whatever is switched on.
    return _is_on(settings.get("wsrep_on")) and settings.get("wsrep_provider", "none").lower() not in ("", "none")


def _is_on(value: object) -> bool:
    return str(value).upper() in ("ON", "1")
