"""A profile at work: chosen by name, keyed, checked against a source's tables, applied to its rows."""

from __future__ import annotations

import importlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from ...dialects.model import Column, LogicalType, Table, Values
from ...dialects.values import tag, to_base64, untag
from ...errors import DoesNotFit, FerryError, Misconfigured
from ..profiles import Constant, Document, Emptied, Keep, Keyed, Profile, Replacement, Tables
from ..rows.canonical import from_python, json_text
from ..rows.header import AppliedProfile, Header
from ..run.run import Run
from ..run.source import SourceSpec

KEY_FILE = "profile.key"
KEY_BYTES = 32
JSON_NULL = "null"
MOST_DIGITS = 19
"""As many fit into 64 bits, with a sign."""
LEAST_KEY_CHARACTERS = 16
GUIDE = "(docs/anonymise.md), then run again: flask db-migrate-data SOURCE --profile NAME"

COVERED = frozenset({LogicalType.TEXT, LogicalType.BYTES, LogicalType.JSON, LogicalType.ANY})
"""Columns of these types are replaced or kept by name."""
TEXTS = frozenset({LogicalType.TEXT, LogicalType.ANY})


@dataclass(frozen=True)
class Chosen:
    """The profile that a run was given."""

    name: str
    profile: Profile

    @property
    def applied(self) -> AppliedProfile:
        return AppliedProfile(self.name, self.profile.digest())


def choose_profile(run: Run) -> Chosen | None:
    """The profile of ``--profile`` or ``FERRY_PROFILE``.

    :raises Misconfigured: there is no such profile, or no module of profiles.
    """
    name, module_name = run.settings.profile, run.settings.profiles
    if name is None:
        return None
    if module_name is None:
        raise Misconfigured(
            f"There is no profile {name!r}: FERRY_PROFILES is not set.", hint=f'Set FERRY_PROFILES = "module" {GUIDE}'
        )
    known = list_profiles(run)
    if name not in known:
        raise Misconfigured(
            f"There is no profile {name!r} in {module_name}.",
            hint=f"Use --profile with one of: {', '.join(sorted(known)) or 'none is declared there'}.",
        )
    return Chosen(name, known[name])


def list_profiles(run: Run) -> dict[str, Profile]:
    """The profiles of ``FERRY_PROFILES``, by name.

    :raises Misconfigured: the module cannot be imported.
    """
    module_name = run.settings.profiles
    if module_name is None:
        return {}
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise Misconfigured(f"FERRY_PROFILES: module {module_name} cannot be imported: {error}.") from error
    return {key: value for key, value in vars(module).items() if isinstance(value, Profile)}


def as_profiled(spec: SourceSpec, choice: Chosen | None) -> SourceSpec:
    """The source as another one than itself without the profile."""
    return replace(spec, identity=choice.applied.identity_of(spec.identity)) if choice else spec


def as_plain(spec: SourceSpec, choice: Chosen) -> SourceSpec:
    """The source of :func:`as_profiled` as it was."""
    return replace(spec, identity=spec.identity.removesuffix(choice.applied.identity_of("")))


def profile_key(run: Run) -> bytes:
    """The secret of this environment: ``FERRY_PROFILE_KEY``, else random bytes of mode 0600 in the control area.

    :raises Misconfigured: the key is too short to be one.
    """
    text = run.settings.profile_key
    if text is not None:
        if len(text) < LEAST_KEY_CHARACTERS:
            raise Misconfigured(
                f"FERRY_PROFILE_KEY has fewer than {LEAST_KEY_CHARACTERS} characters.",
                hint="Set FERRY_PROFILE_KEY to a long random text, or not at all: then a key is made and kept.",
            )
        return text.encode()
    path = run.control.directory / KEY_FILE
    if not path.exists():
        beside = path.with_name(f".{KEY_FILE}.{run.id}.tmp")
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise FerryError(f"{path} is not a key.", hint="Remove it: another one is made, with other replacements.")
    return key


Change = Callable[[Any], Any]


