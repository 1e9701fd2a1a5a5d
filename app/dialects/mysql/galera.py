"""MariaDB: the nodes of a Galera cluster, each reached and asked, and what of it a cut-over cannot be promised for.

What is said here was seen on MariaDB 10.11 with three nodes; docs/decisions/clusters-are-refused.md has the trials.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from ...errors import FerryError, Protected
from ..sessions import remember
from .connect import connect_to, place_of
from .driver import version_of
from .objects import objects
from .session import Connection, execute, execute_all

RUN_ON = (10, 11)
"""The version that all of this was run on: how a statement that waits is shown differs between versions."""
ANSWER_S = 10
"""For a node's answer to a question that waits for nobody."""

_STATUS = (
    "SHOW GLOBAL STATUS WHERE variable_name IN ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_cluster_size', "
    "'wsrep_cluster_conf_id', 'wsrep_cluster_state_uuid', 'wsrep_gcomm_uuid', 'wsrep_incoming_addresses', "
    "'wsrep_local_state', 'wsrep_last_committed')"
)
_SETTINGS = (
    "SHOW GLOBAL VARIABLES WHERE variable_name IN "
    "('wsrep_on', 'wsrep_osu_method', 'wsrep_certify_nonpk', 'lock_wait_timeout', 'wsrep_provider_options')"
)
_UID = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'"
_NONE = "00000000-0000-0000-0000-000000000000"
_ADDRESS = re.compile(r"\[?([^\[\],\s]+?)\]?:([0-9]+)")
_SYNCED = "4"
_SPLIT = re.compile(r"(?i)pc\.ignore_(?:quorum|sb) = (?:true|yes|on|1)")
_LEAST_WAIT_S = 60
"""An applier that gives up while it waits for a lock of ours would leave the cluster."""
_SAME_NODE_TRIES = 3

ALONE = (
    "Stop the other nodes, start this one with wsrep_on=OFF, and run the command again; then start it with "
    "--wsrep-new-cluster, and the others with empty data directories, so that they are sent all of it (docs/scale.md)."
)
_ADDRESSES = (
    "Give each node an address that can be reached from here (wsrep_node_incoming_address=HOST:PORT) and let the "
    "user log in there. Or: "
)


@dataclass(frozen=True)
class View:
    """Which nodes are in the cluster: it differs as soon as one came or went.

    :ivar members: the nodes' own identities, sorted.
    """

    cluster: str
    number: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A node, by its own address.

    :ivar uid: what it is called as long as it is in the cluster.
    """

    uid: str
    url: URL


@dataclass(frozen=True)
class Nodes:
    """All nodes of a cluster, one of which the target's address leads to."""

    here: Node
    others: tuple[Node, ...]
    view: View

    @property
    def all(self) -> tuple[Node, ...]:
        """In an order that is the same from wherever it is asked."""
        return tuple(sorted((self.here, *self.others), key=lambda node: node.uid))


def read_uid(url: URL, tls_ca: Path | None) -> str:
    """The cluster's identity, which is the same at all nodes; an empty text where the server is of none."""
    return remember(("galera", url), lambda: _ask_uid(url, tls_ca))


def know_uid(url: URL, answer: str | None) -> str:
    """Keep what a server said for :func:`read_uid`; as that has it."""
    return remember(("galera", url), lambda: "" if answer in (None, _NONE) else str(answer))


def _ask_uid(url: URL, tls_ca: Path | None) -> str:
    with connect_to(url, tls_ca, to_database=False, shared=True, several=True) as connection:
        if not version_of(connection).is_mariadb:
            return ""
        uid = "".join(str(value) for _, value in execute(connection, _UID))
    return "" if uid == _NONE else uid


def check(url: URL, tls_ca: Path | None, connection: Connection, database: str) -> None:
    """Refuse a target in a cluster that is not cut over exactly.

    :param connection: to the target's server.
    :raises Protected: not all nodes can be reached and locked, or the database has what cannot go along.
    """
    numbers = version_of(connection).numbers[:2]
    if numbers != RUN_ON:
        wanted = ".".join(map(str, RUN_ON))
        raise _refuse(f"a cut-over of a running cluster was only ever shown on MariaDB {wanted}")
    find_nodes(url, tls_ca)
    check_objects(connection, database)


def check_objects(connection: Connection, database: str) -> None:
    """:raises Protected: a database has what cannot go along in one rename of a cluster."""
    if others := [f"{item.kind} {item.name}" for item in objects(connection, database) if item.kind != "view"]:
        raise Protected(
            f"This server is a node of a Galera cluster, where only tables and views are cut over, and {database} has "
            "other objects: they cannot come in the same instant.",
            details=others,
            hint=ALONE,
        )


