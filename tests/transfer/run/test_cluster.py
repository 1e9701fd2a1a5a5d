"""Workers of a Dask cluster: looked at before they are given anything, and missed when they are gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from app.errors import ClusterLost, Misconfigured
from app.transfer.run import cluster as module
from app.transfer.run.cluster import Cluster, _refuse, _refuse_way
from app.transfer.run.cluster_address import parse_address
from app.transfer.run.worker_here import WorkerHere, code_digest, python_version
from tests.support.servers.dask import DaskCluster, dask_cluster


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), 1) as servers:
        yield servers


def nothing_to_say(words: str) -> str:
    return words


@pytest.fixture
def cluster(servers: DaskCluster) -> Iterator[Cluster]:
    these = Cluster(parse_address(servers.url, "option"), nothing_to_say, "")
    these.begin()
    yield these
    these.close()


def test_a_part_is_carried_out_by_a_worker(servers: DaskCluster, cluster: Cluster) -> None:
    assert cluster.are_there
    assert cluster.are_elsewhere
    assert cluster.most == 1
    assert cluster.wait_for(cluster.submit(os.getpid)) == servers.workers[0].pid


def test_what_fails_is_told_apart(cluster: Cluster) -> None:
    assert cluster.wait_for(cluster.submit(int, "x")) is None


def test_a_worker_that_cannot_help_is_named(servers: DaskCluster) -> None:
    these = Cluster(parse_address(servers.url, "option"), nothing_to_say, "the server is too far away")
    with pytest.raises(Misconfigured, match="1 worker cannot help") as info:
        these.begin()
    assert "the server is too far away" in info.value.details[0]
    assert not these.are_there


def test_a_part_that_takes_too_long(servers: DaskCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_address", parse_address(servers.url.replace("wait=60", "wait=1"), "option"))
    assert cluster.wait_for(cluster.submit(time.sleep, 1.7, size=2 << 20)) is None
    parts = [cluster.submit(time.sleep, 0.4) for _ in range(4)]
    assert cluster.wait_for(parts[-1]) is None
    assert all(part.done() for part in parts)
    with pytest.raises(ClusterLost, match=r"No part was done for \d s"):
        cluster.wait_for(cluster.submit(time.sleep, 2.5))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (WorkerHere(python_version(), code_digest()), ""),
        (WorkerHere("2.7", code_digest()), "it has Python 2.7, and the run Python"),
        (WorkerHere(python_version(), "0"), "it has another version of Flask-Ferry"),
        ("no way", "no way"),
        ("", ""),
    ],
)
def test_who_cannot_help(answer: WorkerHere | str, words: str) -> None:
    assert _refuse(answer).startswith(words)
    assert bool(_refuse(answer)) == bool(words)


@pytest.mark.parametrize(
    ("address", "may"),
    [("tls://10.0.0.1:1", True), ("tcp://127.0.0.1:1", True), ("tcp://[::1]:1", True), ("tcp://10.0.0.1:1", False)],
)
def test_a_password_goes_to_no_worker_in_plain(address: str, may: bool) -> None:
    assert (_refuse_way(address) == "") == may


def wait_until(file: str) -> None:
    """In a worker: be busy until there is a file."""
    while not os.path.exists(file):  # noqa: PTH110 # it is given to a worker as text
        time.sleep(0.05)


def test_a_worker_that_is_busy_is_not_waited_for(
    servers: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    address, notes = parse_address(servers.url, "option"), list[str]()
    others = Cluster(address, nothing_to_say, "")
    others.begin()
    held = others.submit(wait_until, str(tmp_path / "go on"))
    these = Cluster(parse_address(servers.url.replace("wait=60", "wait=1"), "option"), nothing_to_say, "")
    with pytest.raises(ClusterLost, match=r"No worker .* has answered for 1 s"):
        these.begin()
    servers.add_workers(1)
    try:
        these = Cluster(address, nothing_to_say, "", note=notes.append)
        these.begin()
        assert not held.done()
        assert these.most == 1
        assert these.wait_for(these.submit(os.getpid)) == servers.workers[1].pid
        assert "do not answer: tcp://127.0.0.1" in notes[0]
        (tmp_path / "go on").touch()
        others.wait_for(held)
        deadline = time.monotonic() + 20
        while these.most < 2 and time.monotonic() < deadline:
            these._look_at_workers()
            time.sleep(0.05)
        assert these.most == 2
        these.close()
        others.close()
    finally:
        (tmp_path / "go on").touch()
        worker = servers.workers.pop()
        worker.kill()
        worker.wait()


def test_a_password_goes_to_nobody_of_another_version(servers: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "code_digest", lambda: "another")
    these = Cluster(parse_address(servers.url, "option"), nothing_to_say, "")
    with pytest.raises(Misconfigured) as info:
        these.begin()
    assert "another version" in info.value.details[0]
    assert not these._alike


def test_a_scheduler_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dask_cluster(tmp_path, 1) as servers:
        these = Cluster(parse_address(servers.url, "option"), nothing_to_say, "")
        these.begin()
        monkeypatch.setattr(module, "ANSWER_S", 0.5)
        servers.scheduler.send_signal(signal.SIGSTOP)
        these._looked_at = -1e9
        start = time.monotonic()
        with pytest.raises(ClusterLost, match=r"has not answered for 0\.5 s"):
            these.submit(os.getpid)
        these.close()
        with pytest.raises(ClusterLost, match="is gone"):
            these.submit(os.getpid)
        assert time.monotonic() - start < 20


def test_workers_and_scheduler_that_are_gone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dask_cluster(tmp_path_factory.mktemp("lost"), 1) as servers:
        these = Cluster(parse_address(servers.url, "option"), nothing_to_say, "")
        these.begin()
        part = these.submit(time.sleep, 60)
        servers.scheduler.kill()
        with pytest.raises(ClusterLost, match=r"gave up|is gone"):
            these.wait_for(part)
        with pytest.raises(ClusterLost, match=r"gave up|is gone"):
            these.wait_for(these.submit(os.getpid))
        these.close()
        assert not these.are_there
    assert module.LOOK_S < 1
