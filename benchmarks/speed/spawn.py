"""Run a line of shell, end as it does, and print its seconds, the CPU seconds and the peak of its processes in KiB.

It is a process of its own because a child's peak is at least that of the process that forked it: this one is small.
What the line itself prints goes to stderr.
"""

from __future__ import annotations

import os
import sys
import time


def spawn(command: str) -> int:
    """Run the line; its exit status."""
    start = time.monotonic()
    arguments = ["bash", "-o", "pipefail", "-c", command]
    pid = os.posix_spawnp("bash", arguments, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    _, status, usage = os.wait4(pid, 0)
    print(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(abs(spawn(sys.argv[1])))
