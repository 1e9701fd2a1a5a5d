"""PostgreSQL: what a dump's own code did outside the schema that is made of it.

A dump holds code that the server runs while it is restored: functions called by checks, generated columns, indexes and
materialized views. It runs with this user's rights, in the transaction of the restore. So that transaction looks,
before its end, what it did elsewhere, and is rolled back where that is anything:

- Whoever writes to a table or sequence, or alters anything that rows lie in, holds a lock on it to the end of the
  transaction, which no code can give back (manual, 13.3.1). So the locks say what was done, and nothing else would:
  counters can be switched off, and deleted rows are not seen.
- All other objects have a row in a catalog, which says which transaction wrote it. The transaction reads catalogs as of
  its beginning (REPEATABLE READ): what differs at its end was its own doing, whatever others do meanwhile.
- A sequence goes on for good, transaction or not. Those of the live schema that stand behind where they stood are put
  forward again.

The live schema and our own schemas are not even to be read where a file is restored, and the server's own catalogs to
be left as they are. In schemas of others a foreign key of the dump may refer to a table, a table inherit from one, and
event triggers of the administrator's may write.

Code may be put off to the COMMIT, behind the last look: by deferred triggers and cursors that outlive the transaction.
So there must be neither then.

Not prevented: what code does outside the transaction and the database. A superuser's code can run programs on the
server; anybody's can end the user's other sessions. No role without rights stands in the way: SET ROLE would only bind
code that does not say RESET ROLE, and COPY, which calls the checks, cannot be run where RESET ROLE is refused (within
SECURITY DEFINER functions, manual, SET ROLE). A user of its own, over a second connection, would not see the renames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from .connect import Connection
from .extensions import oid_of
from .names import parse

_SPACES = "SELECT oid, nspname::text FROM pg_catalog.pg_namespace"

_LOCKS = """
WITH own AS (
    SELECT confrelid AS oid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND connamespace = %(made)s
    UNION ALL SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class h ON h.oid = i.inhrelid
        WHERE h.relnamespace = %(made)s)
