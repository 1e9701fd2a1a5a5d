"""MySQL and MariaDB: a backup file that one thread writes, and another one restores as far as it is written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO

from ...errors import BackupFailed

_BUFFER_BYTES = 1 << 20
"""A statement with rows has about as many."""
_LOOK_S = 0.1
"""How long a reader waits at a time: what ends its thread reaches it in between."""


class Growing:
    """A file, written up to the end of a statement whenever that is told, and read line by line up to there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = threading.Condition()
        self._written = self._read = 0
        self._is_whole = self._is_given_up = False
        self._file: IO[bytes] | None = None

    def reach(self, place: int) -> None:
        """Say that the file has its first bytes up to ``place``, which is behind the end of a line."""
        with self._changed:
            self._written = place
            self._changed.notify()

    def end(self, *, whole: bool) -> None:
        """Say that nothing more is written.

        :param whole: whether that is all of it, and not because of an error.
        """
        with self._changed:
            self._is_whole, self._is_given_up = whole, not whole
            self._changed.notify()

    def readline(self) -> bytes:
        """The next line as soon as it is there; empty behind the last.

        :raises BackupFailed: the file will never be whole.
        """
        if not self._wait():
            return b""
        if self._file is None:
            self._file = self.path.open("rb", _BUFFER_BYTES)
        line = self._file.readline()
        self._read += len(line)
        return line

    def _wait(self) -> bool:
        """Whether there is another line."""
        with self._changed:
            while self._read >= self._written and not self._is_whole:
                if self._is_given_up:
                    raise BackupFailed(f"{self.path} was not written to its end.")
                self._changed.wait(_LOOK_S)
            return self._read < self._written

    def close(self) -> None:
        """Close the reader's file."""
        if self._file is not None:
            self._file.close()
