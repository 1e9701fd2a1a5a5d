"""A private Galera cluster: three MariaDB servers, each of which takes writes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import free_port
from .mariadb import ON_MYSQL, MariaDB

NODES = 3
JOIN_LIMIT_S = 60.0
_PROVIDERS = ("/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
# As root, the daemon that receives files would write as nobody, who may not.
_METHOD = """#!/bin/bash
rsync() {
    if [ "$1" != --daemon ]; then command rsync "$@"; return; fi
    for word; do case "$word" in *.conf) sed -i "1iuid = 0\\ngid = 0" "$word" ;; esac; done
    exec rsync "$@"
}
export -f rsync
exec bash -ue "$(command -v wsrep_sst_rsync)" "$@"
"""
# Found dead soon: by default the others wait 5 s to suspect a node, and 15 s more to go on without it.
_SOON = (
    "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.3S;evs.suspect_timeout=PT1.5S;evs.inactive_timeout=PT3S"
)


def find_lacking() -> str:
    """What a cluster lacks on this machine, in words; an empty text where it can be had."""
    if ON_MYSQL or not shutil.which("mariadbd"):
        return "no MariaDB is installed"
    if not _find_provider():
        return "galera-4 is not installed"
    return "" if shutil.which("rsync") else "rsync is not installed"


def _find_provider() -> str:
    return next((path for path in _PROVIDERS if Path(path).exists()), "")


class Galera:
    """Three servers that hold the same; ``nodes[0]`` is the first of them.

    :param options: further options of each ``mariadbd``.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self._programs = directory / "programs"
        self._ports = [free_port() for _ in range(NODES)]
        self.nodes = [MariaDB(directory / f"node{i}", *self._of(i), *options) for i in range(NODES)]

    def _of(self, number: int) -> list[str]:
        port = self._ports[number]
        provider = f"gmcast.listen_addr=tcp://127.0.0.1:{port};ist.recv_addr=127.0.0.1:{free_port()};gcache.size=32M;"
        return [
            "--wsrep-on=ON",
            f"--wsrep-provider={_find_provider()}",
            f"--wsrep-provider-options={provider}{_SOON}",
            "--wsrep-cluster-name=ferry",
            f"--wsrep-cluster-address=gcomm://{','.join(f'127.0.0.1:{other}' for other in self._ports)}",
            f"--wsrep-node-address=127.0.0.1:{port}",
            f"--wsrep-node-name=node{number}",
            "--wsrep-sst-method=ferry",
            f"--wsrep-sst-receive-address=127.0.0.1:{free_port()}",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
        ]

    def start(self) -> None:
        """Start the first server, and the others, which are sent all that it has."""
        self.nodes[0].prepare()
        self._found()

    def begin_again(self) -> None:
        """Make a new cluster of what the first node holds; the others forget what they had."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes[1:]:
            shutil.rmtree(node.data)
        (self.nodes[0].data / "grastate.dat").unlink(missing_ok=True)
        self._found()

    def _found(self) -> None:
        with _with_options(self.nodes[0], "--wsrep-new-cluster"), _with_method(self._programs):
            self.nodes[0].start()
        for node in self.nodes[1:]:
            node.data.mkdir(parents=True)
            self.join(node)
        self.wait()

    def join(self, node: MariaDB) -> None:
        """Start a node beside others that run: it is sent what it lacks, or everything where it was killed."""
        with _with_method(self._programs):
            node.start()

    def wait(self, count: int = NODES) -> None:
        """Wait until each running node sees so many that work."""
        deadline = time.monotonic() + JOIN_LIMIT_S
        while not all(self.sees(node) == count for node in self.nodes if node.is_running):
            assert time.monotonic() < deadline, [self.sees(node) for node in self.nodes if node.is_running]
            time.sleep(0.05)

    @staticmethod
    def sees(node: MariaDB) -> int:
        """How many nodes a node works together with; 0 where it does not work itself."""
        status = dict(
            node.execute(
                "SHOW GLOBAL STATUS WHERE variable_name IN ('wsrep_ready', 'wsrep_cluster_size', "
                "'wsrep_local_state_comment')"
            )
        )
        works = status["wsrep_ready"] == "ON" and status["wsrep_local_state_comment"] == "Synced"
        return int(status["wsrep_cluster_size"]) if works else 0

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


@contextmanager
def _with_method(directory: Path) -> Iterator[None]:
    """Let servers that are started meanwhile find the program that sends and receives their files."""
    program = directory / "wsrep_sst_ferry"
    if not program.exists():
        directory.mkdir(parents=True)
        program.write_text(_METHOD if os.getuid() == 0 else '#!/bin/sh\nexec wsrep_sst_rsync "$@"\n')
        program.chmod(0o755)
    former = os.environ["PATH"]
    os.environ["PATH"] = f"{directory}:{former}"
    try:
        yield
    finally:
        os.environ["PATH"] = former


@contextmanager
def _with_options(node: MariaDB, *options: str) -> Iterator[None]:
    former = node.options
    node.options = (*former, *options)
    try:
        yield
    finally:
        node.options = former