SELECT DISTINCT pg_catalog.format('%%I.%%I', n.nspname, c.relname), l.mode
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_xact_all_tables s ON s.relid = c.oid
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
    AND (n.oid = ANY (%(strict)s) AND NOT %(may_read)s OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'))
    AND l.database IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
    AND n.oid <> %(made)s AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_toast')
    AND CASE WHEN n.nspname = 'pg_catalog' THEN
            c.relisshared AND c.relname <> 'pg_shdepend' AND c.relkind = 'r' OR c.relname = 'pg_largeobject'
        WHEN n.oid = ANY (%(strict)s) THEN true
        WHEN %(lax)s THEN false
        WHEN l.mode = 'RowExclusiveLock' THEN
            c.relkind = 'S' OR s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
        WHEN l.mode IN ('ExclusiveLock', 'AccessExclusiveLock') THEN true
        ELSE NOT EXISTS (SELECT FROM own WHERE own.oid = c.oid) END
ORDER BY 1, 2 LIMIT 10
"""

_OBJECTS = """
SELECT DISTINCT l.classid::pg_catalog.regclass::text FROM pg_catalog.pg_locks l
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'object' AND l.classid IN (
    'pg_catalog.pg_database'::pg_catalog.regclass, 'pg_catalog.pg_authid'::pg_catalog.regclass,
    'pg_catalog.pg_largeobject'::pg_catalog.regclass)
    AND l.mode <> 'AccessShareLock'
"""

_IN_SPACES = {
    "functions": "pg_proc.pronamespace",
    "types": "pg_type.typnamespace",
    "operators": "pg_operator.oprnamespace",
    "operator classes": "pg_opclass.opcnamespace",
    "operator families": "pg_opfamily.opfnamespace",
    "collations": "pg_collation.collnamespace",
    "conversions": "pg_conversion.connamespace",
    "text search configurations": "pg_ts_config.cfgnamespace",
    "text search dictionaries": "pg_ts_dict.dictnamespace",
    "statistics": "pg_statistic_ext.stxnamespace",
    "constraints": "pg_constraint.connamespace",
}
_ANYWHERE = {
    "schemas": "pg_namespace",
    "extensions": "pg_extension",
    "default privileges": "pg_default_acl",
    "languages": "pg_language",
    "foreign-data wrappers": "pg_foreign_data_wrapper",
    "foreign servers": "pg_foreign_server",
    "publications": "pg_publication",
    "event triggers": "pg_event_trigger",
    "large objects": "pg_largeobject_metadata",
}


def _digest(what: str, source: str, condition: str) -> str:
    row = "pg_catalog.concat_ws(' ', o.oid, o.xmin)"
    digest = f"pg_catalog.md5(pg_catalog.string_agg({row}, ',' ORDER BY o.oid))"
    return f"SELECT '{what}', {digest} FROM pg_catalog.{source} o WHERE {condition}"


# The live tables by what TRUNCATE and grants change; those of others may get a foreign key's triggers.
_IMAGE = " UNION ALL ".join(
    [
        *(
            _digest(what, place.split(".")[0], f"o.{place.split('.')[1]} <> %(made)s")
            for what, place in _IN_SPACES.items()
        ),
        *(_digest(what, source, "o.oid <> %(made)s") for what, source in _ANYWHERE.items()),
        # A range has casts of its own.
        _digest(
            "casts",
            "pg_cast",
            "NOT EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = o.castsource AND t.typnamespace = %(made)s)",
        ),
        _digest("tables", "pg_class", "o.relnamespace = ANY (%(strict)s)"),
        "SELECT 'columns', pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attrelid, a.attnum, "
        "a.xmin), ',' ORDER BY a.attrelid, a.attnum)) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c "
        "ON c.oid = a.attrelid WHERE c.relnamespace = ANY (%(strict)s) AND a.attnum > 0",
    ]
)

_DEFERRABLE = """
SELECT DISTINCT pg_catalog.format('%%I.%%I', n.nspname, c.relname) FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE g.tgdeferrable AND n.oid IN (%(made)s, pg_catalog.pg_my_temp_schema())
"""

_LAX = "SELECT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D')"

_POSITIONS = """
SELECT pg_catalog.format('%%I.%%I', schemaname, sequencename), last_value FROM pg_catalog.pg_sequences
WHERE schemaname = ANY (%s) AND increment_by > 0 AND NOT cycle
"""


class Trespass(Exception):  # answered by whoever knows the file
    """Code of a dump changed something outside its schema; the words say what. Nothing of it is left."""


@dataclass
class Watch:
    """Watches one transaction.

    :ivar target: the live schema, by the name that it has for everybody else.
    :ivar hold: what a schema is called meanwhile whose name the dump needs, or None.
    :ivar made: the schema that is made of the dump, by its name in the transaction.
    :ivar may_read: code that spells the live schema's name may find that, as the made one has another name.
    """

    connection: Connection
    target: str
    hold: str | None
    made: str
    may_read: bool = False
    _values: dict[str, Any] = field(default_factory=dict, init=False)
    _image: dict[str, str] = field(default_factory=dict, init=False)
    _names: dict[int, str] = field(default_factory=dict, init=False)
    _positions: dict[str, int | None] = field(default_factory=dict, init=False)

    def note_sequences(self) -> None:
        """Before the transaction, as reading a sequence's position locks it as writing does."""
        self._positions = self._look_at_sequences()

    def _look_at_sequences(self) -> dict[str, int | None]:
        return dict(self.connection.execute(_POSITIONS.encode(), ([self.target, self.made],)).fetchall())

    def begin(self) -> None:
        """Look how things are, behind the renames."""
        self._plain_path()
        self._names = dict(self.connection.execute(_SPACES.encode()).fetchall())
        made_oid = oid_of(self.connection, self.made)
        strict = [oid for oid, name in self._names.items() if oid != made_oid and self._is_ours(name)]
        lax: Any = self.connection.execute(_LAX).fetchone()
        self._values = {"made": made_oid, "strict": strict, "lax": lax[0], "may_read": self.may_read}
        self._image = self._look()

    def _is_ours(self, name: str) -> bool:
        return name in (self.target, self.hold) or parse(name) is not None

    def _plain_path(self) -> None:
        # Without a word of pg_temp it would be searched first.
        self.connection.execute("SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)")

    def _look(self) -> dict[str, str]:
        return dict(self.connection.execute(_IMAGE.encode(), self._values).fetchall())

    def check_locks(self) -> None:
        """:raises Trespass: a table or sequence was written to or altered, or one of ours read."""
        self._plain_path()
        if rows := self.connection.execute(_LOCKS.encode(), self._values).fetchall():
            names = sorted({name.removeprefix(f"{self.hold}.") for name, _ in rows})
            raise Trespass(f"its own code reaches {', '.join(names)}")
        if rows := self.connection.execute(_OBJECTS).fetchall():
            raise Trespass(f"its own code alters what {', '.join(name for (name,) in rows)} holds")

    def check(self) -> None:
        """Look at everything, before the renames back.

        :raises Trespass: something was changed.
        """
        self.check_locks()
        # A schema of another name, or another one of that name, would get the live one's back.
        if dict(self.connection.execute(_SPACES.encode()).fetchall()) != self._names:
            raise Trespass("its own code makes, drops or renames schemas")
        now = self._look()
        if changed := [what for what, digest in self._image.items() if now.get(what) != digest]:
            raise Trespass(f"its own code changes {', '.join(changed)} outside its schema")

    def check_end(self) -> None:
        """Look once more, behind the renames back: nothing may be left that the server runs at COMMIT.

        :raises Trespass: something is.
        """
        self._plain_path()
        if self.connection.execute("SELECT 1 FROM pg_catalog.pg_cursors WHERE is_holdable").fetchone():
            raise Trespass("its own code leaves a cursor open that is read at the end")
        # A table that has pending events cannot be altered. This alters nothing (since version 12).
        for (name,) in self.connection.execute(_DEFERRABLE.encode(), self._values).fetchall():
            try:
                self.connection.execute(f"ALTER TABLE {name} SET WITHOUT OIDS".encode())
            except psycopg.errors.ObjectInUse as error:
                raise Trespass("its own code puts off what a trigger is to do") from error

    def put_forward(self) -> None:
        """After a failure, outside of the transaction: let no live sequence stand behind where it stood."""
        now = self._look_at_sequences() if self._positions else {}
        for name, position in self._positions.items():
            if position is not None and name in now and (now[name] or position - 1) < position:
                self.connection.execute("SELECT pg_catalog.setval(%s::pg_catalog.regclass, %s)", (name, position))
