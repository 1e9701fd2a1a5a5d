"""Questions that SQLAlchemy asks one by one, asked in few texts before: over a network each text costs a round trip.

What asks is let run once to its first question that nobody knows the answer to, and is then stopped; so is each other
that may run beside it. Their questions are one text. With the answers they run on to the next ones, until none is left.
Afterwards the same questions, to the letter, are answered so, until another one comes: that goes to the server, as does
everything behind it, as it may have changed what the answers depend on, such as a search path.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

Question = tuple[str, Any]
"""A statement and its parameters, as the driver takes them."""
Answer = tuple[Any, Sequence[Any]]
"""The driver's description of the columns, and the rows."""
Send = Callable[[Any, Sequence[Question]], Sequence[Answer] | None]
"""Asks over a driver's connection in one text; None where a question fails, or the server takes no such text."""
Asks = Callable[[], object]
"""Asks as SQLAlchemy does, and may be let run several times."""

MOST_TEXTS = 12
"""A chain of questions, of which each needs the answer before, is shorter."""

_SENDS: weakref.WeakKeyDictionary[Engine, Send] = weakref.WeakKeyDictionary()


class _Unanswered(Exception):
    """Nobody knows the answer yet."""


_GIVEN_UP = (_Unanswered, sa.exc.SQLAlchemyError, NotImplementedError)
"""What a question fails with here it fails with again, when somebody wants to know."""


def let_ask_at_once(engine: Engine, send: Send) -> None:
    """Let questions to an engine's database, which write nothing, be asked in one text."""
    _SENDS[engine] = send


@dataclass
class _Answers:
    by_question: dict[Hashable, Answer] = field(default_factory=dict)
    open: dict[Hashable, Question] | None = None
    """Questions for the next text; None where nothing is asked ahead."""

    def answer(self, _cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """As SQLAlchemy's event ``do_execute``: True where the rows are there."""
        key = statement, repr(parameters)
        if key in self.by_question:
            description, rows = self.by_question[key]
            context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(None, description, rows)
            return True
        if self.open is not None:
            self.open[key] = statement, parameters
            raise _Unanswered
        self.by_question.clear()
        return False


@contextlib.contextmanager
def asked_ahead(engine: Engine, list_asking: Callable[[Connection], Iterable[Asks]]) -> Iterator[None]:
    """Ask ahead, and answer the same questions so for as long as this is open and nothing else is asked.

    Where the engine was not let ask at once, or a question fails, everything is asked when it is asked.

    :param list_asking: what may run beside each other; it may ask itself.
    """
    send = _SENDS.get(engine)
    if send is None:
        yield
        return
    answers = _Answers()
    sa.event.listen(engine, "do_execute", answers.answer)
    try:
        with engine.connect() as connection:
            for _ in range(MOST_TEXTS):
                if not _ask_once(connection, answers, send, list_asking):
                    break
        answers.open = None
        yield
    finally:
        sa.event.remove(engine, "do_execute", answers.answer)


def _ask_once(
    connection: Connection, answers: _Answers, send: Send, list_asking: Callable[[Connection], Iterable[Asks]]
) -> bool:
    """Let all run to their next questions, and ask those; whether there were any, and they have answers."""
    answers.open = {}
    with contextlib.suppress(*_GIVEN_UP):
        for asks in list_asking(connection):
            with contextlib.suppress(*_GIVEN_UP):
                asks()
    if not answers.open:
        return False
    results = send(connection.connection.dbapi_connection, list(answers.open.values()))
    if results is None:
        return False
    answers.by_question.update(zip(answers.open, results, strict=True))
    return True
