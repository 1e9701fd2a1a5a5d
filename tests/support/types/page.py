"""docs/types.md, made of what the routes gave."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.dialects.model import LogicalType
from tests.support.site import ROOT

from .kinds import (
    GENERIC,
    KINDS,
    MARIADB,
    OWN_OF_MARIADB,
    OWN_OF_POSTGRESQL,
    OWN_OF_SQLITE,
    POSTGRESQL,
    SERVERS,
    SQLITE,
    Kind,
)
from .routes import Cell, Cells

PAGE = ROOT / "docs" / "types.md"
ROUTES = [(one, other) for one in SERVERS for other in SERVERS]
SHORT = {SQLITE: "S", MARIADB: "M", POSTGRESQL: "P"}

WHY = (
    (r"keeps no sign of a zero", "SQLite and MariaDB keep no `-0.0`."),
    (
        r"no application could read this value",
        "SQLite would take the value as a text among others, and an application could not read it there. Of an SQLite "
        "file such values are carried as they are.",
    ),
    (
        r"SQLite would round|SQLite would hold a",
        "SQLite keeps numbers that are too long for 64 bits as floats, also in NUMERIC and JSON columns.",
    ),
    (r"too large to convert to SQLite INTEGER", "An integer of SQLite has 64 bits, with a sign."),
    (r"PostgreSQL text cannot hold NUL", "PostgreSQL has no NUL in texts."),
    (
        r"\((float|decimal.*|double.*|datetime.*|time.*)\) would not hold|would round|Incorrect datetime value",
        "More digits, or another range, than the column has: MariaDB's FLOAT has 24 bits and its DOUBLE no infinity, "
        "its DATETIME no fraction of a second unless declared, its DECIMAL without digits none after the point, its "
        "TIMESTAMP begins in 1970; PostgreSQL's REAL has 24 bits.",
    ),
    (
        r"out of range|Out of range|Data too long|characters are too many|\(binary.*\) would not"
        r"|\((tiny|small|medium|big)?int.*\) would not|\(year.*\) would not|\(bit.*\) would not",
        "Out of the column's range or length.",
    ),
    (r"keep blanks at the end|\(char.*\) would not hold", "CHAR keeps no blanks at the end."),
    (
        r"CONSTRAINT .* failed|invalid input syntax for type json|jsonb would hold|jsonb keeps|type jsonb? cannot"
        r"|\(longtext\) would not",
        "No JSON to this server, or no text: JSONB keeps one of two equal keys and no half of a surrogate pair.",
    ),
    (
        r"\(enum.*would not|invalid input value for enum|\(set.*would not",
        "Not a label of the type. MariaDB shows nobody its labels of 4-byte characters (`?` in their place), so that "
        "no value can be proved to be one.",
    ),
    (
        r"invalid input syntax|cannot hold the|\((date|uuid|var.*|text)\) would not|Cannot get geometry",
        "A value that the target's type does not have: SQLite lets any into a column, PostgreSQL has infinities, years "
        "beyond 9999 and 24:00, MariaDB dates that are none.",
    ),
    (
        r"[Ii]ncorrect inet6|inet would hold|malformed array|would hold '",
        "The server spells it otherwise, or has none.",
    ),
    (r"Incorrect uuid value", "MariaDB's UUID takes none whose version and variant it does not know."),
    (r"domain|check constraint", "Refused by the domain's own CHECK."),
)
"""What a refusal says, and why in plain words."""
SEEN = (
    (
        r"^Float|^REAL",
        "Exact in the database; MariaDB shows 6 digits of a FLOAT, PostgreSQL the shortest ones of a REAL.",
    ),
    (
        r"^Numeric|^BIGINT UNSIGNED",
        "Exact in the database; SQLAlchemy reads SQLite's NUMERIC through a float, with 10 digits after the point "
        "where none are declared.",
    ),
    (r"^JSON", "Exact by value; JSONB spells numbers anew, so that Python reads an integer where it read a float."),
)
"""Of which kinds SQLAlchemy may show a value otherwise, and why."""
SPELLED = (
    "Equal by value: JSONB (and MySQL's JSON) keep no blanks, no order of keys and no spelling of numbers. What is "
    "proved of JSON is its value."
)
ONE_WAY = "Arrives exactly, and its own server would not take it back: n"
ABSENT = "the server has no such type"


class Notes:
    """Footnotes in the order in which they are met."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def why(message: str) -> str:
    """A refusal's reason in plain words.

    :raises LookupError: nobody has written it yet.
    """
    for pattern, text in WHY:
        if re.search(pattern, message):
            return text
    raise LookupError(f"no reason is written for: {message}")


