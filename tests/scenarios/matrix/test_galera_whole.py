"""A running Galera cluster of three nodes that tell their addresses: cut over whole, whatever dies meanwhile.

``make galera`` runs these.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.support.forks import Forked
from tests.support.places import ServerSite, databases, new_name
from tests.support.runs.commands import until
from tests.support.servers.galera import Galera, find_lacking
from tests.support.site import Result, end

from .test_galera import contents
from .test_server_killed import ended, start_waiting_at

pytestmark = [pytest.mark.galera, pytest.mark.skipif(bool(find_lacking()), reason=f"no cluster: {find_lacking()}")]

LIMIT_S = 120.0
CUT_OVER_S = 0.7
"""A cut-over takes about so long here; what happens at random happens within it."""
TIMES = int(os.environ.get("TIMES", "3"))
FROZEN_S = 5.0
"""Longer than the others wait for a node (evs.inactive_timeout)."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Galera]:
    started = Galera(tmp_path_factory.mktemp("galera"), "--wsrep-slave-threads=4", tells_addresses=True)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def site(tmp_path: Path, cluster: Galera, taken: Path) -> Iterator[ServerSite]:
    """A site on the first node, with the old deployment's rows."""
    let_all_work(cluster)
    site = ServerSite(tmp_path, url=cluster.nodes[0].url(new_name()))
    done = site.flask("db-init", "--yes")
    assert done.status == 0, done.stderr
    assert site.flask("db-migrate-data", str(taken), "--yes").status == 0
    yield site
    let_all_work(cluster)
    cluster.nodes[0].drop_all(str(site.url.database))


def let_all_work(cluster: Galera) -> None:
    for node in cluster.nodes:
        if node.is_running:
            os.kill(node.pid, signal.SIGCONT)
        else:
            cluster.join(node)
    cluster.wait()


def explain(after: list[str], old: str, new: str) -> list[str]:
    """Of each node which database it has, or where what it has begins to differ from the new one."""
    names = {old: "new", new: "old", "": "empty"}
    return [names.get(content) or content[max(0, differs_at(content, new) - 300) :][:600] for content in after]


def differs_at(left: str, right: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), -1)


def newest_backup(site: ServerSite) -> str:
    done = site.flask("db-backup")
    assert done.status == 0, done.stderr
    return done.last_line.rpartition(": ")[2]


