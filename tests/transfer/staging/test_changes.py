"""Changes between two databases, brought into a third that is older: reconciled, applied, proved."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.sqlite.names import url_of
from app.errors import DoesNotFit, VerificationFailed
from app.transfer.rows.canonical import checksum
from app.transfer.set_aside.added_rows import without
from app.transfer.staging.changes import Changes, Touched

from .tables import DIALECT

OLD = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, bio TEXT)"


def make(path: Path, *rows: tuple[object, ...], schema: str = OLD) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(schema)
        for row in rows:
            connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", row)
    return path


def reconcile(
    directory: Path,
    was: list[tuple[object, ...]],
    becomes: list[tuple[object, ...]],
    old: list[tuple[object, ...]],
    *,
    key: str | None = None,
    lenient: bool = False,
    schema: str = OLD,
) -> tuple[list[str], list[object], dict[str, int]]:
    """Conflicts, rows of the old database with the changes, counts; the proofs hold."""
    paths = [
        make(directory / name, *rows, schema=schema) for name, rows in zip("abc", (was, becomes, old), strict=True)
    ]
    with (
        Changes(directory) as changes,
        DIALECT.reader(url_of(paths[0])) as before,
        DIALECT.reader(url_of(paths[1])) as after,
        DIALECT.reader(url_of(paths[2])) as older,
    ):
        table = older.tables()["t"]
        touched = Touched(table, key, without(table, key))
        changes.find(touched, before, after)
        conflicts = list(changes.reconcile(older, before, lenient=lenient))
        if conflicts or not changes.tables:
            return conflicts, [], touched.counts
        staging = make(directory / "staging", *old, schema=schema)
        changes.apply(DIALECT, url_of(staging), *map(url_of, (paths[2], paths[0], paths[1])))
        with DIALECT.reader(url_of(staging)) as staged:
            result = list(staged.rows(table))
            changes.prove_rows(touched, older, staged)
            by_name = sorted(table.columns, key=lambda column: column.name)
            ordered = type(table)(table.name, tuple(by_name))
            names = table.column_names
            sums = [
                checksum(ordered, ([row[names.index(c.name)] for c in by_name] for row in reader.rows(table)))
                for reader in (older, staged)
            ]
            assert changes.expect(touched, older, sums[0]) == sums[1]
        wrong = make(directory / "wrong", *old, (99, "wrong", None)[: len(table.columns)], schema=schema)
        with DIALECT.reader(url_of(wrong)) as staged, pytest.raises(VerificationFailed, match="rows of t"):
            changes.prove_rows(touched, older, staged)
        return conflicts, result, touched.counts


def test_rows_are_added_changed_and_deleted_and_what_the_old_one_has_besides_stays(tmp_path: Path) -> None:
    conflicts, rows, counts = reconcile(
        tmp_path,
        [(1, "a", None), (2, "b", None), (3, "c", None)],
        [(1, "A", None), (3, "c", None), (4, "d", "x")],
        [(1, "a", None), (2, "b", None), (3, "c", None), (7, "old", None)],
    )
    assert conflicts == []
    assert rows == [[1, "A", None], [3, "c", None], [4, "d", "x"], [7, "old", None]]
    assert counts == {"added": 1, "changed": 1, "deleted": 1}


def test_no_change_touches_no_table(tmp_path: Path) -> None:
    assert reconcile(tmp_path, [(1, "a", None)], [(1, "a", None)], [(5, "z", None)])[:2] == ([], [])


@pytest.mark.parametrize(
    ("becomes", "old", "words"),
    [
        ([(1, "A", None)], [(1, "other", None)], "t [1]: it is another one than the row that was changed (name)"),
        ([(1, "A", None)], [], "t [1]: is not there any more"),
        ([], [], "t [1]: is not there any more"),
        ([(1, "a", None), (2, "b", None)], [(1, "a", None), (2, "x", None)], "t [2]: another row has this key"),
    ],
)
def test_a_row_that_the_old_one_has_otherwise_is_a_conflict(
    tmp_path: Path, becomes: list[tuple[object, ...]], old: list[tuple[object, ...]], words: str
) -> None:
    assert reconcile(tmp_path, [(1, "a", None)], becomes, old)[0] == [words]


def test_what_is_there_already_is_no_conflict(tmp_path: Path) -> None:
    old = [(1, "A", None), (2, "b", None)]
    conflicts, rows, _ = reconcile(tmp_path, [(1, "a", None)], [(1, "A", None), (2, "b", None)], old)
    assert (conflicts, rows) == ([], [list(row) for row in old])


def test_a_column_that_a_downgrade_lost_keeps_what_the_old_one_has(tmp_path: Path) -> None:
    was, old = [(1, "a", None), (2, "b", None)], [(1, "a", "bio"), (2, "b", "bio")]
    (tmp_path / "kept").mkdir()
    conflicts, rows, _ = reconcile(tmp_path / "kept", was, [(1, "A", None), (2, "b", None)], old, lenient=True)
    assert (conflicts, rows) == ([], [[1, "A", "bio"], [2, "b", "bio"]])
    (tmp_path / "strict").mkdir()
    [words] = reconcile(tmp_path / "strict", was, [(1, "A", None), (2, "b", None)], old)[0]
    assert words.endswith("(bio)")
    (tmp_path / "written").mkdir()
    [words] = reconcile(tmp_path / "written", was, [(1, "a", "new"), (2, "b", None)], old, lenient=True)[0]
    assert "bio was written, and the downgrade does not bring it back" in words


def test_a_generated_key_is_given_anew(tmp_path: Path) -> None:
    conflicts, rows, counts = reconcile(
        tmp_path, [(1, "a", None)], [(8, "a", None), (9, "b", None)], [(5, "a", None)], key="id"
    )
    assert (conflicts, rows, counts["added"]) == ([], [[5, "a", None], [6, "b", None]], 1)


def test_equal_rows_without_a_key_are_counted(tmp_path: Path) -> None:
    x, y = ("x", None), ("y", None)
    conflicts, rows, _ = reconcile(
        tmp_path, [x, x, y], [x, y, y], [x, x, y], schema="CREATE TABLE t (what TEXT, more TEXT)"
    )
    assert conflicts == []
    assert sorted(rows, key=str) == [["x", None], ["y", None], ["y", None]]


def test_a_row_that_the_older_schema_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(DoesNotFit, match="refuses rows") as caught:
        reconcile(tmp_path, [(1, "a", None)], [(1, "a", None), (2, "z", None)], [(1, "a", None), (7, "z", None)])
    assert caught.value.details == ["t: UNIQUE constraint failed: t.name; key 2"]
