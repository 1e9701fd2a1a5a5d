"""What is left out on purpose: rows that the schema refuses, tables that are excluded."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment.runner import Deployment
from tests.support.site import Result, Site
from tests.support.sources.headrows import Tables, assert_same, at_head
from tests.support.sources.sites import Before, Secrets, assert_refused, flask, report, rows_of

Put = Callable[[Path], Path]

REFERS = {
    "user_sections": (("user_id", "users"), ("section_id", "sections")),
    "user_personas": (("user_id", "users"), ("persona_id", "personas")),
    "microblogs": (("_user_id", "users"), ("_topic_id", "topics")),
    "posts": (("_user_id", "users"), ("_parent_id", "posts")),
    "classrooms": (("_owner_teacher_id", "users"),),
    "classroom_student": (("classroom_id", "classrooms"), ("student_id", "users")),
    "study": (("user_id", "users"),),
    "leaderboard": (("_user_id", "users"),),
    "elementary_leaderboard_events": (("_user_id", "users"),),
    "skill_snapshots": (("user_id", "users"),),
}


def migrate(site: Site, source: Path | str, *options: str) -> Result:
    return flask(site, "db-migrate-data", str(source), "--yes", *options)


def relaxed(path: Path, to: Path) -> None:
    """Copy a database into one whose tables demand nothing but their primary keys."""
    with closing(sqlite3.connect(to)) as copy, copy:
        copy.execute("ATTACH DATABASE ? AS former", (str(path),))
        tables = copy.execute("SELECT name, sql FROM former.sqlite_schema WHERE type = 'table'").fetchall()
        for name, sql in tables:
            copy.execute(re.sub(r"NOT NULL|,\s*UNIQUE \([^)]*\)", "", sql))
            copy.execute(f"INSERT INTO {name} SELECT * FROM former.{name}")


@pytest.fixture
def broken(old_file: Put, tmp_path: Path) -> Path:
    """A database with rows that the schema refuses, and others that refer to them."""
    relaxed(old_file(tmp_path / "strict.db"), tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection, connection:
        owner = "(SELECT _owner_teacher_id FROM classrooms ORDER BY id DESC LIMIT 1)"
        connection.execute(f"UPDATE users SET _uid = 'toby' WHERE id = {owner}")
        # The first post of the longest chain of replies loses its text, and a section its name.
        connection.execute("UPDATE posts SET _content = NULL WHERE id = ?", (_deepest(connection),))
        connection.execute("UPDATE sections SET _name = NULL WHERE id = (SELECT max(section_id) FROM user_sections)")
    return tmp_path / "old.db"


def _deepest(connection: sqlite3.Connection) -> int:
    found = connection.execute(
        "WITH RECURSIVE below(root, id, depth) AS (SELECT id, id, 0 FROM posts "
        "UNION ALL SELECT root, posts.id, depth + 1 FROM below JOIN posts ON posts._parent_id = below.id) "
        "SELECT root, max(depth) FROM below GROUP BY root ORDER BY max(depth) DESC LIMIT 1"
    ).fetchone()
    assert found[1] > 3
    return int(found[0])


def refused(tables: Tables) -> dict[str, list[Any]]:
    """The keys of rows that break a rule of the baseline themselves."""
    seen: set[str] = set()
    users = [row["id"] for row in tables["users"] if row["_uid"] in seen or seen.add(row["_uid"])]  # type: ignore[func-returns-value]
    return {
        "users": users,
        "posts": [row["id"] for row in tables["posts"] if row["_content"] is None],
        "microblogs": [row["id"] for row in tables["microblogs"] if row["_content"] is None],
        "sections": [row["id"] for row in tables["sections"] if row["_name"] is None],
    }


def split(tables: Tables) -> tuple[Tables, Tables]:
    """What is kept and what goes, with all that refers to it."""
    gone = {name: [row for row in tables[name] if row["id"] in keys] for name, keys in refused(tables).items()}
    gone = {name: gone.get(name, []) for name in tables}
    while True:
        more = False
        for table, links in REFERS.items():
            for column, parent in links:
                keys = {row["id"] for row in gone[parent]}
                found = [row for row in tables[table] if row[column] in keys and row not in gone[table]]
                gone[table] += found
                more = more or bool(found)
        if not more:
            return {name: [row for row in rows if row not in gone[name]] for name, rows in tables.items()}, gone


def test_all_problems_are_named_at_once(filled: Site, broken: Path) -> None:
    before, bad = Before.of(filled), refused(rows_of(broken))
    bad = {table: keys for table, keys in bad.items() if keys}
    assert set(bad) == {"users", "posts", "sections"}
    ended = migrate(filled, broken)
    assert_refused(ended, 22, "0001_classic", "--set-aside")
    for table, keys in bad.items():
        [line] = [line for line in ended.stderr.splitlines() if line.startswith(f"  {table}: ")]
        assert f"{len(keys)} rows" in line
        assert str(keys[0]) in line
    assert "UNIQUE" in ended.stderr
    assert "NOT NULL" in ended.stderr
    before.assert_live_unchanged()


def test_refused_rows_go_to_a_file_with_all_that_refer_to_them(filled: Site, broken: Path) -> None:
    tables = rows_of(broken)
    kept, gone = split(tables)
    assert {"users", "posts", "sections", "user_sections", "classrooms", "classroom_student"} <= {
        name for name, rows in gone.items() if rows
    }
    assert len(gone["posts"]) > 3, "no replies to replies"
    done = migrate(filled, broken, "--set-aside")
    assert done.status == 0, done.stderr
    assert_same(filled.database, at_head(kept), texts=True)
    receipt = report(filled)
    assert {item["table"]: (item["rows"], item["loaded"], item["set_aside"]) for item in receipt["tables"]} == {
        name: (len(rows), len(kept[name]), len(gone[name])) for name, rows in tables.items()
    }
    assert len(receipt["set_aside"]) == sum(map(len, gone.values()))
    assert all(item["reason"] for item in receipt["set_aside"])
    [file] = filled.area.glob("runs/*/set-aside.json")
    assert str(file) in receipt["warnings"][0]
    assert file.stat().st_mode & 0o777 == 0o600
    aside = json.loads(file.read_text(encoding="utf-8"))["rows"]
    for name, rows in gone.items():
        there = [item["row"] for item in aside if item["table"] == name]
        assert len(there) == len(rows)
        keys = [column for column in rows[0] if column == "id" or column.endswith("_id")] if rows else []
        assert sorted([row[k] for k in keys] for row in there) == sorted([row[k] for k in keys] for row in rows)
    [user] = [item for item in aside if item["table"] == "users"]
    assert user["row"]["_password"] == gone["users"][0]["_password"]
    assert "UNIQUE" in user["reason"]
    assert gone["users"][0]["_password"] not in done.stdout + done.stderr + json.dumps(receipt)


def test_set_aside_without_a_reason_changes_nothing(site: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old.db")
    done = migrate(site, source, "--set-aside")
    assert done.status == 0, done.stderr
    assert_same(site.database, at_head(rows_of(source)), texts=True)
    assert report(site)["set_aside"] == []


def test_set_aside_over_http(filled: Site, wrong: Deployment) -> None:
    # Old servers checked no lengths, and nothing kept two rows from one name but an index that may be gone.
    relaxed(wrong.directory / "pristine.db", filled.directory / "relaxed.db")
    with (
        closing(sqlite3.connect(filled.directory / "relaxed.db")) as now,
        closing(sqlite3.connect(wrong.database)) as served,
    ):
        now.execute("UPDATE topics SET _page_key = 'twice' WHERE id > (SELECT max(id) - 2 FROM topics)")
        now.commit()
        [(first,), (second,)] = now.execute("SELECT id FROM topics WHERE _page_key = 'twice' ORDER BY id").fetchall()
        now.execute("UPDATE microblogs SET _topic_id = ? WHERE id % 3 = 0", (second,))
        now.commit()
        about = now.execute("SELECT count(*) FROM microblogs WHERE _topic_id = ?", (second,)).fetchone()[0]
        assert about
        now.backup(served)
    source = Secrets.of(wrong).source
    before = Before.of(filled)
    assert_refused(flask(filled, "db-migrate-data", "--yes", **source), 22, "topics", str(second), "--set-aside")
    before.assert_live_unchanged()
    done = flask(filled, "db-migrate-data", "--yes", "--set-aside", **source)
    assert done.status == 0, done.stderr
    assert filled.query("SELECT id FROM topics WHERE page_key = 'twice'") == [(first,)]
    receipts = {item["table"]: item["set_aside"] for item in report(filled)["tables"]}
    assert {name: rows for name, rows in receipts.items() if rows} == {"topics": 1, "microblogs": about}


# Exclusion


def test_an_excluded_table_arrives_empty(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source = old_file(tmp_path / "old.db")
    tables = rows_of(source)
    done = migrate(filled, source, "--exclude", "posts", "-e", "study")
    assert done.status == 0, done.stderr
    assert_same(filled.database, at_head(tables | {"posts": [], "study": []}), texts=True)
    receipt = report(filled)
    for name in ("posts", "study"):
        assert {"what": f"table {name}", "rows": len(tables[name]), "reason": "--exclude"} in receipt["waived"]
    [posts] = [item for item in receipt["tables"] if item["table"] == "posts"]
    assert (posts["rows"], posts["loaded"], posts["waived"]) == (len(tables["posts"]), 0, len(tables["posts"]))


def test_an_excluded_table_that_others_refer_to(filled: Site, old_file: Put, tmp_path: Path) -> None:
    source, before = old_file(tmp_path / "old.db"), Before.of(filled)
    posts = len(rows_of(source)["posts"])
    ended = migrate(filled, source, "--exclude", "users")
    assert ended.status == 22, ended.stderr
    assert f"{posts} rows of posts refer to users" in ended.stderr
    assert "microblogs refer to" in ended.stderr
    assert migrate(filled, source, "-e", "classrooms").status == 22
    before.assert_live_unchanged()
    done = migrate(filled, source, "-e", "classrooms", "-e", "classroom_student")
    assert done.status == 0, done.stderr
    assert filled.query("SELECT count(*) FROM classroom_students") == [(0,)]


def test_an_excluded_table_that_is_not_there(filled: Site, old_file: Put, tmp_path: Path) -> None:
    before = Before.of(filled)
    ended = migrate(filled, old_file(tmp_path / "old.db"), "--exclude", "postz")
    assert ended.status == 22
    assert "postz" in ended.stderr
    before.assert_live_unchanged()


def test_exclusion_over_http(filled: Site, wrong: Deployment) -> None:
    done = flask(filled, "db-migrate-data", "--yes", "--exclude", "leaderboard", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert filled.query("SELECT count(*) FROM leaderboard") == [(0,)]
    rows = wrong.execute("SELECT count(*) FROM leaderboard")[0][0]
    assert {"what": "table leaderboard", "rows": rows, "reason": "--exclude"} in report(filled)["waived"]