def find_nodes(url: URL, tls_ca: Path | None) -> Nodes:
    """Reach every node of the cluster, and see that each is one, works, and is in the same view.

    :raises Protected: with what stands against it.
    """
    here = _ask_here(url, tls_ca)
    answers = {_ask(place, tls_ca) for place in list_places(url, here["wsrep_incoming_addresses"])}
    nodes = {uid: place for uid, place, _ in answers}
    views = {view for _, _, view in answers} | {_view_of(here)}
    size = int(here["wsrep_cluster_size"])
    if len(views) != 1 or len(nodes) != size or here["wsrep_gcomm_uuid"] not in nodes:
        raise _refuse(f"its {size} nodes could not be told apart at {here['wsrep_incoming_addresses']}")
    cluster, number = views.pop()
    others = tuple(Node(uid, place) for uid, place in nodes.items() if uid != here["wsrep_gcomm_uuid"])
    uid = here["wsrep_gcomm_uuid"]
    return Nodes(Node(uid, nodes[uid]), others, View(cluster, number, tuple(sorted(nodes))))


def _ask_here(url: URL, tls_ca: Path | None) -> dict[str, str]:
    """What the node says that the target's address leads to: one and the same, however often it is called."""
    answers = []
    for _ in range(_SAME_NODE_TRIES):
        with connect_to(url, tls_ca, to_database=False, read_timeout=ANSWER_S) as connection:
            answers.append(_check_state(connection, place_of(url)))
    if len({answer["wsrep_gcomm_uuid"] for answer in answers}) != 1:
        raise Protected(
            f"{place_of(url)} leads to several nodes of a Galera cluster, now to one and now to another.",
            hint="Give the address of one node as the target's.",
        )
    return answers[-1]


def list_places(url: URL, addresses: str) -> list[URL]:
    """Where each node is, as the cluster tells it (``wsrep_incoming_addresses``).

    :raises Protected: it does not.
    """
    places = []
    for address in addresses.split(","):
        match = _ADDRESS.fullmatch(address.strip())
        if match is None:
            why = f"it does not tell the address of each node (wsrep_incoming_addresses: {addresses})"
            raise _refuse(why, _ADDRESSES)
        places.append(url.set(host=match[1], port=int(match[2])))
    return places


def _ask(place: URL, tls_ca: Path | None) -> tuple[str, URL, tuple[str, int]]:
    try:
        with connect_to(place, tls_ca, to_database=False, read_timeout=ANSWER_S) as connection:
            status = _check_state(connection, place_of(place))
    except Protected:
        raise
    except FerryError as error:
        raise _refuse(f"its node at {place_of(place)} cannot be reached: {error}", _ADDRESSES) from error
    return status["wsrep_gcomm_uuid"], place, _view_of(status)


def _view_of(status: Mapping[str, str]) -> tuple[str, int]:
    return status["wsrep_cluster_state_uuid"], int(status["wsrep_cluster_conf_id"])


def _check_state(connection: Connection, place: str) -> dict[str, str]:
    """What a node says of itself.

    :raises Protected: it does not work as one of a whole cluster.
    """
    status, settings = read(connection)
    if find_fault(status, settings):
        raise _refuse(f"its node at {place} is not fit for it: {find_fault(status, settings)}")
    return status


def read(connection: Connection) -> tuple[dict[str, str], dict[str, str]]:
    """A node's status and settings, by names in small letters."""
    answers = execute_all(connection, [_STATUS, _SETTINGS])
    status, settings = ({str(name).lower(): str(value) for name, value in rows} for rows in answers)
    return status, settings


def find_fault(status: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """What of a node's state or settings a cut-over cannot be promised with; an empty text where there is nothing."""
    wanted: Sequence[tuple[Mapping[str, str], str, str]] = (
        (status, "wsrep_ready", "ON"),
        (status, "wsrep_cluster_status", "Primary"),
        (status, "wsrep_local_state", _SYNCED),
        (settings, "wsrep_on", "ON"),
        (settings, "wsrep_osu_method", "TOI"),
        (settings, "wsrep_certify_nonpk", "ON"),
    )
    for values, name, value in wanted:
        if values.get(name, "").upper() != value.upper():
            return f"{name} is {values.get(name, 'not shown')}, not {value}"
    if int(settings["lock_wait_timeout"]) < _LEAST_WAIT_S:
        return f"lock_wait_timeout is {settings['lock_wait_timeout']} s, less than {_LEAST_WAIT_S}"
    if match := _SPLIT.search(settings["wsrep_provider_options"]):
        return f"it goes on when it is cut off from most of the others ({match[0]})"
    return ""


def wait_for_all(connection: Connection) -> None:
    """Wait until this node has applied what any node took before."""
    execute_all(connection, ["SET SESSION wsrep_sync_wait = 15", "SHOW DATABASES", "SET SESSION wsrep_sync_wait = 0"])


def at(node: Node, tls_ca: Path | None) -> Callable[..., contextlib.AbstractContextManager[Connection]]:
    """Opens connections to this very node."""

    def connect(**options: Any) -> contextlib.AbstractContextManager[Connection]:
        return connect_to(node.url, tls_ca, **options)

    return connect


def _refuse(why: str, before: str = "") -> Protected:
    return Protected(f"This server is a node of a Galera cluster, and {why}.", hint=before + ALONE)
