"""MySQL and MariaDB: the names of the databases that lie beside a target.

::

    shop                                            the target
    shop__ferry                                     its control area
    shop__stg_20261123_t154658__abc123              a staging database
    shop__gen_0badcafe__old                         a generation

One ``GRANT`` on ``shop\\_\\_%`` covers them all. A server may fold names to lower case, so a capital letter of a run's
name is written ``_`` and the small one, and ``-`` is written ``__``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import URL

from ...errors import FerryError, Protected
from ..model import Beside
from ..redact import redact

STAGING = "__stg_"
GENERATION = "__gen_"
CONTROL = "__ferry"
ALL_BESIDE = r"\_\_%"
"""Behind a target's name in ``GRANT ... ON``: all of these."""

LONGEST = 64
"""Characters of a database's name (MySQL manual, 11.2.1)."""
LONGEST_ENCODED = 34
"""Room for a run's name, written as it is here, with what the engine puts behind it."""
LONGEST_TARGET = LONGEST - len(STAGING) - LONGEST_ENCODED

_SYSTEM = ("mysql", "sys", "information_schema", "performance_schema")
_ESCAPED = re.compile(r"_([_a-z])")
_PLAIN = re.compile(r"[A-Za-z0-9-]+")


def database_of(url: URL) -> str:
    """The name of a URL's database.

    :raises Protected: it names none.
    """
    if not url.database:
        raise Protected(
            f"{redact(url)} names no database.",
            hint="Write it behind the host, e.g. mysql://user:password@host/shop",
        )
    return url.database


def check(url: URL) -> None:
    """Refuse a target whose name leaves no room for those beside it, is the server's own, or looks like ours.

    :raises Protected: with the longest name that does.
    """
    name = database_of(url)
    if name.lower() in _SYSTEM:
        raise Protected(f"{name} is the database server's own.")
    if is_beside(name) or name.lower().endswith(CONTROL):
        raise Protected(
            f"The database {name} has a name as Flask-Ferry gives to its own: they are dropped without a question.",
            hint=f"Choose a name without {STAGING}, {GENERATION} and {CONTROL}.",
        )
    if len(name) > LONGEST_TARGET:
        raise Protected(
            f"The database's name {name} has {len(name)} characters: it leaves no room for those of staging databases.",
            hint=f"Choose a name of at most {LONGEST_TARGET} characters.",
        )


def is_beside(name: str) -> bool:
    """Whether a database is a staging database or a generation, of whichever target."""
    return STAGING in name.lower() or GENERATION in name.lower()


def target_of(name: str) -> str | None:
    """The target that a staging database or generation lies beside, or None for any other."""
    lowered = name.lower()
    ends = [at for infix in (STAGING, GENERATION) if (at := lowered.rfind(infix)) > 0]
    return name[: max(ends)] if ends else None


def refuse_live(name: str) -> None:
    """Let no fault of ours drop a live database.

    :raises FerryError: it has no name of a staging database or generation.
    """
    if not is_beside(name):
        raise FerryError(f"{name} is neither a staging database nor a generation; it is not dropped.")


def beside(url: URL, infix: str, name: str) -> URL:
    """The URL of a database beside a target.

    :raises Protected: the whole name would be too long.
    """
    if not _PLAIN.fullmatch(name):
        raise FerryError(f"{name!r} is no name of a run or generation.")
    whole = database_of(url) + infix + encode(name)
    if len(whole) > LONGEST:
        raise Protected(
            f"The name {whole} is longer than the {LONGEST} characters that a database's name can have.",
            hint=f"Choose a name of at most {LONGEST_TARGET} characters for the database.",
        )
    return url.set(database=whole)


def encode(name: str) -> str:
    """A run's name as part of a database's name: lower case, and reversible."""
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name.replace("-", "__"))


def decode(text: str) -> str:
    """The reverse of :func:`encode`."""
    return _ESCAPED.sub(lambda match: "-" if match[1] == "_" else match[1].upper(), text)


def name_in(schema: str, prefix: str, *, folds: bool) -> str | None:
    """The run's name in that of a database which begins with ``prefix``; None where it is not one of ours.

    :param folds: the server compares names without regard to case.
    """
    folded, wanted = (schema.lower(), prefix.lower()) if folds else (schema, prefix)
    if not folded.startswith(wanted):
        return None
    name = decode(schema[len(prefix) :])
    return name if name and encode(name) == schema[len(prefix) :] and _PLAIN.fullmatch(name) else None


def list_beside(url: URL, schemas: Iterable[str], *, folds: bool) -> list[Beside]:
    """All staging databases and generations of a target among a server's databases."""
    schemas, databases = list(schemas), []
    for infix, is_generation in ((STAGING, False), (GENERATION, True)):
        present = [name_in(schema, database_of(url) + infix, folds=folds) for schema in schemas]
        databases += [Beside(name, beside(url, infix, name), is_generation) for name in present if name]
    return databases


def grant_pattern(database: str, more: str = "") -> str:
    """A database's name, quoted, for ``GRANT ... ON``: there ``_`` and ``%`` stand for any character.

    :param more: what is put behind it as it is, e.g. :data:`ALL_BESIDE`.
    """
    escaped = re.sub(r"([\\_%])", r"\\\1", database) + more
    return "`" + escaped.replace("`", "``") + "`"


_OF_DATABASES = re.compile(
    r"\s*(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)\b"
    r"(?:\s+IF(?:\s+NOT)?\s+EXISTS)?(?:\s*`((?:[^`]|``)+)`|\s+(?!(?:DEFAULT|CHARACTER|CHARSET|COLLATE)\b)(\w+))?",
    re.IGNORECASE,
)


@dataclass
class Changes:
    """How often this process created, altered or dropped a database, by its name; an empty one for any."""

    counts: Counter[str] = field(default_factory=Counter)

    def regard(self, sql: str) -> None:
        if match := _OF_DATABASES.match(sql):
            self.counts[(match[1] or match[2] or "").lower()] += 1

    def of(self, database: str) -> int:
        """A number that differs after each change of a database."""
        return self.counts[database.replace("`", "``").lower()] + self.counts[""]


CHANGES = Changes()
"""Of this process: a session that selected a database before has not what it would have of the new one."""
