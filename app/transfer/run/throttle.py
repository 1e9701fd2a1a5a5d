"""How fast a migration goes, where it shares servers with users: so many rows a second, or while a server has time.

Nothing waits here while writers wait: only steps before that, reading and loading, come by.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...errors import FerryError, Misconfigured

if TYPE_CHECKING:
    from ...dialects.reader import Reader

T = TypeVar("T")
Progress = Callable[[str, int, int | None], None]
HOW = "Use rows a second (5000), the statements that a server may have at work (load=8), or both (5000,load=8)."
OPTION = "--throttle"
AT_ONCE_S = 0.02
"""Rows of so long a time are let through together: a system's shortest sleep is not much less."""
LOOK_EVERY_S = 1.0
POLL_S = 0.5
SAY_EVERY_S = 30.0
MOST_WAITED_S = 3600.0
"""For a server that never has time: then the run ends, and live is what it was."""

_ROWS, _LOAD = re.compile(r"[1-9][0-9]{0,8}"), re.compile(r"load=([1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Limits:
    """What ``--throttle`` says.

    :ivar text: as it was written. :ivar named: where.
    :ivar rows: read of the source, and loaded, a second at most; None: any number.
    :ivar busy: statements of others that a server may have at work; None: any number.
    """

    text: str
    named: str
    rows: int | None = None
    busy: int | None = None


def parse_throttle(text: str | None, origin: str = "option") -> Limits | None:
    """``5000``, ``load=8`` or both with a comma between; None where there is no limit.

    :raises Misconfigured: anything else.
    """
    if not text:
        return None
    rows = busy = None
    for word in text.split(","):
        if _ROWS.fullmatch(word) and rows is None:
            rows = int(word)
        elif (match := _LOAD.fullmatch(word)) and busy is None:
            busy = int(match[1])
        else:
            where = OPTION if origin == "option" else origin
            raise Misconfigured(f"FERRY_THROTTLE ({where}) is {text[:40]!r}.", hint=HOW)
    return Limits(text, OPTION if origin == "option" else f"FERRY_THROTTLE ({origin})", rows, busy)


class Throttle:
    """Lets a run go as fast as it may, and remembers how long it was held up.

    :param say: is given what is waited for, and for how many seconds at most.
    :ivar waited: by what it is held up, and for how many seconds so far; empty where there is no limit.
    """

    def __init__(self, limits: Limits | None, say: Callable[[str, int], object]) -> None:
        self.limits, self._say = limits, say
        self.waited: dict[str, Any] = {"by": limits.text, "rows_s": 0.0, "load_s": 0.0} if limits else {}
        self._servers: dict[str, Callable[[], int | None]] = {}
        self._looked_at = 0.0

    def watch(self, name: str, count: Callable[[], int | None]) -> None:
        """Heed the load of a server from now on, where there is one and its load counts.

        :param name: for people.
        :param count: how many statements of others are at work there; None where there is no server.
        """
        if self.limits and self.limits.busy is not None and count() is not None:
            self._servers[name] = count

    def give_up_unwatched(self) -> str:
        """As :meth:`give_up`, where a load counts, and there is no server that has one; the number of rows stays.

        :raises Misconfigured: it was asked for with this command.
        """
        limits = self.limits
        if limits is None or limits.busy is None or self._servers:
            return ""
        why = "is for database servers: neither the source nor the target is on one whose load could be asked."
        words = _refuse_option(limits, why, "Give rows a second alone (--throttle 5000), or leave it out.")
        self._limit(replace(limits, busy=None) if limits.rows else None)
        return words

    def give_up(self, why: str) -> str:
        """Go on without a limit that is a setting, as one of a server's hooks is, and cannot be kept here.

        :return: what there is to say about that; an empty text where there is no limit.
        :raises Misconfigured: it was asked for with this command.
        """
        if self.limits is None:
            return ""
        words = _refuse_option(self.limits, why, "Run it without, when the server has little to do.")
        self._limit(None)
        return words

    def _limit(self, limits: Limits | None) -> None:
        self.limits = limits
        if limits is None:
            self.waited.clear()

    @property
    def most_at_once(self) -> float:
        """How many rows may be loaded together: those of a second."""
        return self.limits.rows if self.limits and self.limits.rows else math.inf

    def lane(self) -> Lane:
        """The lane of one thing that goes on: reading the source, or loading."""
        return Lane(self)

    def wait_for_load(self) -> None:
        """Wait while a server has more at work than it may.

        :raises FerryError: for longer than anybody would wait.
        """
        if not self._servers or time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        began = say_from = time.monotonic()
        while (name := self._find_busy()) is not None:
            now = time.monotonic()
            if now - began >= MOST_WAITED_S:
                raise FerryError(
                    f"{name} had more than {self._most} statements at work for {MOST_WAITED_S / 60:g} minutes.",
                    hint="Run again when it has less to do, or with a higher load.",
                )
            if now >= say_from:
                rest_s = round(MOST_WAITED_S - (now - began))
                self._say(f"{name} has more than {self._most} statements at work; waiting until it has not", rest_s)
                say_from = now + SAY_EVERY_S
            time.sleep(POLL_S)
            self.add("load_s", time.monotonic() - now)
        self._looked_at = time.monotonic()

    def add(self, what: str, seconds: float) -> None:
        """Remember that it was held up."""
        self.waited[what] = round(self.waited[what] + seconds, 3)

    @property
    def _most(self) -> float:
        return self.limits.busy if self.limits and self.limits.busy is not None else math.inf

    def _find_busy(self) -> str | None:
        return next((name for name, count in self._servers.items() if _ask(name, count) > self._most), None)

    def describe(self) -> str:
        """What was waited for, in a sentence; an empty text where there is no limit."""
        if self.limits is None:
            return ""
        waited = [f"{self.waited['rows_s']:.1f} s for rows"] if self.limits.rows else []
        if self._servers:
            waited.append(f"{self.waited['load_s']:.1f} s for the load of {' and of '.join(self._servers)}")
        return f"Throttled by {self.limits.text}: waited {' and '.join(waited)}."


def _refuse_option(limits: Limits, why: str, hint: str) -> str:
    """:raises Misconfigured: what cannot be kept was asked for with this command."""
    words = f"{limits.named} {why}"
    if limits.named == OPTION:
        raise Misconfigured(words, hint=hint)
    return words


def _ask(name: str, count: Callable[[], int | None]) -> int:
    """:raises FerryError: it is not answered. No snapshot stands in for that, as for a source that does not answer."""
    try:
        return count() or 0
    except FerryError as error:
        raise FerryError(f"{name} does not say any more how much it has to do: {error.message}") from error


class Lane:
    """Rows of one kind, each after the other as fast as they may come. Time that nobody used is not saved up."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._rate = throttle.limits.rows if throttle.limits else None
        self._at_once = max(1, round((self._rate or 1000 / AT_ONCE_S) * AT_ONCE_S))
        self._until = 0.0

    def rows(self, rows: Iterable[T]) -> Iterator[T]:
        """The same rows, no faster than they may come; where there is no limit they themselves."""
        return iter(rows) if self._throttle.limits is None else self._slow_down(rows)

    def _slow_down(self, rows: Iterable[T]) -> Iterator[T]:
        waiting, most = 0, self._at_once
        for row in rows:
            yield row
            waiting += 1
            if waiting >= most:
                self.wait_behind(waiting)
                waiting = 0
        self.wait_behind(waiting)

    def wait_behind(self, count: int) -> None:
        """So many rows came through: wait until the next may."""
        if self._throttle.limits is None or not count:
            return
        self._throttle.wait_for_load()
        if self._rate is None:
            return
        now = time.monotonic()
        self._until = max(self._until + count / self._rate, now) if self._until else now + count / self._rate
        if self._until > now:
            time.sleep(self._until - now)
            self._throttle.add("rows_s", self._until - now)

    def heed(self, progress: Progress) -> Progress:
        """The same report of how many there are so far, made after each page or so, which waits for those that came."""
        before: dict[str, int] = {}

        def report(name: str, count: int, total: int | None) -> None:
            progress(name, count, total)
            came = count - before.get(name, 0)
            before[name] = count
            # What is read once more begins with none.
            self.wait_behind(came if came >= 0 else count)

        return report

    def reader(self, reader: Reader) -> Reader:
        """A read whose rows come no faster than they may; where there is no limit it itself."""
        return reader if self._throttle.limits is None else cast("Reader", _Slowed(reader, self))


class _Slowed:
    """A read of a database, in all but its rows."""

    def __init__(self, reader: Reader, lane: Lane) -> None:
        self._reader, self._lane = reader, lane

    def rows(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        return self._lane.rows(self._reader.rows(*arguments, **named))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)
