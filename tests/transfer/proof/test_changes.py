"""Values that an upgrade changed: counted by column, paired by key where there is one."""

from __future__ import annotations

from pathlib import Path

from app.dialects.model import Column, LogicalType, Table, Values
from app.transfer.proof.changes import find_changed


def table(*columns: tuple[str, LogicalType], key: tuple[str, ...] = ("id",)) -> Table:
    return Table("t", tuple(Column(name, kind) for name, kind in columns), key)


INT, TEXT = LogicalType.INT, LogicalType.TEXT
BEFORE = table(("id", INT), ("name", TEXT), ("password", TEXT))


def changes(before: Table, after: Table, left: list[Values], right: list[Values], to: Path) -> list[str]:
    found = [str(item) for item in find_changed(before, after, lambda: left, lambda: right, to)]
    assert list(to.iterdir()) == []
    return found


def test_values_are_paired_by_key_and_named_by_it(tmp_path: Path) -> None:
    left: list[Values] = [[n, f"n{n}", "x"] for n in range(6)]
    right: list[Values] = [[n, f"N{n}" if n < 5 else "n5", "y" if n == 0 else "x"] for n in (5, 4, 3, 2, 1, 0)]
    assert changes(BEFORE, BEFORE, left, right, tmp_path) == [
        "t.name: 5 of 6 values changed (key 4, 3, 2, ...)",
        "t.password: 1 of 6 values changed (key 0)",
    ]


def test_rows_that_came_or_went_and_columns_of_one_side_are_no_changes(tmp_path: Path) -> None:
    after = table(("id", INT), ("name", TEXT), ("new", TEXT))
    assert changes(BEFORE, after, [[1, "a", "x"], [2, "b", "x"]], [[2, "b", "?"], [3, "c", "?"]], tmp_path) == []
    assert changes(table(("a", INT), key=()), table(("b", INT), key=()), [[1]], [[2]], tmp_path) == []


def test_the_same_number_in_another_type_is_the_same(tmp_path: Path) -> None:
    before, after = (table(("id", INT), ("n", kind)) for kind in (INT, LogicalType.DECIMAL))
    assert changes(before, after, [[1, 5], [2, None]], [[1, "5"], [2, None]], tmp_path) == []
    assert changes(before, after, [[1, 5]], [[1, "5.5"]], tmp_path) == ["t.n: 1 of 1 value changed (key 1)"]


def test_a_key_that_looks_like_a_secret_is_masked(tmp_path: Path) -> None:
    keyed = table(("api_token", TEXT), ("x", INT), key=("api_token",))
    assert changes(keyed, keyed, [["s3cret", 1]], [["s3cret", 2]], tmp_path) == ["t.x: 1 of 1 value changed (key ***)"]
    both = table(("id", INT), ("api_token", TEXT), ("x", INT), key=("id", "api_token"))
    assert changes(both, both, [[1, "s", 1]], [[1, "s", 2]], tmp_path) == ["t.x: 1 of 1 value changed (key (1, ***))"]


def test_without_a_key_each_column_is_compared_as_a_whole(tmp_path: Path) -> None:
    loose = table(("a", TEXT), ("b", TEXT), key=())
    left: list[Values] = [["x", "1"], ["x", "1"], ["y", "2"], [None, "2"]]
    right: list[Values] = [["y", "2"], ["x", "1"], ["z", "1"], [None, "2"]]
    assert changes(loose, loose, left, right, tmp_path) == ["t.a: 1 of 4 values changed"]
    keyed = table(("a", TEXT), ("b", TEXT), key=("a",))
    assert changes(keyed, loose, [["x", "1"]], [["x", "2"]], tmp_path) == ["t.b: 1 of 1 value changed"]
