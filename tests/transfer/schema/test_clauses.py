"""What statements and operations say of columns and tables in so many words."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.operations import ops

from app.transfer.schema.clauses import Clause, find_clauses, find_operation_clauses
from app.transfer.schema.statements import split

STATEMENTS = {
    "ALTER TABLE t ALTER COLUMN c DROP DEFAULT, ALTER d DROP NOT NULL": {
        ("default", "c"),
        ("autoincrement", "c"),
        ("not null", "d"),
    },
    'ALTER TABLE IF EXISTS ONLY public."T" ALTER "C" DROP IDENTITY IF EXISTS': {("autoincrement", "c")},
    "ALTER TABLE t ALTER COLUMN c DROP EXPRESSION": {("generated column", "c")},
    "ALTER TABLE t ALTER COLUMN c TYPE text COLLATE x": {("collation", "c")},
    "ALTER TABLE t ALTER COLUMN c TYPE text": set(),
    "ALTER TABLE t MODIFY COLUMN c VARCHAR(9)": set(),
    "ALTER TABLE t MODIFY c INT NOT NULL": set(),
    "ALTER TABLE t MODIFY c INT NULL DEFAULT (1 + 2)": {("not null", "c"), ("default", "c")},
    "ALTER TABLE t MODIFY c INT DEFAULT NULL": {("not null", "c"), ("default", "c")},
    "ALTER TABLE t CHANGE c d TEXT CHARACTER SET utf8mb4 COMMENT ''": {("collation", "c"), ("comment", "c")},
    "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4": {("collation", "")},
    "ALTER TABLE t COMMENT = 'x', DROP PRIMARY KEY, DROP COLUMN c": {
        ("comment", "t"),
        ("primary key", ""),
        ("", "c"),
    },
    "ALTER TABLE t DISABLE ROW LEVEL SECURITY": {("row security", "t")},
    "ALTER TABLE t DROP SYSTEM VERSIONING": {("table option", "")},
    "COMMENT ON COLUMN public.t.c IS NULL": {("comment", "c")},
    "COMMENT ON TABLE t IS 'x'": {("comment", "t")},
    "ALTER TABLE": set(),
}
OPERATIONS = {
    ops.AlterColumnOp("t", "c", modify_type=sa.String(9), existing_nullable=True, existing_server_default=None): set(),
    ops.AlterColumnOp("t", "c", modify_server_default=None): {"default", "autoincrement", "generated column"},
    ops.AlterColumnOp("t", "C", modify_nullable=True, modify_comment=None): {"not null", "comment"},
    ops.AlterColumnOp("t", "c", modify_type=sa.String(9, collation="x"), autoincrement=False): {
        "collation",
        "autoincrement",
    },
    ops.DropConstraintOp("pk", "t", type_="primary"): {"primary key"},
    ops.DropColumnOp("t", "c"): {""},
    ops.DropTableCommentOp("t"): {"comment"},
}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statements(sql: str) -> None:
    [words] = split(sql)
    clauses = list(find_clauses(words))
    assert {(clause.kind, clause.name) for clause in clauses} == STATEMENTS[sql]
    assert {clause.table for clause in clauses} <= {"t"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_what_an_operation_only_restates_it_does_not_say(operation: ops.MigrateOperation) -> None:
    clauses = list(find_operation_clauses(operation))
    assert {clause.kind for clause in clauses} == OPERATIONS[operation]
    assert clauses == [Clause(one.kind, "t", one.name) for one in clauses]
