"""Numbers and places in sentences for people."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.dialects.wording import at_revision, be, count_of, count_rows, count_tables, rows_are, rows_were
from tests.support.site import ROOT

NOUNS = (
    "rows|tables|columns|values|records|things|problems|rules|copies|backups|differences|keys|revisions|heads|"
    "files|objects|generations|steps|passes|times|entries"
)
PLURAL = re.compile(rf"^ ({NOUNS})\b")
NEVER_ONE: dict[str, str] = {
    "len(heads)": "there is an error only where there are two",
    "ATTEMPTS": "a constant",
    "PASSES": "a constant",
    "PASSES + 1": "a constant",
    "number": "of the times that a request failed, which is told of several",
    "width": "a table's columns, which a person did not count",
    "other.pop()": "a row's values, which a person did not count",
    "len(row)": "a row's values, which a person did not count",
    "len(table.columns)": "the same",
    "len(collations)": "more than are shown",
    "row[0]": "one is said in other words beside it",
}
"""Why one of these is never one."""


def test_one_is_not_many() -> None:
    assert [count_rows(rows) for rows in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [rows_are(rows) for rows in (0, 1, 2)] == ["0 rows are", "1 row is", "2 rows are"]
    assert [rows_were(rows) for rows in (0, 1, 2)] == ["0 rows were", "1 row was", "2 rows were"]
    assert [count_of(number, "copy") for number in (0, 1, 2)] == ["0 copies", "1 copy", "2 copies"]
    assert [count_of(number, "value") for number in (1, 2)] == ["1 value", "2 values"]
    assert [be(number) for number in (0, 1, 2)] == ["are", "is", "are"]
    assert [count_tables(tables) for tables in (0, 1, 2)] == ["0 tables", "1 table", "2 tables"]


def test_a_database_may_be_at_no_revision() -> None:
    assert [at_revision(revision) for revision in ("0007", None)] == ["at revision 0007", "at no revision"]


def plurals(path: Path) -> Iterator[str]:
    """Numbers in f-strings that stand before a plural, whatever the number is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, text in zip(node.values, node.values[1:], strict=False):
            if (
                not isinstance(number, ast.FormattedValue)
                or number.format_spec
                or number.conversion != -1
                or not isinstance(text, ast.Constant)
            ):
                continue
            if match := PLURAL.match(str(text.value)):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {{{ast.unparse(number.value)}}} {match[1]}"


def test_no_message_counts_by_itself() -> None:
    found = [
        line for path in sorted((ROOT / "app").rglob("*.py")) if path.name != "wording.py" for line in plurals(path)
    ]
    assert [line for line in found if re.search(r"\{(.*)\}", line)[1] not in NEVER_ONE] == []  # type: ignore[index]
