"""Serve an old deployment in the foreground until SIGTERM or SIGINT: ``python -m tests.support.deployment``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from .data import Shape, volume
from .runner import Deployment, DeploymentFailed
from .settings import NEWER, STYLES, Settings


def main(arguments: list[str] | None = None) -> int:
    """Make the data, start, say where, wait; 0 after a signal, 1 when the server ends by itself."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    settings = Settings(style=options.style, cheap=options.cheap, production_cookie=options.production_cookie)
    deployment = Deployment(options.directory, settings, shape=_shape(options), port=options.port)
    try:
        with deployment:
            _announce(deployment, options.ready_file)
            while deployment.running and not ended.wait(0.2):
                pass
    except DeploymentFailed as failed:
        sys.stderr.write(f"{failed}\n")
    return 0 if ended.is_set() else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.support.deployment", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where its database and logs go")
    parser.add_argument("--users", type=int, help="how many users (default 520)")
    parser.add_argument("--posts", type=int, help="how many posts (default 2100)")
    parser.add_argument("--seed", type=int, help="another data set of the same kind (default 20)")
    parser.add_argument("--style", choices=STYLES, default=NEWER)
    parser.add_argument("--cheap", action="store_true", help="cheap pages and few replies, for volume")
    parser.add_argument("--production-cookie", action="store_true", help="Domain, Secure, SameSite=None")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--ready-file", type=Path, help="written when it answers: url, uid, password, pid")
    return parser


def _shape(options: argparse.Namespace) -> Shape:
    base = volume() if options.cheap else Shape()
    given = {name: getattr(options, name) for name in ("users", "posts", "seed")}
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _announce(deployment: Deployment, ready_file: Path | None) -> None:
    """Print where it is, and write the ready file in one piece."""
    print(f"old deployment at {deployment.url}, database {deployment.database}", flush=True)
    if ready_file is None:
        return
    known = {
        "url": deployment.url,
        "uid": deployment.uid,
        "password": deployment.password,
        "database": str(deployment.database),
        "pid": os.getpid(),
    }
    beside = ready_file.with_name(ready_file.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(known, file)
    beside.replace(ready_file)


if __name__ == "__main__":
    raise SystemExit(main())
