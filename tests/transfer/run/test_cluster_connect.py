"""A connection to a scheduler: over TLS, or to this machine alone."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import ClusterLost, Misconfigured
from app.transfer.run import cluster_connect
from app.transfer.run.cluster import Cluster
from app.transfer.run.cluster_address import ClusterAddress, parse_address
from app.transfer.run.cluster_connect import connect, is_encrypted
from tests.support.servers.dask import TLS, dask_cluster, name_certificates
from tests.support.sources.tls import Authority

HERE, THERE = ClusterAddress("127.0.0.1", 8786), ClusterAddress("scheduler.example.org", 8786)


def configured(*values: str | None) -> Any:
    ca, cert, key = values
    return SimpleNamespace(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key)


def test_off_this_machine_nothing_goes_without_tls(tmp_path: Path) -> None:
    file = tmp_path / "one.pem"
    file.write_text("")
    assert is_encrypted(THERE, configured(*[str(file)] * 3))
    assert is_encrypted(HERE, configured(*[str(file)] * 3))
    assert not is_encrypted(HERE, configured(None, None, None))
    with pytest.raises(Misconfigured, match="over TLS alone") as info:
        is_encrypted(THERE, configured(None, None, None))
    assert len(info.value.details) == 3
    with pytest.raises(Misconfigured) as info:
        is_encrypted(HERE, configured(str(file), str(tmp_path / "none"), str(file)))
    assert info.value.details == ["distributed.comm.tls.client.cert names no file"]


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Misconfigured, match="Dask is not installed") as info:
        connect(HERE)
    assert info.value.hint == "pip install 'flask-ferry[dask]'"


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_connect, "CONNECT_S", 0.5)
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(ClusterLost, match=r"No Dask scheduler answers at dask://127\.0\.0\.1"):
            connect(ClusterAddress("127.0.0.1", unheard.getsockname()[1]))


def as_configured(environ: dict[str, str]) -> dict[str, str]:
    names = {"ca-file": "CA_FILE", "client.cert": "CLIENT__CERT", "client.key": "CLIENT__KEY"}
    return {f"distributed.comm.tls.{key}": environ[f"{TLS}{name}"] for key, name in names.items()}


def test_over_tls_to_this_machine_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dask = pytest.importorskip("dask")
    environ = name_certificates(Authority.make(tmp_path / "ca"))
    others = name_certificates(Authority.make(tmp_path / "others"))
    monkeypatch.setattr(cluster_connect, "CONNECT_S", 5.0)
    with dask_cluster(tmp_path, 1, environ) as servers:
        address = parse_address(servers.url, "option")
        assert not address.is_here
        with pytest.raises(Misconfigured, match="over TLS alone"):
            connect(address)
        with dask.config.set(as_configured(others)), pytest.raises(ClusterLost, match="over TLS"):
            connect(address)
        with dask.config.set(as_configured(environ)):
            cluster = Cluster(address, str, "")
            cluster.begin()
            assert cluster.wait_for(cluster.submit(os.getpid)) == servers.workers[0].pid
            cluster.close()
