"""PostgreSQL: the schemas that lie beside a target, in its own database, and the URLs that mean them.

::

    public                                          the target
    ferry                                           its control area
    ferry_staging_20261123T154658_abc123            a staging schema
    ferry_gen_0badcafe_old                          a generation

Beside a target that is another schema than ``public`` they begin with its name and ``__``, so that two apps in two
schemas of one database do not meet. ``-`` is written ``_``, which no run's name holds.
A URL means one of them by ``search_path`` in its ``options``; the last one counts, as it does for the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import URL

from ...errors import FerryError, Protected
from ..redact import redact

PUBLIC = "public"
STAGING = "ferry_staging_"
GENERATION = "ferry_gen_"
CONTROL = "ferry"
HOLD = "ferry_hold"
"""What the target is called inside a transaction that restores a dump, and never to anybody else."""

LONGEST = 63
"""Bytes of a name; the server cuts longer ones off (PostgreSQL manual, 4.1.1)."""
LONGEST_RUN = 32
LONGEST_TARGET = LONGEST - len("__" + STAGING) - LONGEST_RUN

_CONTROL = "ferry(?:_control[0-9]?)?"
_OWN = re.compile(rf"(ferry_staging_|ferry_gen_)([A-Za-z0-9_]+)|{_CONTROL}|ferry_hold")
_PREFIXED = re.compile(rf"(.+?)__(?=(?:ferry_staging_|ferry_gen_)[A-Za-z0-9_]+$|{_CONTROL}$|ferry_hold$)", re.DOTALL)
BESIDE = rf"(?:.+__)?(?:{_OWN.pattern})"
"""What the name of every schema of ours matches, and perhaps another one's; of whichever target."""
_PLAIN = re.compile(r"[A-Za-z0-9-]+")
_OPTION = re.compile(r"(?:\\.|[^\\\s])+", re.DOTALL)
_NAME_IN_PATH = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*?))\s*(?:,|$)')


def literal(text: str) -> str:
    """A text as SQL text, however the session reads backslashes."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in text else f"'{escaped}'"


def quote(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Place:
    """A schema.

    :ivar target: the live schema it belongs to; the same, for that one.
    """

    schema: str
    target: str

    @property
    def is_target(self) -> bool:
        return self.schema == self.target


def prefix_of(target: str) -> str:
    """What the names of all schemas of a target's begin with."""
    return "" if target == PUBLIC else f"{target}__"


def parse(schema: str) -> tuple[str, str, str] | None:
    """Target, kind (``ferry_staging_``, ``ferry_gen_`` or empty) and name of a schema of ours; None for any other."""
    target, match = PUBLIC, _OWN.fullmatch(schema)
    if match is None and (prefixed := _PREFIXED.match(schema)):
        target, match = prefixed[1], _OWN.fullmatch(schema, prefixed.end())
    return (target, match[1] or "", (match[2] or "").replace("_", "-")) if match else None


def is_droppable(schema: str) -> bool:
    """Whether a schema is a staging schema or a generation, of whichever target."""
    parts = parse(schema)
    return parts is not None and bool(parts[1])


def check_droppable(place: Place) -> Place:
    """:raises FerryError: the schema is neither a staging schema nor a generation."""
    if not is_droppable(place.schema):
        raise FerryError(f"{place.schema} is neither a staging schema nor a generation; it is not replaced.")
    return place


def beside(target: str, kind: str, name: str) -> str:
    """The name of a staging schema or generation.

    :raises Protected: the target's name leaves no room.
    """
    if not _PLAIN.fullmatch(name):
        raise FerryError(f"{name!r} is no name of a run or generation.")
    check_target(target)
    return f"{prefix_of(target)}{kind}{name.replace('-', '_')}"


def controls(target: str) -> list[str]:
    """The names that the control area of a target may have, the first one by preference."""
    return [prefix_of(target) + CONTROL + end for end in ("", "_control", *(f"_control{n}" for n in range(10)))]


