"""What a target is: a reader of the product, what it may raise, and how much memory and time it may take."""

from __future__ import annotations

import contextlib
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType

from app.errors import FerryError
from tests.support.site import ROOT

CORPUS = ROOT / "tests" / "fuzz" / "corpus"


class Refused(Exception):
    """The reader refused its bytes as it should."""


class Broken(Exception):
    """The reader broke a promise: an error without a place, another value than was written, too long, too much."""


@dataclass(frozen=True)
class Target:
    """A reader, from bytes to a value.

    :ivar read: gives the bytes to the reader and checks what comes of it; raises :class:`Refused` where it was refused
        by an error of ours, and anything else where it was not.
    :ivar examples: how many changed inputs ``make test`` tries.
    :ivar most_mib: of memory, on top of what the process has when the reader is called.
    :ivar most_s: for one input.
    """

    name: str
    read: Callable[[bytes], None]
    examples: int = 200
    most_mib: int = 256
    most_s: float = 10.0

    @property
    def corpus(self) -> Path:
        """Where its seeds lie, and what it once failed on."""
        return CORPUS / self.name


def run(target: Target, data: bytes) -> bool:
    """Give bytes to a target; whether it accepted them.

    :raises Exception: the target is not what it promises.
    """
    began = time.monotonic()
    with _deadline(target.most_s):
        try:
            target.read(data)
        except Refused:
            accepted = False
        else:
            accepted = True
    if (spent_s := time.monotonic() - began) > target.most_s:
        raise Broken(f"{target.name} took {spent_s:.1f} s for {len(data):,} bytes")
    return accepted


@contextlib.contextmanager
def refusals(*places: object, own: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn the errors that a reader may raise into :class:`Refused`.

    :param places: one of these stands in the message of an error of ours.
    :param own: what a reader in the middle raises, which another module of ours turns into its own error.
    """
    try:
        yield
    except FerryError as error:
        words = "\n".join([error.message, *error.details])
        if not any(str(place) in words for place in places):
            raise Broken(f"an error without a place ({', '.join(map(str, places))}): {words!r}") from error
        raise Refused from error
    except own as error:
        raise Refused from error


def expect(condition: object, words: str) -> None:
    """:raises Broken: it does not hold."""
    if not condition:
        raise Broken(words)


@cache
def scratch() -> Path:
    """A directory of this process, in memory where the machine has that: nothing in it has to last."""
    memory = Path("/dev/shm")
    directory = tempfile.TemporaryDirectory(prefix="ferry-fuzz-", dir=memory if memory.is_dir() else None)
    _directories.append(directory)
    return Path(directory.name)


_directories: list[tempfile.TemporaryDirectory[str]] = []


def put(name: str, data: bytes) -> Path:
    """A file with these bytes."""
    path = scratch() / name
    path.write_bytes(data)
    return path


@contextlib.contextmanager
def bounded(most_mib: int) -> Iterator[None]:
    """Let this process have so much memory more than it has, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (most_mib << 20), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Interrupt what does not end; only the main thread can be."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Broken(f"it did not end within {seconds:g} s")

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