def outcome(cell: Cell, notes: Notes) -> str:
    """A cell's text."""
    reasons = dict.fromkeys(map(why, cell.refused.values()))
    marks = "".join(map(notes.mark, reasons))
    if not any(label != "NULL" for label in cell.kept):
        return f"refused {marks}" if marks else ABSENT
    word = "as text" if _is_text_now(cell) else "exact"
    words = [word]
    if cell.refused:
        words.append(f", but {', '.join(map(_escaped, cell.refused))} refused {marks}")
    if cell.spelled:
        words.append(" " + notes.mark(SPELLED))
    if cell.one_way:
        words.append(" " + notes.mark(ONE_WAY + " ".join(dict.fromkeys(map(why, cell.one_way.values())))[1:]))
    if cell.seen:
        words.append(" " + notes.mark(_seen(cell.kind)))
    return "".join(words)


def _seen(kind: Kind) -> str:
    for pattern, text in SEEN:
        if re.search(pattern, kind.title):
            return text
    raise LookupError(f"no reason is written for what SQLAlchemy shows of {kind.title}")


def _is_text_now(cell: Cell) -> bool:
    one, other = cell.columns
    is_of_sqlalchemy = cell.kind.is_native(SQLITE) and cell.kind.is_native(POSTGRESQL) and cell.kind.is_native(MARIADB)
    return other.type is LogicalType.TEXT is not one.type and not is_of_sqlalchemy


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def declared(kind: Kind, server: str) -> str:
    """How a column is declared on a server, for people."""
    spec = kind.spec(server)
    return f"`{spec}`" if isinstance(spec, str) and spec else "no type" if isinstance(spec, str) else f"`{spec!r}`"


def _row(kind: Kind, cells: dict[tuple[str, str], Cells], exported: dict[str, set[str]], notes: Notes) -> str:
    found = [outcome(cells[route][kind.title], notes) for route in ROUTES]
    found.append("exact" if all(kind.title in exported[server] for server in SERVERS) else "CHANGED")
    return f"| {_escaped(kind.title)} | " + " | ".join(found) + " |"


def page(cells: dict[tuple[str, str], Cells], exported: dict[str, set[str]]) -> str:
    """The whole page.

    :param cells: by route.
    :param exported: by source, the kinds whose rows the export gives as the snapshot has them.
    """
    return "\n".join(_lines(cells, exported)) + "\n"


def _lines(cells: dict[tuple[str, str], Cells], exported: dict[str, set[str]]) -> Iterator[str]:
    notes = Notes()
    yield from INTRODUCTION.strip().splitlines()
    heads = [f"{SHORT[one]}→{SHORT[other]}" for one, other in ROUTES]
    parts = [
        ("SQLAlchemy's types", GENERIC),
        ("MariaDB's own", OWN_OF_MARIADB),
        ("PostgreSQL's own", OWN_OF_POSTGRESQL),
        ("SQLite's own", OWN_OF_SQLITE),
    ]
    for title, kinds in parts:
        yield from ("", f"## {title}", "", f"| type | {' | '.join(heads)} | export |", "|---" * (len(heads) + 2) + "|")
        for kind in kinds:
            yield _row(kind, cells, exported, notes)
    yield from ("", "## Notes", "")
    for number, text in enumerate(notes.texts, 1):
        yield f"{number}. {text}"
    yield from (
        "",
        "## How the columns were declared",
        "",
        "| type | SQLite | MariaDB | PostgreSQL |",
        "|---|---|---|---|",
    )
    for kind in (kind for kind in KINDS if len(kind.on) > 1):
        own = " | ".join(_escaped(declared(kind, server)) for server in SERVERS)
        yield f"| {_escaped(kind.title)} | {own} |"


INTRODUCTION = """
# Which types arrive, and how

Made by `make types`, from what its tests just did: every column type below was filled with values at its edges on each
server, written to a snapshot, loaded into each server by the real engine, and carried back.

- **exact**: back on the server that it came from, its line in a snapshot is the first one, byte for byte; where both
  columns have one [logical type](snapshot-format.md#rows), so is its line on the target; and SQLAlchemy reads equal
  Python values of equal types from both, where it can read the type.
- **exact, but X refused**: the load stops and names the rows with such a value (`--set-aside` puts them into a file);
  all others are exact. Nothing is changed in silence.
- **as text**: a type that the other server does not have arrives as a text, and goes back from that exactly.
- **the server has no such type**: the route begins where no value of it can be.
- **export**: the [export protocol](export-protocol.md) gives the lines that the snapshot has.

S is SQLite, M MariaDB, P PostgreSQL. The [last table](#how-the-columns-were-declared) tells how the column was declared
on each, e.g. by `with_variant`. A server's own values (31 February, infinity, a text in a column of integers) are only
carried from that server.

`make test-servers` carries them over MariaDB 11.8, MySQL 9.7 (with its JSON, and texts for `UUID` and `INET6`) and
PostgreSQL 18 as well; this page is of the versions that [guarantees](guarantees.md#on-which-servers) names first.
"""
