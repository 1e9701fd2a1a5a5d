"""Proof of what is not a row: everything that a schema held is there afterwards, was dropped by name, or is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ...dialects.model import UNNAMED, Definition, Table
from ...dialects.wording import count_of
from ..schema.clauses import Clause
from ..schema.declarations import Declarations
from ..schema.listen import Heard
from .losses import Undeclared, refuse_undeclared
from .other_server import find_missing
from .renames import OF_COLUMNS, follow, list_renames

_BY_TEXT = ("index",)
"""Named kinds that batch mode may bring back under their name as something less."""
_OF_ANOTHER = frozenset({*OF_COLUMNS, "primary key", "table option", "conflict clause", "row security"})
"""Kinds whose name is a column's or a table's: that it was dropped says nothing of them, only a clause of theirs."""

_AS_WRITTEN = ("comment", "default")
"""Kinds whose text is a person's: a revision may write another one, and a source's is named where it did."""

_KEEP = (
    "A revision can make them again after it changed the table; op.alter_column() keeps what its arguments name"
    " (existing_server_default, existing_nullable, existing_comment)."
)


@dataclass(frozen=True)
class Lost:
    """A definition that an upgrade took away.

    :ivar revision: the one that named it, or spoke of its table last; an empty text where none is known.
    :ivar reason: why that is accounted for; an empty text where it is not.
    :ivar declared_as: the name that a declaration has for it, where that accounts for it.
    """

    definition: Definition
    revision: str
    reason: str = ""
    declared_as: str = ""

    @property
    def text(self) -> str:
        return f"{self.definition}: {self.reason}" if self.reason else f"{self.definition} is gone"

    def __str__(self) -> str:
        return f"{self.text} (revision {self.revision})" if self.revision else self.text


def refuse_lost(items: Iterable[Lost], head: str) -> None:
    """Refuse what is not accounted for.

    :raises VerificationFailed: there is some.
    """
    undeclared = [
        Undeclared(f"{item.definition.kind} {item.definition.label}", item.text, item.revision)
        for item in items
        if not item.reason
    ]
    if undeclared:
        what = count_of(len(undeclared), "thing")
        refuse_undeclared(undeclared, f"take away {what} that no revision drops by name", head, keep=_KEEP)


class _Stock:
    """Definitions of a database, each of which answers to one of another."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self._left = Counter(map(_identify, definitions))

    def take(self, definition: Definition) -> bool:
        """Whether one is left that is the same, whatever it is spelled like."""
        key = _identify(definition)
        self._left[key] -= 1
        return self._left[key] >= 0


def find_not_migrated(
    source: Iterable[Definition], staging: Collection[Definition], tables: Mapping[str, Table], *, same_server: bool
) -> list[Definition]:
    """What a source's schema holds and the tables that its revision makes do not.

    :param tables: those that are migrated: what belongs to another one goes without saying.
    """
    items = list(source)
    # A view may have indexes, rules and triggers of its own.
    owners = {"", *tables, *(item.name for item in items if item.kind in ("view", "materialized view"))}
    wanted = [item for item in items if item.table in owners or item.table == item.name]
    if not same_server:
        return find_missing(wanted, staging, tables)
    stock = _Stock(staging)
    missing = [item for item in wanted if not stock.take(item)]
    return [
        item
        for item in missing
        if (item.kind in _AS_WRITTEN or not _has_name(item, staging)) and not _is_replaced(item, staging, tables)
    ]


def _has_name(item: Definition, definitions: Iterable[Definition]) -> bool:
    """Whether a view, routine or the like is there under its name: a server spells anew what it renames a part of."""
    if item.kind in UNNAMED or item.kind in _BY_TEXT:
        return False
    return any(_name(item) == _name(other) for other in definitions)


def _name(item: Definition) -> tuple[str, str, str]:
    return item.kind, item.table.lower(), item.name.lower()


def _identify(definition: Definition) -> tuple[str, ...]:
    kind, table = definition.kind, definition.table.lower()
    if kind in UNNAMED or kind in _AS_WRITTEN:
        column = definition.name.lower() if kind in OF_COLUMNS else ""
        return kind, table, column, definition.text
    text = definition.text if kind in _BY_TEXT else ""
    return kind, table, definition.name.lower(), text


def find_lost(
    before: Iterable[Definition],
    after: Collection[Definition],
    tables: Mapping[str, Table],
    heard: Heard,
    declared: Declarations,
) -> list[Lost]:
    """What an upgrade took away, each with why: dropped by name, gone with its column or table, declared, or nothing.

    :param tables: those of head.
    """
    renames, stock = list_renames(heard, declared), _Stock(after)
    # Of another schema no revision takes anything away: who did is somebody else.
    pairs = [(was, follow(was, renames)) for was in before if was.kind != "schema"]
    missing = [(was, now) for was, now in pairs if not stock.take(now) and not _has_name(now, after)]
    account = _Account(tables, heard, declared, {_name(item) for item in after})
    # What has a name is dropped by that; what has none by a name made of its columns, or by what is left then.
    return [
        account.explain(was, now)
        for was, now in sorted(missing, key=lambda pair: (not pair[0].name, not account.is_named_after(pair[0])))
        if not _is_replaced(now, after, tables)
    ]


