"""The fence of a database in a running Galera cluster: whoever writes, at whatever node, waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.dialects.mysql.galera_fence import GaleraFence
from app.errors import LockHeld, Protected
from tests.support.servers.cluster import LIVE, Swaps
from tests.support.servers.galera import Galera, find_lacking

pytestmark = [pytest.mark.galera, pytest.mark.skipif(bool(find_lacking()), reason=f"no cluster: {find_lacking()}")]

LIMIT_S = 60.0


@pytest.fixture(scope="module")
def swaps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swaps]:
    cluster = Galera(tmp_path_factory.mktemp("galera"), tells_addresses=True)
    try:
        cluster.start()
        yield Swaps(cluster)
    finally:
        cluster.stop()


def fence_of(swaps: Swaps) -> GaleraFence:
    return GaleraFence(swaps.url(0, LIVE), None, LIVE)


def test_writers_of_every_node_wait_and_readers_go_on(swaps: Swaps) -> None:
    fence, written = fence_of(swaps), [threading.Event() for _ in swaps.cluster.nodes]

    def write(number: int) -> None:
        sql = f"INSERT INTO others (id, word) VALUES ({number + 1}, 'x')"
        swaps.cluster.nodes[number].execute(sql, database=LIVE)
        written[number].set()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    with fence.hold(20):
        before = fence.token()
        for thread in threads:
            thread.start()
        assert not any(event.wait(0.5) for event in written)
        assert all(node.execute("SELECT id FROM others", database=LIVE) == [] for node in swaps.cluster.nodes)
        assert fence.token() == before
    for thread in threads:
        thread.join(LIMIT_S)
    assert all(event.is_set() for event in written)
    swaps.wait()
    assert fence.token() != before


def test_a_transaction_at_any_node_is_waited_for_and_not_for_ever(swaps: Swaps) -> None:
    with swaps.cluster.nodes[2].connect(LIVE) as writer:
        writer.begin()
        with writer.cursor() as cursor:
            cursor.execute("INSERT INTO others (id, word) VALUES (10, 'x')")
        fence = fence_of(swaps)
        with pytest.raises(LockHeld, match="Nothing was changed"), fence.hold(1):
            pytest.fail("it was locked")
        # Nobody is kept waiting by what was tried.
        swaps.cluster.nodes[0].execute("INSERT INTO others (id, word) VALUES (11, 'x')", database=LIVE)
        writer.commit()
    with fence.hold(20):
        pass


def test_a_cluster_that_lacks_a_node_meanwhile_is_another_one(swaps: Swaps) -> None:
    fence = fence_of(swaps)
    with fence.hold(20):
        fence.check()
        swaps.cluster.nodes[2].kill()
        swaps.cluster.wait(2)
        with pytest.raises(Protected, match="joined or left"):
            fence.check()
    with fence.hold(20):
        fence.check()
    swaps.cluster.join(swaps.cluster.nodes[2])
    swaps.cluster.wait()
