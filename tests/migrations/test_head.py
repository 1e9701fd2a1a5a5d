"""What the revisions make of a database that never enforced anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment.data import Shape, make_database

from .database import HEAD, Database
from .nasty import AT, GONE

RENAMED = {"study": "studies", "classroom_student": "classroom_students"}


@pytest.fixture
def enforced(head: Database) -> Iterator[sqlite3.Connection]:
    """A connection to it with foreign keys on."""
    connection = sqlite3.connect(head.path)
    connection.execute("PRAGMA foreign_keys=ON")
    yield connection
    connection.close()


def test_no_row_is_lost(nasty: Database) -> None:
    before = nasty.contents()
    nasty.upgrade()
    after = nasty.contents()
    for table, rows in before.items():
        now = RENAMED.get(table, table)
        assert len(after[now]) + len(after.get(f"{now}_orphans", ())) == len(rows), table


def test_every_foreign_key_holds(head: Database) -> None:
    assert head.query("PRAGMA foreign_key_check") == []
    assert head.query("PRAGMA integrity_check") == [("ok",)]


def test_an_author_who_is_gone_is_remembered(head: Database) -> None:
    for table, column in (("posts", "user_id"), ("microblogs", "user_id"), ("classrooms", "owner_id")):
        former = head.query(f"SELECT DISTINCT former_{column} FROM {table} WHERE {column} IS NULL")
        assert {GONE, -GONE, "abc", 2.5} >= {value for (value,) in former} >= {GONE}, table


def test_replies_are_known_by_their_parents(head: Database) -> None:
    rows = head.query("SELECT id, parent_id, former_parent_id, is_reply FROM posts WHERE id < 1000 OR id > 2000")
    found = {key: rest for key, *rest in rows}
    assert found[1] == [None, None, 0]
    assert found[2] == [1, None, 1]
    assert found[4] == [4, None, 1]
    assert found[7] == [None, GONE, 1]
    assert found[8] == [None, "abc", 1]


def test_addresses_are_split_at_the_first_question_mark(head: Database) -> None:
    rows = head.query("SELECT page_path, page_query FROM posts WHERE id >= 1000 AND id < 2000 ORDER BY id")
    assert rows == [
        (None, None),
        ("", None),
        ("/a", None),
        ("/a", "b=1&c=2#d"),
        ("", ""),
        ("", "?"),
        ("/a", ""),
        ("", "a"),
        ("/a", "b?c"),
        ("/ü", "é=😀"),
        ("/nul\0?a", None),
        ("/a?nul\0b", None),
        (b"/blob?x=1", None),
        (" /a ", " b "),
    ]


def test_reactions_are_rows(head: Database) -> None:
    rows = head.query(
        "SELECT m.data, m.former_data IS NOT NULL, r.kind, r.user_id, r.former_user_id FROM microblogs m "
        "JOIN microblog_reactions r ON r.microblog_id = m.id ORDER BY r.id"
    )
    assert rows[:8] == [
        ('{"reactions": {}}', 0, "👍", 1, None),
        ('{"reactions": {}}', 0, "👍", 2, None),
        ('{"replies": [], "reactions": {"": []}, "hashtags": ["a"]}', 0, "x", 1, None),
        ('{"replies": [], "reactions": {"": []}, "hashtags": ["a"]}', 0, "x", 2, None),
        ('{"reactions": {"": [], "n": 3}, "z": 1}', 1, "x", 2, None),
        ('{"reactions": {"": [], "n": 3}, "z": 1}', 1, "x", 1, None),
        ('{"reactions": {"": [], "n": 3}, "z": 1}', 1, "y", 3, None),
        ('{"reactions": {}, "compact": true}', 1, "x", 1, None),
    ]
    assert ('{"reactions": {}}', 0, "gone", None, GONE) in rows
    assert {kind for _, _, kind, _, _ in rows} == {"👍", "x", "y", "gone", "most", "k" * 64}


def test_the_first_of_several_users_keeps_the_student_id(head: Database) -> None:
    assert head.query("SELECT sid, count(*) FROM users WHERE sid IS NOT NULL GROUP BY 1 HAVING count(*) > 1") == []
    kept = head.query("SELECT min(id) FROM users WHERE '0001' IN (sid, former_sid)")
    assert head.query("SELECT id FROM users WHERE sid = '0001'") == kept


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO user_sections VALUES ({GONE}, 1, 2024)",
        f"INSERT INTO classroom_students VALUES (1, {GONE})",
        f"UPDATE posts SET parent_id = {GONE}",
        "UPDATE posts SET user_id = NULL WHERE user_id IS NOT NULL",
        "UPDATE posts SET former_user_id = 1 WHERE user_id IS NOT NULL",
        "UPDATE microblog_reactions SET user_id = NULL, former_user_id = NULL",
        f"UPDATE studies SET user_id = {GONE}",
        "UPDATE users SET sid = '0001'",
        "UPDATE users SET uid = 'ilse'",
        "UPDATE posts SET is_reply = NULL",
        "DELETE FROM users WHERE id = 1",
        f"INSERT INTO skill_snapshots VALUES (99, {GONE}, 'p', '{AT}', 1, 1, 1, 1, NULL)",
    ],
)
def test_the_rules_are_enforced(enforced: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        enforced.execute(statement)


def test_deleting_follows_the_rules(enforced: sqlite3.Connection) -> None:
    enforced.execute(
        "INSERT INTO users (id, name, uid, email, password, role) VALUES (77, '', 'gone soon', '', '!', '')"
    )
    enforced.execute("INSERT INTO user_sections VALUES (77, 1, 2024)")
    enforced.execute("INSERT INTO studies (id, user_id, topic, subtopic, timestamp) VALUES (77, 77, '', '', '')")
    enforced.execute("DELETE FROM users WHERE id = 77")
    assert enforced.execute("SELECT count(*) FROM user_sections WHERE user_id = 77").fetchone() == (0,)
    assert enforced.execute("SELECT user_id FROM studies WHERE id = 77").fetchone() == (None,)
    enforced.execute("DELETE FROM posts WHERE id = 1")
    assert enforced.execute("SELECT parent_id, is_reply FROM posts WHERE id = 2").fetchone() == (None, 1)


def test_reactions_added_since_go_back_too(head: Database) -> None:
    with head.connect() as connection:
        connection.execute("DELETE FROM microblog_reactions WHERE kind = '👍' AND user_id = 2")
        connection.execute("INSERT INTO microblog_reactions (microblog_id, kind, user_id) VALUES (-20, 'new', 1)")
        key = connection.execute("SELECT id FROM microblogs WHERE data LIKE '%compact%'").fetchone()[0]
        connection.execute("INSERT INTO microblog_reactions (microblog_id, kind, user_id) VALUES (?, 'x', 2)", (key,))
    head.downgrade("0001_classic")
    data = {row for (row,) in head.query("SELECT _data FROM microblogs WHERE typeof(_data) = 'text'")}
    assert '{"reactions": {"\\ud83d\\udc4d": [1]}}' in data
    assert '{"reactions": {"new": [1]}}' in data
    assert '{"reactions": {"x": [1, 2]}, "compact": true}' in data


def test_reactions_without_a_place_stop_the_downgrade(head: Database) -> None:
    with head.connect() as connection:
        key = connection.execute("SELECT id FROM microblogs WHERE data = '[]'").fetchone()[0]
        connection.execute("INSERT INTO microblog_reactions (microblog_id, kind, user_id) VALUES (?, 'x', 1)", (key,))
    before = head.contents()
    with pytest.raises(SystemExit):
        head.downgrade("0001_classic")
    assert head.revision() == HEAD
    assert head.contents() == before


def test_a_database_of_an_old_deployment_in_place(tmp_path: Path) -> None:
    """``create_all()`` named no constraint; ``flask db stamp 0001_classic`` and ``upgrade`` do all the same."""
    old = Database(tmp_path / "old.db")
    make_database(old.path, Shape())
    found = old.contents()
    old.stamp("0001_classic")
    old.upgrade()
    assert old.query("PRAGMA foreign_key_check") == []
    old.check()
    old.downgrade("0001_classic")
    assert old.contents() == found
