"""Numbers and places in sentences for people."""

from __future__ import annotations


def count_of(number: int, noun: str) -> str:
    """So many of something, for people: ``1 value``, ``2 values``, ``1 copy``, ``2 copies``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def be(number: int) -> str:
    """The verb behind so many of something."""
    return "is" if number == 1 else "are"


def count_rows(rows: int) -> str:
    """A number of rows, for people."""
    return count_of(rows, "row")


def rows_are(rows: int) -> str:
    """The beginning of a sentence about so many rows."""
    return f"{count_rows(rows)} {be(rows)}"


def rows_were(rows: int) -> str:
    """The beginning of a sentence about what became of so many rows."""
    return f"{count_rows(rows)} {'was' if rows == 1 else 'were'}"


def at_revision(revision: str | None) -> str:
    """Where a database stands in its history, for people."""
    return f"at revision {revision}" if revision else "at no revision"


def count_tables(tables: int) -> str:
    """A number of tables, for people."""
    return count_of(tables, "table")
