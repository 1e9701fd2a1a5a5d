"""What a run tells its caller, and asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from .plan import Question


@dataclass(frozen=True)
class Event:
    """Something a person or a program that watches a run is told.

    :ivar kind: ``step``, ``step-end``, ``progress``, ``waiting``, ``note`` or ``warning``.
    :ivar step: the step at work, if there is one.
    """

    kind: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    step: str | None = None


@dataclass(frozen=True)
class Hooks:
    """What the engine asks its caller for.

    :ivar emit: takes events.
    :ivar ask: returns when the question is answered with yes, else raises NotConfirmed or Protected.
    :ivar permit: asks nobody; raises Protected where no answer would help, for a dry run.
    :ivar hold_signals: while it is open, signals wait.
    """

    emit: Callable[[Event], None] = lambda _event: None
    ask: Callable[[Question], None] = lambda _question: None
    permit: Callable[[Question], None] = lambda _question: None
    hold_signals: Callable[[], AbstractContextManager[None]] = nullcontext
