"""What an upgrade would lose although nobody said that it may go, and the three ways on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from ...errors import VerificationFailed
from ..schema.declarations import stanza
from ..schema.listen import Heard


@dataclass(frozen=True)
class Undeclared:
    """Something that would be lost.

    :ivar name: what a declaration would call it: ``table``, ``table.column``, or ``kind name`` of another object.
    :ivar revision: the one that dropped it, or spoke of its table last; an empty text where none is known.
    """

    name: str
    text: str
    revision: str

    def __str__(self) -> str:
        return f"{self.text} (revision {self.revision})" if self.revision else self.text


def find_revision(name: str, heard: Heard) -> str:
    """The revision that a table or column went in, as far as its statements tell."""
    table, _, column = (part.lower() for part in name.partition("."))
    return heard.dropped.get(column or table) or heard.touched.get(table, "")


def refuse_undeclared(items: Sequence[Undeclared], what: str, head: str, keep: str = "") -> NoReturn:
    """Stop the run.

    :param what: how they would go, for people.
    :param keep: how the revision can let them stay, for people.
    :param head: the revision to declare it of where none is known.
    :raises VerificationFailed: always.
    """
    names = list(dict.fromkeys(item.name for item in items))
    losses: dict[str, list[str]] = {}
    for name in names:
        revision = next(item.revision for item in items if item.name == name)
        losses.setdefault(revision or head, []).append(name)
    raise VerificationFailed(
        f"The upgrade would {what}.",
        details=[str(item) for item in items],
        hint="\n".join(
            [
                *([keep] if keep else []),
                "Where the revision is yours, say there that it may go (or where it went, with ferry_moves):",
                f"ferry_losses = {json.dumps(dict.fromkeys(names, 'why'), ensure_ascii=False)}",
                "Where it is not, say it in a file, and name that with FERRY_DECLARATIONS:",
                stanza(losses),
                "For this run only: flask db-migrate-data "
                + " ".join(f"--accept-loss '{_inside_quotes(name)}'" for name in names),
            ]
        ),
    )


def _inside_quotes(name: str) -> str:
    """A name inside the quotes of a shell."""
    return shlex.quote(f" {name}")[2:-1]
