"""PostgreSQL: foreign keys, triggers and sequences: set aside while rows are loaded, put back, and looked at."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from ...errors import DoesNotFit
from ..samples import SHOWN, Problem, ProblemKind, dangling, name_some
from ..wording import count_rows
from .connect import Connection, words_of
from .extensions import lent_to_end, look_in_for_session
from .names import Place, quote

# Columns of version 18, which others lack: a rule that is not enforced is nobody's to prove.
_ENFORCED = "COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)"

_FOREIGN_KEYS = """
SELECT c.relname::text, k.conname::text, pg_get_constraintdef(k.oid), c.relkind = 'p',
    obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND k.contype = 'f' AND k.conparentid = 0 ORDER BY 1, 2
"""

TRIGGERS = """
SELECT c.relname::text, g.tgname::text, g.tgenabled::text
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND NOT c.relispartition AND c.relkind IN ('r', 'p')
ORDER BY 1, 2
"""
ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}

# Those that a column owns (serial, identity), and those that only its default names.
_SEQUENCES = """
SELECT s.oid, sn.nspname::text, s.relname::text, t.relname::text, t.relkind = 'p', a.attname::text, q.seqincrement > 0,
    q.seqmin, q.seqmax
FROM (SELECT objid AS sequence, refobjid AS relation, refobjsubid::int AS number FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
            AND refobjsubid > 0
    UNION SELECT d.refobjid, f.adrelid, f.adnum::int FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n') o
JOIN pg_class s ON s.oid = o.sequence AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_class t ON t.oid = o.relation AND t.relkind IN ('r', 'p') AND NOT t.relispartition
JOIN pg_namespace n ON n.oid = t.relnamespace AND n.oid = s.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = o.number
JOIN pg_type y ON y.oid = a.atttypid AND y.typcategory = 'N'
WHERE n.nspname = %s ORDER BY 3, 4
"""

_REFERENCES = f"""
SELECT c.relname::text, c.relkind = 'p', pn.nspname::text, p.relname::text, p.relkind = 'p', k.confmatchtype = 'f',
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place),
    ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[])
        WITH ORDINALITY u (number, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
        WHERE i.indrelid = c.oid AND i.indisprimary AND u.place <= i.indnkeyatts ORDER BY u.place),
    COALESCE((to_jsonb(k) ->> 'conperiod')::boolean, false)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE n.nspname = %s AND k.contype = 'f' AND k.conparentid = 0 AND {_ENFORCED} ORDER BY c.relname, k.conname
"""

# Since version 18 a NOT NULL may be one.
_UNPROVED = f"""
SELECT c.relname::text, c.relkind = 'p', k.conname::text,
    coalesce(pg_get_expr(k.conbin, k.conrelid), quote_ident(a.attname) || ' IS NOT NULL'),
    CASE WHEN k.contype = 'n' THEN a.attname::text END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON k.contype = 'n' AND a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
WHERE n.nspname = %s AND k.contype IN ('c', 'n') AND NOT k.convalidated AND {_ENFORCED} ORDER BY 1, 3
"""

_INVALID_INDEXES = """
SELECT t.relname::text, c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND NOT i.indisvalid ORDER BY 1, 2
"""

_NOT_VALID = f"""
SELECT c.relname::text, k.conname::text
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND k.contype = 'f' AND NOT k.convalidated AND k.conparentid = 0 AND {_ENFORCED} ORDER BY 1, 2
"""

_KEY = re.compile(r"Key (\(.*?\)=\(.*?\)) (is duplicated|already exists|is not present in table|is still referenced)")
_HOLDS_NULL = re.compile(r'column "([^"]+)" of relation "([^"]+)" contains null values')


@dataclass(frozen=True)
class ForeignKeyRule:
    """A foreign key as it is put back."""

    table: str
    name: str
    definition: str
    partitioned: bool
    comment: str | None

    @property
    def addition(self) -> str:
        return f"ADD CONSTRAINT {quote(self.name)} {self.definition.removesuffix(' NOT VALID')}"


@dataclass(frozen=True)
class _Reference:
    """A foreign key, as :data:`_REFERENCES` tells it."""

    schema: str
    table: str
    partitioned: bool
    parent_schema: str
    parent: str
    parent_partitioned: bool
    full: bool
    ours: list[str]
    theirs: list[str]
    key: list[str]
    of_a_period: bool

    @property
    def dangling(self) -> str:
        """From where on a statement speaks of the rows that refer to nothing."""
        pairs = [(f"c.{quote(a)}", f"p.{quote(b)}") for a, b in zip(self.ours, self.theirs, strict=True)]
        # MATCH FULL wants all columns NULL or none; otherwise one NULL means that the row refers to nothing on purpose.
        present = (" OR " if self.full else " AND ").join(f"{child_column} IS NOT NULL" for child_column, _ in pairs)
        child = relation(self.schema, self.table, partitioned=self.partitioned)
        parent = relation(self.parent_schema, self.parent, partitioned=self.parent_partitioned)
        period = pairs.pop() if self.of_a_period else None
        joined = " AND ".join(map(" = ".join, pairs)) or "true"
        rows = f"FROM {parent} p WHERE {joined}"
        # The last column is a period, which several rows may cover together.
        there = (
            f"COALESCE({period[0]} <@ (SELECT range_agg({period[1]}) {rows}), false)"
            if period
            else f"EXISTS (SELECT {rows})"
        )
        return f"FROM {child} c WHERE ({present}) AND NOT {there}"


def relation(schema: str, table: str, *, partitioned: bool = False) -> str:
    """A table as a query names it: its own rows, and a partitioned one's of all its partitions."""
    return f"{'' if partitioned else 'ONLY '}{quote(schema)}.{quote(table)}"


