"""Runs ``flask ...`` as processes of their own without importing anything for each: every command forks this program.

``python -P forkserver.py SOCKET MODULE...`` imports the modules, listens, and ends with its standard input. One
connection is one command: a request in JSON comes with the three standard descriptors, the process id goes back at
once, and the status (a signal's number negated) when the command has ended. Nothing here may need more than Python's
own library: a host app's interpreter has no tests.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.metadata
import io
import json
import os
import runpy
import selectors
import socket
import sys
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REQUEST_BYTES = 1 << 20


def main() -> None:
    path, *modules = sys.argv[1:]
    import_what_commands_use(modules)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen(64)
        Path(f"{path}.new").rename(path)
        # Else the first collection of every command would copy all pages that hold objects.
        gc.collect()
        gc.freeze()
        # A command lives for a second: what it would collect goes with it.
        gc.set_threshold(50_000, 20, 20)
        request = serve(listener)
    if request:
        become(**request)


def import_what_commands_use(modules: Iterable[str]) -> None:
    """Import modules, and the other commands that Flask looks through each time, with all that they import."""
    for name in modules:
        importlib.import_module(name)
    for point in importlib.metadata.entry_points(group="flask.commands"):
        point.load()


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Fork for every connection. Returns what to do, in a fork; in this program nothing, when its input has ended."""
    with contextlib.ExitStack() as running, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    return None
                if key.fileobj is not listener:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    tell(*key.data)
                    continue
                connection, _ = listener.accept()
                running.callback(connection.close)
                text, descriptors, *_ = socket.recv_fds(connection, REQUEST_BYTES, 3)
                while more := connection.recv(REQUEST_BYTES):
                    text += more
                pid = os.fork()
                if pid == 0:
                    take(descriptors)
                    return json.loads(text)
                for descriptor in descriptors:
                    os.close(descriptor)
                connection.sendall(f"{pid}\n".encode())
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (connection, pid))


def tell(connection: socket.socket, pid: int) -> None:
    """Answer how a command ended, to whoever may have stopped listening."""
    _, status = os.waitpid(pid, 0)
    with connection, contextlib.suppress(OSError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def take(descriptors: list[int]) -> None:
    """Make them the standard ones. Python's own files of those are kept: modules hold them since they were imported."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)


def become(arguments: list[str], environ: dict[str, str], cwd: str, hooks: list[tuple[str, dict[str, Any]]]) -> None:
    """Be ``python -m flask ...`` to its end."""
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    sys.path[:0] = [cwd, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    for name, parameters in hooks:
        module, _, function = name.partition(":")
        getattr(importlib.import_module(module), function)(**parameters)
    sys.argv = ["flask", *arguments]
    try:
        runpy.run_module("flask", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        # A text is the interpreter's to print, as any other end is its own.
        if not isinstance(end.code, int | None):
            raise
        status = end.code or 0
    leave(status)


def leave(status: int) -> None:
    """End as the interpreter does, but for freeing what the program imported: that takes longer than most commands."""
    threading._shutdown()
    atexit._run_exitfuncs()
    tell_what_is_open()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def tell_what_is_open() -> None:
    """Warn of files and sockets that the command has left open, as they do when they are freed.

    What was there before the fork is frozen, and so in no generation.
    """
    gc.collect()
    # A proxy says that it is of the class of what it stands for, or, where that is gone, raises an error.
    for thing in [one for one in gc.get_objects() if type(one) not in weakref.ProxyTypes]:
        if isinstance(thing, socket.socket) and thing.fileno() != -1:
            sys.stderr.write(f"ResourceWarning: unclosed {thing!r}\n")
        elif isinstance(thing, io.FileIO) and not thing.closed and thing.closefd and thing.fileno() > 2:
            sys.stderr.write(f"ResourceWarning: unclosed file {thing!r}\n")


if __name__ == "__main__":
    main()
