"""MySQL and MariaDB: what AUTO_INCREMENT and sequences would give out next, and both set to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..counters import find_match, is_behind
from ..model import Counter
from .catalogue import OF_THE_SERVER
from .connect import quote
from .objects import SEQUENCE

if TYPE_CHECKING:
    from .read import Asks

_COLUMNS = (
    "SELECT c.table_name, c.column_name, t.auto_increment FROM information_schema.columns c "
    "JOIN information_schema.tables t ON t.table_schema = %s AND t.table_name = c.table_name "
    "AND t.table_type <> 'VIEW' "
    f"WHERE c.table_schema = %s AND c.extra LIKE '%%auto_increment%%' AND NOT {OF_THE_SERVER.format('c.')} "
    "ORDER BY c.table_name"
)
_SEQUENCES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = %s ORDER BY table_name"
)
# Behind the columns: a default or a comment may say the same words, and the server doubles a quote in them.
_NEXT = re.compile(r"^\) .*? AUTO_INCREMENT=([0-9]+)", re.MULTILINE)


def read_counters(ask: Asks, database: str) -> list[Counter]:
    """Every AUTO_INCREMENT column and every sequence, with what it would give out next.

    The number in information_schema may be a day old (MySQL manual, 10.2.3), but not in sessions of ours, which let
    none be kept. Where it says none, the table could not be opened, and the definition is asked: it says why.
    """
    counters = [
        Counter(f"{table}.{column}", _ask_next(ask, table) if following is None else int(following), table, column)
        for table, column, following in ask(_COLUMNS, database, database)
    ]
    return counters + [read_sequence(ask, database, name) for (name,) in ask(_SEQUENCES, database, SEQUENCE)]


def _ask_next(ask: Asks, table: str) -> int:
    [(_, sql)] = ask(f"SHOW CREATE TABLE {quote(table)}")
    match = _NEXT.search(sql)
    return int(match[1]) if match else 1


def read_sequence(ask: Asks, database: str, name: str) -> Counter:
    """A sequence with the first number that nobody has, nor the server in store."""
    columns = "next_not_cached_value, increment, cycle_option, minimum_value, maximum_value"
    [row] = ask(f"SELECT {columns} FROM {quote(database)}.{quote(name)}")
    following, step, cycles, least, most = (int(value) for value in row)
    if cycles and not least <= following <= most:
        following = least if step > 0 else most
    return Counter(name, following, "", "", step or 1, bool(cycles))


def set_counters(ask: Asks, database: str, counters: Sequence[Counter]) -> list[Counter]:
    """Let counters go on where others stood, and never back; those that there is no counter for."""
    present = read_counters(ask, database)
    missing = []
    for wanted in counters:
        match = find_match(wanted, present)
        if match is None:
            missing.append(wanted)
        elif match.table and is_behind(match, wanted):
            ask(f"ALTER TABLE {quote(match.table)} AUTO_INCREMENT = {wanted.next}")
        elif not match.table and (match.cycles or is_behind(match, wanted)):
            ask(f"DO SETVAL({quote(match.name)}, {wanted.next}, 0)")
    return missing
