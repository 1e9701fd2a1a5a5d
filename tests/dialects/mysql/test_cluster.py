"""Servers that are one of several are refused by name; what they say of themselves is made up, but for Galera's."""

from __future__ import annotations

import pytest

from app.dialects.mysql.cluster import STATUS, VARIABLES, find_distributed, refuse_clusters
from app.errors import ExitStatus, Protected
from tests.dialects.rooms import Room
from tests.support.servers.mariadb import MariaDB

OFF = [("wsrep_connected", "OFF")]


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
        refuse_clusters(version, [("version_comment", comment)], [])
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
    refuse_clusters(version, [("version_comment", comment), ("wsrep_on", "OFF"), ("innodb_read_only", "OFF")], OFF)


def test_galera_is_refused_also_where_replication_was_turned_off_in_a_connected_node() -> None:
    for variables, status in (
        ([("wsrep_on", "ON")], [("wsrep_connected", "ON")]),
        ([("wsrep_on", "OFF")], [("wsrep_connected", "ON")]),
        ([("wsrep_on", "ON")], OFF),
    ):
        with pytest.raises(Protected, match="node of a Galera cluster") as caught:
            refuse_clusters("10.11.19-MariaDB", variables, status)
        assert "wsrep_on=OFF" in str(caught.value.hint)
    with pytest.raises(Protected, match="Percona XtraDB Cluster"):
        refuse_clusters("8.0.36-28.1", [("wsrep_on", "ON"), ("pxc_strict_mode", "ENFORCING")], [])


def test_of_group_replication_only_one_primary_is_taken() -> None:
    grouped = ("group_replication_group_name", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")
    refuse_clusters("8.4.2", [grouped, ("group_replication_single_primary_mode", "ON")], [])
    with pytest.raises(Protected, match="one of several primaries"):
        refuse_clusters("8.4.2", [grouped, ("group_replication_single_primary_mode", "OFF")], [])


def test_of_aurora_only_the_writer_is_taken() -> None:
    aurora = ("aurora_version", "3.04.0")
    refuse_clusters("8.0.28", [aurora, ("innodb_read_only", "OFF")], [])
    with pytest.raises(Protected, match="reader of an Aurora cluster"):
        refuse_clusters("8.0.28", [aurora, ("innodb_read_only", "ON")], [])


def test_a_server_of_its_own_says_nothing_of_a_cluster(room: Room, mariadb: MariaDB) -> None:
    refuse_clusters("", mariadb.execute(VARIABLES), mariadb.execute(STATUS))
    room.dialect.preflight(room.target)