def check_target(schema: str) -> None:
    """Refuse a target whose name leaves no room for those beside it, is the server's own, or is one of ours.

    :raises Protected: with the longest name that does.
    """
    if schema.startswith("pg_") or schema == "information_schema":
        raise Protected(f"The schema {schema} is the database server's own.")
    if parse(schema) is not None:
        raise Protected(
            f"The schema {schema} has a name as Flask-Ferry gives to its own: they are dropped without a question.",
            hint="Let the app's tables lie in a schema of another name: for a role whose own schema this is, "
            "ALTER ROLE CURRENT_USER SET search_path = public, or in the URL ?options=-csearch_path%3Dpublic; "
            f"where the app's tables lie in it already: ALTER SCHEMA {quote(schema)} RENAME TO app, and that name.",
        )
    if parse(f"{prefix_of(schema)}{STAGING}x") != (schema, STAGING, "x"):
        raise Protected(
            f"The names of staging schemas beside the schema {schema} would be taken for another one's.",
            hint="Let the app's tables lie in a schema whose name does not begin with ferry_staging or ferry_gen.",
        )
    if schema != PUBLIC and len(schema.encode()) > LONGEST_TARGET:
        raise Protected(
            f"The schema's name {schema} leaves no room for those of staging schemas.",
            hint=f"Choose a name of at most {LONGEST_TARGET} bytes.",
        )


def database_of(url: URL) -> str:
    """The name of a URL's database.

    :raises Protected: it names none.
    """
    if not url.database:
        raise Protected(
            f"{redact(url)} names no database.",
            hint="Write it behind the host, e.g. postgresql://user:password@host/shop",
        )
    return url.database


def check_url(url: URL) -> None:
    """:raises Protected: the URL names no database, or a schema that can be no target."""
    database_of(url)
    named = schema_named(url)
    if named is not None:
        check_target(named)


def full_name(url: URL, schema: str) -> str:
    """The name of a schema for people: its database's alone where it is ``public``."""
    return database_of(url) if schema == PUBLIC else f"{database_of(url)}.{schema}"


def options_of(url: URL) -> str:
    """The options of a URL, as the server is sent them."""
    value = url.query.get("options", "")
    return value if isinstance(value, str) else " ".join(value)


def with_schema(url: URL, schema: str) -> URL:
    """A URL that means a schema of the database of another URL; whatever else its options say stays."""
    former = options_of(url)
    value = re.sub(r"([\\\s])", r"\\\1", quote(schema))
    return url.update_query_dict({"options": f"{former} -csearch_path={value}".strip()})


def schema_named(url: URL) -> str | None:
    """The first schema of the search path in a URL's options, or None where they say nothing of it."""
    path = next((value for name, value in reversed(list(_settings(options_of(url)))) if name == "search_path"), None)
    return None if path is None else first_schema(path)


def first_schema(search_path: str) -> str | None:
    """The first schema that a search path names itself, ``$user`` left out."""
    return next((name for name in list_schemas(search_path) if name != "$user"), None)


def list_schemas(search_path: str) -> list[str]:
    """The schemas of a search path, ``$user`` among them."""
    names = [
        str(match[2].lower() if match[1] is None else match[1].replace('""', '"'))
        for match in _NAME_IN_PATH.finditer(search_path)
    ]
    return [name for name in names if name]


def _settings(options: str) -> Iterator[tuple[str, str]]:
    """Names and values of ``-c name=value``, ``-cname=value`` and ``--name=value``."""
    words = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in _OPTION.findall(options)]
    for index, word in enumerate(words):
        if word == "-c":
            setting = words[index + 1] if index + 1 < len(words) else ""
        elif word.startswith(("-c", "--")):
            setting = word[2:]
        else:
            continue
        name, sign, value = setting.partition("=")
        if sign:
            yield name.strip().lower().replace("-", "_"), value


def app_url(url: URL) -> URL:
    """The URL of the live database that :func:`with_schema` made a URL of; any other one as it is."""
    if own_place(url) is None:
        return url
    former = options_of(url).rpartition("-csearch_path=")[0].strip()
    return url.update_query_dict({"options": former}) if former else url.difference_update_query(["options"])


def named_place(url: URL, schema: str | None) -> Place | None:
    """The live schema that an app's models name; None where they name none, or the URL means one by itself."""
    return Place(schema, schema) if schema is not None and schema_named(url) is None else None


def own_place(url: URL) -> Place | None:
    """The schema of ours that a URL means, or None where it means a target."""
    schema = schema_named(url)
    parts = parse(schema) if schema else None
    return Place(schema, parts[0]) if schema and parts else None