class Writers:
    """One application at each node, that keeps what was acknowledged to it."""

    def __init__(self, cluster: Galera, database: str) -> None:
        self.acknowledged: set[str] = set()
        self._cluster, self._database, self._stop = cluster, database, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(len(cluster.nodes))]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.acknowledged) > 10, LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def _write(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            with (
                contextlib.suppress(pymysql.Error, OSError),
                self._cluster.nodes[number].connect(self._database) as connection,
                connection.cursor() as cursor,
            ):
                while not self._stop.is_set():
                    count += 1
                    name = f"w{number}x{count}"
                    cursor.execute("INSERT INTO sections (name, abbreviation) VALUES (%s, %s)", (name, name))
                    self.acknowledged.add(name)
                    time.sleep(random.random() * 0.1)
            time.sleep(0.05)


def written(cluster: Galera, database: str) -> list[set[str]]:
    """The writers' rows, as each node has them."""
    sql = "SELECT name FROM sections WHERE name LIKE 'w%x%'"
    return [{str(name) for (name,) in node.execute(sql, database=database)} for node in cluster.nodes]


@pytest.mark.parametrize("command", ["db-restore", "db-migrate-data"])
def test_while_each_node_is_written(cluster: Galera, site: ServerSite, taken: Path, command: str) -> None:
    """Each row that was acknowledged is in the new database, or in the old one and in the backup of it."""
    argument = newest_backup(site) if command == "db-restore" else str(taken)
    with Writers(cluster, str(site.url.database)) as writers:
        done = site.flask(command, argument, "--yes", *(["--rerun"] if command == "db-migrate-data" else []))
        time.sleep(0.5)
    live = contents(cluster, site)
    assert len({*live}) == 1
    rows = written(cluster, str(site.url.database))
    assert done.status in (0, 11, 23), done.stderr
    if done.status != 0:
        assert rows == [writers.acknowledged] * 3
        return
    [old] = [name for name in databases(site.url) if name.startswith(f"{site.url.database}__gen_") and "-old" in name][
        -1:
    ]
    former = written(cluster, old)
    assert former[0] == former[1] == former[2]
    assert writers.acknowledged <= rows[0] | former[0], (len(writers.acknowledged), len(rows[0]), len(former[0]))
    assert former[0]
    line = next(line for line in done.stdout.splitlines() if line.startswith("Backup: "))
    text = Path(line.removeprefix("Backup: ")).read_text()
    assert {name for name in former[0] if f"'{name}'" not in text} == set()


def begin(site: ServerSite, step: str, here: Path, *arguments: str) -> Forked:
    process = start_waiting_at(site, step, here, *arguments)
    until(lambda: here.exists() or process.poll() is not None, LIMIT_S)
    assert process.poll() is None, end(process)
    return process


def test_every_command_with_a_cut_over(cluster: Galera, site: ServerSite) -> None:
    before = contents(cluster, site)
    assert len({*before}) == 1
    backup = newest_backup(site)
    site.execute("INSERT INTO sections (name, abbreviation) VALUES ('later', 'later')")
    later = contents(cluster, site)
    for arguments, expected in ((("db-restore", backup), before), (("db-rollback",), later)):
        done = site.flask(*arguments, "--yes")
        assert done.status == 0, done.stderr
        assert contents(cluster, site) == expected
    # From any node, and the next one from another.
    for node, expected in ((cluster.nodes[1], before), (cluster.nodes[2], before)):
        elsewhere = ServerSite(site.directory, url=node.url(site.url.database))
        done = elsewhere.flask("db-restore", backup, "--yes")
        assert done.status == 0, done.stderr
        assert contents(cluster, site) == expected


MIXED = "MariaDB: a node that is killed while it renames, and then sent everything, does on that what its own log says"
ACCIDENTS = [
    "another node killed",
    pytest.param("its node killed", marks=pytest.mark.xfail(reason=MIXED, strict=False)),
    "another node frozen",
    "its node frozen",
    "run killed",
]


def happen(cluster: Galera, accident: str, process: Forked) -> None:
    node = cluster.nodes[0 if accident.startswith("its") else 2]
    if accident.endswith("node killed"):
        node.kill()
    elif accident.endswith("frozen"):
        os.kill(node.pid, signal.SIGSTOP)
        time.sleep(FROZEN_S)
        os.kill(node.pid, signal.SIGCONT)
    else:
        os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("step", ["staging", "cut-over"])
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_accident(cluster: Galera, site: ServerSite, tmp_path: Path, accident: str, step: str) -> None:
    """Old or new on all nodes, as the command says; and the next command does all of it."""
    backup = newest_backup(site)
    old = contents(cluster, site)
    site.execute("INSERT INTO sections (name, abbreviation) VALUES ('later', 'later')")
    new = contents(cluster, site)
    other = newest_backup(site)
    outcomes = []
    for number in range(TIMES):
        process = begin(site, step, tmp_path / "here", "db-restore", backup, "--yes")
        (tmp_path / "here").unlink()
        time.sleep(random.random() * CUT_OVER_S)
        happen(cluster, accident, process)
        done = ended(process) if accident != "run killed" else Result(process.wait(), *process.communicate())
        let_all_work(cluster)
        after = contents(cluster, site)
        assert after in (old, new), (number, done, explain(after, old[0], new[0]))
        outcomes.append((done.status, "new" if after == old else "old"))
        if done.status == 0:
            assert after == old
        if "live database is unchanged" in done.stderr:
            assert after == new, done.stderr
        else:
            assert done.status in (0, 25, -9) or "cannot be seen now" in done.stderr, done.stderr
        repeated = site.flask("db-restore", backup, "--yes")
        assert repeated.status == 0, repeated.stderr
        assert contents(cluster, site) == old
        back = site.flask("db-restore", other, "--yes")
        assert back.status == 0, back.stderr
        assert contents(cluster, site) == new
    print(accident, step, outcomes)
