"""Numbers and places in sentences for people."""

from __future__ import annotations

from app.dialects.wording import at_revision, count_rows, count_tables, rows_are


def test_one_is_not_many() -> None:
    assert [count_rows(rows) for rows in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [rows_are(rows) for rows in (0, 1, 2)] == ["0 rows are", "1 row is", "2 rows are"]
    assert [count_tables(tables) for tables in (0, 1, 2)] == ["0 tables", "1 table", "2 tables"]


def test_a_database_may_be_at_no_revision() -> None:
    assert [at_revision(revision) for revision in ("0007", None)] == ["at revision 0007", "at no revision"]
