"""What revisions say while they run: what they drop and rename by name, and which tables they may have written."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from app.dialects.model import Column, Definition, ForeignKey, LogicalType, Table
from app.transfer.schema.listen import Heard, Nameless, listen
from app.transfer.schema.statements import Rename

COLUMNS = (Column("id", LogicalType.INT),)
TABLES = {
    "users": Table("users", COLUMNS, ("id",)),
    "posts": Table("posts", COLUMNS, ("id",), (), (ForeignKey(("user_id",), "users", ("id",)),)),
    "marks": Table("marks", COLUMNS, ("id",), (), (ForeignKey(("post_id",), "posts", ("id",)),)),
    "tags": Table("tags", COLUMNS, ("id",)),
}
TRIGGER = Definition("trigger", "tags", "t")


def reached(sql: str, *definitions: Definition) -> list[str]:
    heard = Heard()
    heard.hear_statement(sql, "0001")
    return sorted(heard.find_reached(TABLES, definitions))


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("ALTER TABLE users ADD COLUMN x INTEGER", ["users"]),
        ("SELECT 1", []),
        # A row that goes may take those that refer to it along.
        ("DELETE FROM users", ["marks", "posts", "users"]),
        ("update POSTS set id = 1", ["marks", "posts"]),
        ("INSERT INTO _alembic_tmp_users SELECT * FROM users", ["users"]),
        # Nobody can say what code touches.
        ("CALL fix_all()", sorted(TABLES)),
        ("SELECT fix_all()", sorted(TABLES)),
        ("DO $$BEGIN END$$", sorted(TABLES)),
    ],
)
def test_which_tables_may_have_other_rows(sql: str, tables: list[str]) -> None:
    assert reached(sql) == tables


def test_a_trigger_may_write_anywhere_once_something_is_written() -> None:
    assert reached("DELETE FROM tags", TRIGGER) == sorted(TABLES)
    assert reached("ALTER TABLE tags ADD COLUMN x INTEGER", TRIGGER) == ["tags"]


def test_operations_and_statements_are_heard_with_their_revision() -> None:
    engine, heard = sa.create_engine("sqlite://"), Heard()
    with listen(engine, heard, {__file__: "0001"}), engine.connect() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_table("t", sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))
        operations.create_index("by_b", "t", ["b"])
        operations.drop_index("by_b", "t")
        operations.rename_table("t", "u")
        operations.execute("ALTER TABLE u RENAME COLUMN a TO c")
        operations.execute("DROP TABLE u")
        with pytest.raises(NotImplementedError):
            operations.drop_constraint("Named", "t", type_="foreignkey")
    names = {name: revision for name, revision in heard.dropped.items() if name not in ("index", "table")}
    assert names == {"by_b": "0001", "u": "0001", "named": "0001"}
    assert heard.renames == [Rename("", "t", "u"), Rename("u", "a", "c")]
    assert heard.nameless == [Nameless("t", "foreign key", "named", "0001")]
    assert not heard.wrote


def test_what_is_not_of_a_revision_is_not_heard_and_nothing_afterwards() -> None:
    engine, heard = sa.create_engine("sqlite://"), Heard()
    with listen(engine, heard, {}), engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")
    with listen(engine, heard, {__file__: "0001"}):
        pass
    with engine.connect() as connection:
        Operations(MigrationContext.configure(connection)).execute("CREATE TABLE v (a INTEGER)")
    assert (heard.touched, heard.dropped) == ({}, {})