@dataclass
class Bound:
    """A profile for the tables of one source, checked; counts what it replaces.

    :ivar excluded: tables whose rows are left out, and how many those were.
    """

    chosen: Chosen
    rules: Tables
    keyed: Keyed = field(repr=False)
    exclude: frozenset[str] = frozenset()
    values: Counter[str] = field(default_factory=Counter)
    excluded: dict[str, int] = field(default_factory=dict)

    def header(self, header: Header, identity: str) -> Header:
        """The header of the anonymised snapshot."""
        return replace(header, identity=self.chosen.applied.identity_of(identity), profile=self.chosen.applied)

    def rows(self, table: Table, rows: Iterable[Values]) -> Iterator[Values]:
        """Rows of a table with what stands in for their values.

        :raises DoesNotFit: a column of numbers or times holds a text that nobody declared.
        """
        if table.name in self.exclude:
            self.excluded[table.name] = sum(1 for _ in rows)
            return
        rules = self.rules.get(table.name, {})
        changes = [
            (place, column.name, _change(column, rules[column.name], self.keyed))
            for place, column in enumerate(table.columns)
            if column.name in rules and rules[column.name] != Keep()
        ]
        others = [(place, column) for place, column in enumerate(table.columns) if column.name not in rules]
        for number, row in enumerate(rows, 1):
            for place, column in others:
                if isinstance(row[place], dict):
                    _refuse_text(table, column, number, row[place])
            for place, name, change in changes:
                if row[place] is not None:
                    row[place] = change(row[place])
                    self.values[f"{table.name}.{name}"] += 1
            yield row

    def receipt(self, tables: Iterable[Table]) -> dict[str, Any]:
        """What was replaced, and how many values; what is kept."""
        replaced, columns_kept = [], []
        for table in tables:
            for name, rule in self.rules.get(table.name, {}).items():
                full = f"{table.name}.{name}"
                if table.name in self.exclude:
                    continue
                if rule == Keep():
                    columns_kept.append(full)
                else:
                    replaced.append({"column": full, "by": rule.kind, "values": self.values[full]})
        return {"profile": self.chosen.name, "replaced": replaced, "kept": columns_kept}


def bind(
    run: Run, choice: Chosen, tables: Mapping[str, Table], revision: str | None, exclude: Collection[str]
) -> Bound:
    """A profile with its key, for a source's tables.

    :raises Misconfigured: as :func:`check_profile` and :func:`profile_key`.
    """
    rules = check_profile(run, choice, tables, revision, exclude)
    return Bound(choice, rules, Keyed(profile_key(run)), frozenset(exclude))


def check_profile(
    run: Run, choice: Chosen, tables: Mapping[str, Table], revision: str | None, exclude: Collection[str]
) -> Tables:
    """What a profile says of a source's tables, checked against them; writes nothing.

    :param exclude: tables whose rows are left out; nobody needs to speak of them.
    :raises Misconfigured: names every column that is not covered, is not there, or cannot be replaced so.
    """
    rules = choice.profile.at(revision, run.schema.lineage()) if revision else None
    if rules is None:
        raise Misconfigured(
            f"The profile {choice.name!r} says nothing of revision {revision} or one before it.",
            hint=f"Declare its columns in {run.settings.profiles} {GUIDE}",
        )
    problems = [*_unknown(rules, tables, exclude)]
    for name, table in sorted(tables.items()):
        if name not in exclude:
            problems += _problems(table, rules, tables)
    if problems:
        raise Misconfigured(
            f"The profile {choice.name!r} does not fit the source, which is at revision {revision}.",
            details=problems,
            hint=f"Declare in {run.settings.profiles} what becomes of each, or that it is kept {GUIDE}",
        )
    return rules


def _unknown(rules: Tables, tables: Mapping[str, Table], exclude: Collection[str]) -> Iterator[str]:
    for name, columns in rules.items():
        known = tables[name].column_names if name in tables else ()
        if name not in exclude:
            yield from (f"{name}.{column} is declared and not there" for column in columns if column not in known)


