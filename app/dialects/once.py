"""Parts of a table that several load, each of them once: words that the rooms of the servers share.

Who loads a part may be cut off from the run that gave it away, and go on. So each part has a name, and a table of
staging has the names of those that are in, written by the very transactions that load them. Another one with the same
name waits for the first, and does nothing where that went in. When the table is dropped, which waits for whoever is
still at work, nobody loads anything any more: each transaction begins with it. Who is cut off in the middle of a part
says nothing to the server, which waits for a minute; where that does not end it, our own user's session is ended.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..errors import LoadError, PartLoaded

TABLE = "ferry_parts"
PATIENT_S = 60
"""How long a server waits for who loads a part, and says nothing: then it undoes what came of it."""
MOST_WAITED_S = PATIENT_S + 15
"""For those who are still at work when nobody may be any more; then their sessions are ended. A part takes seconds."""

_NAME = re.compile(r"[\w.-]{1,60}", re.ASCII)


def claim_words(part: str) -> str:
    """A part's name as a literal.

    :raises ValueError: it is no such name.
    """
    if not _NAME.fullmatch(part):
        raise ValueError(f"{part!r} names no part")
    return f"'{part}'"


def begin_part(part: str, added: int) -> None:
    """:raises PartLoaded: the claim of a part added no row."""
    if not added:
        raise PartLoaded(f"The part {part} was loaded before.")


def end_part(part: str, refused: Collection[object]) -> None:
    """:raises LoadError: rows of a part were refused; as it has a name, all of it is in or nothing."""
    if part and refused:
        raise LoadError(f"Of the part {part} {len(refused)} did not go in.")
