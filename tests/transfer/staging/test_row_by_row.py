"""Which tables an upgrade carried row by row: by what was heard of it, and by what there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from alembic.operations import ops
from sqlalchemy import String

from app.dialects.model import Column, Definition, ForeignKey, LogicalType, Table
from app.transfer.schema.listen import Heard
from app.transfer.staging.row_by_row import RowByRow, env_sends, pair, pair_same, reaches_around

ID, NAME = Column("id", LogicalType.INT, nullable=False), Column("name", LogicalType.TEXT, length=20)
USERS = Table("users", (ID, NAME), ("id",))
POSTS = Table(
    "posts", (ID, Column("user_id", LogicalType.INT)), ("id",), (), (ForeignKey(("user_id",), "users", ("id",)),)
)
TABLES = {"users": USERS, "posts": POSTS}
BATCH = "INSERT INTO _alembic_tmp_users (id, name)"
"""Sent by Alembic's batch mode itself, where it begins so."""
MORE = Column("more", LogicalType.TEXT)


def after(*statements: str, users: Table | None = USERS, definitions: tuple[Definition, ...] = ()) -> RowByRow:
    heard = Heard()
    for sql in statements:
        heard.hear_statement(sql, "0002", copies=sql.startswith(BATCH))
    now = {"posts": POSTS} | ({users.name: users} if users else {})
    return pair(TABLES, now, (), definitions, heard)


def with_column(*columns: Column) -> Table:
    return replace(USERS, columns=(*USERS.columns, *columns))


def test_a_copy_is_carried_row_by_row() -> None:
    paired = pair_same(TABLES)
    assert paired.others == {}
    assert paired.pairs["users"].columns == (("id", "id"), ("name", "name"))
    assert paired.pairs["users"].key == ("id",)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE users SET name = upper(name)",
        "INSERT INTO names SELECT id, name FROM users",
        "DELETE FROM users WHERE id = 1",
        "CREATE TABLE names AS SELECT name FROM users",
        "SELECT name INTO names FROM users",
        "ALTER TABLE users ALTER COLUMN name TYPE text USING upper(name)",
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
        "INSERT INTO _alembic_tmp_users SELECT id, lower(name) FROM users",
        "ALTER TABLE users ADD COLUMN big INT GENERATED ALWAYS AS (id * 2) STORED",
        "ALTER TABLE users ADD big INT AS (id * 2)",
        "ALTER TABLE users ADD COLUMN big INT DEFAULT (id * 2)",
        "ALTER TABLE users ALTER COLUMN big DROP EXPRESSION",
    ],
)
def test_rows_that_revisions_wrote(sql: str) -> None:
    paired = after(sql)
    # Whoever refers to them may have been changed with them.
    assert set(paired.others) == {"users", "posts"}


@pytest.mark.parametrize(
    "sql",
    [
        *("CALL mend()", "DO $$BEGIN END$$", "SELECT mend()", "COPY users FROM '/tmp/x'", "LOAD DATA INFILE 'x'"),
        *("ALTER TYPE mood RENAME VALUE 'open' TO 'old'", "DROP TYPE mood", "HANDLER users OPEN"),
    ],
)
def test_code_of_which_nobody_can_say_what_it_does(sql: str) -> None:
    assert set(after(sql).others) == {"users", "posts"}


def test_rows_written_elsewhere_rule_nothing_out_but_where_triggers_may_carry_them_on() -> None:
    statements = "CREATE TABLE roles (id INT)", "INSERT INTO roles VALUES (1)"
    assert set(after(*statements).pairs) == {"users", "posts"}
    trigger = Definition("trigger", "roles", "t")
    assert set(after(*statements, definitions=(trigger,)).others) == {"users", "posts"}


@pytest.mark.parametrize(
    "sql",
    [
        *("SELECT id FROM users", "SELECT count(*) FROM ONLY users", "(SELECT id FROM posts, users)"),
        *("WITH u AS (SELECT id FROM users) SELECT * FROM u", "SET @n = (SELECT count(*) FROM users)"),
        "SELECT p.id FROM posts AS p LEFT JOIN public.users AS u ON u.id = p.user_id",
    ],
)
def test_rows_that_revisions_read(sql: str) -> None:
    """What a revision did for each of them, or for none, it would have done for those that come."""
    assert "users" in after(sql).others


