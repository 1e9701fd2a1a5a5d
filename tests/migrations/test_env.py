"""How the revisions run: whole or not at all, without foreign keys, leaving logging alone."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

import migrations
from app.extensions import db
from app.models.testdata import seed

from .database import HEAD, Database

REVISION = f'''
import sqlalchemy as sa
from alembic import op

revision = "0008_test"
down_revision = "{HEAD}"


def upgrade():
    %s
'''


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the app's migrations, for one more revision."""
    return Path(shutil.copytree(next(iter(migrations.__path__)), tmp_path / "migrations"))


def upgrade_with(database: Database, directory: Path, *statements: str) -> None:
    """Upgrade with a further revision that does these things."""
    (directory / "versions" / "0008_test.py").write_text(REVISION % "\n    ".join(statements))
    with database.app.app_context():
        flask_migrate.upgrade(directory=str(directory))


def test_the_engine_enforces_foreign_keys_again_afterwards(empty: Database) -> None:
    app = empty.app
    with app.app_context():
        flask_migrate.upgrade()
        assert db.session.execute(sa.text("PRAGMA foreign_keys")).scalar() == 1
        with pytest.raises(IntegrityError):
            db.session.execute(sa.text("INSERT INTO user_sections VALUES (1, 1, 1)"))


def test_recreating_a_table_empties_no_other(tmp_path: Path, directory: Path) -> None:
    """Batch mode drops the table; with foreign keys on, ON DELETE CASCADE would go through its children."""
    database = Database(tmp_path / "live.db")
    app = database.app
    with app.app_context():
        flask_migrate.upgrade()
        seed()
    before = database.contents()
    batch = (
        "with op.batch_alter_table('%s', recreate='always') as batch: batch.add_column(sa.Column('new', sa.Integer))"
    )
    upgrade_with(database, directory, *[batch % table for table in ("users", "microblogs", "posts", "sections")])
    after = database.contents()
    assert {table: len(rows) for table, rows in after.items()} == {table: len(rows) for table, rows in before.items()}
    assert before["microblog_reactions"]


def test_a_failing_revision_leaves_nothing_behind(nasty: Database, directory: Path) -> None:
    before, schema = nasty.contents(), nasty.schema()
    with pytest.raises(sa.exc.OperationalError):
        upgrade_with(nasty, directory, "op.create_table('half', sa.Column('id', sa.Integer))", "op.drop_table('none')")
    assert (nasty.contents(), nasty.schema(), nasty.revision()) == (before, schema, "0001_classic")


def test_new_dangling_keys_undo_the_upgrade(empty: Database, directory: Path) -> None:
    before = empty.contents()
    with pytest.raises(SystemExit):
        upgrade_with(empty, directory, "op.execute('INSERT INTO user_sections VALUES (5000, 1, 1)')")
    assert (empty.contents(), empty.revision()) == (before, "0001_classic")


def test_old_dangling_keys_stop_no_upgrade(empty_head: Database, directory: Path) -> None:
    with empty_head.connect() as connection:
        connection.execute("INSERT INTO user_sections VALUES (5000, 1, 1)")
    upgrade_with(empty_head, directory, "op.add_column('users', sa.Column('new', sa.Integer))")
    assert empty_head.revision() == "0008_test"


def test_loggers_stay_as_they_are(empty: Database) -> None:
    logger = logging.getLogger("somebody.elses")
    empty.upgrade()
    assert not logger.disabled


def test_no_drift(empty_head: Database) -> None:
    result = empty_head.app.test_cli_runner().invoke(args=["db", "check"])
    assert result.exit_code == 0, result.output


def test_drift_is_found(empty_head: Database) -> None:
    with empty_head.connect() as connection:
        connection.execute("ALTER TABLE users ADD COLUMN extra INTEGER")
    assert empty_head.app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 1


def test_migrate_writes_no_empty_revision(empty_head: Database, directory: Path) -> None:
    result = empty_head.app.test_cli_runner().invoke(args=["db", "migrate", "-m", "none", "-d", str(directory)])
    assert result.exit_code == 0, result.output
    assert len(list((directory / "versions").glob("*.py"))) == 7


def test_migrate_writes_what_changed(empty_head: Database, directory: Path) -> None:
    with empty_head.connect() as connection:
        connection.execute("ALTER TABLE users DROP COLUMN former_sid")
    args = ["db", "migrate", "-m", "put it back", "--rev-id", "0008_test", "-d", str(directory)]
    result = empty_head.app.test_cli_runner().invoke(args=args)
    assert result.exit_code == 0, result.output
    script = (directory / "versions" / "0008_test.py").read_text()
    assert "former_sid" in script
    assert "ferry_moves" in script


def test_sql_mode_is_refused(empty: Database) -> None:
    with pytest.raises(SystemExit):
        empty.upgrade(sql=True)


def test_nothing_to_do_changes_nothing(head: Database) -> None:
    before = head.path.read_bytes()
    head.upgrade()
    assert head.path.read_bytes() == before
