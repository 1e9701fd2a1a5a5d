"""The data set holds every oddity it promises."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect
from werkzeug.security import check_password_hash

from tests.support.deployment import words
from tests.support.deployment.data import Shape, make_database
from tests.support.deployment.models import db

from .conftest import SMALL


def one(database: sqlite3.Connection, sql: str) -> Any:
    return database.execute(sql).fetchone()[0]


def test_data_has_fifteen_tables_with_unnamed_keys_and_no_revision(tmp_path: Path) -> None:
    make_database(tmp_path / "old.db", SMALL)
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    found = inspect(engine)
    assert len(found.get_table_names()) == 15
    assert set(found.get_table_names()) == set(db.metadata.tables)
    for table in found.get_table_names():
        assert all(key["name"] is None and not key["options"] for key in found.get_foreign_keys(table))
    assert [i["column_names"] for i in found.get_indexes("leaderboard")] == [["_timestamp"]]
    engine.dispose()


def test_data_is_large_enough_and_every_table_has_rows(database: sqlite3.Connection) -> None:
    assert one(database, "SELECT count(*) FROM users") >= 500
    assert one(database, "SELECT count(*) FROM posts") >= 2000
    assert all(one(database, f"SELECT count(*) FROM {table}") for table in db.metadata.tables)


def test_data_has_exactly_two_orphans(database: sqlite3.Connection) -> None:
    dangling = database.execute("PRAGMA foreign_key_check").fetchall()
    assert sorted((table, parent) for table, _, parent, _ in dangling) == [("posts", "posts"), ("posts", "users")]


def test_data_has_deep_replies_and_parents_with_larger_ids(database: sqlite3.Connection) -> None:
    depth = """WITH RECURSIVE tree (id, depth) AS (
        SELECT id, 0 FROM posts WHERE _parent_id IS NULL UNION ALL
        SELECT p.id, depth + 1 FROM posts p JOIN tree ON p._parent_id = tree.id) SELECT max(depth) FROM tree"""
    assert one(database, depth) >= 8
    assert one(database, "SELECT count(*) FROM posts WHERE _parent_id > id") >= 20


def test_data_has_ids_with_gaps(database: sqlite3.Connection) -> None:
    for table in ("users", "posts", "topics", "microblogs"):
        assert one(database, f"SELECT max(id) > count(*) + 5 AND min(id) > 1 FROM {table}")


def test_data_has_odd_uids(database: sqlite3.Connection) -> None:
    uids = {uid for (uid,) in database.execute("SELECT _uid FROM users")}
    assert {"", "Ilse", "ilse", "🦊🚀", "משתמש"} <= uids
    assert max(map(len, uids)) == 255
    assert any(all(c in uid for c in "/?&#") for uid in uids)


def test_data_has_every_kind_of_hash_and_the_known_passwords_work(database: sqlite3.Connection) -> None:
    hashes = dict(database.execute("SELECT _uid, _password FROM users").fetchall())
    assert {h.split("$")[0].rsplit(":", 1)[0] for h in hashes.values()} == {
        "pbkdf2:sha256",
        "pbkdf2:sha512",
        "scrypt:32768:8",
    }
    for uid, password in (
        (words.ADMIN_UID, words.ADMIN_PASSWORD),
        (words.TEACHER_UID, words.TEACHER_PASSWORD),
        (words.PLAIN_UID, words.PLAIN_PASSWORD),
    ):
        assert check_password_hash(hashes[uid], password)


@pytest.mark.parametrize("column", ["_grade_data", "_ap_exam", "_class", "_game_profile"])
def test_json_columns_hold_scalars_and_both_nulls(database: sqlite3.Connection, column: str) -> None:
    kinds = {k for (k,) in database.execute(f"SELECT DISTINCT typeof({column}) FROM users")}
    assert kinds == {"null", "integer", "real", "text"}
    texts = {str(t)[:1] for (t,) in database.execute(f"SELECT {column} FROM users WHERE typeof({column}) = 'text'")}
    assert {"n", "[", '"', "t", "f"} <= texts


def test_nulls_and_empty_strings_stand_side_by_side(database: sqlite3.Connection) -> None:
    for column, table in (("_sid", "users"), ("_grade_received", "posts"), ("_status", "classrooms")):
        seen = {v for (v,) in database.execute(f"SELECT {column} FROM {table}")}
        assert {None, ""} <= seen
    assert one(database, "SELECT count(*) FROM user_sections WHERE year IS NULL")


def test_times_are_whole_or_not_and_updates_differ(database: sqlite3.Connection) -> None:
    for table in ("posts", "microblogs"):
        assert one(database, f"SELECT count(*) FROM {table} WHERE _timestamp LIKE '%.000000'")
        assert one(database, f"SELECT count(*) FROM {table} WHERE _timestamp NOT LIKE '%.000000'")
        assert one(database, f"SELECT count(*) FROM {table} WHERE _updated_at > _timestamp")
        assert one(database, f"SELECT count(*) FROM {table} WHERE _updated_at IS NULL")


def test_the_same_seed_gives_the_same_rows_and_another_one_others(tmp_path: Path) -> None:
    dumps = []
    for number, seed in enumerate((7, 7, 8)):
        make_database(tmp_path / f"{number}.db", Shape(users=60, posts=60, seed=seed))
        connection = sqlite3.connect(tmp_path / f"{number}.db")
        dumps.append("\n".join(connection.iterdump()))
        connection.close()
    assert dumps[0] == dumps[1] != dumps[2]


def test_a_database_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "old.db").touch()
    with pytest.raises(FileExistsError):
        make_database(tmp_path / "old.db")
