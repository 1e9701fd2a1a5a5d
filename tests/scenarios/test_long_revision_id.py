"""A revision id that is longer than the column that Alembic makes for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.small_host import SmallHost
from tests.transfer.hosts import history, revision

ID = "2026_11_26_a_revision_with_a_name_of_many_words"
TABLE = "op.create_table('item', sa.Column('id', sa.Integer, primary_key=True))"
WIDENED = "op.alter_column('alembic_version', 'version_num', type_=sa.String(255), existing_nullable=False)"
INIT = ("db-init", "--schema", "migrations", "--no-seed", "--yes")


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_it_is_named_with_what_to_do_and_works_where_the_column_is_wider(
    host: Callable[[str], SmallHost], server: str
) -> None:
    made = host(server)
    migrations = history(made.directory / "migrations")
    revision(migrations, ID, None, TABLE)
    refused = made.flask(*INIT)
    assert refused.status == 22
    assert ID in refused.stderr
    assert WIDENED in refused.stderr
    revision(migrations, ID, None, f"{WIDENED}\n{TABLE}")
    made.done(*INIT)
    made.done("db-backup")
    assert ID in made.done("db-status")