def test_catalogs_are_read_without_a_row() -> None:
    for sql in (
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'users'",
        "SELECT relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
        *("SELECT sql FROM sqlite_master", "PRAGMA table_info(users)", "SHOW CREATE TABLE users", "SELECT version()"),
    ):
        assert set(after(sql).pairs) == ({"users", "posts"} if "version" not in sql else set()), sql


@pytest.mark.parametrize(
    "sql",
    [
        *("UPDATE old_users SET name = 'x'", "SELECT id FROM old_users", "DELETE FROM users_2024 WHERE id = 1"),
        *("UPDATE ONLY public.users_2024 SET name = 'x'", "INSERT INTO roles SELECT id FROM users_2024"),
        *(
            "REPLACE INTO old_users VALUES (1)",
            "TRUNCATE TABLE users_2024",
            "INSERT OR IGNORE INTO old_users VALUES (1)",
        ),
    ],
)
def test_names_that_are_no_tables_may_be_views_or_parts_of_them(sql: str) -> None:
    assert set(after("CREATE TABLE roles (id INT)", sql).others) == {"users", "posts"}


def test_a_view_that_was_joined() -> None:
    view = Definition("view", "", "old_users")
    sql = "UPDATE posts p JOIN old_users u ON u.id = p.user_id SET u.name = 'x'"
    assert set(after(sql, definitions=(view,)).others) == {"users", "posts"}


@pytest.mark.parametrize(
    "sql",
    [
        *("ALTER TABLE users ALTER COLUMN name TYPE VARCHAR(2)", "ALTER TABLE users MODIFY name VARCHAR(2)"),
        *("ALTER TABLE users CHANGE name name VARCHAR(2)", "ALTER TABLE users CONVERT TO CHARACTER SET latin1"),
    ],
)
def test_a_type_that_was_another_one_on_the_way(sql: str) -> None:
    assert set(after(sql).others) == {"users"}


def test_a_column_may_be_called_type() -> None:
    assert after("ALTER TABLE users ADD COLUMN type VARCHAR(20)").others == {}
    assert after("ALTER TABLE users ADD type VARCHAR(20)").others == {}


def test_a_type_that_an_operation_changed() -> None:
    heard = Heard()
    heard.hear_operation(ops.AlterColumnOp("users", "name", modify_type=String(2)), "0002")
    heard.hear_operation(ops.AlterColumnOp("posts", "user_id", modify_nullable=False), "0002")
    heard.hear_statement("ALTER TABLE posts MODIFY user_id INTEGER NOT NULL", "0002", restates=True)
    assert set(pair(TABLES, TABLES, (), (), heard).others) == {"users"}


def test_a_column_that_was_added_has_one_value() -> None:
    users = with_column(MORE)
    assert after(users=users).pairs["users"].added == ("more",)


@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("'x'", True),
        ("'it''s' :: character varying", True),
        ("- 1 . 5", True),
        ("( 7 )", True),
        ("true", True),
        ("now ( )", False),
        ("gen_random_uuid ( )", False),
        ("current_timestamp", False),
        ("( 1 + 1 )", False),
        ("'now' :: text :: date", True),
    ],
)
def test_a_default_is_a_constant_or_not(text: str, constant: bool) -> None:
    default = Definition("default", "users", "more", ("more",), text)
    assert ("users" in after(users=with_column(MORE), definitions=(default,)).pairs) is constant


@pytest.mark.parametrize("kind", ["autoincrement", "generated column"])
def test_a_column_whose_values_are_made_for_each_row(kind: str) -> None:
    made = Definition(kind, "users", "more", ("more",), kind)
    assert "users" in after(users=with_column(MORE), definitions=(made,)).others


def test_renames_that_were_heard_are_followed() -> None:
    people = replace(USERS, name="people", columns=(ID, replace(NAME, name="label")))
    statements = ("ALTER TABLE users RENAME COLUMN name TO label", "ALTER TABLE users RENAME TO people")
    made = after(*statements, users=people).pairs["users"]
    assert (made.staged.name, made.columns) == ("people", (("id", "id"), ("name", "label")))
    assert "users" in after(users=people).others


