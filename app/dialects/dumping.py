"""A backup file on its way, in parts that two threads do at the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import URL


def _nothing() -> None:
    """There is nothing to be done."""


@dataclass(frozen=True)
class Dump:
    """What is left to be done once a dump is begun.

    :ivar here: the part that needs the session which reads the image, so it is for the thread that reads.
    :ivar beside: the rest of the file, which another thread may write while the image is read.
    :ivar restore: restores the file into a scratch database while :attr:`here` writes it, in another thread, and does
        not end before it is whole; None where a file has to be whole before it can be restored.
    """

    here: Callable[[], None] = _nothing
    beside: Callable[[], None] = _nothing
    restore: Callable[[URL], None] | None = None
