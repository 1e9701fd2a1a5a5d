"""What refers to a row that is set aside goes with it."""

from __future__ import annotations

import sqlite3

from sqlalchemy import URL

from app.transfer.staging.load import aside_to_json, load
from app.transfer.staging.referring import set_aside_dangling, set_aside_referring
from app.transfer.staging.rows_file import RowsFile

from .tables import DIALECT, Make, Rows


def set_aside(staging: URL, make: Make, rows: Rows) -> tuple[RowsFile, dict[str, list[int]]]:
    """Load, set aside what is refused with all that refers to it; returns the numbers of rows set aside."""
    file = make(rows)
    accounts, refused = load(DIALECT, staging, file)
    assert refused
    set_aside_referring(file)
    with sqlite3.connect(str(staging.database)) as connection:
        for name in rows:
            connection.execute(f"DELETE FROM {name}")
    connection.close()
    accounts, refused = load(DIALECT, staging, file)
    assert refused == []
    for name, account in accounts.items():
        assert account.rows == account.loaded.rows + account.set_aside == len(rows.get(name, ()))
    assert DIALECT.problems(staging) == []
    found: dict[str, list[int]] = {}
    for table, number, _, _ in file.aside.rows():
        found.setdefault(table, []).append(number)
    return file, found


def test_what_refers_to_a_row_set_aside_goes_with_it(staging: URL, make: Make) -> None:
    rows = {
        "users": [[1, "a", None], [2, "a", None], [3, "c", 31]],
        "posts": [[20, 2, None], [21, 1, 20], [22, 1, 21], [31, 3, None], [32, 3, None]],
        "likes": [[1, 22], [1, 31], [3, 32], [2, 31]],
        "logs": [["x"]],
    }
    file, found = set_aside(staging, make, rows)
    assert found == {"users": [2], "posts": [1, 2, 3], "likes": [1, 4]}
    reasons = {(item["table"], item["number"]): item["reason"] for item in aside_to_json(file)}
    assert reasons["posts", 2] == "refers to a row of posts that is set aside"
    assert reasons["likes", 4] == "refers to a row of users that is set aside"
    assert next(iter(aside_to_json(file)))["row"] == {"user_id": 1, "post_id": 22}


def test_a_cycle_goes_together(staging: URL, make: Make) -> None:
    rows = {
        "users": [[1, "a", 10], [2, "b", 11], [3, "c", 12]],
        "posts": [[10, 2, None], [11, None, None], [12, 1, None], [13, 3, 13]],
    }
    _, found = set_aside(staging, make, rows)
    # Post 11 is refused: user 2 names it, post 10 is user 2's, user 1 names that, post 12 is user 1's, user 3 names it.
    assert found == {"posts": [1, 2, 3, 4], "users": [1, 2, 3]}


def test_a_row_that_refers_to_itself_stays(staging: URL, make: Make) -> None:
    rows = {"users": [[1, "a", None]], "posts": [[1, 1, 1], [2, None, 2], [3, 1, 2], [4, 1, None]]}
    _, found = set_aside(staging, make, rows)
    assert found == {"posts": [2, 3]}


def test_a_second_row_with_the_key_keeps_its_children(staging: URL, make: Make) -> None:
    """The row set aside had a key that a loaded row has as well: nothing refers to a row that is gone."""
    rows = {"users": [[1, "a", None], [1, "b", None]], "posts": [[10, 1, None]]}
    _, found = set_aside(staging, make, rows)
    assert found == {"users": [2]}


def test_a_long_chain_goes_as_a_whole(staging: URL, make: Make) -> None:
    rows = {
        "users": [[1, "a", None]],
        "posts": [[1, None, None], *([n, 1, n - 1] for n in range(2, 40)), [99, 1, None]],
    }
    _, found = set_aside(staging, make, rows)
    assert found == {"posts": list(range(1, 40))}


def test_a_reference_that_was_never_met_is_not_set_aside(staging: URL, make: Make) -> None:
    """Old SQLite databases have them; a revision may repair them after the load."""
    rows = make({"users": [[1, "a", None]], "posts": [[1, 404, None], [2, None, None]]})
    load(DIALECT, staging, rows)
    set_aside_referring(rows)
    assert [number for _, number, _, _ in rows.aside.rows()] == [2]


def test_a_row_leads_nowhere_where_the_server_says_so(staging: URL, make: Make) -> None:
    """The keys are compared as the column of the parent compares them, not as they are written."""
    with sqlite3.connect(str(staging.database)) as connection:
        connection.executescript(
            "DROP TABLE posts; CREATE TABLE posts (id TEXT COLLATE NOCASE PRIMARY KEY, user_id INTEGER NOT NULL"
            " REFERENCES users (id), parent_id TEXT REFERENCES posts (id));"
        )
    connection.close()
    posts = [["one", 1, "ONE"], ["two", 1, "three"], ["four", 1, None], ["five", 1, "Two"]]
    with DIALECT.reader(staging) as reader:
        tables = reader.tables()
    file = make({"users": [[1, "a", None]], "posts": posts}, tables=tuple(tables.values()), schema=tables)
    load(DIALECT, staging, file)
    with DIALECT.reader(staging) as reader:
        assert set_aside_dangling(file, reader, [("posts", ("parent_id",), "posts"), ("gone", ("x",), "posts")]) == 1
    assert [(number, reason) for _, number, reason, _ in file.aside.rows()] == [
        (2, "the row of posts that it refers to is not there")
    ]
