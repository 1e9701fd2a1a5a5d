"""A Galera cluster of three nodes: refused as a target, read from while nodes die, migrated with one node alone.

``make galera`` runs these; ``make test`` leaves them out, as three servers take 15 s to start.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.places import ServerSite, databases, new_name
from tests.support.runs.commands import until
from tests.support.servers.galera import Galera, find_lacking
from tests.support.servers.mariadb import MariaDB
from tests.support.site import Result, Site, end

from .test_server_killed import ended, start_waiting_at

pytestmark = [pytest.mark.galera, pytest.mark.skipif(bool(find_lacking()), reason=f"no cluster: {find_lacking()}")]

LIMIT_S = 120.0
ROWS = "INSERT INTO sections VALUES (1, 'one', 'one'), (2, 'two', 'two')"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Galera]:
    started = Galera(tmp_path_factory.mktemp("galera"))
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def site(tmp_path: Path, cluster: Galera) -> Iterator[ServerSite]:
    """A site on the first node, with the reference app's tables and some rows."""
    site = ServerSite(tmp_path, url=cluster.nodes[0].url(new_name()))
    cluster.nodes[0].execute(f"CREATE DATABASE {site.url.database}")
    done = site.flask("db", "upgrade")
    assert done.status == 0, done.stderr
    cluster.nodes[0].execute(ROWS, database=site.url.database)
    yield site
    cluster.nodes[0].drop_all(str(site.url.database))


def contents(cluster: Galera, site: ServerSite) -> list[str]:
    """What each node has of a site's database, once it has applied what the others took."""
    nodes = [ServerSite(site.directory, url=node.url(site.url.database)) for node in cluster.nodes]
    for node in cluster.nodes:
        with node.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION wsrep_sync_wait = 1")
            cursor.execute("SELECT 1 FROM mysql.user LIMIT 1")
    return [node.content() for node in nodes]


def refused(done: Result) -> None:
    assert done.status == 20, done.stdout + done.stderr
    assert "node of a Galera cluster" in done.stderr
    assert "The live database is unchanged." in done.stderr
    assert "wsrep_on=OFF" in done.stderr


def test_every_command_that_would_cut_over_is_refused_on_every_node(
    cluster: Galera, site: ServerSite, taken: Path
) -> None:
    assert site.flask("db-backup").status == 0
    before = contents(cluster, site)
    assert len({*before}) == 1
    for node in cluster.nodes:
        here = ServerSite(site.directory, url=node.url(site.url.database))
        refused(here.flask("db-init", "--yes"))
        refused(here.flask("db-migrate-data", str(taken), "--yes"))
        refused(here.flask("db-migrate-data", str(taken), "--dry-run"))
    refused(site.flask("db-restore", "--yes"))
    # Replication that is turned off in a node of the cluster makes it no server of its own.
    cluster.nodes[0].execute("SET GLOBAL wsrep_on = OFF")
    try:
        refused(site.flask("db-init", "--yes"))
    finally:
        cluster.nodes[0].execute("SET GLOBAL wsrep_on = ON")
    assert contents(cluster, site) == before
    assert [name for name in databases(site.url) if "__stg_" in name or "__gen_" in name] == []


def test_it_is_read_while_another_node_is_written_and_dies(cluster: Galera, site: ServerSite, tmp_path: Path) -> None:
    """What arrives is one instant of the cluster: of two rows that are always written together, both."""
    database, written, stop = str(site.url.database), [2], threading.Event()

    def write() -> None:
        with cluster.nodes[1].connect(database) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                number = written[0] + 1
                rows = f"({number}, 'a', 'a{number}'), ({-number}, 'b', 'b{number}')"
                cursor.execute(f"INSERT INTO sections VALUES {rows}")
                written[0] = number

    writer = threading.Thread(target=write)
    writer.start()
    local = Site(tmp_path / "local")
    local.directory.mkdir()
    source = site.env()["DATABASE_URL"]
    try:
        until(lambda: written[0] > 20, LIMIT_S)
        cluster.nodes[2].kill()
        least = written[0]
        done = local.flask("db-migrate-data", source, "--yes", "--catch-up", "3")
    finally:
        stop.set()
        writer.join()
        cluster.join(cluster.nodes[2])
        cluster.wait()
    assert done.status in (0, 3), done.stderr
    if done.status == 3:
        done = local.flask("db-migrate-data", source, "--yes")
    assert done.status == 0, done.stderr
    numbers = {int(number) for (number,) in local.query("SELECT id FROM sections")}
    assert {-number for number in numbers if number > 2} == {number for number in numbers if number < 0}
    assert max(numbers) >= least
    assert len({*contents(cluster, site)}) == 1