def _problems(table: Table, rules: Tables, tables: Mapping[str, Table]) -> Iterator[str]:
    of_table = rules.get(table.name, {})
    for column in table.columns:
        full = f"{table.name}.{column.name}"
        rule = of_table.get(column.name)
        if rule is None:
            if column.type in COVERED:
                yield f"{full} ({column.type}) is neither replaced nor kept"
        elif why := _unfit(column, rule):
            yield f"{full}: {why}"
    yield from _key_problems(table, of_table)
    for key in table.foreign_keys:
        theirs = rules.get(key.table, {})
        for here, there in zip(key.columns, key.referred, strict=True):
            if key.table in tables and of_table.get(here, Keep()) != theirs.get(there, Keep()):
                yield f"{table.name}.{here} refers to {key.table}.{there}, which is replaced otherwise"


def _key_problems(table: Table, rules: Mapping[str, Replacement]) -> Iterator[str]:
    for name in dict.fromkeys(name for names in (table.primary_key, *table.unique) for name in names):
        if name in rules and not rules[name].distinct:
            yield f"{table.name}.{name} is part of a key, and {rules[name].kind!r} may give equal values"


def _unfit(column: Column, rule: Replacement) -> str | None:
    """Why a replacement cannot be that of a column."""
    match rule:
        case Keep(matching=None):
            return None
        case Emptied():
            fits = column.nullable or column.type in COVERED - {LogicalType.ANY}
            return None if fits else "it cannot be NULL, and has no empty value"
        case Constant():
            return _unfit_constant(column, rule)
        case Document():
            return None if column.type in {LogicalType.JSON, LogicalType.TEXT} else "it holds no JSON"
    if column.type not in TEXTS:
        return f"{rule.kind!r} is for texts, and it is of type {column.type}"
    if column.length is not None and rule.width is not None and rule.width > column.length:
        return f"{rule.kind!r} needs {rule.width} characters, and it has {column.length}"
    return None


def _unfit_constant(column: Column, rule: Constant) -> str | None:
    try:
        form = from_python(column, rule.value)
    except (DoesNotFit, TypeError):
        return f"the constant is not of type {column.type}"
    if form is None:
        return "the constant is None: use emptied()"
    too_long = column.type in TEXTS and column.length is not None and len(str(form)) > column.length
    return f"the constant has more than {column.length} characters" if too_long else None


def _change(column: Column, rule: Replacement, keyed: Keyed) -> Change:
    match rule:
        case Emptied():
            empty = None if column.nullable else _EMPTY[column.type]
            return lambda _value: empty
        case Constant():
            form = from_python(column, rule.value)
            return lambda _value: form
        case Document():
            return lambda value: _document(_plain(value), rule, keyed)
    wrap: Change = tag if column.type is LogicalType.ANY else str

    def change(value: Any) -> Any:
        plain = _plain(value)
        return wrap(rule.text(plain, keyed) if plain else plain)

    return change


def _document(text: str, rule: Document, keyed: Keyed) -> str:
    """The JSON text of what stands in; what is no JSON, or cannot be written as such, is not kept."""
    try:
        document = json.loads(text, parse_float=Decimal, parse_int=_integer)
        return json_text(rule.inside(document, keyed))
    except (ValueError, TypeError, RecursionError):
        return JSON_NULL


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < MOST_DIGITS else Decimal(digits)


_EMPTY = {LogicalType.TEXT: "", LogicalType.BYTES: "", LogicalType.JSON: JSON_NULL}


def _plain(value: Any) -> str:
    """A text, or what SQLite holds in its place, as a text."""
    if isinstance(value, dict):
        content = untag(value)
        return to_base64(content) if isinstance(content, bytes) else str(content)
    return str(value)


def _refuse_text(table: Table, column: Column, number: int, value: dict[str, str]) -> None:
    if "$text" in value or "$bytes" in value:
        raise DoesNotFit(
            f"{table.name}.{column.name} is of type {column.type}, and holds a text in row {number}, "
            "which may be anything.",
            hint=f"Declare in the profile what becomes of the column, or that it is kept {GUIDE}",
        )
