"""What gives out numbers goes on in the new database where it stood in the old one, and that is proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import URL

from ...dialects.counters import find_match, is_behind
from ...dialects.model import Counter
from ...errors import VerificationFailed
from ..run.run import Run


def read_counters(run: Run, url: URL) -> list[Counter]:
    """What a database of the target's server would give out next."""
    with run.dialect.reader(url) as reader:
        return reader.counters()


def carry_counters(run: Run, counters: Sequence[Counter], staging: URL) -> None:
    """Let staging go on where the source stood; what it has no counter for is named in the report.

    :raises VerificationFailed: one of them stands further back all the same.
    """
    missing = run.dialect.set_counters(staging, counters) if counters else []
    for counter in missing:
        run.report.not_carried[f"counter {counter.name}"] = (
            f"it would have given out {counter.next} next, and the new database has none of that name or column"
        )
    prove_counters(run, [counter for counter in counters if counter not in missing], staging)


def carry_numbers(run: Run, numbers: Mapping[str, int], staging: URL) -> None:
    """Let staging have what an app keeps in its database beside all tables; what has no place is named."""
    for name in run.dialect.set_numbers(staging, numbers):
        run.report.not_carried[name] = f"the source's is {numbers[name]}, and this kind of server has no such number"


def keep_counters(run: Run, counters: Sequence[Counter], staging: URL) -> None:
    """Let those that staging still has stand no further back than they did; what a revision dropped is gone.

    A column that stayed and counts no more, as when SQLite's table was made anew without AUTOINCREMENT, is named.

    :raises VerificationFailed: one of them does.
    """
    if not counters:
        return
    missing = run.dialect.set_counters(staging, counters)
    with run.dialect.reader(staging) as reader:
        tables = reader.tables()
    for counter in missing:
        if counter.table in tables and counter.column in tables[counter.table].column_names:
            run.report.not_carried[f"counter {counter.name}"] = (
                f"it would have given out {counter.next} next, and the column has none any more"
            )
    prove_counters(run, counters, staging)


def prove_counters(run: Run, counters: Sequence[Counter], staging: URL) -> None:
    """:raises VerificationFailed: staging would give out a number that was given out before."""
    if not counters:
        return
    present = read_counters(run, staging)
    pairs = [(wanted, find_match(wanted, present)) for wanted in counters]
    behind = [
        f"{wanted.name}: {match.next} would be next, and {wanted.next} was"
        for wanted, match in pairs
        if match is not None and is_behind(match, wanted)
    ]
    if behind:
        raise VerificationFailed("Numbers that were given out already would be given out again.", details=behind)
