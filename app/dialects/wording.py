"""Numbers and places in sentences for people."""

from __future__ import annotations


def count_rows(rows: int) -> str:
    """A number of rows, for people."""
    return "1 row" if rows == 1 else f"{rows} rows"


def rows_are(rows: int) -> str:
    """The beginning of a sentence about so many rows."""
    return f"{count_rows(rows)} {'is' if rows == 1 else 'are'}"


def at_revision(revision: str | None) -> str:
    """Where a database stands in its history, for people."""
    return f"at revision {revision}" if revision else "at no revision"


def count_tables(tables: int) -> str:
    """A number of tables, for people."""
    return "1 table" if tables == 1 else f"{tables} tables"