def clear(connection: Connection, schema: str, tables: Sequence[str]) -> None:
    """Delete all rows of tables; a partitioned one's with those of its partitions."""
    query = (
        "SELECT c.relname, c.relkind = 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = ANY(%s)"
    )
    with connection.transaction():
        for table, partitioned in connection.execute(query, (schema, list(tables))).fetchall():
            connection.execute(f"DELETE FROM {relation(schema, table, partitioned=partitioned)}".encode())


@contextlib.contextmanager
def set_aside(connection: Connection, schema: str) -> Iterator[None]:
    """Without foreign keys and with triggers disabled; afterwards as before, but for rows that refer to nothing.

    :raises DoesNotFit: rows of a partitioned table refer to nothing: its foreign keys cannot be put back unproved.
    """
    questions = (_FOREIGN_KEYS, (schema,)), (TRIGGERS, (schema,)), (_SEQUENCES, (schema,))
    rows, triggers, sequences = look_in_for_session(connection, schema, *questions)
    keys = [ForeignKeyRule(*row) for row in rows]
    drops = [(key.table, f"DROP CONSTRAINT {quote(key.name)}") for key in keys]
    # A text is one transaction, where none is begun in it.
    _alter(connection, schema, [*drops, *((table, f"DISABLE TRIGGER {quote(name)}") for table, name, _ in triggers)])
    yield
    enabling = [(table, f"{ENABLE[enabled]} TRIGGER {quote(name)}") for table, name, enabled in triggers]
    # A partitioned table's cannot be NOT VALID before version 18.
    proved = [key for key in keys if key.partitioned]
    with connection.transaction() if proved else contextlib.nullcontext():
        for key in proved:
            _put_back_proved(connection, schema, key)
        added = _alterations(schema, [(key.table, f"{key.addition} NOT VALID") for key in keys if not key.partitioned])
        comments = [_comment(connection, schema, key) for key in keys if key.comment is not None]
        _run(connection, [*added, *comments, *_alterations(schema, enabling), *_advances(sequences)])


def _alterations(schema: str, changes: Iterable[tuple[str, str]]) -> list[str]:
    return [f"ALTER TABLE {quote(schema)}.{quote(table)} {what}" for table, what in changes]


def _run(connection: Connection, statements: Sequence[str]) -> None:
    """Run statements, all in one text: one round trip."""
    if statements:
        connection.execute("; ".join(statements).encode())


def _alter(connection: Connection, schema: str, changes: Iterable[tuple[str, str]]) -> None:
    """Change tables, all in one text."""
    _run(connection, _alterations(schema, changes))


def _put_back_proved(connection: Connection, schema: str, key: ForeignKeyRule) -> None:
    try:
        _alter(connection, schema, [(key.table, key.addition)])
    except psycopg.errors.ForeignKeyViolation as error:
        raise DoesNotFit(
            f"Rows of the partitioned table {key.table} refer to rows that are not there: {words_of(error)}",
            hint="Repair them in the source and run again.",
        ) from error


def _comment(connection: Connection, schema: str, key: ForeignKeyRule) -> str:
    comment = sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}")
    on = sql.Identifier(key.name), sql.Identifier(schema, key.table), sql.Literal(key.comment)
    return comment.format(*on).as_string(connection)


