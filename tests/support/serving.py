"""Apps served by gunicorn as processes of their own, and a proxy that breaks connections off."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.support.deployment.gunicorn_conf import LIFELINE
from tests.support.site import ROOT

START_LIMIT_S = 20.0
STOP_LIMIT_S = 4.0


class Server:
    """One app served on a free loopback port while the ``with`` block lasts.

    :param app: ``module:factory()``.
    :param environ: its whole environment.
    """

    def __init__(self, app: str, environ: dict[str, str], log: Path) -> None:
        self._app, self._environ, self._log = app, environ, log
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process whose children answer."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        reading, self._lifeline = os.pipe()
        with socket.create_server(("127.0.0.1", 0)) as listener, self._log.open("ab") as log:
            self.port = listener.getsockname()[1]
            command = [sys.executable, "-m", "gunicorn", "-c", "python:tests.support.deployment.gunicorn_conf"]
            command += ["--bind", f"fd://{listener.fileno()}", "--no-control-socket", "--threads", "4", self._app]
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environ | {LIFELINE: str(reading), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(reading, listener.fileno()),
                start_new_session=True,
            )
        os.close(reading)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait(self) -> None:
        assert self._process
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until and self._process.poll() is None:
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            with contextlib.closing(client), contextlib.suppress(OSError, http.client.HTTPException):
                client.request("GET", "/ferry/")
                if client.getresponse().status == 200:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"The server did not start:\n{self._log.read_text(errors='replace')[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it at once, with all its workers."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGQUIT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_LIMIT_S)
            os.close(self._lifeline)


class Proxy:
    """Passes connections on to a server, and closes those that ask for a path after so many bytes of the answer.

    :ivar times: how many more answers are broken off.
    """

    def __init__(self, port: int, path: str, *, after_bytes: int, times: int) -> None:
        self._to, self._path, self._after, self.times = port, path.encode(), after_bytes, times
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        # Wakes accept(), which close() alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        # A server that was killed refuses: the client sees its connection closed.
        with (
            contextlib.suppress(ConnectionRefusedError),
            client,
            socket.create_connection(("127.0.0.1", self._to), timeout=20) as server,
        ):
            left: list[int | None] = [None]
            back = threading.Thread(target=self._answers, args=(server, client, left), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while asked := client.recv(1 << 16):
                    left[0] = self._limit(asked)
                    server.sendall(asked)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join(20)

    def _limit(self, asked: bytes) -> int | None:
        if self._path not in asked.split(b"\r\n")[0]:
            return None
        self.asked += 1
        if self.times <= 0:
            return None
        self.times -= 1
        return self._after

    @staticmethod
    def _answers(server: socket.socket, client: socket.socket, left: list[int | None]) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(1 << 12):
                if left[0] is not None:
                    if len(answer) >= left[0]:
                        client.sendall(answer[: left[0]])
                        break
                    left[0] -= len(answer)
                client.sendall(answer)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(server: Server, *, after_bytes: int = 4000, times: int) -> Iterator[Proxy]:
    """A proxy that breaks the export off."""
    proxy = Proxy(server.port, "/ferry/export", after_bytes=after_bytes, times=times)
    try:
        yield proxy
    finally:
        proxy.close()
