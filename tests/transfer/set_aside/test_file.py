"""The file of rows set aside: made to be edited by hand, so that whatever somebody makes of it is told by its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.errors import DoesNotFit, SnapshotUnusable
from app.transfer.rows.scratch import RowStore
from app.transfer.set_aside.file import (
    MOST_PROBLEMS,
    AsideFile,
    Origin,
    digest_of,
    loading_command,
    read_rows,
    write_aside,
)

ORIGIN = Origin("20240101T000000-abcdef", "0001", "the source", "identity", "/data.json", "0" * 64)
TABLES = {
    "users": Table("users", (Column("id", LogicalType.INT), Column("name", LogicalType.TEXT)), ("id",)),
}
ITEMS: list[dict[str, Any]] = [
    {"table": "users", "number": 2, "reason": "twice", "row": {"id": 1, "name": "é\n\u2028"}},
    {"table": "users", "number": 7, "reason": "", "row": {"id": None, "name": {"$bytes": "AA=="}}},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_aside(tmp_path / "set-aside.json", ORIGIN, ITEMS)
    return tmp_path / "set-aside.json"


def read(path: Path) -> list[tuple[str, int, str, Any]]:
    with RowStore() as store:
        read_rows(AsideFile(path), TABLES, store)
        return list(store.rows())


def test_what_was_written_is_read_again(path: Path) -> None:
    assert AsideFile(path).origin == ORIGIN
    assert read(path) == [(item["table"], item["number"], item["reason"], item["row"]) for item in ITEMS]
    assert path.stat().st_mode & 0o77 == 0
    assert '    "name": "é\\n\u2028"\n' in path.read_text(encoding="utf-8")
    write_aside(path, ORIGIN, [])
    assert read(path) == []


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (lambda said: said | {"format": "other"}, SnapshotUnusable, "not a file of rows set aside"),
        (lambda said: said | {"version": 2}, SnapshotUnusable, "format version 2; this program reads 1"),
        (lambda said: said | {"run": 5}, DoesNotFit, "does not say run"),
        (lambda said: {key: value for key, value in said.items() if key != "rows"}, DoesNotFit, "has no rows"),
        (lambda said: said | {"rows": [5]}, DoesNotFit, r"row 1 \(line \d+\) is not an object"),
        (lambda said: said | {"rows": {}}, SnapshotUnusable, "line 1"),
        *(
            (
                lambda said, change=change: said | {"rows": [said["rows"][0] | change]},
                DoesNotFit,
                "needs table .a text., number .from 1. and row",
            )
            for change in (
                {"number": 0},
                {"number": True},
                {"number": 1.0},
                {"number": "1"},
                {"number": 2**63},
                {"number": 2**64 - 1},
                {"number": 10**30},
                {"table": None},
                {"row": []},
            )
        ),
    ],
)
def test_what_is_not_what_it_has_to_be(
    path: Path, edit: Callable[[dict[str, Any]], Any], error: type[Exception], words: str
) -> None:
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(error, match=words):
        read(path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"table": "nobody"}, "there is no table nobody at revision 0001"),
        ({"row": {"id": 1}}, "column name is missing"),
        ({"row": {"id": 1, "name": "x", "more": 1}}, "there is no column more"),
        ({"row": {"id": "1", "name": "x"}}, "column id takes a number"),
        ({"number": 7}, "row 7 of users is there twice"),
    ],
)
def test_rows_that_are_none_of_the_revision_are_told_with_their_line(
    path: Path, row: dict[str, Any], words: str
) -> None:
    said = json.loads(path.read_text())
    said["rows"].append(said["rows"][0] | {"number": 9} | row)
    path.write_text(json.dumps(said, indent=1))
    with pytest.raises(DoesNotFit, match="1 row of") as caught:
        read(path)
    [detail] = caught.value.details
    line = path.read_text().rpartition('"table"')[0].count("\n")
    assert f"row 3 (line {line})" in detail
    assert words in detail
    assert loading_command(path) in str(caught.value.hint)


def test_counting_stops_and_a_file_that_is_no_json_is_named_by_its_line(path: Path) -> None:
    bad = [{"table": "users", "number": n, "row": {}} for n in range(1, 100)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": bad}))
    with pytest.raises(DoesNotFit, match="then stopped counting") as caught:
        read(path)
    assert len(caught.value.details) == MOST_PROBLEMS
    path.write_text('{"format": "ferry-set-aside",\n "rows": [,]}')
    with pytest.raises(SnapshotUnusable, match="line 2"):
        read(path)
    with pytest.raises(SnapshotUnusable, match="There is no file"):
        AsideFile(path.with_name("none"))


def test_a_digest_is_of_rows_and_not_of_their_order_or_reasons() -> None:
    rows = [("users", 1, "a", [1, "x"]), ("users", 2, "b", [2, "y"])]
    assert digest_of(rows) == digest_of([(*rows[1][:2], "c", rows[1][3]), rows[0]])
    for other in (("users", 3, "b", [2, "y"]), ("posts", 2, "b", [2, "y"]), ("users", 2, "b", [2, "z"])):
        assert digest_of([rows[0], other]) != digest_of(rows)
    assert digest_of([]) == "0" * 32


def test_a_command_can_be_pasted_whatever_the_file_is_called() -> None:
    assert loading_command(Path("/a b/it's.json")).endswith("--set-aside-from '/a b/it'\"'\"'s.json'")
