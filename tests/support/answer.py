"""Run a command at a terminal and answer its question with yes: ``python answer.py PROGRAM ARGUMENT ...``."""

from __future__ import annotations

import os
import pty
import sys

QUESTION = b"[y/N]: "


def main(command: list[str]) -> int:
    seen = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        waiting = QUESTION not in seen
        seen.extend(data)
        if waiting and QUESTION in seen:
            os.write(descriptor, b"y\n")
        return data

    return os.waitstatus_to_exitcode(pty.spawn(command, read))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
