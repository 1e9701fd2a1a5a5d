"""What of a Galera cluster's nodes is fit for a cut-over; their answers are made up, a cluster's own are in others."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from app.dialects.mysql.galera import find_fault, find_nodes, list_places, read_uid
from app.errors import Protected
from tests.support.servers.mariadb import ON_MYSQL, MariaDB

URL = make_url("mysql+pymysql://app:secret@first/live")
STATUS = {"wsrep_ready": "ON", "wsrep_cluster_status": "Primary", "wsrep_local_state": "4"}
SETTINGS = {
    "wsrep_on": "ON",
    "wsrep_osu_method": "TOI",
    "wsrep_certify_nonpk": "ON",
    "lock_wait_timeout": "86400",
    "wsrep_provider_options": "pc.checksum = false; pc.ignore_quorum = false; pc.ignore_sb = false; pc.linger = PT20S",
}


def test_nothing_is_wrong_with_a_node_that_works() -> None:
    assert find_fault(STATUS, SETTINGS) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wsrep_ready", "OFF"),
        ("wsrep_cluster_status", "non-Primary"),
        ("wsrep_local_state", "2"),
        ("wsrep_on", "OFF"),
        ("wsrep_osu_method", "RSU"),
        ("wsrep_certify_nonpk", "OFF"),
        ("lock_wait_timeout", "30"),
        ("wsrep_provider_options", "pc.ignore_quorum = true"),
        ("wsrep_provider_options", "pc.ignore_sb = yes"),
    ],
)
def test_what_a_cut_over_cannot_be_promised_with_is_named(name: str, value: str) -> None:
    status, settings = ({**former, name: value} if name in former else former for former in (STATUS, SETTINGS))
    assert name in find_fault(status, settings) or name == "wsrep_provider_options"
    assert value in find_fault(status, settings)


def test_a_node_that_does_not_say_something_is_not_fit() -> None:
    assert "not shown" in find_fault({}, SETTINGS)
    assert "not shown" in find_fault(STATUS, {"lock_wait_timeout": "86400"})


def test_nodes_are_reached_at_the_addresses_that_they_tell() -> None:
    places = list_places(URL, "10.0.0.1:3306,db2.internal:3307,[fd00::1]:3306")
    assert [(place.host, place.port) for place in places] == [
        ("10.0.0.1", 3306),
        ("db2.internal", 3307),
        ("fd00::1", 3306),
    ]
    assert {(place.username, place.password, place.database) for place in places} == {("app", "secret", "live")}


@pytest.mark.parametrize("addresses", ["AUTO,AUTO", "10.0.0.1:3306,AUTO", "10.0.0.1:3306,", "", "10.0.0.1"])
def test_nodes_that_do_not_tell_their_addresses_are_refused(addresses: str) -> None:
    with pytest.raises(Protected, match="does not tell the address of each node") as caught:
        list_places(URL, addresses)
    assert "wsrep_node_incoming_address" in str(caught.value.hint)
    assert "wsrep_on=OFF" in str(caught.value.hint)


def test_a_single_server_is_no_node(mariadb: MariaDB) -> None:
    assert read_uid(mariadb.url("mysql"), None) == ""
    if not ON_MYSQL:
        with pytest.raises(Protected, match="not fit for it: wsrep_ready is OFF, not ON"):
            find_nodes(mariadb.url("mysql"), None)