def _is_replaced(item: Definition, definitions: Iterable[Definition], tables: Mapping[str, Table]) -> bool:
    """Whether something is there that does what this did."""
    table = item.table.lower()
    others = [other for other in definitions if other.table.lower() == table]
    match item.kind:
        case "check":
            # A server spells the condition anew where it renames something in it.
            names = {other.name.lower() for other in others if other.kind == "check"}
            return bool(item.name) and item.name.lower() in names
        case "foreign key":
            # It may have got actions, or be deferred now, and must not lose any.
            keys = [other.text for other in others if other.kind == "foreign key"]
            return any(f"{text} ".startswith((f"{item.text} on ", f"{item.text} deferrable ")) for text in keys)
        case "index":
            # A server drops an index that it made itself when there is another one that begins with its columns.
            indexes = [other.text for other in others if other.kind in ("index", "unique")]
            return any(f"{text} ,".startswith(f"{item.text} ,") for text in indexes)
        case "unique":
            key = _find_key(table, tables)
            return bool(key) and key == {column.lower() for column in item.columns}
        case "not null":
            return item.name.lower() in _find_key(table, tables)
        case _:
            return False


def _find_key(name: str, tables: Mapping[str, Table]) -> set[str]:
    """The columns of a table's primary key, in lower case."""
    keys_of = {known.lower(): table.primary_key for known, table in tables.items()}
    return {column.lower() for column in keys_of.get(name, ())}


class _Account:
    """Why definitions are gone. What an operation dropped under the name of a convention accounts for one of them."""

    def __init__(
        self, tables: Mapping[str, Table], heard: Heard, declared: Declarations, after: set[tuple[str, str, str]]
    ) -> None:
        """:param after: what is there afterwards, by kind, table and name."""
        self._columns = {name.lower(): {c.lower() for c in table.column_names} for name, table in tables.items()}
        self._heard, self._declared, self._after = heard, declared, after
        self._nameless = list(heard.nameless)

    def is_named_after(self, was: Definition) -> bool:
        """Whether an operation dropped something whose name holds the columns of this."""
        table = was.table.lower()
        return any(_holds(item.name, was) for item in self._nameless if (item.kind, item.table) == (was.kind, table))

    def explain(self, was: Definition, now: Definition) -> Lost:
        """:param now: what it would be under the names of head."""
        for key in (f"{was.kind} {was.label}", was.label, f"{was.kind} {was.name}", was.name):
            if key in self._declared.losses:
                return Lost(was, "", self._declared.losses[key], key)
        if revision := self._find_drop(was, now):
            return Lost(was, revision, "dropped by name")
        by, table = self._find_speaker(was), now.table.lower()
        if table and table not in self._columns and not self._is_view(table):
            return Lost(was, by, f"gone with {was.table}")
        if missing := [column for column in now.columns if column.lower() not in self._columns.get(table, set())]:
            return Lost(was, by, f"gone with the column {was.table}.{missing[0]}")
        if (said_by := self._find_clause(was, now)) is not None:
            return Lost(was, said_by, "changed by name" if _name(now) in self._after else "dropped by name")
        return Lost(was, by)

    def _find_speaker(self, was: Definition) -> str:
        """The revision that spoke of the table last, or the only one there was."""
        only = self._heard.revisions[0] if len(self._heard.revisions) == 1 else ""
        return self._heard.touched.get(was.table.lower(), only)

    def _is_view(self, name: str) -> bool:
        """Whether a view is there: made again, it has lost what was on the former one."""
        return any((kind, "", name) in self._after for kind in ("view", "materialized view"))

    def _find_clause(self, was: Definition, now: Definition) -> str | None:
        """The revision that spoke of such a thing of this column or table in so many words."""
        places = [
            Clause(kind, item.table.lower(), name)
            for item in (was, now)
            for kind in (was.kind, "")
            for name in {item.name.lower(), ""}
        ]
        return next((self._heard.clauses[place] for place in places if place in self._heard.clauses), None)

    def _find_drop(self, was: Definition, now: Definition) -> str | None:
        if was.kind in _OF_ANOTHER:
            return None
        nameless = self._take_nameless(was, now)
        # A routine's name has the types of its arguments, which a statement may leave out.
        names = (was.name.lower(), was.name.lower().partition("(")[0].strip('"'))
        return next((self._heard.dropped[n] for n in names if n in self._heard.dropped), None) if was.name else nameless

    def _take_nameless(self, was: Definition, now: Definition) -> str | None:
        """The revision that dropped such a constraint of this table; one that is named after its columns first."""
        tables = {was.table.lower(), now.table.lower()}
        matches = [item for item in self._nameless if item.kind == was.kind and item.table in tables]
        if not matches:
            return None
        best = max(matches, key=lambda item: (item.name == was.name.lower(), _holds(item.name, was)))
        if was.name and best.name != was.name.lower():
            return None
        self._nameless.remove(best)
        return best.revision


def _holds(name: str, definition: Definition) -> bool:
    return bool(definition.columns) and all(column.lower() in name for column in definition.columns)
