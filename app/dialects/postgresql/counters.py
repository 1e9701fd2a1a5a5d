"""PostgreSQL: what sequences would give out next, whoever owns them, and sequences set to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import DoesNotFit
from ..at_once import ask_all
from ..counters import find_match, is_behind
from ..model import Counter
from .connect import Connection
from .names import quote

# The column that a sequence fills, if it is one and of a number: by owning it, or by its default alone.
_SEQUENCES = """
SELECT s.relname::text, coalesce(o.table_name, ''), coalesce(o.column_name, ''), q.seqincrement, q.seqmin, q.seqmax,
    q.seqcycle, has_sequence_privilege(s.oid, 'SELECT')
FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace n ON n.oid = s.relnamespace
LEFT JOIN LATERAL (
    SELECT min(t.relname::text) AS table_name, min(a.attname::text) AS column_name FROM (
        SELECT d.refobjid AS relation, d.refobjsubid::int AS number FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
        UNION SELECT f.adrelid, f.adnum::int FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
            WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid) c
    JOIN pg_class t ON t.oid = c.relation AND t.relnamespace = s.relnamespace AND NOT t.relispartition
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.number
    JOIN pg_type y ON y.oid = a.atttypid AND y.typcategory = 'N' HAVING count(*) = 1) o ON true
WHERE n.nspname = %s AND s.relkind = 'S' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'e')
ORDER BY s.relname COLLATE "C"
"""


@dataclass(frozen=True)
class _Bounds:
    least: int
    most: int


def read_counters(connection: Connection, schema: str) -> list[Counter]:
    """Every sequence of a schema with what it would give out next.

    :raises DoesNotFit: one that this user may not read.
    """
    return [counter for counter, _ in _read(connection, schema)]


def _read(connection: Connection, schema: str) -> list[tuple[Counter, _Bounds]]:
    counters, sequences = [], connection.execute(_SEQUENCES.encode(), (schema,)).fetchall()
    spelled = {name: f"{quote(schema)}.{quote(name)}" for name, *_ in sequences}
    if denied := [name for name, *_, readable in sequences if not readable]:
        raise DoesNotFit(
            f"The database user may not read the sequence {denied[0]}, so its next value is not known.",
            hint=f"Let its owner run: GRANT SELECT ON SEQUENCE {spelled[denied[0]]} TO {quote(connection.info.user)}",
        )
    queries = {name: f"SELECT ARRAY[last_value, is_called::int] FROM {place}" for name, place in spelled.items()}
    stands = ask_all(queries, connection.ask_row)
    for name, table, column, step, least, most, cycles, _ in sequences:
        last, is_called = stands[name]
        following = last + step if is_called else last
        if cycles and not least <= following <= most:
            following = least if step > 0 else most
        counters.append((Counter(name, following, table, column, step, cycles), _Bounds(least, most)))
    return counters


def set_counters(connection: Connection, schema: str, counters: Sequence[Counter]) -> list[Counter]:
    """Let sequences go on where others stood, and never back; those that no sequence is there for."""
    known = _read(connection, schema)
    present = [counter for counter, _ in known]
    missing = []
    for wanted in counters:
        match = find_match(wanted, present)
        if match is None:
            missing.append(wanted)
        elif match.cycles or is_behind(match, wanted):
            _set(connection, schema, match, known[present.index(match)][1], wanted.next)
    return missing


def _set(connection: Connection, schema: str, counter: Counter, bounds: _Bounds, following: int) -> None:
    """A value beyond the last one leaves the sequence with nothing to give out, as it was where that came from."""
    end = bounds.most if counter.ascends else bounds.least
    is_beyond = following > end if counter.ascends else following < end
    value = max(bounds.least, min(bounds.most, following))
    connection.execute(
        "SELECT setval(%s::text::regclass, %s, %s)",
        (f"{quote(schema)}.{quote(counter.name)}", end if is_beyond else value, is_beyond),
    )