def _advances(sequences: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Let sequences that fill columns go on behind the largest value there is, and never go back."""
    for oid, space, name, table, partitioned, column, ascends, least, most in sequences:
        largest, beyond = ("max", ">") if ascends else ("min", "<")
        yield f"""
            SELECT setval({oid}::oid::regclass, found.value) FROM
                (SELECT least(greatest({largest}({quote(column)})::numeric, {least}), {most})::bigint AS value
                    FROM {relation(space, table, partitioned=partitioned)} HAVING count({quote(column)}) > 0) found,
                {quote(space)}.{quote(name)} now
            WHERE found.value {beyond} now.last_value OR (found.value = now.last_value AND NOT now.is_called)"""


def settle(connection: Connection, place: Place, *, keep_violations: bool = False) -> None:
    """Let sequences go on behind the rows, prove every foreign key that is not, and look at tables for the planner.

    :param connection: the caller closes it then.
    :param keep_violations: one that does not hold stays ``NOT VALID``.
    """
    schema = place.schema
    questions = (_SEQUENCES, (schema,)), (_NOT_VALID, (schema,)), (_ANALYZED, (schema,))
    with lent_to_end(connection, place.target, schema, *questions) as (sequences, unproved, tables):
        proofs = [(table, f"VALIDATE CONSTRAINT {quote(name)}") for table, name in unproved]
        advances, looks = _advances(sequences), _looks(schema, tables)
        if not keep_violations:
            _run(connection, [*advances, *_alterations(schema, proofs), *looks])
            return
        _run(connection, [*advances])
        for proof in proofs:
            with contextlib.suppress(psycopg.errors.ForeignKeyViolation), connection.transaction():
                _alter(connection, schema, [proof])
        _run(connection, looks)


_ANALYZED = """
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'm')
"""


def analyze(connection: Connection, schema: str) -> None:
    """Without statistics the first queries after a cut-over would be planned blindly."""
    _run(connection, _looks(schema, connection.execute(_ANALYZED.encode(), (schema,)).fetchall()))


def _looks(schema: str, tables: Sequence[tuple[Any, ...]]) -> list[str]:
    names = ", ".join(f"{quote(schema)}.{quote(table)}" for (table,) in tables)
    return [f"ANALYZE {names}"] if tables else []


def problems(connection: Connection, schema: str) -> list[Problem]:
    """Rows that refer to nothing, checks that were never proved and do not hold, indexes that are not complete."""
    broken: list[Problem] = []
    references = [_Reference(schema, *row) for row in connection.execute(_REFERENCES.encode(), (schema,)).fetchall()]
    # Each joins two tables, and as parts of one statement they would keep the memory for that until its end.
    counts = connection.ask_rows([f"SELECT count(*) {item.dangling}" for item in references])
    for reference, (rows,) in zip(references, counts, strict=True):
        if rows:
            broken.append(_describe_dangling(connection, reference, rows))
    broken += _find_unproved(connection, schema)
    for table, name in connection.execute(_INVALID_INDEXES.encode(), (schema,)):
        text = f"{table}: the index {name} is not valid: it was never completed"
        broken.append(Problem(ProblemKind.RULE, table, text))
    return broken


def _find_unproved(connection: Connection, schema: str) -> Iterator[Problem]:
    for table, partitioned, name, expression, column in connection.execute(_UNPROVED.encode(), (schema,)).fetchall():
        source = relation(schema, table, partitioned=partitioned)
        rows = _number(connection, f"SELECT count(*) FROM {source} WHERE NOT ({expression})")
        if rows:
            rule = f"NOT NULL of {column} ({name}, which is NOT VALID)" if column else f"the check {name}"
            text = f"{table}: {count_rows(rows)} {'does' if rows == 1 else 'do'} not pass {rule}"
            keys = _null_keys(connection, schema, column=column, table=table) if column else []
            lines = "".join(line.removeprefix(table) for line in keys)
            yield Problem(ProblemKind.UNPROVED, table, text + lines)


def _describe_dangling(connection: Connection, reference: _Reference, rows: int) -> Problem:
    key = reference.key
    names = [f"c.{quote(name)}" for name in key] or ["c.ctid"]
    columns = ", ".join(names)
    sample = connection.execute(
        f"SELECT concat_ws(', ', {columns}) {reference.dangling} ORDER BY {columns} LIMIT {SHOWN + 1}".encode()
    ).fetchall()
    sample_keys = [f"({text})" if len(names) > 1 else str(text) for (text,) in sample]
    keys = name_some(sample_keys[:SHOWN], more=len(sample_keys) > SHOWN)
    return dangling(reference.table, rows, reference.parent, f"{', '.join(key) or 'ctid'} {keys}")


def _number(connection: Connection, query: str) -> int:
    row: Any = connection.execute(query.encode()).fetchone()
    return int(row[0])


def find_refused_keys(connection: Connection, schema: str, words: str) -> list[str]:
    """Rows that break what the server's words name, by the key in its detail, or by their own."""
    lines = [f"key {match[1]} {match[2]}" for match in _KEY.finditer(words)]
    if match := _HOLDS_NULL.search(words):
        lines += _null_keys(connection, schema, column=match[1], table=match[2])
    return lines


def _null_keys(connection: Connection, schema: str, *, column: str, table: str) -> list[str]:
    row = connection.execute(
        "SELECT ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) "
        "WITH ORDINALITY u (number, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number "
        "WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY u.place) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute b ON b.attrelid = c.oid AND b.attname = %s "
        "WHERE n.nspname = %s AND c.relname = %s AND NOT b.attisdropped",
        (column, schema, table),
    ).fetchone()
    if row is None:
        return []  # after the failure the names are those of an earlier revision; then the words alone must do
    names = [quote(name) for name in row[0]] or ["ctid"]
    rows = connection.execute(
        f"SELECT concat_ws(', ', {', '.join(names)}) FROM {quote(schema)}.{quote(table)} "
        f"WHERE {quote(column)} IS NULL ORDER BY {', '.join(names)} LIMIT {SHOWN + 1}".encode()
    ).fetchall()
    sample_keys = [str(text) for (text,) in rows]
    keys = name_some(sample_keys[:SHOWN], more=len(sample_keys) > SHOWN)
    return [f"{table}: {', '.join(row[0]) or 'ctid'} {keys}"] if sample_keys else []
