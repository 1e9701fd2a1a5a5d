"""gunicorn's configuration: small, quiet, and gone when whoever started it is gone."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

LIFELINE = "OLD_DEPLOYMENT_LIFELINE"

worker_class = "gthread"
graceful_timeout = 1
timeout = 60
keepalive = 5
loglevel = "warning"


def when_ready(server: Any) -> None:
    """Watch the lifeline: a pipe whose other end only the starting process holds, so it ends with that process."""
    handle = os.environ.get(LIFELINE)
    if handle is not None:
        threading.Thread(target=_watch, args=(int(handle),), daemon=True).start()


def _watch(handle: int) -> None:
    while os.read(handle, 1):
        pass
    os.kill(os.getpid(), signal.SIGQUIT)
