"""What a command's process notes of its requests: a hook of :func:`tests.support.forks.start_flask`."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.transfer.sources.http import HttpClient
from app.transfer.sources.turns import Turns


@dataclass(frozen=True)
class Noted:
    """What a process did at a time.

    :param what: ``begin`` for a request, ``pause`` for a pause of all connections.
    :param path: of the request.
    :param at: seconds by the process's own clock, which only goes forward; a pause had been set by then.
    :param seconds: how long the pause is.
    :param until: it does not end before.
    """

    what: str
    at: float
    path: str = ""
    seconds: float = 0.0
    until: float = 0.0


def note_requests(file: str) -> None:
    """Write a line to a file for every request when it begins, and for every pause when it has been set."""
    begin, pause = HttpClient._request, Turns.pause

    def noted_begin(client: HttpClient, method: str, path: str, *args: Any, **options: Any) -> Any:
        _write(file, what="begin", at=time.monotonic(), path=path)
        return begin(client, method, path, *args, **options)

    def noted_pause(turns: Turns, seconds: float) -> None:
        until = time.monotonic() + seconds
        pause(turns, seconds)
        _write(file, what="pause", at=time.monotonic(), seconds=seconds, until=until)

    HttpClient._request, Turns.pause = noted_begin, noted_pause  # type: ignore[method-assign]


def _write(file: str, **values: Any) -> None:
    """Add a line in one write, so that lines of several threads do not mix."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, json.dumps(values).encode() + b"\n")
    finally:
        os.close(handle)


def read_notes(file: Path) -> list[Noted]:
    """What was noted, oldest first."""
    return sorted((Noted(**json.loads(line)) for line in file.read_text().splitlines()), key=lambda note: note.at)
