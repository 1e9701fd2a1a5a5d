"""Runs commands as processes of their own without importing the app for each: every command is a fork of this program.

One JSON object a line comes in. ``{"arguments": [...], ...}`` starts a command and is answered with its process id;
``{"wait": pid}`` is answered with its status when it has ended (a signal's number negated).
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import sys
import termios
import traceback
from typing import Any

from flask import cli

from tests.support.forkserver import import_what_commands_use
from tests.support.runs import host  # noqa: F401
from tests.support.site import MODULES


def serve() -> None:
    """Answer until the input ends."""
    import_what_commands_use(MODULES)
    # Else the first collection of every command would copy all pages that hold objects.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            sys.stdout.flush()
            answer = os.fork()
            if answer == 0:
                _become(request)
        print(answer, flush=True)


def _become(request: dict[str, Any]) -> None:
    status = 1
    try:
        _redirect(request)
        os.environ.clear()
        os.environ.update(request["environ"])
        os.chdir(request["cwd"])
        for name, parameters in request["hooks"]:
            module, _, function = name.partition(":")
            getattr(importlib.import_module(module), function)(**parameters)
        sys.argv = ["flask", *request["arguments"]]
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _redirect(request: dict[str, Any]) -> None:
    if terminal := request.get("terminal"):
        os.setsid()
        places = [os.open(terminal, os.O_RDWR)] * 3
        fcntl.ioctl(places[0], termios.TIOCSCTTY, 0)
    else:
        places = [
            os.open(os.devnull, os.O_RDONLY),
            *(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("stdout", "stderr")),
        ]
    for number, place in enumerate(places):
        os.dup2(place, number)
    # New ones: those of this program remember what they were opened on.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    serve()
