"""MariaDB: sequences in a cut-over, of which nobody gets a number twice; MySQL has none.

No ``LOCK TABLES ... READ`` stops ``NEXTVAL``, and a transaction that drew a number keeps the sequence to its end, and
may wait for a table of ours (both seen). So one that is the same before and after is not touched: it stays where it
is, under the same name, whoever draws from it, and its copy goes to the old tables. Nothing can be lost of it, at
whatever instant this process ends.

Others are renamed as tables are. They are closed before it, and where they stand then is where their successors begin:
that is done before the rename, so there is no instant either at which a successor is live and behind.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping

from ...errors import VerificationFailed
from ..counters import is_behind, refuse_drawn
from ..model import Counter
from .connect import quote
from .counters import read_sequence
from .fence import token
from .objects import SEQUENCE, definitions_of, tables, tables_in
from .session import Connection, execute
from .swap_barrier import Barrier
from .swap_plan import Plan


def read_all(connection: Connection, database: str) -> dict[str, Counter]:
    """Every sequence by name, with the first number that nobody has, nor the server in store."""
    return {
        name: _read(connection, database, name)
        for name, kind in tables(connection, database).items()
        if kind == SEQUENCE
    }


def _read(connection: Connection, database: str, name: str) -> Counter:
    return read_sequence(functools.partial(execute, connection), database, name)


def token_with_draws(connection: Connection, database: str) -> bytes:
    """As :func:`.fence.token`; it differs after each number that was drawn from a sequence, too."""
    state = token(connection, database), read_all(connection, database)
    return hashlib.sha256(repr(state).encode()).digest()


def find_staying(connection: Connection, target: str, staging: str, drawn_beside: Mapping[str, int]) -> list[str]:
    """The sequences that are the same in both, so that the live one goes on as it is.

    Not those that would give out what staging has: with a source of its own it may be further on.

    :param drawn_beside: as in :class:`..counters.KnowsDraws`.
    """
    in_target, in_staging = tables_in(connection, target, staging)
    both = {name: kind for name, kind in in_target.items() if kind == in_staging.get(name) == SEQUENCE}
    live, staged = (definitions_of(connection, database, both) for database in (target, staging))
    return [
        name
        for name in both
        if live[name] == staged[name]
        and name not in drawn_beside
        and not is_behind(_read(connection, target, name), _read(connection, staging, name))
    ]


def go_on(connection: Connection, closed: Barrier, plan: Plan, drawn_beside: Mapping[str, int]) -> None:
    """Before the rename, with the sequences drained that leave: those that take their names go on where they stand.

    :raises LateWrite: as with :func:`..counters.refuse_drawn`; nothing is changed.
    :raises VerificationFailed: one of them does not go on there; nothing is changed.
    """
    live = {
        name: closed.inside(name, functools.partial(_read, database=plan.target, name=name)) for name in plan.closing
    }
    refuse_drawn(live.values(), drawn_beside)
    coming = read_all(connection, plan.staging)
    for name, wanted in live.items():
        present = coming.get(name)
        # One that counts the other way is another one.
        if present is None or present.ascends != wanted.ascends:
            continue
        if present.cycles or is_behind(present, wanted):
            _set_next(connection, plan.staging, name, wanted.next)
        if is_behind(_read(connection, plan.staging, name), wanted):
            raise VerificationFailed(
                f"The sequence {name} of the new schema does not go on at {wanted.next}, where the live one stands.",
                hint="Nothing was changed; please report this.",
            )


def _set_next(connection: Connection, database: str, name: str, following: int) -> None:
    execute(connection, f"DO SETVAL({quote(database)}.{quote(name)}, {following}, 0)")
