"""What SQLAlchemy asks a server before it works with it, asked once for a command and not for each of its engines."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

from .sessions import remember


def ask_once(dialect: Any, name: Hashable, *methods: str) -> None:
    """Let methods that ask for something, and do nothing else, give what they gave before to an engine of this command.

    :param name: of the server, and of whatever of a session decides what it answers.
    :param methods: of SQLAlchemy's own; one that another version of it has not is not asked either.
    """
    for method in methods:
        if hasattr(dialect, method):
            setattr(dialect, method, functools.partial(_ask_or_recall, getattr(dialect, method), (name, method)))


def _ask_or_recall(ask: Any, name: Hashable, connection: Any, *what: Hashable) -> Any:
    return remember(("first look", name, *what), lambda: ask(connection, *what))
