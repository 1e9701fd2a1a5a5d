"""MariaDB: the session lock of a target in a Galera cluster, which is taken at each of its nodes, in one order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import ER
from sqlalchemy import URL

from ...errors import Protected
from . import lock as alone
from .connect import connect_to, number_of
from .galera import Node, find_nodes, know_uid, read_uid, wait_for_all
from .read import Asks
from .version import Version

_UIDS = (
    "SELECT @@server_uid, (SELECT variable_value FROM information_schema.global_status "
    "WHERE variable_name = 'wsrep_cluster_state_uuid')"
)


def server_uid(ask: Asks, version: Version, url: URL, tls_ca: Path | None) -> tuple[Any, ...]:
    """What tells a server from every other, or a cluster from every other, by whatever node it was reached."""
    if not version.is_mariadb:
        return alone.server_uid(ask, is_mariadb=False)
    try:
        [(server, answer)] = ask(_UIDS)
    except pymysql.Error as error:
        # MariaDB before 10.11.9
        if number_of(error) != ER.UNKNOWN_SYSTEM_VARIABLE:
            raise
        uid, server_parts = read_uid(url, tls_ca), alone.server_uid(ask, is_mariadb=True)
    else:
        uid, server_parts = know_uid(url, answer), (server,)
    return ("galera", uid) if uid else server_parts


@contextlib.contextmanager
def lock(url: URL, tls_ca: Path | None, uid: str, timeout_s: float) -> Iterator[None]:
    """As :func:`lock.lock`, whatever the server is.

    Where not all nodes can be reached, it is taken at one, as no cut-over is made there: who has it at all of them
    keeps that one out as well.

    :raises LockHeld: somebody else has it, at one node or at all, for ``timeout_s``.
    """
    with contextlib.ExitStack() as stack:
        for place in _list_places(url, tls_ca):
            stack.enter_context(alone.lock(place, tls_ca, uid, timeout_s))
        if read_uid(url, tls_ca):
            with connect_to(url, tls_ca, to_database=False, several=True) as connection:
                wait_for_all(connection)
        yield


def _list_places(url: URL, tls_ca: Path | None) -> list[URL]:
    if not read_uid(url, tls_ca):
        return [url]
    nodes: tuple[Node, ...] = ()
    with contextlib.suppress(Protected):
        nodes = find_nodes(url, tls_ca).all
    return [node.url for node in nodes] or [url]
