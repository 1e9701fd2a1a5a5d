"""What an app imports to say what an old API's records mean as rows.

An adapter is a small generator, decorated with :func:`adapter`, in the module that ``FERRY_ADAPTERS`` names.
It sees one record and yields ``(table, row)`` pairs of the Alembic revision that the module declares::

    revision = "0001_classic"                # whose tables and columns the rows are of
    natural_keys = {"users": "_uid"}         # look-ups: table -> the column that identifies a row besides "id"
    not_carried = {"feedbacks.created_at": "fractions of a second"}  # what no answer of the API can say

    @adapter("posts", makes=("posts",), after=("users",))
    def posts(record: Record, find: Find) -> Rows:
        record.waive("userUid", reason="repeats the user's uid")
        yield "posts", {"id": record["id"], "_user_id": record["userId"], ...}

Every key of a record is used (read) or waived with a reason; a key that is neither stops the run by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, Protocol

from ..errors import DoesNotFit, Misconfigured
from .endpoints import HINT, RestApi

Row = Mapping[str, Any]
Rows = Iterator[tuple[str, Row]]


class _JsonNull:
    """The JSON value ``null``; Python's ``None`` is the SQL NULL."""

    def __repr__(self) -> str:
        return "JSON_NULL"


JSON_NULL: Final = _JsonNull()


class Find(Protocol):
    """Questions an adapter may ask about the rows made so far."""

    def id(self, table: str, natural_key: str) -> int:
        """The primary key of the row whose natural key is given.

        :raises DoesNotFit: no row made so far has it.
        """

    def has_type(self, record_type: str) -> bool:
        """Whether the source gave records of this type at all."""

    def expect(self, table: str, primary_key: Any) -> None:
        """Stop the run at its end unless some record made this row."""


@dataclass
class Accounts:
    """What adapters waived and noted, counted: (type, key, reason) and (type, note) -> records."""

    waived: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    notes: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: dict[tuple[str, str], list[str]] = field(default_factory=dict)


