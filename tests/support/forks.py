"""``flask ...`` as a process of its own that need not import what it uses: a fork of ``forkserver.py``."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(__file__).with_name("forkserver.py")
START_LIMIT_S = 120.0
Hook = tuple[str, dict[str, Any]]


class Forked:
    """A command that was started; used as :class:`subprocess.Popen` is."""

    def __init__(self, connection: socket.socket, stdout: IO[str], stderr: IO[str]) -> None:
        self._answers = connection.makefile("r")
        self._connection = connection
        self._files = (stdout, stderr)
        self._written: tuple[str, str] | None = None
        self.returncode: int | None = None
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        try:
            return self.wait(0.001)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its status; of one that does not end in time an error, and it runs on."""
        if self.returncode is None:
            # A file of a socket is of no use after its time was up once, so that is found out before.
            self._connection.settimeout(timeout)
            try:
                self._connection.recv(1, socket.MSG_PEEK)
            except TimeoutError as error:
                raise subprocess.TimeoutExpired("flask", timeout or 0) from error
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote until its end."""
        self.wait(timeout)
        if self._written is None:
            self._written = _text(self._files[0]), _text(self._files[1])
        return self._written


def _text(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()


class _Server:
    def __init__(self, python: str, modules: Iterable[str], environ: Mapping[str, str]) -> None:
        # A socket's path must be short (108 bytes).
        self._directory = tempfile.TemporaryDirectory(prefix="ferry-")
        self._path = str(Path(self._directory.name) / "s")
        command = [python, "-P", str(PROGRAM), self._path, *modules]
        # It ends with its input, and so with this program, however that ends.
        self._process = subprocess.Popen(command, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_S
        while not Path(self._path).exists():
            assert self._process.poll() is None, "the program to fork from ended"
            assert time.monotonic() < deadline, "the program to fork from does not listen"
            time.sleep(0.01)

    def start(self, request: Mapping[str, Any]) -> Forked:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        stdout, stderr = (tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2))  # noqa: SIM115
        with open(os.devnull) as nothing:
            descriptors = [file.fileno() for file in (nothing, stdout, stderr)]
            socket.send_fds(connection, [json.dumps(request).encode()], descriptors)
        connection.shutdown(socket.SHUT_WR)
        return Forked(connection, stdout, stderr)


@functools.cache
def _server(python: str, modules: tuple[str, ...], environ: tuple[tuple[str, str], ...]) -> _Server:
    return _Server(python, modules, dict(environ))


def start_flask(
    arguments: Iterable[str],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    python: Path | str = sys.executable,
    modules: tuple[str, ...],
    root: Path | None = None,
    hooks: Iterable[Hook] = (),
) -> Forked:
    """Start ``python -m flask ...`` without a terminal.

    :param modules: what its program has imported before.
    :param root: where these are, when they are not installed.
    :param hooks: functions, ``module:name``, that are called in the process before the command begins.
    """
    # What an interpreter, or what is loaded with it, reads when it starts, which a fork does not do again.
    at_start = ("PYTHON", "LANG", "LC_", "LD_PRELOAD", "FAKETIME")
    own = {name: value for name, value in environ.items() if name.startswith(at_start)}
    own.pop("PYTHONPATH", None)
    if root:
        own["PYTHONPATH"] = str(root)
    server = _server(str(python), modules, tuple(sorted(own.items())))
    return server.start({"arguments": list(arguments), "environ": dict(environ), "cwd": str(cwd), "hooks": list(hooks)})
