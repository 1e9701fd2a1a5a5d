"""Tries every order in which actors can take their steps, up to a number of switches that nothing forces.

Actors are functions that run in threads of their own, one at a time: each calls :meth:`Actor.point` where another one
may come between. What happened is played again from its beginning for every order, so a play must be deterministic.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

STUCK_S = 60.0


class CannotGoOn(Exception):  # of a play, no error of what is played
    """Whose turn it is to be cannot take it.

    :ivar turn: how many turns were taken.
    """

    def __init__(self, turn: int, name: str) -> None:
        super().__init__(f"turn {turn}: {name}; the play is not the same again, or cannot be given so")
        self.turn = turn


class Killed(BaseException):
    """An actor's process has ended here; nothing catches it."""


class Actor:
    """One thread of a play, at rest until it is given its turn."""

    def __init__(self, name: str, work: Callable[[Actor], None]) -> None:
        self.name = name
        self.ended = self.killed = False
        self.waits_for: Callable[[], bool] = lambda: True
        self.error: BaseException | None = None
        self._work = work
        self._turn, self._rest = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._turn.acquire()
        try:
            if not self.killed:
                self._work(self)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 # the play raises it
            self.error = error
        self.ended = True
        self._rest.release()

    def point(self, waits_for: Callable[[], bool] = lambda: True) -> None:
        """Another actor may come between here; go on when ``waits_for`` is true."""
        self.waits_for = waits_for
        self._rest.release()
        self._turn.acquire()
        if self.killed:
            raise Killed

    def step(self) -> None:
        """Let it run to its next point, or to its end."""
        self._turn.release()
        assert self._rest.acquire(timeout=STUCK_S), f"{self.name} is stuck"

    def kill(self) -> None:
        """End it where it is: what it holds is let go, and nothing more of it is done."""
        if not self.ended:
            self.killed = True
            self.step()


@dataclass
class Play:
    """What the actors of one play are, and which of their orders is played."""

    choices: list[str]
    taken: list[tuple[str, list[str]]] = field(default_factory=list)
    """At each turn who took it, and who else could have."""

    def perform(self, actors: Mapping[str, Actor], look: Callable[[], None] = lambda: None) -> None:
        """Give turns until nobody can go on.

        :param look: called after each turn.
        :raises BaseException: the first error of an actor.
        :raises CannotGoOn: an order that cannot be.
        """
        last = ""
        while ready := [name for name, actor in actors.items() if not actor.ended and actor.waits_for()]:
            turn = len(self.taken)
            if turn < len(self.choices):
                last = self.choices[turn]
            elif last not in ready:
                last = ready[0]
            if last not in ready:
                raise CannotGoOn(turn, last)
            self.taken.append((last, ready))
            actors[last].step()
            if error := actors[last].error:
                raise error
            look()


def all_plays(perform: Callable[[Play], None], *, switches: int, seed: int = 0) -> Iterator[Play]:
    """Perform every order with at most so many switches that nothing forces; yields each when it was performed.

    Whoever stops early has seen orders from everywhere, the same for a seed.
    """
    waiting: list[tuple[list[str], int]] = [([], 0)]
    dice = random.Random(seed)
    while waiting:
        choices, spent = waiting.pop(dice.randrange(len(waiting)))
        play = Play(choices)
        perform(play)
        yield play
        names = [name for name, _ in play.taken]
        for turn in range(len(choices), len(names)):
            before = names[turn - 1] if turn else ""
            for other in play.taken[turn][1]:
                cost = spent + (before in play.taken[turn][1] and other != before)
                if other != names[turn] and cost <= switches:
                    waiting.append(([*names[:turn], other], cost))