@contextmanager
def partitioned(cluster: Galera) -> Iterator[None]:
    """The first node alone: the others stand still, as behind a network that is cut."""
    for node in cluster.nodes[1:]:
        os.kill(node.pid, signal.SIGSTOP)
    try:
        until(lambda: cluster.sees(cluster.nodes[0]) == 0, LIMIT_S)
        yield
    finally:
        for node in cluster.nodes[1:]:
            os.kill(node.pid, signal.SIGCONT)
        cluster.wait()


def test_a_node_that_is_cut_off_from_the_others(cluster: Galera, site: ServerSite, tmp_path: Path) -> None:
    before = contents(cluster, site)
    local = Site(tmp_path / "local")
    local.directory.mkdir()
    with partitioned(cluster):
        for done in (
            site.flask("db-init", "--yes"),
            local.flask("db-migrate-data", site.env()["DATABASE_URL"], "--yes"),
        ):
            assert done.status in (1, 3, 20), done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            assert "does not answer" in done.stderr or "Galera" in done.stderr, done.stderr
    assert contents(cluster, site) == before
    done = local.flask("db-migrate-data", site.env()["DATABASE_URL"], "--yes")
    assert done.status == 0, done.stderr
    assert local.query("SELECT count(*) FROM sections") == [(2,)]


def alone(cluster: Galera) -> MariaDB:
    """Stop all nodes, and start the first with replication off."""
    for node in reversed(cluster.nodes):
        node.kill()
    first = cluster.nodes[0]
    former, first.options = first.options, tuple("--wsrep-on=OFF" if o == "--wsrep-on=ON" else o for o in first.options)
    first.start()
    first.options = former
    return first


def test_with_one_node_alone_it_is_migrated_and_the_others_get_all_of_it(
    cluster: Galera, site: ServerSite, taken: Path, tmp_path: Path
) -> None:
    """Also where that node is killed in the load and in the cut-over: whole, old or new, and the next run ends it."""
    before = site.content()
    first = alone(cluster)
    arguments = ("db-migrate-data", str(taken), "--rerun", "--yes")
    for step in ("load", "cut-over"):
        here = tmp_path / step
        process = start_waiting_at(site, step, here, *arguments)
        try:
            until(lambda here=here, process=process: here.exists() or process.poll() is not None, LIMIT_S)
            assert process.poll() is None, end(process)
            first.kill()
            here.unlink()
            assert ended(process).status in (1, 25)
        finally:
            end(process)
            alone(cluster)
        assert site.content() == before
    for undone in (True, False):
        done = site.flask(*arguments)
        assert done.status == 0, done.stderr
        if undone:
            assert site.flask("db-rollback", "--yes").status == 0
            assert site.content() == before
    new = site.content()
    assert new != before
    assert len(site.rows()["users"]) == 60
    cluster.begin_again()
    assert contents(cluster, site) == [new] * 3
    # It is a cluster again, and what one node takes the others have.
    later = "INSERT INTO sections (name, abbreviation) VALUES ('later', 'later')"
    cluster.nodes[2].execute(later, database=site.url.database)
    assert len({*contents(cluster, site)}) == 1
    refused(site.flask("db-rollback", "--yes"))
