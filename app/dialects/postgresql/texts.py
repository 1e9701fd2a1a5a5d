"""PostgreSQL: what a text of the app's own code does to its transaction, seen before it is sent."""

from __future__ import annotations

import itertools
import re

from ..base import OutsideStaging
from .lexer import hide

_BLANK = r"\s*(?:--[^\n]*(?:\n|$)\s*|/\*(?:[^*]|\*(?!/))*\*/\s*)*"
END = re.compile(
    rf"{_BLANK}(?:(?P<commit>COMMIT|END)|(?P<rollback>ROLLBACK|ABORT)|(?P<begin>BEGIN|START\s+TRANSACTION))"
    rf"(?:\s+(?:WORK|TRANSACTION))?{_BLANK};?{_BLANK}\Z",
    re.IGNORECASE,
)
CONCURRENTLY = re.compile(
    rf"\A(?P<head>{_BLANK}(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX"
    r"|REINDEX\s+(?:\([^)]*\)\s*)?(?:INDEX|TABLE|SCHEMA))\s+)CONCURRENTLY\b",
    re.IGNORECASE,
)
EXTENSION = re.compile(rf"\A(?P<head>{_BLANK}CREATE\s+EXTENSION\s+)(?!IF\s+NOT\s+EXISTS\b)(?=[\w\"])", re.IGNORECASE)
"""The beginning of a text that makes an extension, which the database may have for the live schema already."""
_ROLLBACK = re.compile(r"(?:^|;)\s*(?:ROLLBACK|ABORT)\b(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b)", re.IGNORECASE)
_SPEAKS_OF_ROLLBACK = re.compile(r"ROLLBACK|ABORT", re.IGNORECASE)
VACUUM = re.compile(rf"{_BLANK}VACUUM\b[^;]*;?{_BLANK}\Z", re.IGNORECASE)
ALL_IMMEDIATE = re.compile(rf"{_BLANK}SET\s+CONSTRAINTS\s+ALL\s+IMMEDIATE\s*;?{_BLANK}\Z", re.IGNORECASE)
_SCHEMA = re.compile(
    rf"{_BLANK}CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:\"(?P<quoted>(?:[^\"]|\"\")+)\"|(?P<plain>[^\s\";]+))"
    rf"{_BLANK};?{_BLANK}\Z",
    re.IGNORECASE,
)
_ATOMIC = re.compile(r"\bATOMIC\b", re.IGNORECASE)
NOTHING = "SELECT"


def makes_schema(text: str, schema: str) -> bool:
    """Whether a text is nothing but a CREATE SCHEMA of this name."""
    match = _SCHEMA.match(text)
    if match is None:
        return False
    return schema == (match["plain"].lower() if match["plain"] else match["quoted"].replace('""', '"'))


def divide(text: str) -> list[str]:
    """A text in pieces, each of which ends a transaction or holds nothing that does."""
    plain, _ = hide(text)
    if ";" not in plain or _ATOMIC.search(plain):  # a body's END is none of a transaction
        return [text]
    bounds = [-1, *(match.start() for match in re.finditer(";", plain)), len(text)]
    pieces = [text[start + 1 : end] for start, end in itertools.pairwise(bounds)]
    if not any(END.match(piece) for piece in pieces):
        return [text]
    refuse_rollback(text)
    groups = itertools.groupby((piece for piece in pieces if piece.strip()), lambda piece: bool(END.match(piece)))
    return [piece for is_end, group in groups for piece in (group if is_end else [";".join(group)])]


def refuse_rollback(text: str) -> None:
    """:raises OutsideStaging: it takes the renames back, and the guard with them; what follows would find live."""
    if END.match(text) or not _SPEAKS_OF_ROLLBACK.search(text):
        return
    plain, sure = hide(text)
    if not sure or _ROLLBACK.search(plain):
        raise OutsideStaging("it ends the transaction by a ROLLBACK among other statements")