@pytest.mark.parametrize(
    "users",
    [
        None,
        replace(USERS, columns=(ID,)),
        replace(USERS, columns=(ID, replace(NAME, length=10))),
        replace(USERS, columns=(ID, replace(NAME, type=LogicalType.BYTES))),
        replace(USERS, primary_key=("name",)),
        replace(USERS, primary_key=()),
    ],
)
def test_what_is_gone_or_of_another_type_rules_a_table_out(users: Table | None) -> None:
    assert "users" in after(users=users).others


@pytest.mark.parametrize("sql", ["SELECT mend(id) FROM users", "SET @x = mend()", "VALUES (mend())"])
def test_a_function_of_the_schema_may_write(sql: str) -> None:
    function = Definition("function", "", "mend")
    assert set(after(sql, definitions=(function,)).others) == {"users", "posts"}
    assert "posts" in after(sql).pairs
    assert after("ALTER TABLE users ADD COLUMN more TEXT", definitions=(function,)).others == {}


def test_what_a_foreign_key_does_is_no_write() -> None:
    sql = "ALTER TABLE posts ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE SET NULL"
    assert after(sql).others == {}


def test_a_generated_column_that_is_an_ordinary_one_now() -> None:
    generated = Definition("generated column", "users", "big", ("big",), "id * 2")
    heard = Heard()
    heard.hear_statement("ALTER TABLE users MODIFY big INT", "0002", restates=True)
    assert "users" in pair(TABLES, TABLES, (generated,), (), heard).others
    assert "users" in pair(TABLES, TABLES, (generated,), (generated,), heard).pairs


@pytest.mark.parametrize(
    "text",
    [
        "op.get_bind().connection.executescript('UPDATE x')",
        "import sqlite3",
        "from app.models import db",
        "from . import helpers",
        "x = __import__('os')",
        "no python (",
    ],
)
def test_a_revision_with_ways_around(tmp_path: Path, text: str) -> None:
    file = tmp_path / "0002.py"
    file.write_text(f"from __future__ import annotations\nimport sqlalchemy as sa\nfrom alembic import op\n{text}\n")
    assert reaches_around([file])
    file.write_text("from __future__ import annotations\nimport sqlalchemy as sa\nfrom alembic import op\n")
    assert not reaches_around([file])


@pytest.mark.parametrize(
    ("text", "sends"),
    [
        ("with connectable.connect() as connection:\n    context.run_migrations()\n", False),
        ("connection.execute(text('SET lock_timeout = 5'))\ndriver.execute(f'PRAGMA foreign_keys={was_on}')\n", False),
        ("connection.execute(text('UPDATE users SET name = 1'))\n", True),
        ("connection.exec_driver_sql(MORE)\n", True),
        ("connection.connection.cursor()\n", True),
        ("no python (", True),
    ],
)
def test_an_env_py_that_sends(tmp_path: Path, text: str, sends: bool) -> None:
    file = tmp_path / "env.py"
    file.write_text(text)
    assert env_sends(file) is sends


def test_a_name_that_was_dropped_and_is_there_again() -> None:
    assert "users" in after("ALTER TABLE users DROP COLUMN name", "ALTER TABLE users ADD COLUMN name TEXT").others
    assert "users" in after("DROP TABLE users", "CREATE TABLE users (id INTEGER)").others
    batch = (f"{BATCH} SELECT * FROM users", "DROP TABLE users")
    assert "users" in after(*batch, "ALTER TABLE _alembic_tmp_users RENAME TO users").pairs


def test_another_key_will_do_where_it_is_never_null() -> None:
    unique = replace(USERS, columns=(ID, replace(NAME, nullable=False)), primary_key=(), unique=(("name",),))
    assert pair_same({"users": unique}).pairs["users"].key == ("name",)
    nullable = replace(USERS, primary_key=(), unique=(("name",),))
    assert "users" in pair_same({"users": nullable}).others


@pytest.mark.parametrize(
    ("text", "around"),
    [
        ("op.get_bind().connection.cursor().execute('UPDATE users')", True),
        ("engine = sa.create_engine(url)", True),
        ("op.add_column('users', sa.Column('x', sa.Integer))", False),
    ],
)
def test_ways_around_the_connection_that_is_listened_to(tmp_path: Path, text: str, around: bool) -> None:
    (tmp_path / "0002.py").write_text(text)
    assert reaches_around([tmp_path / "0002.py"]) is around
