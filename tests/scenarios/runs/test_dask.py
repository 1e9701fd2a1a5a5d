"""Rows of a database loaded and proved by the workers of a Dask cluster, of which some may be lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.scenarios.runs.test_jobs import CREATE, LENGTH, ROWS, make_old, read
from tests.scenarios.small_host import SmallHost, host_on
from tests.support.forks import start_flask
from tests.support.pages import take
from tests.support.places import connected, new_name
from tests.support.servers.dask import DaskCluster, dask_cluster
from tests.support.site import MODULES, ROOT

pytest.importorskip("distributed")
SERVERS = ["mariadb", "postgresql"]
STOPPED = "DASK_STOPPED"
LETTERS = [(n, f"name {n}", f"{n} " + "x" * LENGTH) for n in range(1, ROWS + 1)]


def stop_workers(when: str, step: str, _about: object) -> None:
    """A hook: before rows are read these workers are cut off, and the file of their names is gone."""
    if (when, step) == ("before", "extract"):
        file = Path(os.environ[STOPPED])
        for pid in file.read_text().split():
            os.kill(int(pid), signal.SIGSTOP)
        file.unlink()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> SmallHost:
    return make_old(tmp_path_factory.mktemp("old"))


@pytest.fixture
def old_on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql: Any) -> SmallHost:
    """Twelve MiB that are no shorter on disk."""
    name = new_name()
    postgresql.execute(f"CREATE DATABASE {name}")
    host = SmallHost(tmp_path_factory.mktemp("old"), postgresql.url(name))
    host.revise(*CREATE)
    assert host.flask("db", "upgrade").status == 0
    postgresql.execute(
        "INSERT INTO letter SELECT n, 'name ' || n, string_agg(md5((n * m)::text), '') "
        "FROM generate_series(1, 3000) n, generate_series(1, 130) m GROUP BY n",
        database=name,
    )
    return host


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), 2) as these:
        yield these


@pytest.fixture(params=SERVERS)
def new(request: pytest.FixtureRequest, tmp_path: Path) -> SmallHost:
    return host_on(request, tmp_path, *CREATE)


def begin(old: SmallHost, new: SmallHost, cluster: DaskCluster, stopped: list[int], report: Path) -> Any:
    """A run of which some workers are cut off before rows are read; it waits for them."""
    file = new.directory / "stopped"
    file.write_text(" ".join(str(cluster.workers[number].pid) for number in stopped))
    environ = {
        **new.environ,
        "FLASK_FERRY_SOURCE": old.url.render_as_string(hide_password=False),
        "FLASK_FERRY_EXECUTOR": cluster.url,
        "FLASK_FERRY_HOOKS": f"{__name__}:stop_workers",
        STOPPED: str(file),
    }
    command = ["db-migrate-data", "--yes", "--report", str(report)]
    process = start_flask(command, environ, new.directory, modules=MODULES, root=ROOT)
    deadline = time.monotonic() + 60
    while file.exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def find_staging(host: SmallHost) -> list[str]:
    with connected(host.url) as connection:
        names = [
            str(name) for (name,) in connection.exec_driver_sql("SELECT schema_name FROM information_schema.schemata")
        ]
    return [name for name in names if name.startswith("ferry_staging_") or f"{host.url.database}__stg_" in name]


@pytest.mark.executes("docs/dask.md", "FLASK_FERRY_EXECUTOR")
def test_as_the_handbook_has_it(old: SmallHost, mariadb: Any, cluster: DaskCluster, tmp_path: Path) -> None:
    [text] = take("docs/dask.md", "FLASK_FERRY_EXECUTOR")
    export, command = (shlex.split(line) for line in text.splitlines())
    key, _, url = export[1].partition("=")
    name = new_name()
    mariadb.execute(f"CREATE DATABASE {name}")
    new = SmallHost(tmp_path, mariadb.url(name))
    new.revise(*CREATE)
    address = url.replace("8786", str(cluster.port))
    done = new.flask(*command[1:], FLASK_FERRY_SOURCE=old.url.render_as_string(), **{key: address})
    assert done.status == 0, done.stderr
    assert "Loaded on the cluster: " in done.stderr
    assert read(new) == (LETTERS, ROWS)


def test_a_worker_that_is_lost_loses_no_row_and_none_is_there_twice(
    old: SmallHost, new: SmallHost, cluster: DaskCluster, tmp_path: Path
) -> None:
    process = begin(old, new, cluster, [1], tmp_path / "report.json")
    time.sleep(1)
    assert process.poll() is None
    cluster.workers[1].kill()
    _, stderr = process.communicate(timeout=120)
    assert process.wait() == 0, stderr
    assert read(new) == (LETTERS, ROWS)
    report = json.loads((tmp_path / "report.json").read_text())
    [note] = [text for text in report["notes"] if "on the cluster" in text]
    assert f"process {cluster.workers[0].pid}: " in note
    assert f"process {cluster.workers[1].pid}: " not in note
    assert "ferry_parts" not in str(report["tables"])
    assert find_staging(new) == []


@pytest.mark.parametrize("lost", [False, True])
def test_workers_read_what_a_server_lends(
    old_on_postgresql: SmallHost, new: SmallHost, cluster: DaskCluster, tmp_path: Path, lost: bool
) -> None:
    process = begin(old_on_postgresql, new, cluster, [1] if lost else [], tmp_path / "report.json")
    if lost:
        time.sleep(1)
        cluster.workers[1].kill()
    _, stderr = process.communicate(timeout=120)
    assert process.wait() == 0, stderr
    query = sa.text("SELECT id, name, body FROM letter ORDER BY id")
    with connected(old_on_postgresql.url) as theirs, connected(new.url) as ours:
        assert [*map(tuple, ours.execute(query))] == [*map(tuple, theirs.execute(query))]
    [note] = [text for text in json.loads((tmp_path / "report.json").read_text())["notes"] if text.startswith("Read ")]
    rows = {int(pid): int(count) for pid, count in re.findall(r"process (\d+): (\d+) rows", note)}
    assert sum(rows.values()) == 3000
    assert "the run itself" not in note
    assert rows.keys() <= {worker.pid for worker in cluster.workers[: 1 if lost else 2]}
    assert find_staging(new) == []


def test_a_scheduler_that_is_lost_ends_the_run_and_nothing_is_written_behind_it(
    old: SmallHost, new: SmallHost, cluster: DaskCluster, tmp_path: Path
) -> None:
    process = begin(old, new, cluster, [0, 1], tmp_path / "report.json")
    time.sleep(0.5)
    assert process.poll() is None
    cluster.scheduler.kill()
    _, stderr = process.communicate(timeout=60)
    assert process.wait() == 1, stderr
    assert "The Dask scheduler at dask://127.0.0.1" in stderr
    assert stderr.count("The live database is unchanged.") == 1
    assert "Traceback" not in stderr
    assert find_staging(new) == []
    for worker in cluster.workers:
        worker.send_signal(signal.SIGCONT)
    for worker in cluster.workers:
        worker.wait(60)
    with connected(new.url) as connection:
        assert not sa.inspect(connection).has_table("letter")
    assert find_staging(new) == []
    assert new.migrate_from(old).status == 0


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("dask://10.255.255.1:8786", 2, "is spoken to over TLS alone"),
        ("tcp://127.0.0.1:8786", 2, "FERRY_EXECUTOR (environment) is 'tcp://127.0.0.1:8786'"),
        ("dask://127.0.0.1:1", 1, "No Dask scheduler answers at dask://127.0.0.1:1"),
    ],
)
def test_a_cluster_that_cannot_be_used(
    old: SmallHost, postgresql: Any, tmp_path: Path, address: str, status: int, words: str
) -> None:
    name = new_name()
    postgresql.execute(f"CREATE DATABASE {name}")
    new = SmallHost(tmp_path, postgresql.url(name))
    new.revise(*CREATE)
    done = new.flask(
        *("db-migrate-data", "--yes"),
        FLASK_FERRY_SOURCE=old.url.render_as_string(),
        FLASK_FERRY_EXECUTOR=address,
        DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s",
    )
    assert done.status == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert find_staging(new) == []


def test_a_file_is_written_without_the_cluster(old: SmallHost, tmp_path: Path) -> None:
    new = SmallHost(tmp_path, sa.make_url(f"sqlite:///{tmp_path / 'new.db'}"))
    new.revise(*CREATE)
    done = new.flask(
        *("db-migrate-data", "--yes"),
        FLASK_FERRY_SOURCE=old.url.render_as_string(),
        FLASK_FERRY_EXECUTOR="dask://127.0.0.1:1",
    )
    assert done.status == 0, done.stderr
    assert "dask://127.0.0.1:1 is not used: SQLite is written by one process" in done.stderr
    assert read(new) == (LETTERS, ROWS)
