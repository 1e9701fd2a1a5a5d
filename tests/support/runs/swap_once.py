"""A swap of its own process that kills itself at one of its statements: ``swap_once URL STAGING OLD NUMBER WHEN``.

It prints how many statements it sent, where it lives to its end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from app.dialects.model import LateWrite
from app.dialects.mysql.dialect import MySqlDialect
from app.dialects.mysql.driver import Connection

HOLD_S = 20.0


def main() -> None:
    target, staging, old = map(make_url, sys.argv[1:4])
    number, after = int(sys.argv[4]), sys.argv[5] == "after"
    dialect = MySqlDialect(Path("/nonexistent"), None)
    count, lock = [0], threading.Lock()
    send = Connection._execute_command

    def execute(self: Any, command: int, sql: Any) -> None:
        with lock:
            count[0] += 1
            mine = count[0] == number
        if mine and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        send(self, command, sql)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)

    with dialect.fence(target) as fence, fence.hold(HOLD_S):
        token = fence.token()
        Connection._execute_command = execute  # type: ignore[method-assign]
        try:
            dialect.swap(staging, target, old, fence, token, timeout_s=HOLD_S)
        except LateWrite:
            print("late")
        Connection._execute_command = send  # type: ignore[method-assign]
    print(count[0])


if __name__ == "__main__":
    main()