class Record(Mapping[str, Any]):
    """One record as the API gave it, which remembers what was read.

    Numbers with a fraction are :class:`~decimal.Decimal`, so nothing is rounded on the way.
    """

    def __init__(self, record_type: str, values: Mapping[str, Any], accounts: Accounts, name: str) -> None:
        self.type = record_type
        self.name = name
        self._values = values
        self._accounts = accounts
        self._open = set(values)
        self._children: list[Record] = []
        self._waived = 0
        self.may_be_rowless = False
        """Whether its adapter said why it gives no row: by a note, a nested list that is empty, or a waiver of all."""

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise DoesNotFit(f"{self.name} has no {key!r}.", hint="See docs/adapters.md.")
        self._open.discard(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        """Whether the record has the key; asking is not reading."""
        return key in self._values

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default`` when the record does not have the key."""
        return self[key] if key in self._values else default

    def each(self, key: str) -> Iterator[Record]:
        """The objects of a nested list, each a record that must be accounted for as well."""
        items = self.get(key) or []
        self.may_be_rowless = self.may_be_rowless or not items
        if not isinstance(items, list):
            raise DoesNotFit(f"{self.name}: {key!r} is not a list.")
        for number, item in enumerate(items):
            where = f"{self.name}, {key}[{number}]"
            if not isinstance(item, dict):
                raise DoesNotFit(f"{where} is not an object.")
            child = Record(f"{self.type}.{key}", item, self._accounts, where)
            self._children.append(child)
            yield child

    def rest(self) -> dict[str, Any]:
        """Every key that was neither read nor waived so far, in the record's order; now read."""
        rest = {key: value for key, value in self._values.items() if key in self._open}
        self._open.clear()
        return rest

    def waive(self, *keys: str, reason: str) -> None:
        """Leave keys out on purpose; those the record does not have are ignored."""
        for key in keys:
            if key in self._open:
                self._open.discard(key)
                self._waived += 1
                # A waiver of some keys says nothing about where the others went.
                self.may_be_rowless = self.may_be_rowless or self._waived == len(self._values)
                self._accounts.waived[self.type, key, reason] += 1

    def note(self, text: str) -> None:
        """Put a remark about this record into the receipt, counted and with a few samples."""
        self.may_be_rowless = True
        key = (self.type, text)
        self._accounts.notes[key] += 1
        samples = self._accounts.samples.setdefault(key, [])
        if len(samples) < 10:
            samples.append(self.name)

    def find_unaccounted(self) -> list[str]:
        """Keys neither read nor waived, of nested records too (``sections.colour``)."""
        keys = [f"{self.type}.{key}" for key in self._values if key in self._open]
        return keys + [key for child in self._children for key in child.find_unaccounted()]


Function = Callable[[Record, Find], Rows]


@dataclass(frozen=True)
class Adapter:
    """One record type: its function, the tables it makes, the types to be adapted before it."""

    record_type: str
    makes: tuple[str, ...]
    after: tuple[str, ...]
    function: Function


def adapter(record_type: str, *, makes: tuple[str, ...], after: tuple[str, ...] = ()) -> Callable[[Function], Function]:
    """Declare that the function turns records of ``record_type`` into rows of the tables ``makes``."""

    def declare(function: Function) -> Function:
        function.__ferry_adapter__ = Adapter(record_type, makes, after, function)  # type: ignore[attr-defined] # a function's own attributes are not typed
        return function

    return declare


@dataclass(frozen=True)
class AdapterSet:
    """All adapters of a module, with what the module declares.

    :ivar revision: whose rows they make; where an app lacks it, its revision that has ``tables``.
    :ivar tables: by which the revision is recognised in an app that calls it otherwise: name -> columns.
    """

    revision: str
    adapters: Mapping[str, Adapter]
    natural_keys: Mapping[str, str]
    not_carried: Mapping[str, str]
    api: RestApi | None = None
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, module: ModuleType) -> AdapterSet:
        """Collect a module's adapters.

        :raises Misconfigured: no revision is declared, or two adapters take the same type.
        """
        revision = getattr(module, "revision", None)
        if not isinstance(revision, str):
            raise Misconfigured(
                f"FERRY_ADAPTERS: module {module.__name__} does not say whose rows its adapters make.",
                hint='Give it a line like: revision = "<Alembic revision>"',
            )
        adapters: dict[str, Adapter] = {}
        for value in vars(module).values():
            declared = getattr(value, "__ferry_adapter__", None)
            if isinstance(declared, Adapter) and adapters.setdefault(declared.record_type, declared) is not declared:
                raise Misconfigured(f"FERRY_ADAPTERS: two adapters take {declared.record_type!r} records.")
        return cls(
            revision,
            adapters,
            dict(getattr(module, "natural_keys", {})),
            dict(getattr(module, "not_carried", {})),
            _api_of(module, adapters),
            {name: frozenset(columns) for name, columns in getattr(module, "tables", {}).items()},
        )

    def in_order(self, types: list[str]) -> list[str]:
        """The record types, each behind those it must come after.

        :raises DoesNotFit: a type has no adapter.
        :raises Misconfigured: the adapters wait for one another.
        """
        unknown = [name for name in types if name not in self.adapters]
        if unknown:
            raise DoesNotFit(
                f"No adapter takes records of type {', '.join(map(repr, unknown))}.",
                hint="See docs/adapters.md.",
            )
        ordered: list[str] = []
        waiting = list(types)
        while waiting:
            ready = [t for t in waiting if not set(self.adapters[t].after) & set(waiting)]
            if not ready:
                raise Misconfigured(f"FERRY_ADAPTERS: {', '.join(waiting)} wait for one another.")
            ordered += ready
            waiting = [t for t in waiting if t not in ready]
        return ordered


def _api_of(module: ModuleType, adapters: Mapping[str, Adapter]) -> RestApi | None:
    """The API that a module declares.

    :raises Misconfigured: it is none, or gives records that no adapter takes.
    """
    api = getattr(module, "api", None)
    if api is None or isinstance(api, ModuleType):
        return None
    if not isinstance(api, RestApi):
        raise Misconfigured(f"FERRY_ADAPTERS: api of module {module.__name__} is no RestApi.", hint=HINT)
    names = {one.name for endpoint in api.endpoints for one in (endpoint, *endpoint.alternatives)}
    if unknown := sorted(names - set(adapters)):
        raise Misconfigured(f"FERRY_ADAPTERS: no adapter takes what the api calls {', '.join(unknown)}.", hint=HINT)
    return api
