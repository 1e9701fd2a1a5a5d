"""Servers that are one of several are refused by name; what they say of themselves is made up, but for Galera's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pymysql
import pytest
from pymysql.constants import ER

from app.dialects.mysql.cluster import STATUS, VARIABLES, find_distributed, refuse_clusters
from app.errors import ExitStatus, Protected
from tests.dialects.rooms import Room
from tests.support.servers.mariadb import MariaDB

OFF = [("wsrep_connected", "OFF")]
PROVIDER = ("wsrep_provider", "/usr/lib/galera/libgalera_smm.so")


def answering(
    variables: Sequence[tuple[str, str]], status: Sequence[tuple[str, str]] = (), members: int = 0
) -> Callable[[str], Sequence[Sequence[Any]]]:
    """A server that says this of itself."""
    return lambda sql: {VARIABLES: variables, STATUS: status}.get(sql, [("1",)] * members)


@pytest.mark.parametrize(
    ("version", "comment", "word"),
    [
        ("8.0.11-TiDB-v7.5.1", "TiDB Server (Apache License 2.0) Community Edition, MySQL 8.0 compatible", "TiDB"),
        ("8.0.30-Vitess", "Version: 21.0.0", "Vitess"),
        ("8.0.34-PlanetScale", "", "Vitess"),
        ("5.7.25-OceanBase_CE-v4.2.1.0", "OceanBase_CE 4.2.1.0", "OceanBase"),
        ("5.7.32", "SingleStoreDB source distribution (compatible; MySQL Enterprise)", "SingleStore"),
        ("5.0.45-Xpand-6.1.1", "", "Xpand"),
    ],
)
def test_distributed_databases_are_told_by_what_they_say(version: str, comment: str, word: str) -> None:
    assert word in find_distributed(version, {"version_comment": comment})
    with pytest.raises(Protected, match=word) as caught:
        refuse_clusters(version, answering([("version_comment", comment)]))
    assert caught.value.exit_status == ExitStatus.PROTECTED
    assert "single server" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("version", "comment"),
    [
        ("10.11.19-MariaDB-0+deb12u1", "Debian 12"),
        ("8.0.39", "MySQL Community Server - GPL"),
        ("8.0.35-27", "Percona Server (GPL), Release 27"),
        ("10.11.9-MariaDB-log", "managed by https://aws.amazon.com/rds/"),
    ],
)
def test_single_servers_pass(version: str, comment: str) -> None:
    settings = [("version_comment", comment), ("wsrep_on", "OFF"), ("innodb_read_only", "OFF")]
    refuse_clusters(version, answering(settings, OFF))


@pytest.mark.parametrize("provider", ["none", ""])
def test_without_a_provider_galera_replicates_nothing(provider: str) -> None:
    refuse_clusters("10.11.19-MariaDB", answering([("wsrep_on", "ON"), ("wsrep_provider", provider)], OFF))


def test_galera_is_refused_also_where_replication_was_turned_off_in_a_connected_node() -> None:
    for variables, status in (
        ([("wsrep_on", "ON"), PROVIDER], [("wsrep_connected", "ON")]),
        ([("wsrep_on", "OFF"), PROVIDER], [("wsrep_connected", "ON")]),
        ([("wsrep_on", "ON"), PROVIDER], OFF),
    ):
        with pytest.raises(Protected, match="node of a Galera cluster") as caught:
            refuse_clusters("10.11.19-MariaDB", answering(variables, status))
        assert "wsrep_on=OFF" in str(caught.value.hint)
    with pytest.raises(Protected, match="Percona XtraDB Cluster"):
        refuse_clusters("8.0.36-28.1", answering([("wsrep_on", "ON"), PROVIDER, ("pxc_strict_mode", "ENFORCING")]))


def test_of_group_replication_only_one_primary_is_taken() -> None:
    grouped = ("group_replication_group_name", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")
    several = [grouped, ("group_replication_single_primary_mode", "OFF")]
    refuse_clusters("8.4.2", answering([grouped, ("group_replication_single_primary_mode", "ON")], members=3))
    # Loaded and set, and stopped: a server like any other.
    refuse_clusters("8.4.2", answering(several, members=0))
    with pytest.raises(Protected, match="one of several primaries"):
        refuse_clusters("8.4.2", answering(several, members=3))


def test_who_may_not_see_the_group_is_told_that_it_may_be_one() -> None:
    several = [("group_replication_group_name", "a"), ("group_replication_single_primary_mode", "OFF")]

    def ask(sql: str) -> Sequence[Sequence[Any]]:
        if sql in (VARIABLES, STATUS):
            return answering(several)(sql)
        raise pymysql.OperationalError(ER.TABLEACCESS_DENIED_ERROR, "SELECT command denied")

    with pytest.raises(Protected, match="one of several primaries"):
        refuse_clusters("8.4.2", ask)


def test_of_aurora_only_the_writer_is_taken() -> None:
    aurora = ("aurora_version", "3.04.0")
    refuse_clusters("8.0.28", answering([aurora, ("innodb_read_only", "OFF")]))
    with pytest.raises(Protected, match="reader of an Aurora cluster"):
        refuse_clusters("8.0.28", answering([aurora, ("innodb_read_only", "ON")]))


def test_a_server_of_its_own_says_nothing_of_a_cluster(room: Room, mariadb: MariaDB) -> None:
    refuse_clusters("", mariadb.execute)
    room.dialect.preflight(room.target)
